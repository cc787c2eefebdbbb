"""The only SDE step. Encoder and decoder differ in the noise object inside it, nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

from torch import Tensor

from rfcodec.config import TrajectoryConfig
from rfcodec.flow.path import velocity_to_clean
from rfcodec.flow.sde import (
    Diffusion,
    EtaDiffusion,
    PowerDiffusion,
    euler_maruyama,
    extrapolate_clean,
    posterior,
    posterior_noise_std,
)
from rfcodec.protocols import Latents, Shape


@runtime_checkable
class Noise(Protocol):
    """Where a step gets its noise from."""

    def start(self, shape: Shape) -> Latents:
        """The noise at t = 1."""
        ...

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """White noise of unit variance for coded step k."""
        ...


@dataclass(frozen=True)
class GopPlan:
    """Time grid from 1 to 0, and the bits of each coded step; the steps after those are the ODE tail."""

    time_grid: tuple[float, ...]
    step_bits: tuple[int, ...]


Solver = Callable[[Tensor, Tensor, tuple[float, float], Tensor | None], Tensor]


@final
class TrajectoryStep:
    """step(k, x, v) -> x': estimate x0_hat, ask the noise object for z, apply the solver.

    In the ODE tail it asks for nothing. A second-order tail remembers one earlier x0_hat of the tail, the only state there
    is; those of coded steps would carry the trend of arriving information into steps where none arrives.
    """

    def __init__(self, config: TrajectoryConfig, plan: GopPlan, noise: Noise) -> None:
        self.time_grid: Sequence[float] = plan.time_grid
        self._coded_steps = len(plan.step_bits)
        self._noise = noise
        self._order = config.tail_order
        self._solve = SOLVERS[config.solver](_diffusion(config))
        self._before: tuple[float, Tensor] | None = None

    def start(self, shape: Shape) -> Latents:
        """Addressed noise: the state at t = 1."""
        return self._noise.start(shape)

    def __call__(self, k: int, x: Latents, v: Latents) -> Latents:
        """State c f h w at time_grid[k + 1], float32, from the state and the velocity at time_grid[k]."""
        t, s = self.time_grid[k], self.time_grid[k + 1]
        x, v = x.float(), v.float()
        x0_hat = velocity_to_clean(v, x, t)
        if k < self._coded_steps:
            return self._solve(x, x0_hat, (t, s), self._noise(k, x0_hat).to(x.device))
        before, self._before = self._before, (t, x0_hat)
        if self._order == 2 and before is not None:
            x0_hat = extrapolate_clean(x0_hat, before[1], (before[0], t, s))
        return self._solve(x, x0_hat, (t, s), None)


def _diffusion(config: TrajectoryConfig) -> Diffusion:
    if config.diffusion == "eta":
        return EtaDiffusion(config.scale)
    return PowerDiffusion(config.scale, config.power)


def _posterior(diffusion: Diffusion) -> Solver:
    def solve(x: Tensor, x0_hat: Tensor, times: tuple[float, float], z: Tensor | None) -> Tensor:
        t, s = times
        w = 0.0 if z is None else posterior_noise_std(t, s, diffusion)
        return posterior(x, x0_hat, t, s, w, z)

    return solve


def _euler_maruyama(diffusion: Diffusion) -> Solver:
    def solve(x: Tensor, x0_hat: Tensor, times: tuple[float, float], z: Tensor | None) -> Tensor:
        t, s = times
        return euler_maruyama(x, (x - x0_hat) / t, t, s, diffusion.g(t), z)

    return solve


SOLVERS: dict[str, Any] = {"posterior": _posterior, "euler_maruyama": _euler_maruyama}


@final
class HandOver:
    """A step that remembers the state in which its coded steps leave the trajectory to the ODE tail."""

    def __init__(self, step: TrajectoryStep, coded: int) -> None:
        self.time_grid: Sequence[float] = step.time_grid
        self.handover: tuple[float, Latents] | None = None
        self._step, self._coded = step, coded

    def start(self, shape: Shape) -> Latents:
        """That of the step."""
        return self._step.start(shape)

    def __call__(self, k: int, x: Latents, v: Latents) -> Latents:
        """That of the step."""
        if k == self._coded:
            self.handover = self.time_grid[k], x.float().clone()  # drivers may write into their state
        return self._step(k, x, v)
