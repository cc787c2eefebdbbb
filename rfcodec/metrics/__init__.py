"""Measures of quality, and the collector that takes them in one pass over a clip."""
