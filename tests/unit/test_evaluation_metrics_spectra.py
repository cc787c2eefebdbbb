import numpy as np
import pytest
from metric_clips import blurred, measure, moving

from rfcodec.metrics.spectra import ROUNDING_POWER, level_distance, rings


def white(t, sigma, y=96, x=128, seed=1):
    """Gray white noise, whose luma has that standard deviation."""
    gray = np.random.default_rng(seed).normal(128, sigma, (t, y, x, 1))
    return np.clip(gray.round(), 0, 255).astype(np.uint8).repeat(3, 3)


def still(t=16):
    return white(1, 30).repeat(t, 0)


def response(taps, frequency):
    """Power that a symmetric filter of three taps lets pass."""
    return (taps[1] + 2 * taps[0] * np.cos(2 * np.pi * frequency)) ** 2


def test_level_distance_is_the_mean_ratio_in_decibels():
    reference = np.array([1.0, 100.0]) - ROUNDING_POWER
    test = np.array([10.0, 1.0]) - ROUNDING_POWER
    assert level_distance(reference, test) == pytest.approx((10 + 20) / 2)
    assert level_distance(np.zeros(3), np.zeros(3)) == 0


@pytest.mark.parametrize("name", ["spectrum", "temporal_spectrum"])
def test_white_noise_of_another_strength_differs_by_its_ratio(name):
    value = measure(name, white(24, 20), white(24, 10, seed=2)).values[name]
    assert value == pytest.approx(10 * np.log10(20**2 / 10**2), abs=0.1)


@pytest.mark.parametrize("name", ["spectrum", "temporal_spectrum"])
def test_spectra_ignore_where_things_are(name):
    clip = white(16, 20)
    assert measure(name, clip, clip).values[name] == 0
    assert measure(name, clip, white(16, 20, seed=9)).values[name] < 0.3


def test_blurred_noise_is_as_far_as_the_filter_says():
    clip = white(8, 40)
    soft = sum(weight * np.roll(clip.astype(float), shift, 2) for shift, weight in ((-1, 0.2), (0, 0.6), (1, 0.2)))
    value = measure("spectrum", clip, np.clip(soft.round(), 0, 255).astype(np.uint8)).values["spectrum"]
    ring = rings(96, 128).ravel()
    passed = np.broadcast_to(response((0.2, 0.6), np.fft.rfftfreq(128)), (96, 65)).ravel()
    means = np.bincount(ring, passed)[:32] / np.bincount(ring)[:32]
    assert value == pytest.approx(np.abs(10 * np.log10(means)).mean(), abs=0.1)


def test_flicker_averaged_over_neighbouring_frames_is_as_far_as_the_filter_says():
    clip = white(48, 40, 32, 32)
    soft = 0.2 * np.roll(clip, -1, 0) + 0.6 * clip + 0.2 * np.roll(clip, 1, 0)
    value = measure("temporal_spectrum", clip, soft.round().astype(np.uint8)).values["temporal_spectrum"]
    passed = response((0.2, 0.6), np.arange(1, 9) / 16)
    assert value == pytest.approx(np.abs(10 * np.log10(passed)).mean(), abs=0.3)


def test_rings_are_frequencies():
    ring = rings(64, 64)
    assert ring[0, 0] == 32
    assert (ring[0, 1], ring[0, 31], ring[5, 0], ring[-5, 0], ring[3, 4], ring[0, 32]) == (1, 31, 5, 5, 5, 32)


@pytest.mark.parametrize("name", ["spectrum", "temporal_spectrum"])
def test_noise_on_a_flat_clip_stands_above_rounding(name):
    flat = np.full((32, 96, 128, 3), 128, np.uint8)
    value = measure(name, flat, white(32, 20)).values[name]
    assert value == pytest.approx(10 * np.log10((20**2 + 2 / 12) / (1 / 12)), abs=0.25)


def test_a_gradient_has_low_frequencies_alone():
    """Its ends do not meet, which would put power into every ring if frames were not faded out to their edges."""
    flat = np.full((1, 64, 64, 3), 128, np.uint8)
    gradient = np.broadcast_to(np.linspace(28, 228, 64)[:, None], (1, 64, 64, 3)).astype(np.uint8)
    assert 3 < measure("spectrum", flat, gradient).values["spectrum"] < 15


def test_every_block_counts():
    clip = white(32, 20, 24, 32)
    late = clip.copy()
    late[26:] = 128
    assert measure("temporal_spectrum", clip, late).values["temporal_spectrum"] > 0.3


def test_a_frozen_clip_is_seen_in_time_alone():
    moving_noise = white(16, 30, seed=3)
    assert measure("temporal_spectrum", moving_noise, still()).values["temporal_spectrum"] > 30
    assert measure("spectrum", moving_noise, still()).values["spectrum"] < 1
    clip = moving(16)
    assert measure("temporal_spectrum", clip, clip[:1].repeat(16, 0)).values["temporal_spectrum"] > 10


def test_blur_is_seen_in_space():
    clip = moving(4)
    small, large = (measure("spectrum", clip, blurred(clip, sigma)).values["spectrum"] for sigma in (0.5, 1.5))
    assert 0.5 < small < large


def test_short_clips_have_shorter_blocks_down_to_four_frames():
    value = measure("temporal_spectrum", white(6, 20), white(6, 10, seed=2)).values["temporal_spectrum"]
    assert value == pytest.approx(20 * np.log10(2), abs=0.15)
    clip = white(3, 20)
    assert "4 frames" in measure("temporal_spectrum", clip, clip).blank["temporal_spectrum"]
