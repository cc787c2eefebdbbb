"""Fewer model evaluations than steps: one estimate of the clean latents serves several steps."""

from collections.abc import Sequence
from typing import final

from rfcodec.flow.path import clean_to_velocity, velocity_to_clean
from rfcodec.protocols import Latents, Shape, State, Step


@final
class ReuseClean:
    """A step of `every` inner steps: the first takes the model's velocity, the others the velocity that keeps its x0_hat.

    That is v = (x - x0_hat) / t; every inner step still chooses its noise, as in GVCCTurbo (arXiv 2608.03517).
    """

    def __init__(self, step: Step, every: int) -> None:
        inner = step.time_grid
        self._step, self._every = step, every
        self.time_grid: Sequence[float] = (*inner[:-1:every], inner[-1])

    def start(self, shape: Shape) -> State:
        """State at t = 1, that of the inner step."""
        return self._step.start(shape)

    def __call__(self, k: int, state: State, v: Latents) -> State:
        """State at time_grid[k + 1], after at most `every` inner steps with one x0_hat."""
        grid, first = self._step.time_grid, k * self._every
        x0_hat = velocity_to_clean(v.float(), state.x.float(), grid[first])
        for inner in range(first, min(first + self._every, len(grid) - 1)):
            state = self._step(inner, state, v if inner == first else clean_to_velocity(x0_hat, state.x, grid[inner]))
        return state


def reuse_clean(step: Step, every: int) -> Step:
    """The step itself, or one that evaluates the model at each `every`-th time alone."""
    return step if every == 1 else ReuseClean(step, every)
