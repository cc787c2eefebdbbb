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
from rfcodec.protocols import Latents, Shape, State


@runtime_checkable
class Noise(Protocol):
    """The noise of a trajectory: the start, and z of each coded step."""

    def start(self, shape: Shape) -> Latents:
        """The noise at t = 1."""
        ...

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """White noise of unit variance for coded step k."""
        ...


@runtime_checkable
class RunNoise(Noise, Protocol):
    """Noise of one run; `coding/run.py` closes it when the trajectory ends or fails."""

    def close(self) -> None:
        """Joins the thread that prepares noise ahead of the steps."""
        ...


@dataclass(frozen=True)
class GopPlan:
    """Time grid from 1 to 0, and the bits of each coded step; the steps after those are the ODE tail."""

    time_grid: tuple[float, ...]
    step_bits: tuple[int, ...]


Solver = Callable[[Tensor, Tensor, tuple[float, float], Tensor | None], Tensor]


@final
class TrajectoryStep:
    """step(k, state, v) -> state: estimate x0_hat, ask the noise object for z, apply the solver.

    In the ODE tail it asks for nothing. A second-order tail uses x0_hat of the tail step before, which the state holds;
    x0_hat of a coded step is not used, because its change is due to information, and none arrives in the tail.
    """

    def __init__(self, config: TrajectoryConfig, plan: GopPlan, noise: Noise) -> None:
        self.time_grid: Sequence[float] = plan.time_grid
        self._coded_steps = len(plan.step_bits)
        self._noise = noise
        self._order = config.tail_order
        self._solve = SOLVERS[config.solver](_diffusion(config))

    def start(self, shape: Shape) -> State:
        """Addressed noise: the state at t = 1."""
        return State(self._noise.start(shape))

    def __call__(self, k: int, state: State, v: Latents) -> State:
        """State at time_grid[k + 1], float32, from the state and the velocity at time_grid[k]."""
        t, s = self.time_grid[k], self.time_grid[k + 1]
        x, v = state.x.float(), v.float()
        x0_hat = velocity_to_clean(v, x, t)
        if k < self._coded_steps:
            return State(self._solve(x, x0_hat, (t, s), self._noise(k, x0_hat).to(x.device)))
        ahead = x0_hat
        if self._order == 2 and state.earlier is not None:
            before, earlier = state.earlier
            ahead = extrapolate_clean(x0_hat, earlier, (before, t, s))
        return State(self._solve(x, ahead, (t, s), None), (t, x0_hat))


def _diffusion(config: TrajectoryConfig) -> Diffusion:
    if config.diffusion == "eta":
        return EtaDiffusion(config.eta)
    return PowerDiffusion(config.gain, config.power)


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
