"""What a network leaves of the mmse of the Gaussian prior, measured on crops of the clips it was trained on."""

from pathlib import Path

import numpy as np
import torch

from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training.clips import RandomCrops
from rfcodec.backbones.tiny.training.examples import KIND_SHARES, errors, example
from rfcodec.flow.path import time_of_snr
from rfcodec.types import Frames

LOG_SNR = tuple(float(k) for k in range(-6, 4))
SEED = 11


def measure(network: TinyNetwork, scaled: list[Path], count: int) -> dict[str, tuple[float, ...]]:
    """Its mean squared error over that of the prior at each of LOG_SNR, on `count` crops, for each kind of condition."""
    clips = RandomCrops(scaled)
    found: dict[str, tuple[float, ...]] = {}
    for kind in KIND_SHARES:
        generator = np.random.default_rng(SEED)
        crops = [clips.draw(generator).frames for _ in range(count)]
        pairs = np.mean([[_errors(network, frames, kind, u, generator) for u in LOG_SNR] for frames in crops], axis=0)
        found[kind] = tuple(float(f"{own / prior:.4g}") for own, prior in pairs)
    return found


def _errors(
    network: TinyNetwork, frames: Frames, kind: str, log_snr: float, generator: np.random.Generator
) -> tuple[float, float]:
    one = example(frames, kind, time_of_snr(float(np.exp(log_snr))), generator)
    with torch.no_grad():
        return float(errors(network, one)[0]), one.mse
