"""How often a model is evaluated."""

from typing import final

from rfcodec.protocols import Latents
from rfcodec.research.wrapped import See


@final
class Evaluations:
    """Counts velocities; what `WrappedBackbone` is told to begin trajectories with."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> See:
        """Every trajectory adds to one count."""
        return self._see

    def _see(self, velocity: Latents) -> Latents:
        self.count += 1
        return velocity
