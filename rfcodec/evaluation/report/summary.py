"""What a sweep found, from its points alone: savings, methods at equal rates, compression, costs."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, final

from rfcodec.evaluation.report.bd import Curve, Delta, bd_rate, rate_at
from rfcodec.evaluation.report.curves import (
    Point,
    at_rate,
    clips_of,
    curves_of,
    frames_of,
    known_metrics,
    metrics_of,
    nearest,
    ranked,
    rd_curve,
    select,
)

RAW_420, RAW_RGB = 12, 24  # bits per pixel of 8-bit video as it is delivered, and of 8-bit RGB
HEVC, HEVC_METRIC = "x265", "lpips"


@final
@dataclass(frozen=True)
class Cell:
    """A curve against another by one metric: a delta for each clip."""

    deltas: dict[str, Delta]

    @property
    def known(self) -> list[Delta]:
        """Deltas of the clips that have one."""
        return [delta for delta in self.deltas.values() if delta.value is not None]

    @property
    def value(self) -> float | None:
        """Mean over those clips."""
        values = [delta.value for delta in self.known if delta.value is not None]
        return sum(values) / len(values) if values else None

    @property
    def overlap(self) -> float:
        """Least overlap among them."""
        return min((delta.overlap for delta in self.known), default=0.0)

    @property
    def reason(self) -> str:
        """Why there is no value: the commonest reason."""
        reasons = Counter(delta.reason or "" for delta in self.deltas.values())
        return max(reasons, key=lambda reason: reasons[reason], default="no points")


@final
@dataclass(frozen=True)
class Comparison:
    """What `test` saves against `anchor`, by name of the metric; role is that of the latter."""

    test: str
    anchor: str
    role: str
    cells: dict[str, Cell]


@final
@dataclass(frozen=True)
class Rung:
    """A rate, and for each curve the point of a clip next to it, None where none is near.

    `equal` has those that compete: curves of the same frames, at this very rate, in between their points where need be
    (`curves.at_rate`). `others` are the curves of other frames.
    """

    bpp: float
    matches: dict[str, Point | None]
    equal: dict[str, Point]
    others: frozenset[str]

    def off(self, point: Point) -> float:
        """How far the point's rate lies above this one, as a share of it."""
        return point["rate"]["bpp"] / self.bpp - 1

    def best(self, metric: str) -> float | None:
        """The best value at this rate; None where there are not two to compare, or the metric does not rank."""
        said = known_metrics()[metric]
        values = [p["metrics"][metric] for p in self.equal.values() if p["metrics"].get(metric) is not None]
        choose = max if said.better == "higher" else min
        return choose(values) if said.ranks and len(values) > 1 else None


def comparisons(points: Sequence[Point], delta: Callable[[Curve, Curve], Delta] = bd_rate) -> list[Comparison]:
    """Every codec curve against every anchor, then codec curves against each other, by the metrics that rank.

    Curves of other frames, in number or size, are not compared.
    """
    codecs = curves_of(points, "codec")
    pairs = [(test, anchor, "anchor") for test, anchor in product(codecs, curves_of(points, "anchor"))]
    pairs += [(test, anchor, "codec") for anchor, test in combinations(codecs, 2)]
    curves = _rd_curves(points)

    frames = {(clip, name): frames_of(select(points, clip=clip, curve=name)) for clip, name, _ in curves}

    def compare(clip: str, one: str, other: str, metric: str) -> Delta:
        if len(frames[clip, one] | frames[clip, other]) > 1:
            return Delta(None, reason="other frames")
        return delta(curves[clip, one, metric], curves[clip, other, metric])

    def cell(test: str, anchor: str, metric: str) -> Cell:
        clips = [clip for clip in clips_of(points) if (clip, anchor) in frames and (clip, test) in frames]
        return Cell({clip: compare(clip, anchor, test, metric) for clip in clips})

    metrics = [said.name for said in ranked(metrics_of(points))]
    return [Comparison(t, a, role, {m: cell(t, a, m) for m in metrics}) for t, a, role in pairs]


def notes(points: Sequence[Point]) -> list[str]:
    """Sentences on curves that deltas take only a part of, or that have few points."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for (clip, name, metric), curve in _rd_curves(points).items():
        for note in curve.notes:
            found.setdefault((clip, name, note), []).append(known_metrics()[metric].label)
    return [f"{clip}, {name}: {note} ({', '.join(labels)})" for (clip, name, note), labels in found.items()]


def _rd_curves(points: Sequence[Point]) -> dict[tuple[str, str, str], Curve]:
    """Curves by clip, name and metric that ranks."""
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        if point["role"] in ("codec", "anchor"):
            groups.setdefault((point["clip"], point["curve"]), []).append(point)
    metrics = [said.name for said in ranked(metrics_of(points))]
    return {(*which, metric): rd_curve(group, metric) for which, group in groups.items() for metric in metrics}


def rungs(points: Sequence[Point]) -> list[Rung]:
    """Points of one clip at equal rates: the rates of its longest codec curve, or anchor where there is no codec."""
    curves = {name: select(points, curve=name) for name in curves_of(points, "codec", "anchor")}
    ladders = [curves[name] for name in curves_of(points, "codec")] or list(curves.values())
    ladder = max(ladders, key=len, default=[])
    rates = [point["rate"]["bpp"] for point in ladder if point["rate"]["bpp"] > 0]
    others = frozenset(name for name, curve in curves.items() if len(frames_of(curve) | frames_of(ladder)) > 1)
    return [_rung(bpp, curves, others) for bpp in rates]


def _rung(bpp: float, curves: dict[str, list[Point]], others: frozenset[str]) -> Rung:
    equal = {name: at_rate(curve, bpp) for name, curve in curves.items() if name not in others}
    matches = {name: nearest(curve, bpp) for name, curve in curves.items()}
    return Rung(bpp, matches, {name: point for name, point in equal.items() if point}, others)


def hevc_curve(points: Sequence[Point], like: Point) -> Curve | None:
    """LPIPS of x265 over bits per pixel on the frames of `like`, for points of one clip; None where it was not measured."""
    anchors = [p for p in points if p["role"] == "anchor" and (p.get("method") or {}).get("codec") == HEVC]
    chosen = [p for p in anchors if frames_of([p]) == frames_of([like])]
    first = select(chosen, curve=chosen[0]["curve"]) if chosen else []
    curve = rd_curve(first, HEVC_METRIC) if HEVC_METRIC in known_metrics() else None
    return curve if curve and curve.rate else None


def compression(point: Point, points: Sequence[Point]) -> dict[str, float | None]:
    """Percent of raw 8-bit 4:2:0 and RGB, and bytes divided by those that x265 takes for equal LPIPS.

    The latter by interpolation among `points` of the same clip, None outside the range of x265's points.
    """
    bpp, hevc = point["rate"]["bpp"], hevc_curve(points, point)
    equal = rate_at(hevc, point["metrics"].get(HEVC_METRIC)) if hevc else None
    return {"raw_420": 100 * bpp / RAW_420, "raw_rgb": 100 * bpp / RAW_RGB, "hevc": bpp / equal if equal else None}


def blanks(points: Sequence[Point]) -> list[tuple[str, str, int]]:
    """Metric, why it was not measured, and for how many points."""
    counts = Counter((name, why) for point in points for name, why in (point.get("blank") or {}).items())
    names = known_metrics()
    return [(names[name].label if name in names else name, why, count) for (name, why), count in sorted(counts.items())]


def costs(points: Sequence[Point]) -> list[dict[str, Any]]:
    """For each curve the mean seconds and evaluations of its points, and the most memory that one took."""
    return [_cost(name, select(points, curve=name)) for name in curves_of(points)]


def _cost(name: str, points: Sequence[Point]) -> dict[str, Any]:
    rows = [point.get("cost") or {} for point in points]
    known = {key: [row[key] for row in rows if row.get(key) is not None] for key in sorted({k for row in rows for k in row})}
    means = {key: sum(values) / len(values) for key, values in known.items() if values}
    memory = max(known.get("peak_memory_bytes", []), default=None)
    frames = sum(point["video"]["num_frames"] for point in points) / len(points)
    return {**means, "peak_memory_bytes": memory, "curve": name, "points": len(points), "frames": frames}


def circumstances(points: Sequence[Point]) -> list[tuple[dict[str, Any], int]]:
    """Versions and hardware that points were made with, the commonest first, and how many points."""
    merged = [(point.get("versions") or {}) | (point.get("hardware") or {}) for point in points]
    counts = Counter(tuple(sorted((name, str(value)) for name, value in row.items())) for row in merged)
    return [(dict(row), count) for row, count in counts.most_common()]
