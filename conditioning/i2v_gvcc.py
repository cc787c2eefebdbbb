"""I2V with GVCC's correction: an 8-bit residual of the last latent frame, for comparison."""

from collections.abc import Iterator
from typing import ClassVar, final

from conditioning.corrections import ZlibCorrector
from conditioning.i2v import ImageToVideo
from rfcodec.protocols import Corrector, Decoded, Frames, Known, StillCoder
from rfcodec.types import GopSpan


@final
class GvccImageToVideo:
    """I2V with another corrector.

    `correction_share` must be large enough for the residual; with 0, the default, none is sent.
    """

    ID: ClassVar[int] = 4
    chained: ClassVar[bool] = True

    def __init__(self, still: StillCoder, prompt: str) -> None:
        self.corrector: Corrector | None = ZlibCorrector()
        self._inner = ImageToVideo(still, prompt, self.corrector)

    def plan(self, num_frames: int, gop: int) -> Iterator[GopSpan]:
        """The GOPs of I2V."""
        return self._inner.plan(num_frames, gop)

    def emit(self, frames: Frames, span: GopSpan, max_bytes: int, previous: Decoded | None) -> bytes:
        """The side information of I2V."""
        return self._inner.emit(frames, span, max_bytes, previous)

    def read(self, side_info: bytes, span: GopSpan, previous: Decoded | None) -> Known:
        """What I2V reads from the same bytes."""
        return self._inner.read(side_info, span, previous)
