"""Codebooks of rfcodec: plugins that choose white noise along a direction with a number of bits, and replay it."""

DISTRIBUTION = "rfcodec"
