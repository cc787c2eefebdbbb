"""A backbone that counts what its model does."""

from collections.abc import Sequence
from typing import Any, final

from rfcodec.protocols import Backbone, Condition, Latents, Shape, Step
from rfcodec.types import Frames, InformationProfile


@final
class CountingBackbone:
    """Implements Backbone over another one; counts model evaluations."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self.geometry, self.identity = backbone.geometry, backbone.identity
        self.tail_share, self.tail_end = backbone.tail_share, backbone.tail_end
        self.evaluations = 0

    def encode(self, frames: Frames) -> Latents:
        """That of the backbone."""
        return self._backbone.encode(frames)

    def decode(self, latents: Latents) -> Frames:
        """That of the backbone."""
        return self._backbone.decode(latents)

    def condition(self, condition: Condition) -> Any:
        """That of the backbone."""
        return self._backbone.condition(condition)

    def profile(self, condition: Any) -> InformationProfile | None:
        """That of the backbone."""
        return self._backbone.profile(condition)

    def run(self, condition: Any, step: Step) -> Latents:
        """That of the backbone, counted."""
        return self._backbone.run(condition, _CountedStep(self, step))


@final
class _CountedStep:
    def __init__(self, counter: CountingBackbone, step: Step) -> None:
        self._counter, self._step = counter, step
        self.time_grid: Sequence[float] = step.time_grid

    def start(self, shape: Shape) -> Latents:
        """That of the step."""
        return self._step.start(shape)

    def __call__(self, k: int, x: Latents, v: Latents) -> Latents:
        """That of the step, counted."""
        self._counter.evaluations += 1
        return self._step(k, x, v)
