"""Training examples: a noisy crop, its Wiener estimate and what the network is shown (docs/tiny.md, section 3)."""

import io
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rfcodec.backbones.tiny.denoiser import Estimate, Estimator, PriorBank, corrected
from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.flow.path import interpolate
from rfcodec.protocols import Condition, Reference
from rfcodec.types import Frame, Frames

KIND_SHARES = {"none": 0.4, "first": 0.3, "first+last": 0.3}  # how often each kind of condition is trained


class Example(NamedTuple):
    """What the network sees at a noisy state, and the clean latents."""

    clean: Tensor
    estimate: Estimate
    mse: float  # of the Wiener estimate by the Gaussian prior, the unit of the loss

    def squared_error(self, x0_hat: Tensor) -> Tensor:
        """Mean squared error of an estimate."""
        return (x0_hat - self.clean).square().mean()


class Scene(NamedTuple):
    """Clean latents, and what the priors say of states on the way to them."""

    clean: Tensor
    estimator: Estimator

    def at(self, x: Tensor, t: float) -> Example:
        """What the network sees at state x and time t."""
        return Example(self.clean, self.estimator.estimate(x, t), self.estimator.prior.mmse(t))


def scene(frames: Frames, kind: str, generator: np.random.Generator) -> Scene:
    """The crop, given the references of a kind of condition at a random quality of AVIF."""
    count, height, width, _ = frames.shape
    first = _reference(frames[0], generator) if kind != "none" else None
    last = _reference(frames[-1], generator) if kind == "first+last" else None
    condition = Condition.between((count, width, height), first=first, last=last)
    estimator = _free(count, width, height) if kind == "none" else _bank().estimator(condition)
    return Scene(_bank().backbones[0].encode(frames), estimator)


def example(frames: Frames, kind: str, t: float, generator: np.random.Generator) -> Example:
    """The crop with noise of the generator at time t."""
    one = scene(frames, kind, generator)
    return one.at(interpolate(one.clean, white(one.clean, generator), t), t)


def white(like: Tensor, generator: np.random.Generator) -> Tensor:
    """White noise of unit variance."""
    return torch.from_numpy(generator.standard_normal(tuple(like.shape), dtype=np.float32))


def draw_kind(generator: np.random.Generator) -> str:
    """A kind of condition, as often as it is trained."""
    return tuple(KIND_SHARES)[generator.choice(len(KIND_SHARES), p=tuple(KIND_SHARES.values()))]


def errors(network: TinyNetwork, one: Example) -> tuple[Tensor, Tensor]:
    """Mean squared errors of x0_hat and of the Wiener estimate."""
    return one.squared_error(corrected(network, one.estimate)), one.squared_error(one.estimate.wiener)


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
