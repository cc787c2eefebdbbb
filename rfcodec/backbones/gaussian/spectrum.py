"""Power spectrum and temporal correlation of the Gaussian prior, a few numbers a channel (docs/maths.md, section 6)."""

import hashlib
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict

BINS = 64


class ChannelSpectrum(BaseModel):
    """variance(f) = amplitude / (f^2 + corner^2)^slope / (1 + (f / rolloff)^2)^steepness, f in cycles per sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    amplitude: float
    corner: float
    slope: float
    rolloff: float
    steepness: float

    def variance(self, f: Float64[np.ndarray, "b"]) -> Float64[np.ndarray, "b"]:
        """Variance of one coefficient of an orthonormal transform at frequency f."""
        power = (f**2 + self.corner**2) ** self.slope * (1 + (f / self.rolloff) ** 2) ** self.steepness
        return self.amplitude / power


@final
class Spectrum(BaseModel):
    """The whole prior: a spectrum a channel, and a correlation over time that fades faster at higher frequencies.

    corr(f, tau) = (1 - slow_share) exp(-a |tau|) + slow_share exp(-a |tau| / slow_ratio), a = rate (f + corner)^exponent:
    a mixture of two Ornstein-Uhlenbeck processes, stationary in time and not periodic.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    channels: tuple[ChannelSpectrum, ...]
    rate: float
    exponent: float
    slow_share: float
    slow_ratio: float

    @classmethod
    def load(cls, path: Path) -> "Spectrum":
        """Reads a table that ships with the package."""
        return cls.model_validate_json(path.read_text())

    @property
    def digest(self) -> bytes:
        """Eight bytes that name these numbers."""
        return hashlib.blake2s(self.model_dump_json().encode(), digest_size=8).digest()

    def variances(self, f: Float64[np.ndarray, "b"]) -> Float64[np.ndarray, "c b"]:
        """Variance of each channel at each frequency."""
        return np.stack([channel.variance(f) for channel in self.channels])

    def correlation(self, f: Float64[np.ndarray, "b"], lags: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "b ..."]:
        """Correlation over time at each frequency and lag in frames."""
        fade = self.rate * (f + self.channels[0].corner) ** self.exponent
        exponents = -np.multiply.outer(fade, np.abs(lags))
        return (1 - self.slow_share) * np.exp(exponents) + self.slow_share * np.exp(exponents / self.slow_ratio)


def frequency_bins(height: int, width: int) -> tuple[Float64[np.ndarray, "b"], np.ndarray]:
    """The prior is constant on rings of frequency: the centres of those that occur, and the ring of each (v, u), flat.

    Frequencies are of the cosine transform, in cycles per sample: |(v / 2 height, u / 2 width)|. DC is a ring of its own.
    """
    f = np.hypot(np.arange(height)[:, None] / (2 * height), np.arange(width)[None, :] / (2 * width)).ravel()
    edges = np.geomspace(0.25 / max(height, width), 0.7072, BINS)
    ring = np.digitize(f, edges)
    centres = np.concatenate([[0.0], np.sqrt(edges[:-1] * edges[1:]), edges[-1:]])
    present, index = np.unique(ring, return_inverse=True)
    return centres[present], index
