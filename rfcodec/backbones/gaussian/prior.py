"""The Gaussian prior over latents and its closed-form denoiser (docs/maths.md, section 6).

The covariance is diagonal in the spatial cosine transform and across channels; over time it is dense, one f x f matrix
for each channel and ring of frequency.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import final

import numpy as np
import scipy.fft
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from rfcodec.backbones.gaussian.spectrum import Spectrum, frequency_bins
from rfcodec.flow.path import clean_to_velocity, time_of_snr
from rfcodec.protocols import Shape
from rfcodec.types import InformationProfile

Rings = Float32[np.ndarray, "c f k"]
UNTHREADED_PRODUCTS = 1 << 18


@dataclass(frozen=True)
class KnownFrame:
    """A latent frame that is known up to an error of the given variance for each channel; infinite: not at all."""

    position: int
    latents: Float32[np.ndarray, "c h w"]
    error: Float64[np.ndarray, "c"]


@final
class GaussianPrior:
    """Stationary prior over latents of one shape, conditioned on known frames exactly.

    With S the known frames, A = R_S+ their regression and d their error variance: mean = A y and
    covariance = variance (R - A R_S) + A diag(d) A'; d = 0 pins a frame.
    """

    def __init__(self, spectrum: Spectrum, shape: Shape, known: tuple[KnownFrame, ...] = ()) -> None:
        self.shape = shape
        rings = _rings(shape[2], shape[3])
        self.counts = np.diff(rings.bounds)  # coefficients of one frame and channel on each ring
        self._order = rings.order
        self._slices = [slice(*ends) for ends in pairwise(rings.bounds)]
        self.variances = spectrum.variances(rings.centres)
        times = np.arange(shape[1], dtype=np.float64)
        self.correlation = spectrum.correlation(rings.centres, times[:, None] - times[None, :])
        covariance, regression = self._condition(known)
        eigenvalues, self._basis = np.linalg.eigh(covariance)
        self._eigenvalues = np.maximum(eigenvalues, 0.0)
        self._mean = self._conditional_mean(known, regression)

    def mode_variances(self) -> tuple[Float64[np.ndarray, "modes"], Float64[np.ndarray, "modes"]]:
        """Variances of the independent modes, and how many modes have each."""
        counts = np.broadcast_to(self.counts[None, :, None], self._eigenvalues.shape)
        return self._eigenvalues.ravel(), counts.ravel().astype(np.float64)

    def mmse(self, t: float) -> float:
        """Mean squared error per dimension of x0_hat at time t, in closed form."""
        variances, counts = self.mode_variances()
        return float(np.average(variances * t * t / ((1 - t) ** 2 * variances + t * t), weights=counts))

    def frame_mmse(self, t: float) -> Float64[np.ndarray, "c f"]:
        """Mean squared error of x0_hat at time t for each channel and frame."""
        left = self._eigenvalues * t * t / ((1 - t) ** 2 * self._eigenvalues + t * t)
        spread = np.einsum("cbfm,cbm->cbf", self._basis**2, left)
        return np.average(spread, axis=1, weights=self.counts)

    def profile(self) -> InformationProfile:
        """mmse(t) at ln A = -7, -6.5, ... 4, in closed form."""
        log_snr = tuple(k / 2 for k in range(-14, 9))
        return InformationProfile(log_snr, tuple(self.mmse(time_of_snr(math.exp(u))) for u in log_snr))

    def velocity(self, x: Tensor, t: float) -> Tensor:
        """v = (x - E[x0 | x_t = x]) / t, float32."""
        return clean_to_velocity(self.clean(x, t), x, t)

    def clean(self, x: Tensor, t: float) -> Tensor:
        """E[x0 | x_t = x]: each ring's Wiener matrix over time."""
        return self.from_rings(self.clean_rings(self.to_rings(x), t)).to(x.device)

    def sample(self, generator: np.random.Generator) -> Tensor:
        """A draw from the prior, for tests and benchmarks."""
        white = torch.from_numpy(generator.standard_normal(self.shape, dtype=np.float32))
        return self.from_rings(self._map_modes(self.to_rings(white), np.sqrt(self._eigenvalues), np.float32(0)))

    def clean_rings(self, rings: Rings, t: float) -> Rings:
        """`clean` on coefficients, as `to_rings` has them; priors over one shape share these."""
        gain = self._eigenvalues * (1 - t) / ((1 - t) ** 2 * self._eigenvalues + t * t)
        return self._map_modes(rings, gain, np.float32(1 - t))

    def _map_modes(self, rings: Rings, gain: Float64[np.ndarray, "c b f"], mean_share: np.float32) -> Rings:
        # mean + M (x - mean_share mean), with M = basis diag(gain) basis'
        matrices = ((self._basis * gain[..., None, :]) @ self._basis.swapaxes(-1, -2)).astype(np.float32)
        if self._mean is not None:
            rings = rings - mean_share * self._mean
        mapped = np.empty_like(rings)
        for b, ring in enumerate(self._slices):
            _multiply(matrices[:, b], rings[:, :, ring], mapped[:, :, ring])
        if self._mean is not None:
            mapped += self._mean
        return mapped

    def to_rings(self, x: Float32[Tensor | np.ndarray, "c f h w"]) -> Rings:
        """Coefficients of the cosine transform over height and width, ring by ring."""
        frames = x.cpu().numpy() if isinstance(x, Tensor) else x
        coefficients = scipy.fft.dctn(frames, axes=(2, 3), norm="ortho", workers=torch.get_num_threads())
        return coefficients.reshape(*frames.shape[:2], -1).take(self._order, axis=2)

    def from_rings(self, rings: Rings) -> Tensor:
        """Inverse of `to_rings`."""
        coefficients = np.empty_like(rings)
        coefficients[:, :, self._order] = rings
        grid = coefficients.reshape(*rings.shape[:2], *self.shape[2:])
        inverse = scipy.fft.idctn(grid, axes=(2, 3), norm="ortho", workers=torch.get_num_threads(), overwrite_x=True)
        return torch.from_numpy(inverse)

    def _condition(
        self, known: tuple[KnownFrame, ...]
    ) -> tuple[Float64[np.ndarray, "c b f f"], Float64[np.ndarray, "b f s"]]:
        positions = [frame.position for frame in known]
        to_known = self.correlation[:, :, positions]
        regression = to_known @ np.linalg.inv(self.correlation[:, positions][:, :, positions])
        left = self.correlation - regression @ to_known.swapaxes(1, 2)
        covariance = self.variances[:, :, None, None] * left
        for column, frame in enumerate(known):
            error = self._error_spectrum(frame.error)
            one = regression[:, :, column]
            covariance = covariance + error[:, :, None, None] * (one[:, :, None] * one[:, None, :])
        return covariance, regression

    def _error_spectrum(self, error: Float64[np.ndarray, "c"]) -> Float64[np.ndarray, "c b"]:
        # a coded frame errs as a Gaussian test channel does: white, but nowhere above the variance of the source
        known = np.isfinite(error)
        finite, variances = error[known, None], self.variances[known]
        wanted = float(np.sum(finite * self.counts))
        low, high = 1.0, 1e9
        for _ in range(60):
            middle = np.sqrt(low * high)
            reached = np.sum(np.minimum(middle * finite, variances) * self.counts)
            low, high = (middle, high) if reached < wanted else (low, middle)
        spectrum = self.variances.copy()
        spectrum[known] = np.minimum(high * finite, variances)
        return spectrum

    def _conditional_mean(
        self, known: tuple[KnownFrame, ...], regression: Float64[np.ndarray, "b f s"]
    ) -> np.ndarray | None:
        if not known:
            return None
        values = self.to_rings(np.stack([frame.latents for frame in known], axis=1))
        mean = np.empty((*self.shape[:2], values.shape[2]), np.float32)
        for weights, ring in zip(regression.astype(np.float32), self._slices, strict=True):
            _multiply(weights, values[:, :, ring], mean[:, :, ring])
        return mean


def _multiply(matrix: np.ndarray, columns: np.ndarray, out: np.ndarray) -> None:
    # in blocks too small for a BLAS to split over threads, whose number would change the last digits
    rows, inner = matrix.shape[-2:]
    width = max(16, UNTHREADED_PRODUCTS // (rows * inner) // 16 * 16)
    for start in range(0, columns.shape[-1], width):
        block = slice(start, start + width)
        np.matmul(matrix, columns[..., block], out=out[..., block])


@dataclass(frozen=True)
class _Rings:
    centres: np.ndarray
    order: np.ndarray
    bounds: np.ndarray


@lru_cache(maxsize=4)
def _rings(height: int, width: int) -> _Rings:
    centres, index = frequency_bins(height, width)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=len(centres)))])
    return _Rings(centres, np.argsort(index, kind="stable"), bounds)
