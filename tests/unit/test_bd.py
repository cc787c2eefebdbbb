import math
import sys

import pytest

from rfcodec.errors import ConfigError
from rfcodec.evaluation.report.bd import Curve, bd_quality, bd_rate, rate_at

RATES = (9487.76, 4593.60, 2486.44, 1358.24)
PSNR = (40.037, 38.615, 36.845, 34.851)
METHODS = ("pchip", "akima")


def curve(rates, qualities, better="higher"):
    return Curve.of(zip(rates, qualities, strict=True), better)


def line(slope, offset, rates=(1, 10, 100, 1000), better="higher"):
    """quality = offset + slope log10(rate), which every interpolation follows exactly."""
    return curve(rates, [offset + slope * math.log10(rate) for rate in rates], better)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
def test_a_uniform_saving_of_a_fifth_is_minus_twenty_percent(method, better, sign):
    quality = [sign * value for value in PSNR]
    saved = bd_rate(curve(RATES, quality, better), curve([0.8 * rate for rate in RATES], quality, better), method)
    assert saved.value == pytest.approx(-20.0, abs=1e-9)
    assert saved.overlap == 1
    assert saved.common == pytest.approx((min(quality), max(quality)))
    assert (saved.reason, saved.notes) == (None, ())


@pytest.mark.parametrize("method", METHODS)
def test_straight_curves_have_the_delta_of_theory(method):
    """log10 R = q / 10 against (q + 6) / 12 over q in 0..30: their mean difference is 0.5 - 15/60."""
    delta = bd_rate(line(10, 0), line(12, -6), method)
    assert delta.common == pytest.approx((0, 30))
    assert delta.value == pytest.approx(100 * (10 ** (0.5 - 15 / 60) - 1))
    assert delta.overlap == pytest.approx(30 / 36)


@pytest.mark.parametrize(("better", "offset"), [("higher", 1.5), ("lower", -0.05)])
def test_quality_at_equal_rate_has_the_unit_and_sign_of_the_metric(better, offset):
    slope = 3 if better == "higher" else -0.1
    delta = bd_quality(line(slope, 0.9, better=better), line(slope, 0.9 + offset, better=better))
    assert delta.value == pytest.approx(offset)
    assert delta.common == pytest.approx((1, 1000))


def test_exchanging_the_curves_inverts_the_ratio():
    one, other = curve(RATES, PSNR), curve([r * f for r, f in zip(RATES, (0.7, 0.9, 1.2, 1.1), strict=True)], PSNR)
    forth, back = bd_rate(one, other).value, bd_rate(other, one).value
    assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1)


def test_overlap_is_the_common_share_of_the_union():
    delta = bd_rate(line(10, 0), line(10, 15))
    assert delta.overlap == pytest.approx(15 / 45)
    assert delta.common == pytest.approx((15, 30))
    assert bd_quality(line(10, 0), line(10, 15, (10, 100, 1000, 10000))).overlap == pytest.approx(2 / 4)
    assert bd_rate(line(10, 0), line(10, 17)).value is not None


@pytest.mark.parametrize(
    ("anchor", "test", "reason"),
    [
        (line(10, 0), line(10, 31), "no overlap"),
        (line(10, 0), line(10, 30), "no overlap"),
        (line(10, 0), line(10, 29), "overlap 2 %"),
        (line(10, 0), line(10, 19), "overlap 22 %"),
        (line(10, 0), line(10, 0, (5,)), "too few points"),
        (line(10, 0, ()), line(10, 0), "too few points"),
    ],
)
def test_there_is_no_value_without_ground_to_compare_on(anchor, test, reason):
    delta = bd_rate(anchor, test)
    assert (delta.value, delta.reason) == (None, reason)


def test_a_curve_that_turns_back_is_cut_to_its_upper_envelope_and_that_is_said():
    turned = curve((1, 10, 100, 1000, 1000), (0, 10, 8, 20, 30))
    assert (turned.rate, turned.quality, turned.left_out) == ((1, 10, 1000), (0, 10, 30), 2)
    delta = bd_rate(line(10, 0), turned)
    assert delta.value == pytest.approx(0)
    assert delta.notes == ("test: 2 of 5 points lie below the upper envelope", "test: 3 of the usual 4 points")
    assert bd_rate(turned, line(10, 0)).notes[0].startswith("anchor: 2 of 5")


def test_lower_is_better_keeps_the_lower_envelope():
    lpips = curve((1, 2, 4, 8), (0.4, 0.3, 0.35, 0.2), "lower")
    assert (lpips.quality, lpips.left_out) == ((0.4, 0.3, 0.2), 1)
    assert list(lpips.gain) == sorted(lpips.gain)


def test_points_without_a_rate_or_a_quality_do_not_count():
    points = [(0, 50.0), (1, None), (2, math.nan), (math.inf, 3), (None, 3.0), (4, 1.0)]
    assert Curve.of(points, "higher") == Curve((4,), (1.0,), "higher", 0)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_rate_at_goes_through_the_points_and_not_beyond(better):
    sign = 1 if better == "higher" else -1
    points = curve(RATES, [sign * value for value in PSNR], better)
    for rate, quality in zip(RATES, PSNR, strict=True):
        assert rate_at(points, sign * quality) == pytest.approx(rate)
    assert RATES[1] > rate_at(points, sign * 37.5) > RATES[2]
    assert rate_at(points, sign * 40.1) is None
    assert rate_at(points, sign * 34.8) is None
    assert rate_at(points, None) is None
    assert rate_at(curve((5,), (1,), better), 1) is None


def test_curves_of_different_metrics_are_refused():
    with pytest.raises(ConfigError, match="two metrics"):
        bd_rate(line(10, 0), line(10, 0, better="lower"))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bjontegaard", None)
    with pytest.raises(ConfigError, match=r"pip install 'rfcodec\[benchmarks\]'"):
        bd_rate(line(10, 0), line(10, 1))
