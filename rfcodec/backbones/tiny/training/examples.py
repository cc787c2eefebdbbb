"""Training examples: a noisy crop, its Wiener estimate and what the network is shown (docs/tiny.md, section 3)."""

import io
import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from rfcodec.backbones.tiny.denoiser import Estimate, Estimator, PriorBank, corrected
from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training.clips import RandomCrops
from rfcodec.flow.path import interpolate
from rfcodec.protocols import Condition, Reference
from rfcodec.types import Frame, Frames

KIND_SHARES = {"none": 0.4, "first": 0.3, "first+last": 0.3}  # how often each kind of condition is trained
LOGIT_MEAN, LOGIT_SPREAD = -0.2, 1.2
EARLIEST, LATEST = 0.01, 0.995  # times are cut to this range


class Example(NamedTuple):
    """What the network sees at a noisy state, and the clean latents."""

    clean: Tensor
    estimate: Estimate
    mse: float  # of the Wiener estimate by the Gaussian prior, the unit of the loss


def example(frames: Frames, kind: str, t: float, generator: np.random.Generator) -> Example:
    """The crop at time t, given the references of a kind of condition at a random quality of AVIF."""
    count, height, width, _ = frames.shape
    first = _reference(frames[0], generator) if kind != "none" else None
    last = _reference(frames[-1], generator) if kind == "first+last" else None
    condition = Condition(count, width, height, first=first, last=last)
    estimator = _free(count, width, height) if kind == "none" else _bank().estimator(condition)
    clean = _bank().backbones[0].encode(frames)
    noise = torch.from_numpy(generator.standard_normal(estimator.shape, dtype=np.float32))
    estimate = estimator.estimate(interpolate(clean, noise, t), t)
    return Example(clean, estimate, estimator.prior.mmse(t))


def errors(network: TinyNetwork, one: Example) -> tuple[Tensor, Tensor]:
    """Mean squared errors of x0_hat and of the Wiener estimate."""
    error = (corrected(network, one.estimate) - one.clean).square().mean()
    return error, (one.estimate.wiener - one.clean).square().mean()


@final
class Examples(Dataset[Example]):
    """Example k of `count`, the same for the same seed and k, whoever makes it."""

    def __init__(self, scaled: list[Path], seed: int, count: int) -> None:
        self._crops, self._seed, self._count = RandomCrops(scaled), seed, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: int) -> Example:
        generator = np.random.default_rng((self._seed, k))
        frames = self._crops.draw(generator).frames
        kind = tuple(KIND_SHARES)[generator.choice(len(KIND_SHARES), p=tuple(KIND_SHARES.values()))]
        t = 1 / (1 + math.exp(-generator.normal(LOGIT_MEAN, LOGIT_SPREAD)))
        return example(frames, kind, min(max(t, EARLIEST), LATEST), generator)


@lru_cache(maxsize=1)
def _bank() -> PriorBank:
    return PriorBank()


@lru_cache(maxsize=16)
def _free(frames: int, width: int, height: int) -> Estimator:
    return _bank().estimator(Condition(frames, width, height))


def _reference(frame: Frame, generator: np.random.Generator) -> Reference:
    coded = io.BytesIO()
    Image.fromarray(frame).save(coded, "AVIF", quality=int(generator.integers(15, 95)), speed=10)
    shown = np.asarray(Image.open(coded).convert("RGB"))
    error = float(np.sqrt(np.mean((shown.astype(np.float32) - frame) ** 2)))
    return Reference(shown, error)
