"""Clips that models of this project are trained and judged on: random crops, and those that are held back."""

from rfcodec.backbones.tiny.training.clips import RandomCrops, clip_of
from rfcodec.backbones.tiny.training.validation import held_back

__all__ = ["RandomCrops", "clip_of", "held_back"]
