"""GOPs after their trajectory: decoded here, coded by a worker, or skipped."""

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np

from rfcodec.coding.engine import Engine
from rfcodec.coding.run import Run
from rfcodec.errors import BitstreamError
from rfcodec.protocols import Condition, Latents
from rfcodec.types import Frames, GopSpan


@final
class DecodedGop:
    """A GOP on both sides: its condition, its final latents, and its frames, which are decoded on first use.

    `run` also has the state in which the coded steps ended, and their bits; neither where there was no trajectory.
    """

    def __init__(self, engine: Engine, span: GopSpan, condition: Condition, run: Run) -> None:
        self.engine, self.span, self.condition, self.run = engine, span, condition, run
        self._frames: Frames | None = None

    @property
    def latents(self) -> Latents:
        """Final latents c f h w, corrected."""
        return self.run.latents

    @property
    def step_bits(self) -> tuple[int, ...]:
        """Bits of each coded step."""
        return self.run.step_bits

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
        """The same GOP with other final latents."""
        return DecodedGop(self.engine, self.span, self.condition, self.run._replace(latents=latents))

    def digest(self, size: int) -> bytes:
        """First `size` bytes of the BLAKE2s hash of the latents as little-endian float32."""
        return hashlib.blake2s(self.latents.cpu().numpy().astype("<f4").tobytes()).digest()[:size]


@final
@dataclass(frozen=True)
class FinishedGop:
    """A GOP that was coded elsewhere: its place, the frames that it adds to the output, the bits of its steps."""

    span: GopSpan
    shown: Frames
    step_bits: tuple[int, ...]


@final
@dataclass(frozen=True)
class Boundary:
    """Replaces a GOP that was skipped: its condition is known, its frames are not."""

    condition: Condition

    @property
    def frames(self) -> Frames:
        """Raises BitstreamError: a mode that needs them is chained, and its GOPs are not skipped."""
        raise BitstreamError("the frames of a skipped GOP are not known")
