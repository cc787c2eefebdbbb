import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rfcodec.flow.path import (
    alpha,
    amplitude_snr,
    clean_to_noise,
    clean_to_velocity,
    interpolate,
    sigma,
    time_of_snr,
    velocity_to_clean,
    velocity_to_noise,
    velocity_to_score,
)

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

TIMES = st.floats(1e-3, 1.0)
VALUES = st.floats(-10, 10)


def pair(seed=0, shape=(2, 3, 4, 5)):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize("t", [1.0, 0.9, 0.5, 0.031, 1e-4])
def test_a_true_velocity_gives_back_both_ends_of_the_path(t):
    x0, eps = pair()
    x, v = interpolate(x0, eps, t), eps - x0
    torch.testing.assert_close(velocity_to_clean(v, x, t), x0, rtol=0, atol=1e-14)
    torch.testing.assert_close(velocity_to_noise(v, x, t), eps, rtol=0, atol=1e-14)
    torch.testing.assert_close(velocity_to_score(v, x, t), -eps / t, rtol=1e-13, atol=0)


@steady
@given(VALUES, VALUES, TIMES)
def test_velocity_and_clean_are_inverses(v, x, t):
    assert clean_to_velocity(velocity_to_clean(v, x, t), x, t) == pytest.approx(v, abs=1e-10)
    assert velocity_to_clean(clean_to_velocity(v, x, t), x, t) == pytest.approx(v, abs=1e-12)


@steady
@given(VALUES, VALUES, TIMES)
def test_noise_from_velocity_and_from_clean_agree(v, x, t):
    assert clean_to_noise(velocity_to_clean(v, x, t), x, t) == pytest.approx(velocity_to_noise(v, x, t), abs=1e-10)


@steady
@given(VALUES, VALUES, TIMES)
def test_clean_and_noise_interpolate_to_the_state(v, x, t):
    ends = velocity_to_clean(v, x, t), velocity_to_noise(v, x, t)
    assert interpolate(*ends, t) == pytest.approx(x, abs=1e-12)
    assert ends[1] - ends[0] == pytest.approx(v, abs=1e-11)
    assert alpha(t) * ends[0] + sigma(t) * ends[1] == pytest.approx(x, abs=1e-12)


@steady
@given(VALUES, VALUES, TIMES)
def test_the_score_gives_back_the_velocity(v, x, t):
    if t == 1:
        assert velocity_to_score(v, x, t) == -x
    else:
        score = velocity_to_score(v, x, t)
        assert (-score * t - x) / (1 - t) == pytest.approx(v, rel=1e-9, abs=1e-11 / (1 - t))


@pytest.mark.parametrize("t", [1.0, 0.7, 0.2])
def test_the_score_of_a_gaussian_is_that_of_its_density(t):
    variance, x = 0.36, np.linspace(-2, 2, 9)
    spread = (1 - t) ** 2 * variance + t**2
    clean = (1 - t) * variance / spread * x
    np.testing.assert_allclose(velocity_to_score(clean_to_velocity(clean, x, t), x, t), -x / spread, atol=1e-13)


@steady
@given(st.floats(1e-9, 1.0))
def test_snr_and_time_are_inverses(t):
    assert time_of_snr(amplitude_snr(t)) == pytest.approx(t, rel=1e-15, abs=2e-16)


@steady
@given(st.floats(0, 1e12))
def test_time_and_snr_are_inverses(amplitude):
    # 1 - t loses digits where t is near 1
    assert amplitude_snr(time_of_snr(amplitude)) == pytest.approx(amplitude, rel=1e-12, abs=4e-16)


def test_ends_of_the_snr():
    assert amplitude_snr(1.0) == 0
    assert amplitude_snr(0.5) == 1
    assert amplitude_snr(0.0) == math.inf
    assert time_of_snr(0.0) == 1
    assert time_of_snr(math.inf) == 0


def test_snr_falls_with_time():
    snr = [amplitude_snr(t) for t in np.linspace(0, 1, 101)]
    assert all(a > b for a, b in pairwise(snr))
