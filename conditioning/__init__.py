"""Conditioning plugins of rfcodec: what a GOP is conditioned on, as bytes and back."""

DISTRIBUTION = "rfcodec"
