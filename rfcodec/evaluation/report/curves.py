"""Points of a sweep as curves: grouping, order, means over clips; `Point` says what a point has."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rfcodec.evaluation.report.bd import Curve
from rfcodec.evaluation.store import Point, derived

if TYPE_CHECKING:
    from rfcodec.metrics.collector import Said

ROLES = ("codec", "anchor", "ceiling", "floor")
MEAN = "mean of all clips"  # the clip that `mean_points` are of
SOURCE = "_source"  # ends the name of what a metric says of the source itself
FOREMOST = ("psnr", "lpips", "ms_ssim", "vmaf")  # metrics that are shown where there is no room for all
MATCH_LIMIT = 1.5  # ratio of two rates beyond which points are not set beside each other
FAIR = 1.01  # ratio of two rates up to which they count as equal
SHOWN = ("num_frames", "width", "height")


def known_metrics() -> "dict[str, Said]":
    """What is said of every metric, by name, in the order of tables."""
    from rfcodec.metrics.collector import METRICS

    return METRICS


def metrics_of(points: Iterable[Point]) -> "list[Said]":
    """Metrics that any of the points has, in the order of tables, without those of the source itself."""
    found = {name for point in points for name in point["metrics"] if not name.endswith(SOURCE)}
    return [said for name, said in known_metrics().items() if name in found]


def ranked(metrics: "Iterable[Said]") -> "list[Said]":
    """Those by which one clip is better than another."""
    return [said for said in metrics if said.ranks]


def foremost(metrics: "Sequence[Said]", count: int) -> "list[Said]":
    """At most that many of them, in their order; others are left out before those of `FOREMOST`."""
    ordered = sorted(metrics, key=lambda said: FOREMOST.index(said.name) if said.name in FOREMOST else len(FOREMOST))
    return [said for said in metrics if said in ordered[:count]]


def clips_of(points: Iterable[Point]) -> list[str]:
    """Names of the clips, in alphabetical order."""
    return sorted({point["clip"] for point in points})


def curves_of(points: Iterable[Point], *roles: str) -> list[str]:
    """Names of the curves of those roles (all, without any), codecs before anchors before ceilings and floors."""
    found = {(ROLES.index(point["role"]), point["curve"]) for point in points if not roles or point["role"] in roles}
    return [name for _, name in sorted(found)]


def select(points: Iterable[Point], *, clip: str | None = None, curve: str | None = None) -> list[Point]:
    """Points of a clip or a curve, or both, by rising rate."""
    chosen = [p for p in points if clip in (None, p["clip"]) and curve in (None, p["curve"])]
    return sorted(chosen, key=lambda point: point["rate"]["bpp"])


def frames_of(points: Iterable[Point]) -> set[tuple[Any, ...]]:
    """Number, width and height of the frames that points show: values are compared only where there is one and the same."""
    return {tuple(point["video"][name] for name in SHOWN) for point in points}


def nearest(points: Iterable[Point], bpp: float) -> Point | None:
    """The point whose rate has the least ratio to bpp > 0; None where all are more than `MATCH_LIMIT` off."""
    limit = math.log(MATCH_LIMIT) + 1e-9
    off = {abs(math.log(p["rate"]["bpp"] / bpp)): p for p in points if p["rate"]["bpp"] > 0}
    return off[min(off)] if off and min(off) <= limit else None


def at_rate(points: Iterable[Point], bpp: float) -> Point | None:
    """The point that has this rate, for points of one curve: the nearest where it is measured, else one in between.

    A point counts as of this rate up to a ratio of `FAIR`. Others, with "interpolated" true, have metrics by pchip over log
    of the rate; None outside the curve's range.
    """
    usable = {p["rate"]["bpp"]: p for p in points if p["rate"]["bpp"] > 0}
    close = nearest(usable.values(), bpp)
    if close and 1 / FAIR <= close["rate"]["bpp"] / bpp <= FAIR:
        return close
    if not usable or not min(usable) < bpp < max(usable):
        return None
    names = metrics_of(usable.values())
    values = {said.name: _between([(r, p["metrics"].get(said.name)) for r, p in usable.items()], bpp) for said in names}
    per_dim = _between([(r, p["rate"].get("bits_per_dim")) for r, p in usable.items()], bpp)
    first = next(iter(usable.values()))
    return derived(first, rate={"bpp": bpp, "bits_per_dim": per_dim}, metrics=values, interpolated=True)


def _between(pairs: Iterable[tuple[float, float | None]], rate: float) -> float | None:
    """Value at that rate, by pchip over log of the rate; None outside the range of the pairs that have one."""
    known = sorted((r, value) for r, value in pairs if value is not None)
    if len(known) < 2 or not known[0][0] <= rate <= known[-1][0]:
        return None
    from scipy.interpolate import PchipInterpolator

    rates, values = zip(*known, strict=True)
    return float(PchipInterpolator([math.log(r) for r in rates], values)(math.log(rate)))


def rd_curve(points: Iterable[Point], metric: str) -> Curve:
    """Bits per pixel against a metric, for points of one clip and curve."""
    pairs = [(point["rate"]["bpp"], point["metrics"].get(metric)) for point in points]
    return Curve.of(pairs, known_metrics()[metric].better)


def mean_points(points: Sequence[Point]) -> list[Point]:
    """Points of the clip `MEAN`: for each curve and knob that every clip has, means of rates and metrics over the clips.

    A rate or metric that one clip lacks is left out of them; so is a curve that shares no knob across the clips.
    """
    clips = clips_of(points)
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        groups.setdefault((point["role"], point["curve"], *_knob(point)), []).append(point)
    return [_mean_point(group) for group in groups.values() if clips_of(group) == clips]


def _knob(point: Point) -> tuple[str, str]:
    knob = point.get("knob") or {}
    return str(knob.get("name")), str(knob.get("value"))


def _mean_point(group: Sequence[Point]) -> Point:
    first, by_clip = group[0], sorted(group, key=lambda point: point["clip"])
    return derived(
        first,
        clip=MEAN,
        method=first.get("method"),
        knob=first.get("knob"),
        video={name: tuple(point["video"][name] for point in by_clip) for name in SHOWN},
        rate=_means([point["rate"] for point in group]),
        metrics=_means([point["metrics"] for point in group]),
    )


def _means(rows: Sequence[dict[str, float | None]]) -> dict[str, float]:
    """Mean of what every row has a number for."""
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    complete = {name: [v for v in values if v is not None] for name, values in columns.items()}
    return {name: sum(values) / len(rows) for name, values in complete.items() if len(values) == len(rows)}
