"""Correction of the carried frames, which the next GOP continues: the encoder chooses it, both sides apply it."""

import logging
from typing import Protocol, final, runtime_checkable

from rfcodec.protocols import Corrector, Latents

log = logging.getLogger(__name__)


@runtime_checkable
class Correction(Protocol):
    """Changes the final latents; `data` is its coding, b"" where there is none."""

    data: bytes

    def __call__(self, latents: Latents) -> Latents:
        """Corrected latents, c f h w; all but the carried frames as they were."""
        ...


@final
class ChooseCorrection:
    """Encoder: codes the residual of the last `carried` latent frames in at most max_bytes."""

    def __init__(self, corrector: Corrector | None, target: Latents, carried: int, max_bytes: int) -> None:
        self.data = b""
        self._corrector, self._target, self._carried, self._max_bytes = corrector, target, carried, max_bytes

    def __call__(self, latents: Latents) -> Latents:
        """Codes the residual into `data`, then applies that as a decoder does."""
        if self._corrector and self._carried and self._max_bytes:
            residual = self._target[:, -self._carried :] - latents[:, -self._carried :].to(self._target.device)
            self.data = self._corrector.encode(residual, self._max_bytes)
            if not self.data:
                log.warning(
                    "the correction does not fit its %d bytes: none is sent; raise correction_share", self._max_bytes
                )
        return ReplayCorrection(self._corrector, self.data, self._carried)(latents)


@final
class ReplayCorrection:
    """Both sides: adds the coded residual to the last `carried` latent frames."""

    def __init__(self, corrector: Corrector | None, data: bytes, carried: int) -> None:
        self.data = data
        self._corrector, self._carried = corrector, carried

    def __call__(self, latents: Latents) -> Latents:
        """The sum, a copy; without data the latents themselves."""
        if not (self._corrector and self.data and self._carried):
            return latents
        corrected = latents.clone()
        piece = corrected[:, -self._carried :]
        piece += self._corrector.decode(self.data, tuple(piece.shape)).to(latents.device)
        return corrected
