"""Results as JSON, plots and tables: in a terminal, or in Markdown."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from rich.console import Console
from rich.table import Table

from rfcodec.evaluation.report import plots
from rfcodec.evaluation.report.plots import drawing
from rfcodec.support.console import PlainConsole
from rfcodec.support.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 160  # of tables in a file


@final
@dataclass(frozen=True)
class Grid:
    """A table of words."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def show(self, console: Console) -> None:
        """In a terminal."""
        table = Table(*self.head, title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)

    def markdown(self) -> str:
        """As a table of GitHub's Markdown."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


def write(path: Path, result: Any) -> None:
    """JSON, a row of a list in a line, by way of its folder; raises OutputError."""
    rows = isinstance(result, list)
    text = "[\n" + ",\n".join(map(json.dumps, result)) + "\n]" if rows else json.dumps(result, indent=1)
    write_file(path, text + "\n")


def read(path: Path) -> Any:
    """What `write` wrote."""
    return json.loads(path.read_text())


def panels(rows: int, columns: int, size: tuple[float, float]) -> "tuple[Figure, np.ndarray]":
    """A figure of (width, height) in inches, and its panels y x; raises ConfigError where matplotlib is missing."""
    with drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=size)
        return figure, figure.subplots(rows, columns, squeeze=False)


def save(figure: "Figure", path: Path) -> None:
    """PNG and SVG beside a file of results; raises OutputError."""
    figure.tight_layout()
    plots.save(figure, path)


def fill(document: Path, grids: Mapping[str, Sequence[Grid]]) -> None:
    """Tables between `<!-- table KIND NUMBER -->` and `<!-- end -->`, of the kinds that there are, written again."""

    def table(found: re.Match[str]) -> str:
        kind, number = found[2], int(found[3])
        return f"{found[1]}\n{grids[kind][number].markdown()}\n\n{found[4]}" if kind in grids else found[0]

    marked = re.compile(r"(<!-- table (\S+) (\d+) -->\n).*?(<!-- end -->)", re.DOTALL)
    write_file(document, marked.sub(table, document.read_text()))


def show(grids: Sequence[Grid]) -> None:
    """All tables in the terminal."""
    console = PlainConsole()
    if not console.is_terminal:
        console.width = WIDTH
    for grid in grids:
        grid.show(console)
