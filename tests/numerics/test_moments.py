"""The closed form of the benchmarks beside the real coder, and the bounds."""

from functools import lru_cache

import numpy as np
import pytest
from alignment import alignment

from codebooks.simulated import Simulated
from codebooks.topm import TopMCodebook
from codebooks.trellis import TrellisCodebook
from rfcodec.evaluation.theory.bounds import realism_distortion, shannon_distortion, variance_distortion, variance_rate
from rfcodec.evaluation.theory.gaussian_source import code, open_prior, plan, source, tail_of
from rfcodec.evaluation.theory.moments import Modes, bound_cosines, moments, predict
from rfcodec.presets import configure

SHAPES = {"gaussian-latent": (16, 5, 24, 32), "gaussian": (3, 5, 60, 80)}
SEEDS = range(5)
BITS = 0.06
EULER = {
    "trajectory.solver": "euler_maruyama", "trajectory.diffusion": "power", "trajectory.gain": 3, "trajectory.shift": 3,
    "trajectory.bit_ramp": 0, "trajectory.tail_order": 1, "spectral_emphasis": 0,
}  # fmt: skip
FEW = {"trajectory.steps": 8, "trajectory.eta": 0.8, "tail_end": 0.1, "spectral_emphasis": 0}
VARIANCES, COUNTS = np.array([30.0, 2.0, 0.3, 0.01, 0.0]), np.array([1.0, 10.0, 50.0, 100.0, 5.0])


@lru_cache
def cosine(codebook, shape, bits):
    return np.mean([alignment(codebook, shape, bits, seed) for seed in range(2)])


def theory_and_coder(name, changes, codebook):
    shape, settings, tail = SHAPES[name], configure("default", changes), tail_of(name)
    prior = open_prior(name, shape)
    chosen = plan(prior, BITS, *settings, codebook, tail)
    cosines = [cosine(codebook, shape, bits) for bits in chosen.step_bits]
    expected = moments(Modes.of(prior), settings[0].trajectory, chosen, cosines, settings[1].spectral_emphasis)
    draws = [code(source(name, s, shape), BITS, s + 1, settings, codebook, tail) for s in SEEDS]
    return expected, draws


# few steps on pixels are left out: a small picture has its energy in a handful of modes, and the length of its first
# residuals differs from draw to draw
@pytest.mark.parametrize(
    ("name", "changes", "codebook"),
    [
        ("gaussian", {}, TrellisCodebook()),
        ("gaussian", EULER, Simulated(TopMCodebook())),
        ("gaussian-latent", {}, TrellisCodebook()),
        ("gaussian-latent", FEW, TrellisCodebook()),
        ("gaussian-latent", EULER, Simulated(TopMCodebook())),
        ("gaussian-latent", {"trajectory.steps": 6, "trajectory.ode_tail": 1}, Simulated(TopMCodebook())),
    ],
)
def test_moments_are_those_of_the_coder(name, changes, codebook):
    expected, draws = theory_and_coder(name, changes, codebook)
    assert np.mean([d.mse for d in draws]) == pytest.approx(expected.mse, rel=0.03)
    # what the source has in a few low frequencies differs from draw to draw: the change of variance does not
    modes = expected.modes
    usual = modes.mean(modes.shown * modes.source)
    change = np.mean([d.variance - d.source for d in draws])
    assert change == pytest.approx(expected.variance - usual, abs=0.01 * usual)


@pytest.mark.parametrize("name", SHAPES)
def test_modes_have_the_variance_of_draws_without_their_mean(name):
    shape = (*SHAPES[name][:2], 6, 8)  # small, so that the mean is much of it
    modes = Modes.of(open_prior(name, shape))
    draws = [float(source(name, seed, shape)[1].square().mean()) for seed in range(600)]
    error = np.std(draws) / len(draws) ** 0.5
    assert modes.mean(modes.source) == pytest.approx(np.mean(draws), abs=4 * error)
    assert modes.mean(modes.prior) > 1.2 * modes.mean(modes.source)


def test_without_bits_the_output_knows_nothing_of_the_source():
    prior = open_prior("gaussian", SHAPES["gaussian"])
    settings, modes = configure(), Modes.of(prior)
    chosen = plan(prior, BITS, *settings, TrellisCodebook(), tail_of("gaussian"))
    found = moments(modes, settings[0].trajectory, chosen, [0.0] * len(chosen.step_bits))
    np.testing.assert_array_equal(found.covariance, 0)
    assert found.bound_bits() == 0


def test_no_trajectory_beats_the_bound_at_its_own_variances():
    prior = open_prior("gaussian-latent", SHAPES["gaussian-latent"])
    for changes in ({}, {"trajectory.steps": 4}, EULER):
        found = predict(prior, BITS, configure("default", changes), TrellisCodebook(), tail_of("gaussian-latent"))
        assert 0 < found.bound_bits() < 0.93 * BITS


def test_bound_cosines_are_those_of_an_efficiency():
    assert bound_cosines([0, 500], 1000, 1.0) == pytest.approx([0, np.sqrt(0.5)])
    assert bound_cosines([1000], 1000, 0.5) == bound_cosines([500], 1000, 1.0)


@pytest.mark.parametrize("bits", [0.05, 0.4, 2.0])
def test_bounds_of_given_variances(bits):
    realism = realism_distortion(VARIANCES, COUNTS, bits)
    assert variance_distortion(VARIANCES, VARIANCES, COUNTS, bits) == realism
    assert variance_rate(VARIANCES, VARIANCES, COUNTS, realism) == pytest.approx(bits, rel=1e-6)
    # where the outputs have the variances of reverse water-filling, Shannon's curve is reached
    shannon = shannon_distortion(VARIANCES, COUNTS, bits)
    level = np.interp(shannon, *_levels())
    outputs = np.maximum(VARIANCES - level, 0)
    assert variance_rate(VARIANCES, outputs, COUNTS, shannon) == pytest.approx(bits, rel=1e-3)
    assert variance_rate(VARIANCES, 1.1 * outputs, COUNTS, shannon) > bits


def _levels():
    levels = np.geomspace(1e-6, 40, 200_000)
    errors = np.minimum(levels[:, None], VARIANCES) @ COUNTS / COUNTS.sum()
    kept = np.append(np.diff(errors) > 0, False)
    return errors[kept], levels[kept]


def test_no_bits_are_needed_for_the_error_of_an_independent_output():
    everything = float(np.average(2 * VARIANCES, weights=COUNTS))
    assert variance_rate(VARIANCES, VARIANCES, COUNTS, everything) == 0
    assert variance_rate(VARIANCES, VARIANCES, COUNTS, 0.9 * everything) > 0


def test_realism_of_one_variance_is_in_closed_form():
    found = realism_distortion(np.array([3.0]), np.array([7.0]), 0.8)
    assert found == pytest.approx(6 * (1 - np.sqrt(1 - 2**-1.6)))
