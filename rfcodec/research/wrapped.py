"""A backbone seen from outside: every velocity on its way from the model to the step."""

from collections.abc import Callable, Sequence
from typing import Any, final

from rfcodec.protocols import Backbone, Condition, Latents, Shape, Step
from rfcodec.types import Frames, InformationProfile

See = Callable[[Latents], Latents]


@final
class WrappedBackbone:
    """Implements Backbone over another one; what `see` returns takes the place of each velocity.

    `begin` is called at the beginning of every trajectory and returns its `see`.
    """

    def __init__(self, backbone: Backbone, begin: Callable[[], See]) -> None:
        self._backbone, self._begin = backbone, begin
        self.geometry, self.identity = backbone.geometry, backbone.identity
        self.tail_share, self.tail_end = backbone.tail_share, backbone.tail_end

    def encode(self, frames: Frames) -> Latents:
        """As the other one."""
        return self._backbone.encode(frames)

    def decode(self, latents: Latents) -> Frames:
        """As the other one."""
        return self._backbone.decode(latents)

    def condition(self, condition: Condition) -> Any:
        """As the other one."""
        return self._backbone.condition(condition)

    def profile(self, condition: Any) -> InformationProfile | None:
        """As the other one."""
        return self._backbone.profile(condition)

    def run(self, condition: Any, step: Step) -> Latents:
        """As the other one, seen."""
        return self._backbone.run(condition, _SeenStep(step, self._begin()))


@final
class _SeenStep:
    def __init__(self, step: Step, see: See) -> None:
        self._step, self._see = step, see
        self.time_grid: Sequence[float] = step.time_grid

    def start(self, shape: Shape) -> Latents:
        """As the step."""
        return self._step.start(shape)

    def __call__(self, k: int, x: Latents, v: Latents) -> Latents:
        """As the step, of the velocity that is seen."""
        return self._step(k, x, self._see(v))
