"""The one loop over a velocity, for every backbone of our own, and a step that is watched."""

from collections.abc import Callable, Sequence
from typing import final

from torch import Tensor

from rfcodec.protocols import Latents, Shape, State, Step

Hook = Callable[[int, State, Latents], Latents]


def rollout(velocity: Callable[[Tensor, float], Tensor], shape: Shape, step: Step) -> Tensor:
    """Runs `step` from t = 1 to t = 0 over v = velocity(x, t); returns the final latents c f h w."""
    state = step.start(shape)
    for k, t in enumerate(step.time_grid[:-1]):
        v = velocity(state.x, t)
        state = step(k, state._replace(x=state.x.to(v.device)), v)
    return state.x


@final
class ObservedStep:
    """Implements Step over another one; `hook(k, state, v)` is called before each step and returns the v to go on with."""

    def __init__(self, step: Step, hook: Hook) -> None:
        self.time_grid: Sequence[float] = step.time_grid
        self._step, self._hook = step, hook

    def start(self, shape: Shape) -> State:
        """State at time_grid[0]."""
        return self._step.start(shape)

    def __call__(self, k: int, state: State, v: Latents) -> State:
        """State at time_grid[k + 1]."""
        return self._step(k, state, self._hook(k, state, v))


def observed(step: Step, hook: Hook) -> Step:
    """The step, watched: `hook` sees every model evaluation, and may change its velocity."""
    return ObservedStep(step, hook)
