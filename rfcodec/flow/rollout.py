"""The one loop over a velocity, for every backbone of our own."""

from collections.abc import Callable

from torch import Tensor

from rfcodec.protocols import Shape, Step


def rollout(velocity: Callable[[Tensor, float], Tensor], shape: Shape, step: Step) -> Tensor:
    """Runs `step` from t = 1 to t = 0 over v = velocity(x, t); returns the final latents c f h w."""
    x = step.start(shape)
    for k, t in enumerate(step.time_grid[:-1]):
        v = velocity(x, t)
        x = step(k, x.to(v.device), v)
    return x
