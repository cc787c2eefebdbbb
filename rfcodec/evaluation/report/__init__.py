"""What a sweep found: deltas, curves, tables, plots, a page."""
