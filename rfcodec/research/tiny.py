"""The tiny backbones in parts: the network as it is stored, and the backbone around a network."""

from rfcodec.backbones.tiny.backbone import TinyBackbone, TinyOptions
from rfcodec.backbones.tiny.network import MULTIPLE
from rfcodec.backbones.tiny.weights import read_network

__all__ = ["MULTIPLE", "TinyBackbone", "TinyOptions", "read_network"]
