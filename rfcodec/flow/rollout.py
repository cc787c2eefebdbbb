"""The loop over a velocity that all backbones of this project use, and a step that a hook observes."""

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
    """Implements Step over another one; it calls `hook(k, state, v)` before each step and uses the v that this returns."""

    def __init__(self, step: Step, hook: Hook) -> None:
        self.time_grid: Sequence[float] = step.time_grid
        self._step, self._hook = step, hook

    def start(self, shape: Shape) -> State:
        """State at time_grid[0]; the hook is not called."""
        return self._step.start(shape)

    def __call__(self, k: int, state: State, v: Latents) -> State:
        """State at time_grid[k + 1], for the velocity that the hook returns."""
        return self._step(k, state, self._hook(k, state, v))


def observed(step: Step, hook: Hook) -> Step:
    """The step with a hook that gets every model evaluation and may replace its velocity."""
    return ObservedStep(step, hook)
