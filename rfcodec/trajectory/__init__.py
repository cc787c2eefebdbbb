"""The discrete coder: the only SDE step, noise that is chosen or replayed, and the rate plan."""
