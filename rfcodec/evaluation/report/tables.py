"""Points as a table in a terminal, and numbers as words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from rfcodec.evaluation.report.curves import Point, clips_of, foremost, metrics_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from rfcodec.metrics.collector import Said

NONE = "–"
LONGEST_NAME = 32


def table(points: Sequence[Point]) -> "PointTable":
    """A row for each point: curve, bits per pixel, metrics, bytes; a table for each clip."""
    return PointTable(tuple(points))


@final
@dataclass(frozen=True)
class PointTable:
    """What rich prints: the foremost metrics that the terminal has room for, and the names of the others."""

    points: tuple[Point, ...]

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[RenderableType]":
        from rich.text import Text

        metrics = metrics_of(self.points)
        shown = self._fitting(metrics, options.max_width)
        for clip in clips_of(self.points):
            yield self._grid(clip, shown)
        if rest := ", ".join(said.label for said in metrics if said not in shown):
            yield Text(f"no room here for {rest}")

    def columns(self, metrics: "Sequence[Said]") -> dict[str, list[str]]:
        """Words by head, a row for each point."""
        measured = {
            f"{said.label} {said.unit}".strip(): [number(p["metrics"].get(said.name), said.digits) for p in self.points]
            for said in metrics
        }
        return {
            "curve": [point["curve"] for point in self.points],
            "bpp": [significant(point["rate"]["bpp"]) for point in self.points],
            **measured,
            "bytes": [str(point["stream"]["bytes"]) for point in self.points],
        }

    def _fitting(self, metrics: "Sequence[Said]", width: int) -> "list[Said]":
        for count in range(len(metrics), 0, -1):
            shown = foremost(metrics, count)
            if sum(map(_width, *zip(*self.columns(shown).items(), strict=True))) <= width:
                return shown
        return []

    def _grid(self, clip: str, metrics: "Sequence[Said]") -> "Table":
        from rich import box
        from rich.table import Table
        from rich.text import Text

        columns = self.columns(metrics)
        grid = Table(title=Text(clip), title_justify="left", box=box.SIMPLE, padding=(0, 1))
        for head in columns:
            first = head == "curve"
            grid.add_column(Text("\n".join(head.split())), justify="left" if first else "right", no_wrap=not first)
        for point, *row in zip(self.points, *columns.values(), strict=True):
            if point["clip"] == clip:
                grid.add_row(*map(Text, row))
        return grid


def _width(head: str, words: Sequence[str]) -> int:
    """What a column takes with its margins and the gap to the next; long names of curves are broken into lines."""
    longest = max(map(len, (*head.split(), *words)))
    return 3 + (min(longest, LONGEST_NAME) if head == "curve" else longest)


def number(value: float | None, digits: int, signed: bool = False) -> str:
    """A number with that many decimals and a true minus sign; a dash for None."""
    if value is None or not math.isfinite(value):
        return NONE if value is None else str(value)
    return f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def significant(value: float | None, digits: int = 4) -> str:
    """A number >= 0 with that many significant digits, never with an exponent."""
    if value is None:
        return NONE
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:.{max(0, digits - 1 - math.floor(math.log10(rounded)))}f}" if rounded > 0 else "0"


def amount(value: float | None) -> str:
    """Bytes in kB, MB or GB."""
    if value is None:
        return NONE
    power = min(3, max(0, int(math.log10(max(value, 1)) // 3)))
    return f"{significant(value / 1000**power, 3)} {('B', 'kB', 'MB', 'GB')[power]}"
