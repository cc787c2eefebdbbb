"""T2V: text alone conditions a GOP, and the text is in the sequence header.

GOP 0          GOP 1          GOP 2
[0 ... 32]     [33 ... 65]    [66 ... 98]      disjoint, independent
"""

from collections.abc import Iterator
from typing import ClassVar, final

from rfcodec.errors import InvalidField
from rfcodec.protocols import Corrector, Decoded, Frames, Known, StillCoder
from rfcodec.types import GopSpan


@final
class TextToVideo:
    """No reference frames, no side information."""

    ID: ClassVar[int] = 1
    chained: ClassVar[bool] = False
    corrector: Corrector | None = None

    def __init__(self, still: StillCoder, prompt: str) -> None:
        self._prompt = prompt

    def plan(self, num_frames: int, gop: int) -> Iterator[GopSpan]:
        """Disjoint GOPs of `gop` frames; the last one may be shorter."""
        for index, start in enumerate(range(0, num_frames, gop)):
            yield GopSpan(index, start, min(start + gop, num_frames))

    def emit(self, frames: Frames, span: GopSpan, max_bytes: int, previous: Decoded | None) -> bytes:
        """Always b"": the prompt is in the sequence header."""
        return b""

    def read(self, side_info: bytes, span: GopSpan, previous: Decoded | None) -> Known:
        """The prompt; raises InvalidField where there is side information."""
        if side_info:
            raise InvalidField(f"T2V has no side information, the GOP holds {len(side_info)} bytes of it")
        return Known(self._prompt)
