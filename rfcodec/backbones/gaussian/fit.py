"""Fits the pixel spectrum to video, once: python -m rfcodec.backbones.gaussian.fit CLIPS_FOLDER OUT.json."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.fft
from jaxtyping import Float64
from scipy.optimize import least_squares

from rfcodec.backbones.gaussian.spectrum import ChannelSpectrum, Spectrum
from rfcodec.backbones.gaussian.transforms import COLOUR
from rfcodec.support.files import write_file
from rfcodec.video.reader import open_video

SIZE, FRAMES = (432, 240), 33
EDGES = np.geomspace(0.004, 0.7072, 25)
CORNER = 0.0008  # one number for all sizes: the mean brightness then varies as it does between clips
LAGS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32])


def main(clips: Path, out: Path) -> None:
    """Measures every clip of a folder and writes the fitted numbers."""
    measured = [ring_statistics(frames) for frames in _clips(clips)]
    variance = np.stack([m[0] for m in measured])
    structure = np.stack([m[1] for m in measured])
    write_file(out, fit(variance, structure).model_dump_json(indent=2) + "\n")


def _clips(folder: Path) -> Iterator[np.ndarray]:
    for path in sorted(folder.glob("*.mp4")):
        video = open_video(path, size=SIZE)
        if video.format.num_frames >= FRAMES:
            yield video.read(0, FRAMES)


def ring_statistics(frames: np.ndarray) -> tuple[Float64[np.ndarray, "c b"], Float64[np.ndarray, "c b lag"]]:
    """Mean square of the coefficients on each ring of frequency, and half the mean square of their change over each lag."""
    pixels = np.einsum("kc,tyxc->ktyx", COLOUR, frames / 127.5 - 1).astype(np.float32)
    coefficients = scipy.fft.dctn(pixels, axes=(2, 3), norm="ortho").reshape(3, FRAMES, -1)
    v, u = np.arange(SIZE[1])[:, None] / (2 * SIZE[1]), np.arange(SIZE[0])[None, :] / (2 * SIZE[0])
    ring = np.digitize(np.hypot(v, u).ravel(), EDGES)
    counts = np.maximum(np.bincount(ring, minlength=len(EDGES) + 1), 1)

    def average(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(ring, row, minlength=len(EDGES) + 1) / counts for row in values])[:, 1:-1]

    changes = [np.mean((coefficients[:, lag:] - coefficients[:, :-lag]) ** 2, axis=1) / 2 for lag in LAGS]
    return average(np.mean(coefficients**2, axis=1)), np.stack([average(change) for change in changes], axis=-1)


def fit(variance: np.ndarray, structure: np.ndarray) -> Spectrum:
    """Least squares on logarithms; a clip counts half by its power and half by its shape."""
    centres = np.sqrt(EDGES[:-1] * EDGES[1:])
    level = 0.5 * np.log(variance.mean(0)) + 0.5 * np.log(variance + 1e-9).mean(0)
    channels = tuple(_fit_channel(centres, row) for row in level)
    correlation = 1 - structure.mean(0)[0] / variance.mean(0)[0][:, None]

    def spectrum(p: np.ndarray) -> Spectrum:
        rate, exponent, share, ratio = np.exp(p[0]), p[1], 1 / (1 + np.exp(-p[2])), np.exp(p[3])
        return Spectrum(channels=channels, rate=rate, exponent=exponent, slow_share=share, slow_ratio=ratio)

    solution = least_squares(lambda p: (spectrum(p).correlation(centres, LAGS) - correlation).ravel(), [1.0, 1.0, 0.0, 2.5])
    return _rounded(spectrum(solution.x))


def _fit_channel(f: np.ndarray, level: np.ndarray) -> ChannelSpectrum:
    def channel(p: np.ndarray) -> ChannelSpectrum:
        amplitude, rolloff = np.exp(p[:2])
        return ChannelSpectrum(amplitude=amplitude, corner=CORNER, slope=1.0, rolloff=rolloff, steepness=p[2])

    solution = least_squares(lambda p: np.log(channel(p).variance(f)) - level, [-5.0, -3.0, 1.0])
    return channel(solution.x)


def _rounded(spectrum: Spectrum) -> Spectrum:
    channels = [{name: float(f"{value:.4g}") for name, value in c.model_dump().items()} for c in spectrum.channels]
    rest = {name: float(f"{value:.4g}") for name, value in spectrum.model_dump(exclude={"channels"}).items()}
    return Spectrum.model_validate({"channels": channels, **rest})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
