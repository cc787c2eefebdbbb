"""How a clip's power is spread over spatial and temporal frequencies, compared with the source's."""

from typing import final

import numpy as np
from jaxtyping import Float
from scipy.fft import rfft2

from rfcodec.errors import FrameRangeError, FrameSizeError
from rfcodec.metrics.metric import Setup
from rfcodec.types import Frame, Frames

BANDS = 32
TEMPORAL_FRAMES, TEMPORAL_LEAST = 16, 4
ROUNDING_POWER = 1 / 12  # of 8-bit samples: what flat pictures have instead of nothing

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(frame: Frame) -> Float[np.ndarray, "y x"]:
    """Luma of BT.601 in 0..255."""
    return frame @ _LUMA


def level_distance(reference: Float[np.ndarray, "n"], test: Float[np.ndarray, "n"]) -> float:
    """Mean over bands of |10 log10(P_test / P_reference)| in dB, the power of rounding to 8 bits added to both."""
    return float(np.mean(np.abs(10 * np.log10((test + ROUNDING_POWER) / (reference + ROUNDING_POWER)))))


@final
class Spectrum:
    """Distance of the spatial power spectra of luma in dB: blur and lost texture, noise, blocking grids.

    P is the power of Hann-windowed frames without their mean, averaged over the clip and over 32 rings of spatial
    frequency up to 0.5 cycles a pixel; white noise of variance s^2 has P = s^2 everywhere. The value is
    `level_distance`. Raises FrameSizeError below 4 pixels.
    """

    def __init__(self, setup: Setup) -> None:
        if setup.short_side < 4:
            raise FrameSizeError(f"needs 4 pixels in each direction, not {setup.short_side}")
        size = (setup.video.height, setup.video.width)
        self._window = np.outer(*(_hann(side) for side in size)).astype(np.float32)
        self._rings = rings(*size)
        self._samples = np.bincount(self._rings.ravel(), minlength=BANDS)[:BANDS]
        self._power = np.zeros((2, BANDS))
        self._frames = 0

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures the next frames."""
        for pair in zip(reference, test, strict=True):
            self._power += [self._ring_power(luma(frame)) for frame in pair]
            self._frames += 1

    def series(self) -> dict[str, list[float]]:
        """None: the spectra are the clip's."""
        return {}

    def values(self) -> dict[str, float]:
        """The distance of the mean spectra."""
        used = self._samples > 0
        weight = self._frames * self._samples[used] * np.square(self._window, dtype=np.float64).sum()
        return {"spectrum": level_distance(*self._power[:, used] / weight)}

    def _ring_power(self, y: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "n"]:
        waves = rfft2((y - y.mean()) * self._window)
        power = np.square(waves.real) + np.square(waves.imag)
        return np.bincount(self._rings.ravel(), power.ravel(), minlength=BANDS)[:BANDS]


def rings(height: int, width: int) -> np.ndarray:
    """Ring of each sample of `rfft2`: 0..31 below 0.5 cycles a pixel; 32 stands for the mean and for the corners."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    numbers = np.minimum((frequency * 2 * BANDS).astype(np.intp), BANDS)
    numbers[0, 0] = BANDS
    return numbers


@final
class TemporalSpectrum:
    """Distance of the temporal power spectra of luma in dB: flicker, frozen texture.

    P is the power of each pixel over Hann-windowed blocks of 16 frames without their mean (fewer in a shorter clip),
    which overlap by half, averaged over pixels and blocks, at 1/16..8/16 cycles a frame. The value is `level_distance`.
    Raises FrameRangeError below 4 frames.
    """

    def __init__(self, setup: Setup) -> None:
        length = min(TEMPORAL_FRAMES, setup.video.num_frames)
        if length < TEMPORAL_LEAST:
            raise FrameRangeError(f"needs {TEMPORAL_LEAST} frames or more, not {length}")
        window = _hann(length)
        self._waves = np.fft.rfft(np.diag(window), axis=0)[1:] / np.sqrt(np.square(window).sum())
        self._blocks: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        self._power = np.zeros((2, len(self._waves)))
        self._count = 0

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures the blocks that the next frames complete."""
        length = self._waves.shape[1]
        for pair in zip(reference, test, strict=True):
            for block, frame in zip(self._blocks, pair, strict=True):
                block.append(luma(frame).ravel())
            if len(self._blocks[0]) == length:
                self._power += [self._block_power(block) for block in self._blocks]
                self._count += 1
                for block in self._blocks:
                    del block[: length // 2]

    def series(self) -> dict[str, list[float]]:
        """None: the spectra are the clip's."""
        return {}

    def values(self) -> dict[str, float]:
        """The distance of the mean spectra."""
        return {"temporal_spectrum": level_distance(*self._power / self._count)}

    def _block_power(self, block: list[np.ndarray]) -> Float[np.ndarray, "n"]:
        """Sum over pixels of |W x|^2 = diag(W (x x^T) W^*): the frames' correlations are enough."""
        x = np.stack(block)
        x -= x.mean(0)
        correlation = (x @ x.T).astype(np.float64) / x.shape[1]
        return np.einsum("fs,st,ft->f", self._waves, correlation, self._waves.conj()).real


def _hann(length: int) -> Float[np.ndarray, "n"]:
    """Hann window that is zero nowhere."""
    return np.hanning(length + 2)[1:-1]
