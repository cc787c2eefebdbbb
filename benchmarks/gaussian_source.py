"""One trajectory on a draw from a Gaussian prior: the coder without files, for theory and comparisons."""

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.simulated import Simulated
from codebooks.gvcc import GvccCodebook
from codebooks.trellis import TrellisCodebook
from rfcodec.backbones.gaussian.backbone import GaussianBackbone, latent_backbone, pixel_backbone
from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.config import EncoderConfig, RuntimeConfig, TrajectoryConfig
from rfcodec.flow.rollout import rollout
from rfcodec.flow.time_grid import equal_information_levels, levels_to_grid, shifted_grid, tail_levels
from rfcodec.presets import configure
from rfcodec.protocols import Codebook
from rfcodec.trajectory.noise import ChooseNoise
from rfcodec.trajectory.rate import split_bits
from rfcodec.trajectory.step import GopPlan, TrajectoryStep
from rfcodec.types import NoiseAddress

# shapes c f h w: a 720p GOP of Wan latents, and pixels with as many numbers a frame, where GVCC's atoms cost the same
SHAPES = {"gaussian-latent": (16, 9, 90, 160), "gaussian": (3, 9, 240, 320)}


@dataclass(frozen=True)
class Outcome:
    """Bits spent, mean squared error and output variance (about the mean of each channel), each a dimension."""

    bits: float
    mse: float
    variance: float


def backbone(name: str) -> GaussianBackbone:
    """One of the two Gaussian backbones."""
    return {"gaussian": pixel_backbone, "gaussian-latent": latent_backbone}[name](RuntimeConfig(), {})


def source(name: str, seed: int, shape: tuple[int, int, int, int] | None = None) -> tuple[GaussianPrior, torch.Tensor]:
    """A prior and a draw from it without the mean of each channel, which alone would be most of the variance of pixels."""
    prior = GaussianPrior(backbone(name).spectrum, shape or SHAPES[name])
    draw = prior.sample(np.random.default_rng(seed))
    return prior, draw - draw.mean((1, 2, 3), keepdim=True)


def code(
    prior: GaussianPrior, target: torch.Tensor, plan: GopPlan, config: TrajectoryConfig, codebook: Codebook, seed: int
) -> Outcome:
    """Codes the target and returns what came out."""
    weights = torch.ones(target.shape[1])
    noise = ChooseNoise(codebook, NoiseAddress(seed, 0, 0), target, plan.step_bits, weights, lambda k, mse: None)
    output = rollout(prior.velocity, prior.shape, TrajectoryStep(config, plan, noise))
    mse = float((output - target).square().mean())
    return Outcome(sum(plan.step_bits) / target.numel(), mse, float(output.var((1, 2, 3)).mean()))


def default_plan(
    prior: GaussianPrior,
    bits: float,
    config: TrajectoryConfig,
    effort: EncoderConfig,
    codebook: Codebook,
    tail_end: float,
) -> GopPlan:
    """Equal information at `bits` a dimension, by the prior's own profile."""
    steps = config.steps - config.ode_tail
    widths = split_bits(codebook, prior.shape, round(bits * np.prod(prior.shape)), steps)
    nats = (
        effort.information_share
        * (effort.efficiency or codebook.efficiency)
        * sum(widths)
        * np.log(2)
        / np.prod(prior.shape)
    )
    levels = equal_information_levels(prior.profile(), nats, steps)
    return GopPlan(levels_to_grid(levels + tail_levels(levels[-1], tail_end, config.ode_tail)), widths)


def uniform_plan(prior: GaussianPrior, bits: float, config: TrajectoryConfig, codebook: Codebook) -> GopPlan:
    """Equal bits on the shifted grid."""
    widths = split_bits(codebook, prior.shape, round(bits * np.prod(prior.shape)), config.steps - config.ode_tail)
    return GopPlan(shifted_grid(config.steps, config.shift), widths)


def code_default(
    name: str, prior: GaussianPrior, target: torch.Tensor, bits: float, seed: int, **settings: float
) -> Outcome:
    """The default method on one of the two backbones, its settings as `configure` takes them."""
    stream, effort = configure("default", settings)
    codebook = TrellisCodebook(**stream.codebook.parameters)
    plan = default_plan(prior, bits, stream.trajectory, effort, codebook, backbone(name).tail_end)
    return code(prior, target, plan, stream.trajectory, codebook, seed)


def code_gvcc(prior: GaussianPrior, target: torch.Tensor, bits: float, seed: int) -> Outcome:
    """The gvcc preset with as many whole atoms as the bits pay for; its choice of atoms is simulated."""
    stream, _ = configure("gvcc")
    codebook = Simulated(GvccCodebook(k=16384))
    return code(prior, target, uniform_plan(prior, bits, stream.trajectory, codebook), stream.trajectory, codebook, seed)
