"""Many GOPs: playback, seeking, coding on workers, salvage of damaged files, display."""
