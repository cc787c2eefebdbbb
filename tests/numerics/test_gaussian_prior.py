"""The Gaussian prior against dense linear algebra: the whole covariance matrix, written out for tiny latents."""

import math
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import scipy.fft
import torch

from rfcodec.backbones.gaussian.prior import GaussianPrior, KnownFrame
from rfcodec.backbones.gaussian.spectrum import ChannelSpectrum, Spectrum, frequency_bins
from rfcodec.coding.header import open_backbone
from rfcodec.config import RuntimeConfig
from rfcodec.flow.path import interpolate
from rfcodec.protocols import Condition

SPECTRUM = Spectrum(
    channels=(
        ChannelSpectrum(amplitude=0.05, corner=0.1, slope=0.8, rolloff=0.3, steepness=0.5),
        ChannelSpectrum(amplitude=0.3, corner=0.05, slope=0.4, rolloff=1.0, steepness=0.0),
    ),
    rate=1.5,
    exponent=0.6,
    slow_share=0.3,
    slow_ratio=8.0,
)
SHAPES = [(2, 3, 4, 4), (2, 5, 4, 4), (2, 4, 3, 5), (2, 3, 1, 7), (2, 2, 1, 1), (2, 1, 4, 3)]
SHAPE = (2, 4, 4, 4)
TIMES = [1.0, 0.9, 0.5, 0.1, 0.01]


def dense_covariance(shape, error=None):
    """Cov of the latents as one vector c f h w; with `error` that of one frame's error instead."""
    channels, frames, height, width = shape
    cosines = np.kron(*(scipy.fft.dct(np.eye(n), axis=0, norm="ortho") for n in (height, width)))
    centres, ring = frequency_bins(height, width)
    fade = SPECTRUM.rate * (centres + SPECTRUM.channels[0].corner) ** SPECTRUM.exponent
    blocks = np.zeros((channels, frames, height * width, channels, frames, height * width))
    for c, spectrum in enumerate(SPECTRUM.channels):
        power = (centres**2 + spectrum.corner**2) ** spectrum.slope
        variance = spectrum.amplitude / power / (1 + (centres / spectrum.rolloff) ** 2) ** spectrum.steepness
        if error is not None:
            variance = error[c]
        for a in range(frames):
            for b in range(frames):
                lag = abs(a - b)
                fast, slow = np.exp(-fade * lag), np.exp(-fade * lag / SPECTRUM.slow_ratio)
                mode = variance * ((1 - SPECTRUM.slow_share) * fast + SPECTRUM.slow_share * slow)
                blocks[c, a, :, c, b, :] = cosines.T @ (mode[ring][:, None] * cosines)
    size = math.prod(shape)
    return blocks.reshape(size, size)


def places(shape, positions):
    """Where the numbers of some frames stand in the vector."""
    return np.arange(math.prod(shape)).reshape(shape)[:, positions].ravel()


def wiener(covariance, mean, x, t):
    """E[x0 | x_t = x] and its mean squared error per dimension."""
    spread = (1 - t) ** 2 * covariance + t * t * np.eye(len(x))
    gain = (1 - t) * np.linalg.solve(spread, covariance).T
    return mean + gain @ (x - (1 - t) * mean), np.trace(covariance - (1 - t) * gain @ covariance) / len(x)


def as_vector(tensor):
    return tensor.double().numpy().ravel()


def state(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def response(prior, t):
    """The linear map of `clean`, column by column."""
    size = math.prod(prior.shape)
    rest = as_vector(prior.clean(torch.zeros(prior.shape), t))
    units = torch.eye(size).reshape(size, *prior.shape)
    return np.stack([as_vector(prior.clean(unit, t)) - rest for unit in units], axis=1)


def assert_is_gaussian(prior, covariance, mean):
    for t in TIMES:
        x = state(prior.shape, 3) * t
        clean, mmse = wiener(covariance, mean, as_vector(x), t)
        np.testing.assert_allclose(as_vector(prior.clean(x, t)), clean, atol=2e-5)
        np.testing.assert_allclose(as_vector(prior.velocity(x, t)), (as_vector(x) - clean) / t, atol=3e-5 / t)
        assert prior.mmse(t) == pytest.approx(mmse, rel=1e-6, abs=1e-12)
    spread = (1 - 0.4) ** 2 * covariance + 0.4**2 * np.eye(len(mean))
    np.testing.assert_allclose(response(prior, 0.4), 0.6 * np.linalg.solve(spread, covariance), atol=1e-5)
    variances, counts = prior.mode_variances()
    modes = np.sort(np.repeat(variances, counts.astype(int)))
    np.testing.assert_allclose(modes, np.sort(np.linalg.eigvalsh(covariance)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_prior_is_the_dense_gaussian(shape):
    assert_is_gaussian(GaussianPrior(SPECTRUM, shape), dense_covariance(shape), np.zeros(math.prod(shape)))


def error_spectrum(error, shape):
    """Least common factor on a white error that is cut at the variance of the source and keeps its total."""
    centres, ring = frequency_bins(*shape[2:])
    counts = np.bincount(ring)
    variances = SPECTRUM.variances(centres)
    factors = np.geomspace(1, 1e4, 400_001)
    capped = sum(
        np.minimum(factors * error[c], variances[c, b]) * counts[b] for c in range(len(error)) for b in range(len(counts))
    )
    factor = np.interp(np.dot(error, [counts.sum()] * len(error)), capped, factors)
    return np.minimum(factor * error[:, None], variances)


@pytest.mark.parametrize("shape", [SHAPE, (2, 3, 3, 5)])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("errors", [(0.0, 0.0), (0.02, 0.05), (0.06, 0.3)])
def test_known_frames_condition_the_dense_gaussian(shape, both, errors):
    # a known frame y is what is left of the true one without an error that is independent of y
    positions = [0, shape[1] - 1] if both else [0]
    error = [np.array([e, e / 2]) for e in errors][: len(positions)]
    covariance, known = dense_covariance(shape), places(shape, positions)
    distortion = np.zeros((len(covariance), len(covariance)))
    single = (shape[0], 1, *shape[2:])
    for position, e in zip(positions, error, strict=True):
        here = places(shape, [position])
        distortion[np.ix_(here, here)] = dense_covariance(single, error_spectrum(e, shape))
    of_known = covariance[np.ix_(known, known)]
    of_data = of_known - distortion[np.ix_(known, known)]
    shared = covariance[:, known] @ np.linalg.solve(of_known, of_data)  # Cov(x, y)
    data = np.linalg.cholesky(of_known) @ np.random.default_rng(1).standard_normal(len(known))
    gain = np.linalg.lstsq(of_data, shared.T, rcond=1e-11)[0].T
    expected = covariance - gain @ shared.T
    # where nothing is known of a mode there is nothing in the data either
    data = of_data @ np.linalg.lstsq(of_data, data, rcond=1e-11)[0]
    stills = np.moveaxis(data.reshape(shape[0], len(positions), *shape[2:]), 1, 0).astype(np.float32)
    frames = [KnownFrame(p, s, e) for p, s, e in zip(positions, stills, error, strict=True)]
    prior = GaussianPrior(SPECTRUM, shape, tuple(frames))
    assert_is_gaussian(prior, expected, gain @ data)


def test_an_exact_frame_is_pinned():
    still = state((2, 4, 4), 5).numpy()
    prior = GaussianPrior(SPECTRUM, SHAPE, (KnownFrame(3, still, np.zeros(2)),))
    for t in TIMES:
        clean = prior.clean(state(SHAPE, 1), t)
        np.testing.assert_allclose(clean[:, 3].numpy(), still, atol=1e-5)
    assert (prior.sample(np.random.default_rng(0))[:, 3] - torch.from_numpy(still)).abs().max() < 2e-3


def test_nearer_frames_are_known_better():
    free = GaussianPrior(SPECTRUM, SHAPE)
    known = GaussianPrior(SPECTRUM, SHAPE, (KnownFrame(0, np.zeros((2, 4, 4), np.float32), np.zeros(2)),))
    spread = []
    for prior in (free, known):
        draws = np.stack([as_vector(prior.sample(np.random.default_rng(seed))) for seed in range(600)])
        spread.append(draws.reshape(-1, *SHAPE).var(axis=0).mean(axis=(0, 2, 3)))
    share = spread[1] / spread[0]
    assert share[0] < 1e-6
    assert all(a < b for a, b in pairwise(share))
    assert share[-1] < 1


def test_an_error_as_large_as_the_source_tells_nothing():
    free = GaussianPrior(SPECTRUM, SHAPE)
    hopeless = KnownFrame(0, np.zeros((2, 4, 4), np.float32), np.full(2, 1e3))
    prior = GaussianPrior(SPECTRUM, SHAPE, (hopeless,))
    for t in TIMES:
        assert prior.mmse(t) == pytest.approx(free.mmse(t), rel=1e-6)


@pytest.mark.parametrize("error", [0.001, 0.01, 0.1])
def test_the_error_of_a_known_frame_is_what_it_says(error):
    prior = GaussianPrior(SPECTRUM, (2, 1, 6, 5), (KnownFrame(0, np.zeros((2, 6, 5), np.float32), np.full(2, error)),))
    assert prior.mmse(1.0) == pytest.approx(error, rel=1e-6)


def test_information_is_the_slope_of_the_mmse():
    # d I / d (A^2) = mmse / 2, with I = 1/2 log det(1 + A^2 C)
    prior = GaussianPrior(SPECTRUM, SHAPE)
    eigenvalues = np.linalg.eigvalsh(dense_covariance(SHAPE))

    def information(power):
        return 0.5 * np.log1p(power * eigenvalues).mean()

    for amplitude in (0.1, 1.0, 7.0):
        power, width = amplitude**2, 1e-4 * amplitude**2
        slope = (information(power + width) - information(power - width)) / (2 * width)
        assert prior.mmse(1 / (1 + amplitude)) == pytest.approx(2 * slope, rel=1e-5)


def test_mmse_from_nothing_to_everything():
    prior = GaussianPrior(SPECTRUM, SHAPE)
    variances, counts = prior.mode_variances()
    assert prior.mmse(1.0) == pytest.approx(np.average(variances, weights=counts))
    mmse = [prior.mmse(t) for t in np.linspace(0.001, 1, 50)]
    assert all(a < b for a, b in pairwise(mmse))
    assert mmse[0] < 1.1e-6
    assert counts.sum() == math.prod(SHAPE)


def test_the_estimate_errs_as_much_as_it_says():
    prior, generator = GaussianPrior(SPECTRUM, SHAPE), np.random.default_rng(2)
    for t in (0.8, 0.3):
        errors = []
        for _ in range(300):
            x0 = prior.sample(generator)
            eps = torch.from_numpy(generator.standard_normal(SHAPE, dtype=np.float32))
            errors.append(float((prior.clean(interpolate(x0, eps, t), t) - x0).square().mean()))
        assert np.mean(errors) == pytest.approx(prior.mmse(t), abs=5 * np.std(errors) / math.sqrt(len(errors)))


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 3, 3, 5)])
def test_samples_have_the_covariance(shape):
    prior, generator = GaussianPrior(SPECTRUM, shape), np.random.default_rng(0)
    count = 3000
    draws = np.stack([as_vector(prior.sample(generator)) for _ in range(count)])
    covariance = dense_covariance(shape)
    assert np.abs(draws.mean(0) / np.sqrt(covariance.diagonal() / count)).max() < 4.5
    deviation = np.sqrt((np.outer(covariance.diagonal(), covariance.diagonal()) + covariance**2) / count)
    assert np.abs((draws.T @ draws / count - covariance) / deviation).max() < 5.5


@pytest.mark.parametrize("name", ["gaussian", "gaussian-latent"])
def test_time_is_a_line_not_a_circle(name):
    backbone = open_backbone(name, "", RuntimeConfig())
    shape = (backbone.geometry.channels, 9, 8, 11)
    correlation = GaussianPrior(backbone.spectrum, shape).correlation
    assert (correlation[:, 0, 0] == 1).all()
    np.testing.assert_array_equal(correlation, correlation.swapaxes(1, 2))
    assert (np.diff(correlation[:, 0], axis=1) < 0).all()
    assert (correlation > 0).all()
    for b in range(len(correlation)):
        assert np.linalg.eigvalsh(correlation[b]).min() > 0
        np.testing.assert_allclose(np.diagonal(correlation[b], 1), correlation[b, 0, 1], rtol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (8, 8), (17, 11), (90, 160)])
def test_rings_hold_every_frequency_once_and_nearly(size):
    centres, ring = frequency_bins(*size)
    v, u = np.meshgrid(*(np.arange(n) / (2 * n) for n in size), indexing="ij")
    frequency = np.hypot(v, u).ravel()
    assert ring.shape == frequency.shape
    assert sorted(set(ring.tolist())) == list(range(len(centres)))
    assert (np.diff(centres) > 0).all()
    assert centres[ring[0]] == 0
    assert (ring[1:] > 0).all()
    np.testing.assert_allclose(centres[ring[1:]], frequency[1:], rtol=0.1)


@pytest.mark.parametrize("name", ["gaussian", "gaussian-latent"])
@pytest.mark.parametrize("size", [(8, 8), (24, 40)])
def test_shipped_spectra_are_finite_and_fall(name, size):
    backbone = open_backbone(name, "", RuntimeConfig())
    condition = backbone.prepare(Condition(1 + backbone.geometry.temporal, size[1] * 8, size[0] * 8))
    assert np.isfinite(condition.variances).all()
    assert (np.diff(condition.variances, axis=1) < 0).all()


def test_the_profile_is_the_closed_form():
    prior = GaussianPrior(SPECTRUM, SHAPE)
    profile = prior.profile()
    for log_snr, mmse in zip(profile.log_snr, profile.mmse, strict=True):
        assert mmse == pytest.approx(prior.mmse(1 / (1 + math.exp(log_snr))))
    for t in np.linspace(0.03, 0.99, 20):
        assert profile.at(t) == pytest.approx(prior.mmse(t), rel=0.02)


def test_the_number_of_threads_changes_no_digit():
    program = """
import hashlib, numpy, torch
from rfcodec.backbones.gaussian.backbone import pixel_backbone
from rfcodec.config import RuntimeConfig
from rfcodec.protocols import Condition
prior = pixel_backbone(RuntimeConfig(), {}).prepare(Condition(17, 192, 160))
x = torch.from_numpy(numpy.random.default_rng(0).standard_normal(prior.shape, dtype=numpy.float32))
print(hashlib.sha256(prior.velocity(x, 0.5).numpy().tobytes()).hexdigest())
"""
    found = set()
    for threads in ("1", "4"):
        many = dict(os.environ, OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads)
        done = subprocess.run([sys.executable, "-c", program], env=many, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
