"""One trajectory on a draw from a Gaussian prior: the coder without files, for theory and comparisons."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from rfcodec.backbones.gaussian.backbone import GaussianBackbone, latent_backbone, pixel_backbone
from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig
from rfcodec.flow.rollout import rollout
from rfcodec.flow.time_grid import information_levels, levels_to_grid, shifted_grid, tail_levels, within_range
from rfcodec.protocols import Codebook
from rfcodec.trajectory.noise import ChooseNoise, Emphasis
from rfcodec.trajectory.rate import Steps, split_bits
from rfcodec.trajectory.step import GopPlan, TrajectoryStep
from rfcodec.types import NoiseAddress

# shapes c f h w: a 720p GOP of Wan latents, and pixels with as many numbers a frame, where GVCC's atoms cost the same
SHAPES = {"gaussian-latent": (16, 9, 90, 160), "gaussian": (3, 9, 240, 320)}


@dataclass(frozen=True)
class Outcome:
    """Bits spent, mean squared error, variances of output and source (about the mean of each channel), each a dimension."""

    bits: float
    mse: float
    variance: float
    source: float


def backbone(name: str) -> GaussianBackbone:
    """One of the two Gaussian backbones."""
    return {"gaussian": pixel_backbone, "gaussian-latent": latent_backbone}[name](RuntimeConfig(), {})


@lru_cache(maxsize=4)
def open_prior(name: str, shape: tuple[int, int, int, int] | None = None) -> GaussianPrior:
    """The prior of a backbone over latents of its usual shape, or of another."""
    return GaussianPrior(backbone(name).spectrum, shape or SHAPES[name])


@dataclass(frozen=True)
class Tail:
    """What a backbone says of the ODE tail: its share of the evaluations, and the time from which it jumps to 0."""

    share: float
    end: float


def tail_of(name: str) -> Tail:
    """That of one of the two Gaussian backbones."""
    opened = backbone(name)
    return Tail(opened.tail_share, opened.tail_end)


def source(name: str, seed: int, shape: tuple[int, int, int, int] | None = None) -> tuple[GaussianPrior, torch.Tensor]:
    """A prior and a draw from it without the mean of each channel, which alone would be most of the variance of pixels."""
    prior = open_prior(name, shape)
    draw = prior.sample(np.random.default_rng(seed))
    return prior, draw - draw.mean((1, 2, 3), keepdim=True)


def plan(
    prior: GaussianPrior, bits: float, stream: StreamConfig, effort: EncoderConfig, codebook: Codebook[Any], tail: Tail
) -> GopPlan:
    """What an encoder plans at `bits` a dimension: its uniform grid, or equal information by the prior's own profile."""
    config = stream.trajectory
    closing, dims = config.tail_steps(tail.share), int(np.prod(prior.shape))
    steps = Steps(config.steps - closing, config.bit_ramp)
    widths = split_bits(codebook, prior.shape, round(bits * dims), steps)
    if config.shift:
        return GopPlan(shifted_grid(config.steps, config.shift), widths)
    nats_per_bit = effort.information_share * (effort.efficiency or codebook.efficiency) * np.log(2) / dims
    levels = information_levels(prior.profile(), [nats_per_bit * width for width in widths])
    levels += tail_levels(levels[-1], effort.tail_end or tail.end, closing)
    return GopPlan(levels_to_grid(within_range(levels)), widths)


def code(
    drawn: tuple[GaussianPrior, torch.Tensor],
    bits: float,
    seed: int,
    settings: tuple[StreamConfig, EncoderConfig],
    codebook: Codebook[Any],
    tail: Tail,
) -> Outcome:
    """Codes a draw, as `source` makes it, at `bits` a dimension, with settings as `configure` returns them."""
    (prior, target), (stream, effort) = drawn, settings
    chosen = plan(prior, bits, stream, effort, codebook, tail)
    emphasis = Emphasis(torch.ones(()), effort.spectral_emphasis)
    choice = ChooseNoise(codebook, NoiseAddress(seed, 0, 0), target, chosen.step_bits, emphasis, lambda *_: None)
    with closing(choice) as noise:
        output = rollout(prior.velocity, prior.shape, TrajectoryStep(stream.trajectory, chosen, noise))
    mse = float((output - target).square().mean())
    variances = (float(values.var((1, 2, 3)).mean()) for values in (output, target))
    return Outcome(sum(chosen.step_bits) / target.numel(), mse, *variances)


def code_draws(
    name: str, bits: float, settings: tuple[StreamConfig, EncoderConfig], codebook: Codebook[Any], seeds: Sequence[int]
) -> dict[str, float]:
    """Mean outcome over draws from the prior of a backbone."""
    tail = tail_of(name)
    outcomes = [code(source(name, s), bits, s + 1, settings, codebook, tail) for s in seeds]
    rows = [asdict(outcome) for outcome in outcomes]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
