"""The tiny backbones behind the protocol: video in pixels, a Gaussian prior, and a network that corrects it."""

import hashlib
import math
from collections.abc import Mapping
from typing import Literal, final

import numpy as np
import scipy
import torch
from pydantic import Field

from rfcodec.backbones.options import BackboneOptions
from rfcodec.backbones.tiny.denoiser import Denoiser, PriorBank
from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.weights import Card, read_network
from rfcodec.config import RuntimeConfig
from rfcodec.errors import UnsupportedCondition
from rfcodec.flow.path import time_of_snr
from rfcodec.flow.rollout import rollout
from rfcodec.protocols import Condition, Frames, Latents, Step
from rfcodec.types import Identity, InformationProfile


@final
class TinyOptions(BackboneOptions):
    """Fields of `backbone_options` in the stream."""

    dtype: Literal["float32", "bfloat16"] = Field(default="float32", description="precision of the network")


@final
class TinyBackbone:
    """A learned denoiser in pixels: any size from 64 x 64 up, GOPs of 9 to 33 frames best. Knows no text."""

    def __init__(self, name: str, network: TinyNetwork, card: Card, device: torch.device, options: TinyOptions) -> None:
        self._bank = PriorBank()
        self._gaussian = self._bank.backbones[0]
        self._network, self._device = network.to(device), device
        self._bfloat16 = options.dtype == "bfloat16"
        self.card = card
        self.geometry = self._gaussian.geometry
        self.tail_share, self.tail_end = card.tail_share, card.tail_end
        weights = hashlib.blake2s(bytes.fromhex(card.sha256) + self._gaussian.spectrum.digest, digest_size=8).digest()
        words = f"{device.type} {options.dtype} torch {torch.__version__} numpy {np.__version__} scipy {scipy.__version__}"
        self.identity = Identity(name, weights, words)

    def encode(self, frames: Frames) -> Latents:
        """Orthonormal change of colour."""
        return self._gaussian.encode(frames).to(self._device)

    def decode(self, latents: Latents) -> Frames:
        """The change of colour undone."""
        return self._gaussian.decode(latents.cpu())

    def condition(self, condition: Condition) -> Denoiser:
        """The denoiser given the references; raises UnsupportedCondition for text."""
        if condition.text:
            raise UnsupportedCondition(f"the {self.identity.name} backbone knows no text: leave the prompt empty")
        return Denoiser(self._network, self._bank.correction(condition), self._bfloat16)

    def profile(self, condition: Denoiser) -> InformationProfile | None:
        """The Gaussian prior's, of which the network leaves the shares that were measured on clips for training."""
        shares = self.card.shares.get(condition.kind)
        if shares is None:
            return None
        mmse = (
            share * condition.prior.mmse(time_of_snr(math.exp(u)))
            for u, share in zip(self.card.log_snr, shares, strict=True)
        )
        return InformationProfile(self.card.log_snr, tuple(mmse))

    def run(self, condition: Denoiser, step: Step) -> Latents:
        """Loops over the learned velocity."""
        return rollout(condition.velocity, condition.shape, step)


def tiny_backbone(runtime: RuntimeConfig, options: Mapping[str, str]) -> TinyBackbone:
    """Video in pixels, a small network trained by this project on openly licensed clips. Runs on the CPU."""
    return _open("tiny", runtime, options)


def _open(name: str, runtime: RuntimeConfig, options: Mapping[str, str]) -> TinyBackbone:
    chosen = TinyOptions.read(options)
    network, card = read_network(name)
    return TinyBackbone(name, network, card, torch.device(runtime.device), chosen)
