"""Results as JSON, plots and tables: in a terminal, or in Markdown."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

WIDTH = 160  # of tables in a file


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
    """JSON, a row of a list in a line, by way of its folder."""
    rows = isinstance(result, list)
    text = "[\n" + ",\n".join(map(json.dumps, result)) + "\n]" if rows else json.dumps(result, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def read(path: Path) -> Any:
    """What `write` wrote."""
    return json.loads(path.read_text())


def save(figure: Figure, path: Path) -> None:
    """PNG and SVG beside a file of results."""
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(path.with_suffix(f".{kind}"), metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)


def fill(document: Path, grids: Mapping[str, Sequence[Grid]]) -> None:
    """Tables between `<!-- table KIND NUMBER -->` and `<!-- end -->`, of the kinds that there are, written again."""

    def table(found: re.Match[str]) -> str:
        kind, number = found[2], int(found[3])
        return f"{found[1]}\n{grids[kind][number].markdown()}\n\n{found[4]}" if kind in grids else found[0]

    marked = re.compile(r"(<!-- table (\S+) (\d+) -->\n).*?(<!-- end -->)", re.DOTALL)
    document.write_text(marked.sub(table, document.read_text()))


def show(grids: Sequence[Grid]) -> None:
    """All tables in the terminal."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for grid in grids:
        grid.show(console)
