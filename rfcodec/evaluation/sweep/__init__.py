"""Rate-distortion sweeps: what is to be done, doing it, and what a user sees of it."""
