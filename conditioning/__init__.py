"""Conditioning plugins of rfcodec: modes that emit and read what conditions a GOP, still coders, correctors, captioners."""

DISTRIBUTION = "rfcodec"
