"""Codebooks of rfcodec: ways to turn a bit budget into white noise that points in a wanted direction."""

DISTRIBUTION = "rfcodec"
