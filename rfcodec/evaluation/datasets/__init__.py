"""Which frames of which clips are coded and measured."""
