"""The discrete coder: one step, noise that is chosen or replayed, and the rate plan."""
