"""GOPs after their trajectory: decoded here, coded by a worker, or skipped."""

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np

from rfcodec.coding.engine import Engine
from rfcodec.errors import BitstreamError
from rfcodec.protocols import Condition, Latents
from rfcodec.types import Frames, GopSpan


@final
class DecodedGop:
    """A GOP on both sides: its condition, its final latents, and its frames, which are decoded on first use.

    `handover` is time and state at the end of the coded steps; None where there was no trajectory or no ODE tail.
    """

    def __init__(
        self,
        engine: Engine,
        span: GopSpan,
        condition: Condition,
        latents: Latents,
        handover: tuple[float, Latents] | None = None,
    ) -> None:
        self.engine, self.span, self.condition, self.latents, self.handover = engine, span, condition, latents, handover
        self._frames: Frames | None = None

    @property
    def frames(self) -> Frames:
        """Frames of the GOP, t y x 3, cut to the true count and size."""
        if self._frames is None:
            header = self.engine.header
            frames = self.engine.backbone.decode(self.latents)
            self._frames = np.ascontiguousarray(frames[: self.span.num_frames, : header.height, : header.width])
        return self._frames

    @property
    def shown(self) -> Frames:
        """The frames that this GOP adds to the output: all but the `overlap` that the GOP before has shown."""
        return self.frames[self.span.overlap :]

    def with_latents(self, latents: Latents) -> "DecodedGop":
        """The same GOP with other final latents, for display; its frames are decoded anew."""
        return DecodedGop(self.engine, self.span, self.condition, latents, self.handover)

    def digest(self, size: int) -> bytes:
        """First `size` bytes of the BLAKE2s hash of the latents as little-endian float32."""
        return hashlib.blake2s(self.latents.cpu().numpy().astype("<f4").tobytes()).digest()[:size]


@final
@dataclass(frozen=True)
class FinishedGop:
    """A GOP that a worker coded: its span and the frames that it adds to the output."""

    span: GopSpan
    shown: Frames


@final
@dataclass(frozen=True)
class Boundary:
    """Replaces a GOP that was skipped: its condition is known, its frames are not."""

    condition: Condition

    @property
    def frames(self) -> Frames:
        """Raises BitstreamError: a mode that needs them is chained, and its GOPs are not skipped."""
        raise BitstreamError("the frames of a skipped GOP are not known")
