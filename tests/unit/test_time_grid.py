import math
from decimal import Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rfcodec.errors import BitstreamError
from rfcodec.flow.path import amplitude_snr, time_of_snr
from rfcodec.flow.sde import EtaDiffusion, PowerDiffusion, noise_information
from rfcodec.flow.time_grid import (
    LEVELS_PER_NEPER,
    TIME_RESOLUTION,
    information_levels,
    level_to_time,
    levels_to_grid,
    shifted_grid,
    tail_levels,
    time_to_level,
)
from rfcodec.types import InformationProfile

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

DISTINCT = 580  # up to here neighbouring levels are more than one 2^-20 apart


def falling_profile():
    log_snr = tuple(k / 2 for k in range(-14, 9))
    return InformationProfile(log_snr, tuple(0.3 / (1 + 4 * math.exp(1.3 * u)) for u in log_snr))


def test_uniform_grid():
    assert shifted_grid(4, 1.0) == (1.0, 0.75, 0.5, 0.25, 0.0)


def test_shifted_grids_fall_from_1_to_0():
    for steps in [2, 7, 20, 1000]:
        for shift in [1.0, 3.0, 5.0, 12.0]:
            grid = shifted_grid(steps, shift)
            assert len(grid) == steps + 1, (steps, shift)
            assert grid[0] == 1, (steps, shift)
            assert grid[-1] == 0, (steps, shift)
            assert all(a > b for a, b in pairwise(grid)), (steps, shift)


@pytest.mark.parametrize(
    ("shift", "late", "noise"),
    [
        (3.0, {16: 0.429, 17: 0.346, 18: 0.250, 19: 0.136}, {0: 0.394, 5: 0.384, 10: 0.335, 15: 0.200, 16: 0.158}),
        (5.0, {16: 0.556, 17: 0.469, 18: 0.357, 19: 0.208}, {0: 0.306, 5: 0.338, 10: 0.359, 15: 0.309, 16: 0.273}),
    ],
)
def test_the_published_schedules_of_gvcc(shift, late, noise):
    grid, g = shifted_grid(20, shift), PowerDiffusion(3, 2).g
    assert {k: round(grid[k], 3) for k in late} == late
    std = {k: g(grid[k]) * math.sqrt(grid[k] - grid[k + 1]) for k in noise}
    assert {k: round(value, 3) for k, value in std.items()} == pytest.approx(noise, abs=0.0011)


def test_a_shift_is_a_factor_on_the_snr():
    plain, shifted = shifted_grid(10, 1.0), shifted_grid(10, 4.0)
    for a, b in zip(plain[1:-1], shifted[1:-1], strict=True):
        assert amplitude_snr(b) == pytest.approx(amplitude_snr(a) / 4)


def test_level_256_is_the_middle():
    assert level_to_time(256) == 0.5
    assert level_to_time(256 + LEVELS_PER_NEPER) == pytest.approx(1 / (1 + math.e), abs=2**-20)


def test_levels_come_back():
    assert [time_to_level(level_to_time(level)) for level in range(1, DISTINCT)] == list(range(1, DISTINCT))


def test_times_of_levels_are_multiples_of_the_resolution_and_fall():
    times = [level_to_time(level) for level in range(DISTINCT + 1)]
    assert all((t * TIME_RESOLUTION).is_integer() for t in times)
    assert all(a > b for a, b in pairwise(times))
    assert times[0] < 1


def test_no_level_is_near_a_rounding_boundary():
    # the nearest of all is farther off than a hundred thousand last digits of a double
    distances = {}
    with localcontext() as context:
        context.prec = 40
        for level in range(1, 1024):
            exact = TIME_RESOLUTION / (1 + (Decimal(level - 256) / 32).exp())
            distances[level] = abs(exact % 1 - Decimal("0.5"))
            assert level_to_time(level) * TIME_RESOLUTION == int(exact + Decimal("0.5"))
    assert min(distances.values()) > TIME_RESOLUTION * 1e5 * 2**-53


def test_the_grid_of_levels_has_both_ends():
    assert levels_to_grid((200, 256)) == (1.0, level_to_time(200), 0.5, 0.0)
    assert levels_to_grid(()) == (1.0, 0.0)


@steady
@given(st.floats(1e-6, 1 - 1e-9))
def test_the_nearest_level(t):
    level = time_to_level(t)
    exact = 256 + LEVELS_PER_NEPER * math.log(amplitude_snr(t))
    assert level == 1 or abs(level - exact) <= 0.5 + 1e-9
    assert level >= 1


def test_equal_information_on_a_constant_profile_is_in_closed_form():
    profile = InformationProfile((0.0,), (0.25,))
    levels = information_levels(profile, [0.5] * 4)
    wanted = [time_of_snr(math.sqrt(2 * 0.5 * (k + 1) / 0.25)) for k in range(4)]
    assert levels == tuple(time_to_level(t) for t in wanted)


@pytest.mark.parametrize(("nats", "steps"), [(0.02, 14), (0.1, 14), (0.1, 5), (0.6, 18), (0.3, 40)])
def test_every_coded_step_carries_the_same_information(nats, steps):
    profile = falling_profile()
    grid = levels_to_grid(information_levels(profile, [nats / steps] * steps))[:-1]
    shares = []
    for t, s in pairwise(grid):
        information = noise_information(t, s, EtaDiffusion(1), profile.at(t))
        # both ends are off by half a level at most: A^2 by a factor of exp(1 / 32); a wrong t also asks another mmse
        slack = profile.at(t) / 2 * (amplitude_snr(s) ** 2 + amplitude_snr(t) ** 2) * math.expm1(1 / LEVELS_PER_NEPER)
        assert information == pytest.approx(nats / steps, abs=slack + 0.04 * nats / steps)
        shares.append(information)
    assert sum(shares) == pytest.approx(nats, rel=0.06)


def test_a_step_carries_what_it_is_told_to():
    nats = [0.02, 0.05, 0.1, 0.4]
    profile = InformationProfile((0.0,), (0.25,))
    grid = levels_to_grid(information_levels(profile, nats))[:-1]
    for kappa, (t, s) in zip(nats, pairwise(grid), strict=True):
        assert noise_information(t, s, EtaDiffusion(1), 0.25) == pytest.approx(kappa, rel=0.15)


def test_a_grid_for_no_information_still_increases():
    assert information_levels(falling_profile(), [0.0] * 3) == (1, 2, 3)


@pytest.mark.parametrize("levels", [(300, 900, 1000), (600, 601), (1, 2**31)])
def test_levels_that_no_encoder_writes_are_refused(levels):
    with pytest.raises(BitstreamError):
        assert all(t > s for t, s in pairwise(levels_to_grid(levels)))


@steady
@given(st.floats(1e-7, 5), st.integers(1, 60))
def test_coded_levels_increase(nats, steps):
    levels = information_levels(falling_profile(), [nats / steps] * steps)
    assert len(levels) == steps
    assert levels[0] >= 1
    assert all(a < b for a, b in pairwise(levels))


def test_more_information_ends_later():
    ends = [information_levels(falling_profile(), [nats / 14] * 14)[-1] for nats in (0.01, 0.05, 0.2, 1.0)]
    assert all(a < b for a, b in pairwise(ends))


@steady
@given(st.integers(1, 320), st.floats(0.001, 0.999), st.integers(1, 30))
def test_tails_go_on_from_the_coded_steps(first, end, steps):
    levels = tail_levels(first, end, steps)
    assert len(levels) == steps - 1
    assert all(a < b for a, b in pairwise((first, *levels)))
    assert all(t > s for t, s in pairwise(levels_to_grid((first, *levels))))


def test_a_tail_is_uniform_and_ends_where_it_is_told():
    assert tail_levels(200, level_to_time(300), 6) == (220, 240, 260, 280, 300)
    assert tail_levels(200, level_to_time(300), 1) == ()


def test_a_tail_that_starts_beyond_its_end_moves_on_all_the_same():
    assert tail_levels(300, level_to_time(200), 4) == (308, 316, 324)


def test_profile_interpolates_the_logarithm_and_is_constant_outside():
    profile = InformationProfile((-1.0, 1.0), (0.4, 0.1))
    assert profile.at(0.5) == pytest.approx(0.2)
    assert profile.at(1.0) == 0.4
    assert profile.at(1e-6) == 0.1
    assert profile.at(time_of_snr(math.exp(-5))) == 0.4
    assert profile.at(time_of_snr(math.exp(1.0))) == pytest.approx(0.1)
