"""What an encoding or decoding tells on its way."""

from dataclasses import dataclass, field
from typing import final

from rfcodec.coding.decoded import DecodedGop, FinishedGop
from rfcodec.protocols import Latents
from rfcodec.types import Frames, GopSpan


@final
@dataclass(frozen=True)
class StepReport:
    """Coded step k of n of a GOP begins: its bits, the estimate x0_hat c f h w, and its mean squared error (latent units).

    x0_hat is the coder's own: copy what is to be kept.
    """

    span: GopSpan
    k: int
    n: int
    bits: int
    mse: float
    x0_hat: Latents = field(repr=False)


class Watcher:
    """Is told how an encoding or decoding goes on; the base class ignores it."""

    def opened(self, budget: int) -> None:
        """The model is there, and the file will have `budget` bytes at the most."""

    def step(self, report: StepReport) -> None:
        """The encoder is about to choose the noise of a coded step."""

    def gop(self, decoded: DecodedGop | FinishedGop, source: Frames | None, size: int) -> None:
        """A GOP is finished and took `size` bytes; its source is None in a decoder."""
