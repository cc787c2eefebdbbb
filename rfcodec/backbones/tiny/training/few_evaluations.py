"""Training on the states that a coder of few evaluations itself visits (docs/tiny.md, section 3).

Long steps leave the law of x_t that flow matching trains for, and one or two closing steps have to make the whole picture.
So a trajectory is coded as the encoder would, with a choice of noise that is ideal but for its efficiency, and one of its
evaluations is trained: the last one on its error and on how it looks, or another one on its error alone.
"""

import math
from pathlib import Path
from typing import NamedTuple, Protocol, final, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from rfcodec.backbones.gaussian.transforms import COLOUR
from rfcodec.backbones.tiny.denoiser import Denoiser, Estimator, corrected
from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training.clips import RandomCrops
from rfcodec.backbones.tiny.training.examples import KIND_SHARES, Example, Scene, draw_kind, scene, white
from rfcodec.backbones.tiny.training.flow_matching import weighted
from rfcodec.backbones.tiny.training.validation import crops_apart
from rfcodec.backbones.tiny.weights import Card
from rfcodec.config import EncoderConfig, TrajectoryConfig
from rfcodec.errors import ConfigError
from rfcodec.flow.rollout import rollout
from rfcodec.flow.time_grid import information_levels, levels_to_grid, tail_levels, within_range
from rfcodec.protocols import Latents, Shape
from rfcodec.trajectory.rate import Steps
from rfcodec.trajectory.step import GopPlan, TrajectoryStep

EVALUATIONS = (4, 8)  # of a GOP
LEAST_BITS, MOST_BITS = 0.004, 0.06  # a dimension, from tiny rates to high ones
EFFICIENCY = 0.88  # planned and reached; a choice by the residual alone, without spectral emphasis
LAST_SHARE = 0.5  # of examples that train the last evaluation
LOOKS = 5.0  # weight of the perceptual distance


@runtime_checkable
class Distance(Protocol):
    """How different pictures f 3 h w in [-1, 1] look; as `rfcodec.metrics.lpips.Lpips.distance`."""

    def __call__(self, reference: Tensor, test: Tensor) -> Tensor:
        """One number a picture."""
        ...


class Draw(NamedTuple):
    """A scene and the generator of what else is random about it."""

    scene: Scene
    generator: np.random.Generator


class Course(NamedTuple):
    """A time grid from 1 to 0, and the bits a dimension of its coded steps; those after them are the ODE tail."""

    times: tuple[float, ...]
    bits: tuple[float, ...]


@final
class FewEvaluations:
    """The estimates along coded trajectories of few steps, of which the last has to look well.

    Grids are those of the card's profile; raises ConfigError where it has none.
    """

    def __init__(self, card: Card, distance: Distance) -> None:
        if missing := set(KIND_SHARES) - set(card.shares):
            raise ConfigError(f"these weights have no profile for references {min(missing)!r}: export them again")
        self.name = f"few evaluations from {card.sha256[:16]}"
        self._card, self._distance = card, distance

    def example(self, crops: RandomCrops, generator: np.random.Generator) -> Draw:
        """A random scene."""
        frames = crops.draw(generator).frames
        return Draw(scene(frames, draw_kind(generator), generator), generator)

    def loss(self, network: TinyNetwork, one: Draw) -> tuple[Tensor, float]:
        """What is minimised, and the share of the Wiener estimate's error that is left."""
        generator = one.generator
        evaluations = EVALUATIONS[generator.integers(len(EVALUATIONS))]
        course = self._course(one, evaluations)
        last = generator.random() < LAST_SHARE
        trained = evaluations - 1 if last else int(generator.integers(evaluations - 1))
        state = visited(network, one, course, trained)
        x0_hat = corrected(network, state.estimate)
        error, wiener = (state.squared_error(estimate) for estimate in (x0_hat, state.estimate.wiener))
        loss = weighted(error, wiener, state)
        if last:
            loss = loss + LOOKS * self._looks(state, x0_hat)
        return loss, float(error.detach() / wiener)

    def check(self, network: TinyNetwork, apart: list[Path]) -> dict[str, float]:
        """Error and looks of the last evaluation on crops that were held back: the same crops, noise and rates always."""
        found: dict[str, list[float]] = {}
        with torch.no_grad():
            for evaluations in EVALUATIONS:
                for crop, kind, generator in crops_apart(apart):
                    one = Draw(scene(crop.frames, kind, generator), generator)
                    state = visited(network, one, self._course(one, evaluations), evaluations - 1)
                    x0_hat = corrected(network, state.estimate)
                    found.setdefault(f"{evaluations} evaluations, error", []).append(float(state.squared_error(x0_hat)))
                    found.setdefault(f"{evaluations} evaluations, looks", []).append(float(self._looks(state, x0_hat)))
        return {name: float(np.mean(values)) for name, values in found.items()}

    def _course(self, one: Draw, evaluations: int) -> Course:
        bits = LEAST_BITS * (MOST_BITS / LEAST_BITS) ** one.generator.random()
        return course(self._card, one.scene.estimator, bits, evaluations)

    def _looks(self, state: Example, x0_hat: Tensor) -> Tensor:
        return self._distance(pictures(state.clean), pictures(x0_hat).clamp(-1, 1)).mean()


def course(card: Card, estimator: Estimator, bits: float, evaluations: int) -> Course:
    """What an encoder plans for `bits` a dimension by the profile of the card, at EFFICIENCY."""
    config = TrajectoryConfig(steps=evaluations)
    closing = config.tail_steps(card.tail_share)
    weights = Steps(evaluations - closing, config.bit_ramp).weights
    split = tuple(bits * weight / sum(weights) for weight in weights)
    profile = card.profile(estimator.kind, estimator.prior.mmse)
    assert profile is not None  # FewEvaluations has looked
    nats_per_bit = EncoderConfig().information_share * EFFICIENCY * math.log(2)
    levels = information_levels(profile, [nats_per_bit * share for share in split])
    levels += tail_levels(levels[-1], card.tail_end, closing)
    return Course(levels_to_grid(within_range(levels)), split)


def visited(network: TinyNetwork, one: Draw, planned: Course, evaluation: int) -> Example:
    """The state before an evaluation, to which the network's own estimates before it have led."""
    times, estimator = planned.times[: evaluation + 1], one.scene.estimator
    noise = IdealNoise(one, planned.bits)
    plan = GopPlan(times, (0,) * min(evaluation, len(planned.bits)))
    x = rollout(Denoiser(network, estimator).velocity, estimator.shape, TrajectoryStep(TrajectoryConfig(), plan, noise))
    return one.scene.at(x, times[-1])


@final
class IdealNoise:
    """White noise as near the residual as the bits of a step bring it at EFFICIENCY: cos^2 = 1 - 2^(-2 bits)."""

    def __init__(self, one: Draw, bits: tuple[float, ...]) -> None:
        self._clean, self._generator, self._bits = one.scene.clean, one.generator, bits

    def start(self, shape: Shape) -> Latents:
        """The noise at t = 1."""
        return white(self._clean, self._generator)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """White noise of unit variance for coded step k."""
        residual = self._clean - x0_hat
        cosine = math.sqrt(1 - 2 ** (-2 * EFFICIENCY * self._bits[k]))
        along = residual / residual.square().mean().sqrt()
        return cosine * along + math.sqrt(1 - cosine**2) * white(residual, self._generator)


def pictures(latents: Tensor) -> Tensor:
    """Latents 3 f h w to RGB f 3 h w in [-1, 1], not clipped."""
    return torch.einsum("cfhw,ck->fkhw", latents, torch.from_numpy(COLOUR).to(latents))
