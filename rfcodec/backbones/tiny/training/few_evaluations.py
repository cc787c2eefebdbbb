"""Training on the states that a coder of few evaluations itself visits (docs/tiny.md, section 3).

Long steps leave the law of x_t that flow matching trains for, and one closing step has to make the whole picture. So a
trajectory is coded as the encoder would, with a choice of noise that is ideal but for its efficiency, and one of its
evaluations is trained: a coded one on its squared error, the last one on how it looks as well.
"""

import math
from pathlib import Path
from typing import NamedTuple, Protocol, final, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rfcodec.backbones.gaussian.transforms import COLOUR
from rfcodec.backbones.tiny.denoiser import corrected
from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training.clips import RandomCrops, clip_of
from rfcodec.backbones.tiny.training.examples import KIND_SHARES, Example, Scene, draw_kind, errors, scene, white
from rfcodec.backbones.tiny.training.flow_matching import weighted
from rfcodec.backbones.tiny.weights import Card
from rfcodec.config import EncoderConfig
from rfcodec.flow.sde import EtaDiffusion, extrapolate_clean, posterior, posterior_noise_std
from rfcodec.flow.time_grid import information_levels, levels_to_grid, tail_levels, within_range
from rfcodec.types import Frames

EVALUATIONS = ((4, 1), (8, 2))  # of a GOP, and how many of them close it without bits
LEAST_BITS, MOST_BITS = 0.004, 0.06  # a dimension, from tiny rates to high ones
EFFICIENCY = 0.88
LAST_SHARE = 0.5  # of examples that train the last evaluation
LOOKS = 5.0  # weight of the perceptual distance
SEED = 13  # of what is held back


@runtime_checkable
class Distance(Protocol):
    """How different pictures f 3 h w in [-1, 1] look; as `rfcodec.metrics.Lpips.distance`."""

    def __call__(self, reference: Tensor, test: Tensor) -> Tensor:
        """One number a picture."""
        ...


class Draw(NamedTuple):
    """A scene and the generator of what else is random about it."""

    scene: Scene
    generator: np.random.Generator


class Course(NamedTuple):
    """A time grid, the bits a dimension of its coded steps, and which evaluation is trained."""

    times: tuple[float, ...]
    bits: tuple[float, ...]
    trained: int

    @property
    def is_last(self) -> bool:
        """Whether that evaluation is the one that is shown."""
        return self.trained == len(self.times) - 2


@final
class FewEvaluations:
    """The estimates along coded trajectories of few steps, of which the last has to look well; needs the card's profile."""

    def __init__(self, card: Card, distance: Distance) -> None:
        self._card, self._distance = card, distance

    def examples(self, scaled: list[Path], seed: int, count: int) -> "Draws":
        """`count` scenes."""
        return Draws(scaled, seed, count)

    def loss(self, network: TinyNetwork, one: Draw) -> tuple[Tensor, float]:
        """What is minimised, and the share of the Wiener estimate's error that is left."""
        course = self.course(one, *EVALUATIONS[one.generator.integers(len(EVALUATIONS))])
        state = visited(network, one, course)
        error, wiener = errors(network, state)
        loss = weighted(error, wiener, state)
        if course.is_last:
            loss = loss + LOOKS * self._looks(network, state)
        return loss, float(error.detach() / wiener)

    def check(self, network: TinyNetwork, apart: list[Path]) -> dict[str, float]:
        """Error and looks of the last evaluation on crops that were held back: the same crops, noise and rates always."""
        found: dict[str, list[float]] = {}
        kinds = tuple(KIND_SHARES)
        with torch.inference_mode():
            for k, clip in enumerate(sorted({clip_of(path) for path in apart})):
                crops = RandomCrops([path for path in apart if clip_of(path) == clip])
                for evaluations, closing in EVALUATIONS:
                    one = draw(crops, np.random.default_rng((SEED, k)), kinds[k % len(kinds)])
                    course = self.course(one, evaluations, closing)
                    state = visited(network, one, course._replace(trained=evaluations - 1))
                    found.setdefault(f"{evaluations} evaluations, error", []).append(float(errors(network, state)[0]))
                    found.setdefault(f"{evaluations} evaluations, looks", []).append(float(self._looks(network, state)))
        return {name: float(np.mean(values)) for name, values in found.items()}

    def _looks(self, network: TinyNetwork, state: Example) -> Tensor:
        return self._distance(pictures(state.clean), pictures(corrected(network, state.estimate)).clamp(-1, 1)).mean()

    def course(self, one: Draw, evaluations: int, closing: int) -> Course:
        """A random rate for a scene, and the grid that an encoder plans for it by the backbone's own profile."""
        coded = evaluations - closing
        bits = LEAST_BITS * (MOST_BITS / LEAST_BITS) ** one.generator.random()
        shares = np.arange(1, coded + 1) / sum(range(1, coded + 1))
        prior = one.scene.estimator
        profile = self._card.profile(prior.kind, prior.prior.mmse)
        assert profile is not None
        nats_per_bit = EncoderConfig().information_share * EFFICIENCY * math.log(2)
        levels = information_levels(profile, [nats_per_bit * bits * share for share in shares])
        levels += tail_levels(levels[-1], self._card.tail_end, closing)
        last = one.generator.random() < LAST_SHARE
        trained = evaluations - 1 if last else int(one.generator.integers(evaluations - 1))
        return Course(levels_to_grid(within_range(levels)), tuple(bits * shares), trained)


def visited(network: TinyNetwork, one: Draw, course: Course) -> Example:
    """The state before the evaluation that is trained, to which the network's own estimates have led."""
    clean, at = one.scene.clean, one.scene.at
    x, before = white(clean, one.generator), None
    with torch.no_grad():
        for k in range(course.trained):
            t, s = course.times[k : k + 2]
            x0_hat = corrected(network, at(x, t).estimate)
            if k < len(course.bits):
                z = chosen(clean - x0_hat, course.bits[k], one.generator)
                x = posterior(x, x0_hat, t, s, posterior_noise_std(t, s, EtaDiffusion()), z)
                continue
            closing = x0_hat if before is None else extrapolate_clean(x0_hat, before[1], (before[0], t, s))
            x, before = posterior(x, closing, t, s, 0.0, None), (t, x0_hat)
        return at(x, course.times[course.trained])


def chosen(residual: Tensor, bits: float, generator: np.random.Generator) -> Tensor:
    """White noise as near the residual as `bits` a dimension bring it at EFFICIENCY: cos^2 = 1 - 2^(-2 bits)."""
    cosine = math.sqrt(1 - 2 ** (-2 * EFFICIENCY * bits))
    along = residual / residual.square().mean().sqrt()
    return cosine * along + math.sqrt(1 - cosine**2) * white(residual, generator)


def pictures(latents: Tensor) -> Tensor:
    """Latents 3 f h w to RGB f 3 h w in [-1, 1], not clipped."""
    return torch.einsum("cfhw,ck->fkhw", latents, torch.from_numpy(COLOUR).to(latents))


def draw(crops: RandomCrops, generator: np.random.Generator, kind: str | None = None) -> Draw:
    """A random scene, of a kind of condition or of any."""
    frames: Frames = crops.draw(generator).frames
    return Draw(scene(frames, kind or draw_kind(generator), generator), generator)


@final
class Draws(Dataset[Draw]):
    """Scene k of `count`, the same for the same seed and k, whoever makes it."""

    def __init__(self, scaled: list[Path], seed: int, count: int) -> None:
        self._crops, self._seed, self._count = RandomCrops(scaled), seed, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: int) -> Draw:
        return draw(self._crops, np.random.default_rng((self._seed, k)))
