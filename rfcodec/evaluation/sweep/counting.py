"""A backbone that counts what its model does."""

from typing import Any, final

from rfcodec.flow.rollout import observed
from rfcodec.protocols import Backbone, Condition, Latents, State, Step
from rfcodec.types import Frames, InformationProfile


@final
class CountingBackbone:
    """Implements Backbone over another one; counts model evaluations."""

    def __init__(self, backbone: Backbone[Any]) -> None:
        self._backbone = backbone
        self.geometry, self.identity, self.takes = backbone.geometry, backbone.identity, backbone.takes
        self.tail_share, self.tail_end = backbone.tail_share, backbone.tail_end
        self.evaluations = 0

    def encode(self, frames: Frames) -> Latents:
        """That of the backbone."""
        return self._backbone.encode(frames)

    def decode(self, latents: Latents) -> Frames:
        """That of the backbone."""
        return self._backbone.decode(latents)

    def prepare(self, condition: Condition) -> Any:
        """That of the backbone."""
        return self._backbone.prepare(condition)

    def profile(self, prepared: Any) -> InformationProfile | None:
        """That of the backbone."""
        return self._backbone.profile(prepared)

    def run(self, prepared: Any, step: Step) -> Latents:
        """That of the backbone, counted."""
        return self._backbone.run(prepared, observed(step, self._count))

    def _count(self, k: int, state: State, v: Latents) -> Latents:
        self.evaluations += 1
        return v
