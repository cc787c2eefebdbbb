"""The step function against theory: marginals, order of convergence, information.

Under a Gaussian prior a step is linear in state and noise, so that one run over unit impulses gives the exact law of
the final latents: along the frame axis stands the source of the impulse, along the width the mode.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.fft
import torch

from codebooks.trellis import TrellisCodebook
from rfcodec.backbones.gaussian.prior import GaussianPrior, KnownFrame
from rfcodec.backbones.gaussian.spectrum import ChannelSpectrum, Spectrum, frequency_bins
from rfcodec.config import TrajectoryConfig
from rfcodec.flow.path import amplitude_snr, time_of_snr
from rfcodec.flow.rollout import rollout
from rfcodec.flow.sde import EtaDiffusion, PowerDiffusion, noise_information, posterior, posterior_noise_std
from rfcodec.flow.time_grid import shifted_grid
from rfcodec.trajectory.noise import ProbeStep
from rfcodec.trajectory.step import GopPlan, TrajectoryStep
from rfcodec.types import NoiseAddress

VARIANCES = torch.tensor([0.01, 0.09, 0.25, 1.0, 4.0])
MEANS = torch.tensor([0.5, -1.0, 0.0, 2.0, -0.3])

FLAT = Spectrum(
    channels=(ChannelSpectrum(amplitude=0.12, corner=0.1, slope=0.6, rolloff=1.0, steepness=0.0),) * 2,
    rate=2.0,
    exponent=0.5,
    slow_share=0.4,
    slow_ratio=12.0,
)

SDES = {
    "ode": TrajectoryConfig(eta=0.0),
    "eta 0.5": TrajectoryConfig(eta=0.5),
    "eta 1": TrajectoryConfig(eta=1.0),
    "eta 1.4": TrajectoryConfig(eta=1.4),
    "3 t^2": TrajectoryConfig(diffusion="power", gain=3.0, power=2.0),
    "1.5 sqrt t": TrajectoryConfig(diffusion="power", gain=1.5, power=0.5),
    "ode by Euler-Maruyama": TrajectoryConfig(solver="euler_maruyama", eta=0.0),
    "3 t^2 by Euler-Maruyama": TrajectoryConfig(solver="euler_maruyama", diffusion="power", gain=3.0, power=2.0),
    "2 t by Euler-Maruyama": TrajectoryConfig(solver="euler_maruyama", diffusion="power", gain=2.0, power=1.0),
}
with_every_sde = pytest.mark.parametrize("config", SDES.values(), ids=SDES)


class Impulses:
    """Noise k is 1 for source k + 1 and 0 for all others; the start is source 0."""

    def __init__(self, sources, modes):
        self.sources, self.modes = sources, modes

    def _impulse(self, source):
        impulse = torch.zeros(1, self.sources, 1, self.modes)
        impulse[:, source] = 1
        return impulse

    def start(self, shape):
        return self._impulse(0)

    def __call__(self, k, x0_hat):
        return self._impulse(k + 1)


class PlainNoise:
    """Addressed noise without any choice, as a decoder would draw it for no bits."""

    def __init__(self, run):
        self.codebook, self.run = TrellisCodebook(), run

    def start(self, shape):
        return self.codebook.noise(NoiseAddress(42, self.run, 0), shape, 0, 0)

    def __call__(self, k, x0_hat):
        return self.codebook.noise(NoiseAddress(42, self.run, k + 1), tuple(x0_hat.shape), 0, 0)


class NoNoise:
    """What remains is the drift."""

    def start(self, shape):
        return torch.zeros(shape)

    def __call__(self, k, x0_hat):
        return torch.zeros_like(x0_hat)


def scalar_velocity(variances, mean=0.0):
    def velocity(x, t):
        gain = (1 - t) * variances / ((1 - t) ** 2 * variances + t * t)
        return (x - mean - gain * (x - (1 - t) * mean)) / t

    return velocity


def final_variance(config, grid, coded, variances=VARIANCES):
    step = TrajectoryStep(config, GopPlan(tuple(grid), (1,) * coded), Impulses(coded + 1, len(variances)))
    responses = rollout(scalar_velocity(variances), (1, coded + 1, 1, len(variances)), step)
    return responses.double().square().sum(dim=(0, 1, 2))


def final_mean(config, grid, coded):
    step = TrajectoryStep(config, GopPlan(tuple(grid), (1,) * coded), NoNoise())
    return rollout(scalar_velocity(VARIANCES, MEANS), (1, 1, 1, len(MEANS)), step).flatten()


def relative_error(config, grid, coded):
    return (final_variance(config, grid, coded) / VARIANCES - 1).numpy()


def orders(errors):
    return np.log2(np.abs(errors[:-1]) / np.abs(errors[1:]))


# Marginals


@with_every_sde
def test_the_mean_does_not_depend_on_the_diffusion(config):
    for shift in (1.0, 5.0):
        mean = final_mean(config, shifted_grid(8, shift), 6)
        torch.testing.assert_close(mean, MEANS, rtol=0, atol=2e-6)


def limit(config, shift=1.0, tail_share=0.0):
    """Relative error of the variance at 1600 steps, and what is left of it for infinitely many."""
    coarse, fine = (
        relative_error(config, shifted_grid(steps, shift), min(steps - 1, round(steps * (1 - tail_share))))
        for steps in (800, 1600)
    )
    return fine, 2 * fine - coarse


@with_every_sde
def test_the_variance_does_not_depend_on_the_diffusion(config):
    error, left = limit(config)
    assert np.abs(error).max() < 0.03
    assert np.abs(left).max() < 0.004


@with_every_sde
def test_nor_does_it_depend_on_the_length_of_the_tail(config):
    for share in [0.1, 0.5, 1.0]:
        error, left = limit(config, tail_share=share)
        assert np.abs(error).max() < 0.02, share
        assert np.abs(left).max() < 0.004, share


@with_every_sde
def test_nor_does_it_depend_on_the_shift_of_the_grid(config):
    for shift in [0.5, 3.0]:
        error, left = limit(config, shift)
        assert np.abs(error).max() < 0.08, shift
        assert np.abs(left).max() < 0.02, shift


def test_variance_that_twenty_steps_lose():
    grid, quarter = shifted_grid(20, 1.0), torch.tensor([0.25])
    power = {"diffusion": "power", "gain": 3.0, "power": 2.0}
    chains = [
        TrajectoryConfig(),
        TrajectoryConfig(solver="posterior", **power),
        TrajectoryConfig(solver="euler_maruyama", **power),
    ]
    found = [float(final_variance(chain, grid, 19, quarter)) for chain in chains]
    assert found == pytest.approx([0.187, 0.213, 0.244], abs=6e-4)


@with_every_sde
def test_addressed_noise_has_the_law_of_the_steps(config):
    shape, runs, coded = (2, 1, 8, 9), 60, 22
    prior, grid = GaussianPrior(FLAT, shape), shifted_grid(25, 2.0)
    centres, ring = frequency_bins(*shape[2:])
    variances = FLAT.variances(centres)[:, ring]
    expected = np.stack([final_variance(config, grid, coded, torch.from_numpy(row).float()) for row in variances])
    draws = []
    for run in range(runs):
        step = TrajectoryStep(config, GopPlan(grid, (1,) * coded), PlainNoise(run))
        draws.append(rollout(prior.velocity, shape, step).numpy())
    coefficients = scipy.fft.dctn(np.stack(draws), axes=(3, 4), norm="ortho")
    whitened = coefficients / np.sqrt(expected.reshape(shape))
    count = whitened.size
    assert abs(whitened.mean()) < 5 / math.sqrt(count)
    assert abs((whitened**2).mean() - 1) < 5 * math.sqrt(2 / count)
    assert abs((whitened**4).mean() - 3) < 5 * math.sqrt(96 / count)
    assert np.abs(whitened.mean(0)).max() < 5 / math.sqrt(runs)
    assert np.abs((whitened**2).mean(0) - 1).max() < 7 * math.sqrt(2 / runs)


def test_addressed_noise_has_the_conditional_law():
    shape, runs = (2, 3, 6, 5), 80
    still = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1)).numpy()
    prior = GaussianPrior(FLAT, shape, (KnownFrame(0, still, np.full(2, 0.01)),))
    grid, mean = shifted_grid(60, 1.0), prior.clean(torch.zeros(shape), 1.0)
    draws = []
    for run in range(runs):
        step = TrajectoryStep(TrajectoryConfig(eta=0.5), GopPlan(grid, (1,) * 58), PlainNoise(run))
        draws.append(rollout(prior.velocity, shape, step))
    rest = torch.stack(draws).double() - mean
    assert (rest.mean(0) / rest.std(0) * math.sqrt(runs)).abs().max() < 5.5
    energy = rest.square().mean(dim=(0, 1, 3, 4))
    assert 0.005 < energy[0] < 0.011
    assert energy[0] < energy[1] < energy[2]
    assert float(rest.square().mean()) == pytest.approx(prior.mmse(1.0), rel=0.1)


# Order of convergence


def log_snr_grid(steps):
    """Equal steps of ln A from -7 to 7 between the ends."""
    return (1.0, *(time_of_snr(math.exp(-7 + 14 * k / steps)) for k in range(steps + 1)), 0.0)


@pytest.mark.parametrize("solver", ["posterior", "euler_maruyama"])
def test_euler_is_of_first_order(solver):
    config = TrajectoryConfig(solver=solver, eta=0.0, tail_order=1)
    errors = [relative_error(config, shifted_grid(steps, 1.0), 0) for steps in (160, 320, 640)]
    np.testing.assert_allclose(orders(np.stack(errors)), 1, atol=0.03)
    errors = [relative_error(config, log_snr_grid(steps), 0) for steps in (80, 160, 320)]
    np.testing.assert_allclose(orders(np.stack(errors)), 1, atol=0.05)


def test_the_extrapolated_tail_is_of_second_order():
    config = TrajectoryConfig(eta=0.0, tail_order=2)
    errors = [relative_error(config, log_snr_grid(steps), 0) for steps in (40, 80, 160)]
    np.testing.assert_allclose(orders(np.stack(errors)), 2, atol=0.12)


@pytest.mark.parametrize("grid", [shifted_grid(20, 1.0), log_snr_grid(20)])
def test_the_second_order_is_more_exact_at_few_steps(grid):
    one, two = (TrajectoryConfig(eta=0.0, tail_order=order) for order in (1, 2))
    usual = slice(1, None)  # the least variance asks for more steps near the end
    assert np.abs(relative_error(two, grid, 0))[usual].max() < 0.25 * np.abs(relative_error(one, grid, 0))[usual].min()


@with_every_sde
def test_stochastic_steps_are_of_weak_order_one(config):
    errors = [relative_error(config, shifted_grid(steps, 1.0), steps - 1) for steps in (800, 1600)]
    np.testing.assert_allclose(orders(np.stack(errors)), 1, atol=0.1)


# Information


@pytest.mark.parametrize("diffusion", [EtaDiffusion(1), EtaDiffusion(0.6), EtaDiffusion(1.5), PowerDiffusion(3, 2)])
def test_information_is_the_divergence_of_the_two_steps(diffusion):
    for t, s in [(1.0, 0.8), (0.9, 0.85), (0.6, 0.2)]:
        # the true step knows x0, the decoder's has x0_hat in its place: Gaussians of variance w^2 with other means
        x, x0, x0_hat = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        w = posterior_noise_std(t, s, diffusion)
        apart = posterior(x, x0, t, s, w, None) - posterior(x, x0_hat, t, s, w, None)
        divergence = float(apart.square().sum()) / (2 * w * w)
        energy = float((x0 - x0_hat).square().sum())
        assert noise_information(t, s, diffusion, energy) == pytest.approx(divergence, rel=1e-9), (t, s)


def gaussian_information(prior, t):
    variances, counts = prior.mode_variances()
    return float(0.5 * (counts * np.log1p(amplitude_snr(t) ** 2 * variances)).sum())


def snr_grid(end, steps):
    """Equal steps of ln A from A = 0.005 to that of `end`, after one from t = 1."""
    last = math.log(amplitude_snr(end))
    first = math.log(0.005)
    return (1.0, *(time_of_snr(math.exp(first + (last - first) * k / steps)) for k in range(steps + 1)))


@pytest.mark.parametrize("end", [0.5, 0.2, 0.05])
def test_the_steps_add_up_to_the_information_of_the_end(end):
    prior, dims = GaussianPrior(FLAT, (2, 3, 6, 7)), 2 * 3 * 6 * 7

    def total(steps):
        grid = snr_grid(end, steps)
        return sum(noise_information(t, s, EtaDiffusion(1), dims * prior.mmse(t)) for t, s in pairwise(grid))

    whole = gaussian_information(prior, end)
    excess = [total(steps) / whole - 1 for steps in (250, 500, 1000)]
    # the error at the beginning of a step is more than that on its way
    assert 0 < excess[2] < excess[1] < excess[0]
    assert excess[2] < 0.012
    np.testing.assert_allclose(orders(np.array(excess)), 1, atol=0.05)
    assert 2 * excess[2] - excess[1] == pytest.approx(0, abs=2e-4)


def test_another_diffusion_pays_more_for_the_same_end():
    prior, grid = GaussianPrior(FLAT, (2, 3, 6, 7)), snr_grid(0.2, 60)

    def total(diffusion):
        return sum(noise_information(t, s, diffusion, prior.mmse(t)) for t, s in pairwise(grid))

    best = total(EtaDiffusion(1))
    assert total(EtaDiffusion(0.5)) > 1.2 * best
    assert total(EtaDiffusion(1.5)) > 1.1 * best
    assert total(PowerDiffusion(3, 2)) > 1.2 * best


def test_a_probe_measures_the_mmse_of_the_prior():
    shape, generator = (2, 5, 24, 30), np.random.default_rng(0)
    prior = GaussianPrior(FLAT, shape)
    interior = [time_of_snr(math.exp(u)) for u in np.linspace(-5, 2, 15)]
    profiles = []
    for _ in range(6):
        noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))
        probe = ProbeStep(prior.sample(generator), noise, interior)
        rollout(prior.velocity, shape, probe)
        profiles.append(probe.profile())
    assert len(profiles[0].mmse) == 1 + len(interior)
    for t in interior:
        measured = np.mean([profile.at(t) for profile in profiles])
        assert measured == pytest.approx(prior.mmse(t), rel=0.05)
    measured = np.mean([profile.at(1.0) for profile in profiles])
    assert measured == pytest.approx(prior.mmse(1.0), rel=0.05)


def test_a_probe_measures_the_information():
    shape, generator = (2, 5, 24, 30), np.random.default_rng(3)
    prior, grid = GaussianPrior(FLAT, shape), snr_grid(0.15, 80)
    noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))
    probe = ProbeStep(prior.sample(generator), noise, grid[1:])
    rollout(prior.velocity, shape, probe)
    profile, dims = probe.profile(), math.prod(shape)
    measured = [noise_information(t, s, EtaDiffusion(1), dims * profile.at(t)) for t, s in pairwise(grid)]
    assert sum(measured) == pytest.approx(gaussian_information(prior, 0.15), rel=0.12)


def test_a_probe_stays_on_the_true_path():
    x0, eps = torch.randn(2, 1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    probe = ProbeStep(x0, eps, [0.7, 0.2])
    assert probe.time_grid == (1.0, 0.7, 0.2, 0.0)
    state = probe.start(tuple(x0.shape))
    for k, s in enumerate((0.7, 0.2, 0.0)):
        torch.testing.assert_close(state.x, (1 - probe.time_grid[k]) * x0 + probe.time_grid[k] * eps)
        state = probe(k, state, torch.full_like(x0, 9.0))
        torch.testing.assert_close(state.x, (1 - s) * x0 + s * eps)


def test_the_true_velocity_leads_straight_to_the_target():
    x0, eps = torch.randn(2, 1, 2, 3, 4, generator=torch.Generator().manual_seed(0))

    class Start:
        def start(self, shape):
            return eps

        def __call__(self, k, x0_hat):
            raise AssertionError("a tail asks for no noise")

    step = TrajectoryStep(TrajectoryConfig(), GopPlan(shifted_grid(7, 3.0), ()), Start())
    torch.testing.assert_close(rollout(lambda x, t: eps - x0, tuple(x0.shape), step), x0, rtol=0, atol=1e-5)
