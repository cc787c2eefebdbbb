"""I2V: the first frame is coded as a still; every further GOP continues the last decoded frame of the one before.

still
  |
[0 ... 32]
        [32 ... 64]          frame 32 is shown once, as GOP 0 decoded it
                [64 ... 96]
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, final

from conditioning.corrections import TransformCorrector
from conditioning.spans import read_references, read_rmse, rmse, shared_spans, write_reference, write_rmse
from rfcodec.bitstream.fields import ByteReader
from rfcodec.errors import InvalidField
from rfcodec.protocols import Corrector, Decoded, Frames, Known, Reference, StillCoder
from rfcodec.types import GopSpan


@final
class ImageToVideo:
    """A chain of GOPs; side information is a still in GOP 0, in the others the error of the frame they continue."""

    ID: ClassVar[int] = 2
    chained: ClassVar[bool] = True

    def __init__(self, still: StillCoder, prompt: str, corrector: Corrector | None = None) -> None:
        self.corrector: Corrector | None = corrector or TransformCorrector()
        self._still, self._prompt = still, prompt

    def plan(self, num_frames: int, gop: int) -> Iterator[GopSpan]:
        """Overlapping GOPs; each but the last has one carried latent frame, GOP 0 one reference."""
        for span in shared_spans(num_frames, gop):
            yield replace(span, references=int(span.index == 0), carried=int(span.stop < num_frames))

    def emit(self, frames: Frames, span: GopSpan, max_bytes: int, previous: Decoded | None) -> bytes:
        """GOP 0: the first frame as a still; others: the rmse of the last decoded frame of the GOP before."""
        if previous is None:
            return write_reference(self._still, 0, frames[0], max_bytes)
        return write_rmse(rmse(frames[0], previous.frames[-1]))

    def read(self, side_info: bytes, span: GopSpan, previous: Decoded | None) -> Known:
        """The text; in GOP 0 the references sent, else the last frame of the GOP before and further references, if any."""
        reader = ByteReader(side_info)
        if span.index == 0:
            return Known(self._prompt, read_references(self._still, reader, span, needed=(0,)))
        if previous is None:
            raise InvalidField(f"GOP {span.index} of a chain cannot be decoded without the GOP before it")
        chained = Reference(previous.frames[-1], read_rmse(reader))
        further = read_references(self._still, reader, span)
        if further and further[0].position == 0:
            raise InvalidField(f"GOP {span.index} has two references at its first frame")
        return Known(self._prompt, (chained, *further))
