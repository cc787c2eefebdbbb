"""Figures of a sweep from its points alone: rate-distortion curves, bits per latent dimension, quality frame by frame."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from rfcodec.errors import ConfigError
from rfcodec.evaluation.report.curves import (
    SOURCE,
    Point,
    clips_of,
    curves_of,
    foremost,
    mean_points,
    metrics_of,
    nearest,
    select,
)
from rfcodec.support.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rfcodec.metrics.collector import Said

RATES = {"bpp": "bits per pixel", "bits_per_dim": "bits per latent dimension"}
SERIES_PANELS = 4

# Okabe and Ito's colours, yellow left out, since it vanishes on white paper; curves differ by marker as well
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_GREYS = ("#404040", "#737373", "#9a9a9a")
_LEVELS = ("#000000", "#6a3d9a", "#8c510a")
_DASHES = ((0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_HOLLOW = ("o", "s", "^", "D", "v")

_COLUMNS = 3
_WIDTH = 12.0  # inches, as what follows; fixed, as matplotlib's own fitting takes as long as the drawing
_PANEL_HEIGHT, _AXES_HEIGHT = 2.95, 2.15
_LEFT, _RIGHT, _BELOW = 0.7, 0.15, 0.5
_LEGEND_LINE, _TITLE = 0.24, 0.4
_SETTINGS: Any = {
    "svg.fonttype": "none",  # words stay words
    "svg.hashsalt": "rfcodec",  # equal points, equal file
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@final
@dataclass(frozen=True)
class Style:
    """How a curve is drawn, the same in every figure of a sweep."""

    colour: str
    marker: str
    dashes: Any = "-"
    filled: bool = True

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot`."""
        face = self.colour if self.filled else "white"
        width = 1.8 if self.filled else 1.2
        return {"color": self.colour, "linestyle": self.dashes, "linewidth": width, "markerfacecolor": face}


def styles(points: Sequence[Point]) -> dict[str, Style]:
    """Codecs in colour, solid and filled; anchors grey, dashed and hollow; ceilings dash-dotted, floors dotted."""
    codecs = enumerate(curves_of(points, "codec"))
    anchors = enumerate(curves_of(points, "anchor"))
    levels = {"ceiling": (0, (8, 2, 1, 2)), "floor": (0, (1, 2))}
    return {
        **{c: Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]) for i, c in codecs},
        **{c: Style(_GREYS[i % 3], _HOLLOW[i % 5], _DASHES[i % 3], filled=False) for i, c in anchors},
        **{
            c: Style(_LEVELS[i % 3], "", dash)
            for role, dash in levels.items()
            for i, c in enumerate(curves_of(points, role))
        },
    }


def write_figures(points: Sequence[Point], folder: str | Path, names: Mapping[str, str]) -> dict[str, dict[str, Path]]:
    """Every figure as SVG and PNG into `folder`; paths of the SVGs by clip and kind: rate, latents, series.

    `names` are the clips' names in files. Where there are several clips, their mean has the clip `curves.MEAN`. A figure
    that would be empty is left out. Raises OutputError where nothing can be written.
    """
    look = styles(points)
    groups = [select(points, clip=clip) for clip in clips_of(points)]
    if len(groups) > 1:
        groups.append(mean_points(points))
    written: dict[str, dict[str, Path]] = {}
    for group in filter(None, groups):
        clip = group[0]["clip"]
        figures = {
            "rate": rd_figure(group, look),
            "latents": rd_figure(group, look, "bits_per_dim"),
            "series": series_figure(middle_rate(group), look),
        }
        drawn = {kind: figure for kind, figure in figures.items() if figure is not None}
        paths = {kind: Path(folder) / f"{kind}-{names.get(clip, 'mean')}.svg" for kind in drawn}
        for kind, figure in drawn.items():
            save(figure, paths[kind])
        written[clip] = paths
    return written


def rd_figure(points: Sequence[Point], look: Mapping[str, Style], rate: str = "bpp") -> "Figure | None":
    """A panel for each metric over a log axis of that rate, for points of one clip; None where no curve has it."""
    curves = [c for c in curves_of(points, "codec", "anchor") if any(_rate(p, rate) for p in select(points, curve=c))]
    shown = [p for p in points if p["curve"] in curves]
    metrics = metrics_of(shown)
    if not metrics:
        return None
    levels = curves_of(points, "ceiling", "floor")
    with drawing():
        figure, panels = _panels(f"{points[0]['clip']}: quality against {RATES[rate]}", metrics)
        for said, axes in zip(metrics, panels, strict=True):
            for curve in curves:
                _draw_curve(axes, select(shown, curve=curve), (rate, said.name), look[curve])
            axes.set_xscale("log")
            _rate_ticks(axes)
            axes.set_xlabel(RATES[rate])
            _draw_source(axes, points, said)
            for curve in levels:
                _draw_level(axes, select(points, curve=curve)[0], said, look[curve])
        _legend(figure, {curve: _with_role(points, curve) for curve in [*curves, *levels]}, look)
    return figure


def series_figure(points: Sequence[Point], look: Mapping[str, Style]) -> "Figure | None":
    """Quality of each frame, for points of one clip, one of each curve; seams between GOPs are faint vertical lines."""
    found = {name for point in points for name in point.get("series") or {}}
    metrics = foremost([said for said in metrics_of(points) if said.name in found], SERIES_PANELS)
    if not metrics:
        return None
    with drawing():
        figure, panels = _panels(f"{points[0]['clip']}: frame by frame", metrics, columns=2)
        for said, axes in zip(metrics, panels, strict=True):
            for point in points:
                values = (point.get("series") or {}).get(said.name, [])
                style = look[point["curve"]].line
                axes.plot(range(len(values)), values, **style | {"linewidth": style["linewidth"] * 0.7})
            for seam in sorted({seam for point in points for seam in point.get("seams") or []}):
                axes.axvline(seam, color="#b0b0b0", linewidth=0.6, zorder=0)
            axes.set_xlabel("frame")
        labels = {p["curve"]: f"{p['curve']}, {p['rate']['bpp']:.4g} bpp" for p in points}
        _legend(figure, labels, look, markers=False)
    return figure


def middle_rate(points: Sequence[Point]) -> list[Point]:
    """Points of codecs and anchors nearest to the middle rate of the first curve, each at most `MATCH_LIMIT` off."""
    coded = [point for point in points if point["rate"]["bpp"] > 0]
    curves = [select(coded, curve=curve) for curve in curves_of(coded, "codec", "anchor")]
    if not curves:
        return []
    middle = curves[0][len(curves[0]) // 2]["rate"]["bpp"]
    return [point for curve in curves if (point := nearest(curve, middle))]


def save(figure: "Figure", path: Path) -> None:
    """The figure as SVG at `path` and as PNG beside it; raises OutputError."""
    for kind, metadata in (("svg", {"Date": None, "Creator": "rfcodec"}), ("png", None)):
        with replacing(path.with_suffix(f".{kind}"), parents=True) as part, drawing():
            figure.savefig(part, format=kind, metadata=metadata, dpi=150)


@contextmanager
def drawing() -> Iterator[None]:
    """The settings that all figures share; raises ConfigError where matplotlib is missing."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ConfigError("figures need the package matplotlib: pip install 'rfcodec[benchmarks]'") from error
    with mpl.rc_context(_SETTINGS):
        yield


def _panels(title: str, metrics: "Sequence[Said]", columns: int = _COLUMNS) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    width = _WIDTH / columns * min(columns, max(2, len(metrics)))
    columns = min(columns, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = Figure(figsize=(width, rows * _PANEL_HEIGHT + _TITLE))
    figure.text(0.02, 0.99, title, ha="left", va="top", fontsize=11, fontweight="bold")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    panels, spare = grid[: len(metrics)], grid[len(metrics) :]
    for axes in spare:
        axes.remove()
    for said, axes in zip(metrics, panels, strict=True):
        unit = f" ({said.unit})" if said.unit else ""
        better = f", {said.better} is better" if said.ranks else ""
        axes.set_title(f"{said.label}{unit}{better}", fontsize=9, loc="left")
    return figure, panels


def _rate(point: Point, rate: str) -> float | None:
    value = point["rate"].get(rate)
    return value if value and value > 0 else None


def _draw_curve(axes: "Axes", points: Sequence[Point], names: tuple[str, str], style: Style) -> None:
    rate, metric = names
    pairs = [(_rate(p, rate), p["metrics"].get(metric)) for p in points]
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    axes.plot([x for x, _ in known], [y for _, y in known], marker=style.marker, markersize=5, **style.line)


def _draw_source(axes: "Axes", points: Sequence[Point], said: "Said") -> None:
    """What the metric says of the source itself."""
    value = next((p["metrics"].get(said.name + SOURCE) for p in points), None)
    if value is not None:
        _draw_line(axes, value, Style("#404040", ""))
        axes.annotate("source", (0.01, value), xycoords=("axes fraction", "data"), va="bottom", fontsize=8)


def _draw_level(axes: "Axes", point: Point, said: "Said", style: Style) -> None:
    """A horizontal line, or words at the edge where it lies so far off that it would flatten the curves."""
    value = point["metrics"].get(said.name)
    if value is None:
        return
    low, high = axes.get_ylim()
    reach = 0.35 * (high - low)
    if low - reach <= value <= high + reach:
        _draw_line(axes, value, style)
        return
    above = value > high
    text = f"{'↑' if above else '↓'} {point['role']} {value:.{said.digits}f}"
    taken = sum(other.get_text().startswith(text[0]) for other in axes.texts)
    left = above == (said.better == "higher")  # of the two corners on that side, the one where no curve ends
    x, y = 0.02 if left else 0.98, 0.98 - 0.08 * taken if above else 0.02 + 0.08 * taken
    sideways, upright = "left" if left else "right", "top" if above else "bottom"
    axes.text(x, y, text, transform=axes.transAxes, fontsize=8, ha=sideways, va=upright)


def _draw_line(axes: "Axes", value: float, style: Style) -> None:
    low, high = axes.get_ylim()
    room = 0.04 * (high - low)
    axes.axhline(value, color=style.colour, linestyle=style.dashes, linewidth=1)
    axes.set_ylim(min(low, value - room), max(high, value + room))


def _rate_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _with_role(points: Sequence[Point], curve: str) -> str:
    role = next(point["role"] for point in points if point["curve"] == curve)
    return curve if role in ("codec", "anchor") or role in curve else f"{curve} ({role})"


def _legend(figure: "Figure", labels: Mapping[str, str], look: Mapping[str, Style], markers: bool = True) -> None:
    """All curves above the panels, once, `labels` by curve; then the panels take the room that is left."""
    from matplotlib.lines import Line2D

    marks = {curve: look[curve].marker if markers else "" for curve in labels}
    handles = [Line2D([], [], marker=mark, markersize=5, **look[curve].line) for curve, mark in marks.items()]
    longest = max(map(len, labels.values()))
    columns = max(1, min(4, len(labels), int(figure.get_figwidth() * 11 / (longest + 6))))
    lines = -(-len(labels) // columns)
    height = figure.get_figheight() + lines * _LEGEND_LINE
    figure.set_figheight(height)
    top = 1 - _TITLE / height
    place = {"loc": "upper left", "bbox_to_anchor": (0.015, top), "frameon": False, "handlelength": 3.2}
    figure.legend(handles, list(labels.values()), ncols=columns, **place)
    _place(figure)


def _place(figure: "Figure") -> None:
    """Panels of one size, row by row from the bottom up to the legend."""
    width, height = figure.get_size_inches()
    for axes in figure.axes:
        place = axes.get_subplotspec()
        if place is not None:
            rows, columns = place.get_gridspec().get_geometry()
            x = place.colspan.start * width / columns + _LEFT
            y = (rows - 1 - place.rowspan.start) * _PANEL_HEIGHT + _BELOW
            axes.set_position((x / width, y / height, 1 / columns - (_LEFT + _RIGHT) / width, _AXES_HEIGHT / height))
