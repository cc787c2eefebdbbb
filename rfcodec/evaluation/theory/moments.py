"""Second moments of a coded trajectory on a Gaussian source, mode by mode, in closed form (docs/coding.md).

Every step is linear in the state x, and the chosen noise in x and the target x0: so E[x0 x] and E[x^2] of a mode after a
step follow from those before it. What a step does to a state is asked of the coder's own step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.config import EncoderConfig, StreamConfig, TrajectoryConfig
from rfcodec.evaluation.theory.bounds import variance_rate
from rfcodec.evaluation.theory.gaussian_source import Tail, plan
from rfcodec.flow.path import clean_to_velocity
from rfcodec.protocols import Codebook, Latents, Shape, State
from rfcodec.trajectory.direction import MOST_GAIN, SETTLED, SMALLEST
from rfcodec.trajectory.step import GopPlan, TrajectoryStep

Array = Float64[np.ndarray, "modes"]


@dataclass(frozen=True)
class Modes:
    """Independent modes: variances that the prior believes in, and those of the source that is coded.

    `counts` says how many dimensions have each; `shown` is the share of a mode's output that counts as output variance.
    """

    prior: Array
    source: Array
    counts: Array
    shown: Array

    @classmethod
    def of(cls, prior: GaussianPrior) -> "Modes":
        """Those of `gaussian_source.source`, which takes from its draws the mean of each channel.

        The mean over time lies in the modes of frequency 0. With u_i = <mode i, mean> and A = I - u u' these keep the
        variances sum_j A_ij^2 lambda_j, and 1 - u_i^2 of what they put out is variance about the mean of the channel.
        """
        variances, counts = prior.mode_variances()
        frames = prior.shape[1]
        believed = variances.reshape(*prior.variances.shape, frames)
        source, shown = believed.copy(), np.ones_like(believed)
        basis = np.linalg.eigh(prior.correlation[0])[1]
        u = basis.sum(0) / np.sqrt(frames)
        source[:, 0] = believed[:, 0] @ (np.eye(frames) - np.outer(u, u)) ** 2
        shown[:, 0] = 1 - u**2
        return cls(variances, source.ravel(), counts, shown.ravel())

    def mean(self, values: Array) -> float:
        """Mean over dimensions."""
        return float(np.average(values, weights=self.counts))

    def wiener(self, t: float) -> Array:
        """x0_hat = G x with G = lambda (1 - t) / ((1 - t)^2 lambda + t^2)."""
        return self.prior * (1 - t) / ((1 - t) ** 2 * self.prior + t * t)


@dataclass(frozen=True)
class Moments:
    """E[x0 y] and E[y^2] of the output y."""

    modes: Modes
    covariance: Array
    power: Array

    @property
    def mse(self) -> float:
        """Mean squared error a dimension."""
        return self.modes.mean(self.modes.source - 2 * self.covariance + self.power)

    @property
    def variance(self) -> float:
        """Output variance about the mean of each channel, a dimension."""
        return self.modes.mean(self.modes.shown * self.power)

    def bound_bits(self, mse: float | None = None) -> float:
        """Least bits a dimension for this error, or another, and the output variance that each mode has here."""
        return variance_rate(self.modes.source, self.power, self.modes.counts, self.mse if mse is None else mse)


def predict(
    prior: GaussianPrior,
    bits: float,
    settings: tuple[StreamConfig, EncoderConfig],
    codebook: Codebook,
    tail: Tail,
) -> Moments:
    """What `gaussian_source.code` comes to, if the codebook is as efficient as it says."""
    stream, effort = settings
    chosen = plan(prior, bits, stream, effort, codebook, tail)
    cosines = bound_cosines(chosen.step_bits, int(np.prod(prior.shape)), codebook.efficiency)
    return moments(Modes.of(prior), stream.trajectory, chosen, cosines, effort.spectral_emphasis)


def bound_cosines(bits: Sequence[float], dims: int, efficiency: float) -> list[float]:
    """c = sqrt(1 - 2^(-2 efficiency bits / D)) for the bits of each step."""
    return [float(np.sqrt(-np.expm1(-2 * np.log(2) * efficiency * b / dims))) for b in bits]


def moments(
    modes: Modes, config: TrajectoryConfig, plan: GopPlan, cosines: Sequence[float], exponent: float = 0.0
) -> Moments:
    """Moments at the end of a trajectory whose noise has these cosines with the emphasised residual.

    A step x' = P x + w z with z = c W r / rms(W r) + sqrt(1 - c^2) xi and r = x0 - G x gives, a = w c W / rms(W r),
    x' = (P - a G) x + a x0 + w sqrt(1 - c^2) xi; xi is white and independent of x and x0.
    """
    step = _LinearStep(modes, config, plan)
    covariance, power = np.zeros_like(modes.prior), np.ones_like(modes.prior)
    for k, cosine in enumerate(cosines):
        gain, (kept, noise) = modes.wiener(plan.time_grid[k]), step.coded(k)
        error = modes.source - 2 * gain * covariance + gain**2 * power
        weights = emphasis(modes, error, exponent)
        pull = noise * cosine * weights / np.sqrt(modes.mean(weights**2 * error))
        kept = kept - pull * gain
        power = kept**2 * power + 2 * kept * pull * covariance + pull**2 * modes.source + noise**2 * (1 - cosine**2)
        covariance = kept * covariance + pull * modes.source
    tail = step.tail(len(cosines))
    return Moments(modes, tail * covariance, tail**2 * power)


def emphasis(modes: Modes, error: Array, exponent: float) -> Array:
    """W = min(c error^exponent, 1.2), the weights of `emphasise` with every mode a band of its own."""
    if not exponent:
        return np.ones_like(error)
    weights = np.maximum(error, SMALLEST) ** exponent
    for _ in range(SETTLED):
        weights = np.minimum(weights * np.sqrt(modes.mean(error) / modes.mean(weights**2 * error)), MOST_GAIN)
    return weights


@final
class _Constant:
    """Noise that is the same number everywhere."""

    def __init__(self, value: float) -> None:
        self._value = value

    def start(self, shape: Shape) -> Latents:
        """That number at t = 1."""
        return torch.full(shape, self._value)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        return torch.full_like(x0_hat, self._value)


@final
class _LinearStep:
    """What the coder's step does to one number in each mode."""

    def __init__(self, modes: Modes, config: TrajectoryConfig, plan: GopPlan) -> None:
        self._modes, self._grid = modes, plan.time_grid
        self._silent = TrajectoryStep(config, plan, _Constant(0.0))
        self._noisy = TrajectoryStep(config, plan, _Constant(1.0))
        self._one = torch.ones(modes.prior.size, 1, 1, 1)

    def coded(self, k: int) -> tuple[Array, Array]:
        """P and w of x' = P x + w z."""
        noisy = self._noisy(k, State(0 * self._one), 0 * self._one)
        return _numbers(self._walk(k, State(self._one)).x), _numbers(noisy.x)

    def tail(self, first: int) -> Array:
        """The output for a state of 1 at the beginning of step `first`."""
        state = State(self._one)
        for k in range(first, len(self._grid) - 1):
            state = self._walk(k, state)
        return _numbers(state.x)

    def _walk(self, k: int, state: State) -> State:
        t = self._grid[k]
        gain = torch.from_numpy(self._modes.wiener(t)).view(state.x.shape)
        return self._silent(k, state, clean_to_velocity(gain * state.x, state.x, t))


def _numbers(x: Tensor) -> Array:
    return x.flatten().double().numpy()
