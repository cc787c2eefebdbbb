"""Denoising error against the Wiener estimate, on fixed crops of clips that were held back."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training.clips import Crop, RandomCrops, clip_of
from rfcodec.backbones.tiny.training.examples import KIND_SHARES, errors, example
from rfcodec.errors import InputError
from rfcodec.types import Frames

TIMES = (0.9, 0.7, 0.5, 0.3, 0.1)
HELD_BACK = ("coast", "crosswalk", "mdn_bug", "tos_robots", "webcam_two")
SEED = 7


@dataclass(frozen=True)
class Share:
    """What is left of the Wiener estimate's squared error, from 0 to 1."""

    clip: str
    kind: str
    t: float
    share: float


def held_back(scaled: list[Path]) -> tuple[list[Path], list[Path]]:
    """The clips for training and those of HELD_BACK, or every tenth where there are none; raises InputError for too few."""
    names = sorted({clip_of(path) for path in scaled})
    if len(names) < 2:
        raise InputError(f"{len(names)} scaled clips are too few: scale two or more first")
    chosen = set(names).intersection(HELD_BACK) or set(names[::10])
    apart = [path for path in scaled if clip_of(path) in chosen]
    return [path for path in scaled if path not in apart], apart


def shares(network: TinyNetwork, scaled: list[Path]) -> list[Share]:
    """A crop of each clip, in a kind of condition of its own, at each of TIMES; always the same crops and noise."""
    found: list[Share] = []
    for crop, kind, generator in crops_apart(scaled):
        found += [Share(crop.clip, kind, t, share_left(network, crop.frames, kind, t, generator)) for t in TIMES]
    return found


def crops_apart(scaled: list[Path]) -> Iterator[tuple[Crop, str, np.random.Generator]]:
    """The crop of each clip, its kind of condition, and the generator of what else is random about it."""
    kinds = tuple(KIND_SHARES)
    for k, clip in enumerate(sorted({clip_of(path) for path in scaled})):
        generator = np.random.default_rng((SEED, k))
        crop = RandomCrops([path for path in scaled if clip_of(path) == clip]).draw(generator)
        yield crop, kinds[k % len(kinds)], generator


def share_left(network: TinyNetwork, frames: Frames, kind: str, t: float, generator: np.random.Generator) -> float:
    """Squared error of the network's estimate over that of the Wiener estimate, at time t with noise of the generator."""
    with torch.no_grad():  # not inference_mode, whose tensors would stay in caches that training shares
        error, wiener = errors(network, example(frames, kind, t, generator))
    return float(error / wiener)


def means(found: list[Share]) -> dict[float, float]:
    """Mean share at each time."""
    return {t: float(np.mean([one.share for one in found if one.t == t])) for t in TIMES}
