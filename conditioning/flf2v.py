"""FLF2V: boundary frames are coded as stills, each once, and each shared by two neighbouring GOPs.

still   still   still   still
  [0 ... 32]
          [32 ... 64]          frame 32 is shown once, as GOP 0 decoded it
                  [64 ... 96]
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, final

from conditioning.spans import read_references, shared_spans, write_reference
from rfcodec.bitstream.fields import ByteReader
from rfcodec.protocols import Corrector, Decoded, Frames, Known, StillCoder
from rfcodec.types import GopSpan


@final
class FirstLastToVideo:
    """Independent GOPs between boundary frames; side information is the last boundary, in GOP 0 the first and the last."""

    ID: ClassVar[int] = 3
    chained: ClassVar[bool] = False
    corrector: Corrector | None = None

    def __init__(self, still: StillCoder, prompt: str) -> None:
        self._still, self._prompt = still, prompt

    def plan(self, num_frames: int, gop: int) -> Iterator[GopSpan]:
        """Overlapping GOPs with one reference each, GOP 0 with two unless it has one frame only."""
        for span in shared_spans(num_frames, gop):
            yield replace(span, references=1 + int(span.index == 0 and span.num_frames > 1))

    def emit(self, frames: Frames, span: GopSpan, max_bytes: int, previous: Decoded | None) -> bytes:
        """The new boundary frames as stills, each in an equal share of max_bytes."""
        new = [0, len(frames) - 1] if span.references == 2 else [len(frames) - 1]
        return b"".join(write_reference(self._still, place, frames[place], max_bytes // len(new)) for place in new)

    def read(self, side_info: bytes, span: GopSpan, previous: Decoded | None) -> Known:
        """The text, the references sent, and at frame 0 the last reference of the GOP before, if that GOP is known."""
        needed = {span.num_frames - 1} | ({0} if span.references == 2 else set())
        sent = read_references(self._still, ByteReader(side_info), span, needed)
        shared = previous.condition.last if previous else None
        if shared is None or (sent and sent[0].position == 0):
            return Known(self._prompt, sent)
        return Known(self._prompt, (replace(shared, position=0), *sent))
