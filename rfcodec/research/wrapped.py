"""A backbone seen from outside: every velocity on its way from the model to the step."""

from collections.abc import Callable
from typing import Any, final

from rfcodec.flow.rollout import observed
from rfcodec.protocols import Backbone, Condition, Latents, Step
from rfcodec.types import Frames, InformationProfile

See = Callable[[Latents], Latents]


@final
class WrappedBackbone:
    """Implements Backbone over another one; what `see` returns takes the place of each velocity.

    `begin` is called at the beginning of every trajectory and returns its `see`.
    """

    def __init__(self, backbone: Backbone[Any], begin: Callable[[], See]) -> None:
        self._backbone, self._begin = backbone, begin
        self.geometry, self.identity, self.takes = backbone.geometry, backbone.identity, backbone.takes
        self.tail_share, self.tail_end = backbone.tail_share, backbone.tail_end

    def encode(self, frames: Frames) -> Latents:
        """As the other one."""
        return self._backbone.encode(frames)

    def decode(self, latents: Latents) -> Frames:
        """As the other one."""
        return self._backbone.decode(latents)

    def prepare(self, condition: Condition) -> Any:
        """As the other one."""
        return self._backbone.prepare(condition)

    def profile(self, prepared: Any) -> InformationProfile | None:
        """As the other one."""
        return self._backbone.profile(prepared)

    def run(self, prepared: Any, step: Step) -> Latents:
        """As the other one, seen."""
        see = self._begin()
        return self._backbone.run(prepared, observed(step, lambda k, state, v: see(v)))
