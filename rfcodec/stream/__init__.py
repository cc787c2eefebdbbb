"""Many GOPs: playing, seeking, sharing out to workers, showing."""
