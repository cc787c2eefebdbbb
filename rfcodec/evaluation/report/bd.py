"""Bjøntegaard deltas: what one rate-distortion curve saves against another, over the range that both cover.

The one rule for all comparisons: pchip over the logarithm of the rate, on upper envelopes, and no value where the common
range is less than 25 % (`LEAST_OVERLAP`) of the union of both ranges.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeGuard, final

from rfcodec.errors import ConfigError

Better = Literal["higher", "lower"]
Method = Literal["pchip", "akima"]

FEWEST_POINTS = 2  # that a line takes
USUAL_POINTS = 4  # of VCEG-M33; fewer are said
LEAST_OVERLAP = 0.25  # a mean over less says little of the curves


@final
@dataclass(frozen=True)
class Curve:
    """Rate-distortion points by rising rate, each better than the ones before; made by `Curve.of`.

    rate > 0 in any unit; quality in the metric's own; `left_out` counts points below the upper envelope.
    """

    rate: tuple[float, ...]
    quality: tuple[float, ...]
    better: Better
    left_out: int = 0

    @staticmethod
    def of(points: Iterable[tuple[float | None, float | None]], better: Better) -> "Curve":
        """The upper envelope of (rate, quality) points in any order.

        Points that have no more quality than another of no more rate are left out, since a curve that turns back is no
        function of quality; so are points without a finite quality or without a rate above 0, which do not count.
        """
        sign = 1 if better == "higher" else -1
        usable = [(rate, sign * quality) for rate, quality in points if _usable(rate) and _finite(quality)]
        kept: list[tuple[float, float]] = []
        for rate, gain in sorted(usable, key=lambda point: (point[0], -point[1])):
            if not kept or gain > kept[-1][1]:
                kept.append((rate, gain))
        rates, gains = zip(*kept, strict=True) if kept else ((), ())
        return Curve(rates, tuple(sign * gain for gain in gains), better, len(usable) - len(kept))

    @property
    def gain(self) -> tuple[float, ...]:
        """Quality with its sign turned where lower is better: rises strictly."""
        return self.quality if self.better == "higher" else tuple(-value for value in self.quality)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of deltas with this curve."""
        count, total = len(self.rate), len(self.rate) + self.left_out
        turned = f"{self.left_out} of {total} points lie below the upper envelope" if self.left_out else ""
        few = f"{count} of the usual {USUAL_POINTS} points" if FEWEST_POINTS <= count < USUAL_POINTS else ""
        return tuple(filter(None, (turned, few)))

    @property
    def log_rate(self) -> tuple[float, ...]:
        """log10 of the rates: rises strictly."""
        return tuple(map(math.log10, self.rate))


@final
@dataclass(frozen=True)
class Delta:
    """A Bjøntegaard delta, or a short reason why there is none.

    There is none without two points on each curve or where they overlap by less than `LEAST_OVERLAP`, 25 %.
    overlap in 0..1 is the share that the common range has of the union of both curves' ranges; `common` is that range, in
    the metric's unit for BD-rate and in that of the rate for BD-quality; `notes` say what a reader must know.
    """

    value: float | None
    overlap: float = 0.0
    common: tuple[float, float] | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()


def bd_rate(anchor: Curve, test: Curve, method: Method = "pchip") -> Delta:
    """Mean difference in rate at equal quality, in percent; negative where the test needs fewer bits.

    100 (10^(mean over q of (log10 R_test(q) - log10 R_anchor(q))) - 1), VCEG-M33, q over the common range, curves
    interpolated piece by piece as in JVET-T2010 (pchip) or after Akima (arXiv 2304.12852). Raises ConfigError where the
    package is missing or the curves are of different metrics.
    """
    library = _library(anchor, test)
    integral = partial(library.bd_rate, anchor.rate, anchor.gain, test.rate, test.gain)
    delta = _delta(anchor, test, (anchor.gain, test.gain), partial(integral, method))
    if anchor.better == "higher" or delta.common is None:
        return delta
    return replace(delta, common=(-delta.common[1], -delta.common[0]))


def bd_quality(anchor: Curve, test: Curve, method: Method = "pchip") -> Delta:
    """Mean difference of the metric at equal rate (BD-PSNR, BD-LPIPS ...), test less anchor, in the metric's unit.

    The mean is over log10 of the rate, over the common range. Positive is an improvement where higher is better, negative
    where lower is. Raises as `bd_rate` does.
    """
    library = _library(anchor, test)
    integral = partial(library.bd_psnr, anchor.rate, anchor.quality, test.rate, test.quality)
    delta = _delta(anchor, test, (anchor.log_rate, test.log_rate), partial(integral, method))
    common = delta.common and (10 ** delta.common[0], 10 ** delta.common[1])
    return replace(delta, common=common)


def rate_at(curve: Curve, quality: float | None) -> float | None:
    """Rate at which a curve has that quality, log10 of the rate interpolated by pchip; None outside its range."""
    if not _finite(quality) or len(curve.rate) < FEWEST_POINTS:
        return None
    gain = quality if curve.better == "higher" else -quality
    if not curve.gain[0] <= gain <= curve.gain[-1]:
        return None
    from scipy.interpolate import PchipInterpolator

    return float(10 ** PchipInterpolator(curve.gain, curve.log_rate)(gain))


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _usable(rate: float | None) -> TypeGuard[float]:
    return rate is not None and math.isfinite(rate) and rate > 0


def _library(anchor: Curve, test: Curve) -> Any:
    if anchor.better != test.better:
        raise ConfigError(f"curves of two metrics ({anchor.better} and {test.better} is better): compare one at a time")
    try:
        import bjontegaard
    except ImportError as error:
        message = "Bjøntegaard deltas need the package bjontegaard: pip install 'rfcodec[benchmarks]'"
        raise ConfigError(message) from error
    return bjontegaard


def _delta(
    anchor: Curve, test: Curve, ranges: tuple[Sequence[float], Sequence[float]], integral: Callable[..., float]
) -> Delta:
    notes = tuple(f"{name}: {note}" for name, curve in (("anchor", anchor), ("test", test)) for note in curve.notes)
    fewest = min(len(anchor.rate), len(test.rate))
    if fewest < FEWEST_POINTS:
        return Delta(None, reason="too few points", notes=notes)
    low, high = max(ranges[0][0], ranges[1][0]), min(ranges[0][-1], ranges[1][-1])
    union = max(ranges[0][-1], ranges[1][-1]) - min(ranges[0][0], ranges[1][0])
    if high <= low:
        return Delta(None, reason="no overlap", notes=notes)
    overlap = (high - low) / union
    if overlap < LEAST_OVERLAP:
        return Delta(None, overlap, (low, high), f"overlap {100 * overlap:.0f} %", notes)
    # what the library warns of, a short overlap, is part of the result
    value = float(integral(require_matching_points=False, min_overlap=0))
    return Delta(value, overlap, (low, high), notes=notes)
