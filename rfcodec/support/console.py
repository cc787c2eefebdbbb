"""The one kind of console, and how data gets to standard output: as it is, without markup and without pictures."""

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, NoReturn, final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rfcodec.errors import LONGEST_LINE, OutputError, printable

PIPE_CLOSED = 141  # what a shell says of a program that SIGPIPE ended


class PlainConsole(Console):
    """Shows text as it is: `[b]` is no markup and `:-1` no picture; boxes are ASCII where the encoding has no others."""

    def __init__(self, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, emoji=False, markup=False, highlight=False, **options)

    def on_broken_pipe(self) -> None:
        """Messages that nobody reads any more are no reason to stop."""
        if not self.stderr:
            super().on_broken_pipe()
        self.quiet = True
        _silence(sys.stderr)

    def say(self, text: str, label: str = "", style: str = "") -> None:
        """A line that is not broken where the terminal ends, with a coloured label before it."""
        self.print(Text.assemble((label, style), text), soft_wrap=True)


out = PlainConsole()
err = PlainConsole(stderr=True)


def print_json(value: Any) -> None:
    """One JSON object on standard output, in a single line where that is no terminal."""
    out.out(json.dumps(value, indent=2 if out.is_terminal else None), highlight=False)


def make_table(head: Sequence[str], rows: Iterable[Iterable[Any]], **options: Any) -> Table:
    """A table of data: whatever stands in it is printable; a column that is too wide is folded, the first one never."""
    table = Table(**options)
    for place, name in enumerate(head):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(printable(str(value), LONGEST_LINE) for value in row))
    return table


def make_list(rows: Iterable[Iterable[Any]], head: Sequence[str] = ("", "")) -> Table:
    """The same without lines, for narrow terminals; a head only where it has words."""
    return make_table(head, rows, box=None, show_header=any(head), padding=(0, 2, 0, 0), header_style="bold")


@final
class _Results(TextIOWrapper):
    """Standard output that fails in our own words, whoever writes to it."""

    def write(self, text: str) -> int:
        """Writes it; raises OutputError, or ends the program where the reader went away."""
        try:
            return super().write(text)
        except OSError as error:
            _give_up(self, error)

    def flush(self) -> None:
        """The same of what is still in the buffer."""
        try:
            super().flush()
        except OSError as error:
            _give_up(self, error)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Standard output and error that take any text, and whose failure is an OutputError, or silence in a closed pipe.

    A character that the encoding has not is written as an escape. Raises OutputError where standard output cannot be
    written; ends the program with PIPE_CLOSED where its reader went away.
    """
    _fill_closed()
    before = sys.stdout
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if type(before) is not TextIOWrapper:
        yield
        return
    before.flush()
    results = sys.stdout = _Results(
        before.buffer,
        before.encoding,
        "backslashreplace",
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
    try:
        yield
    finally:
        sys.stdout = before
        results.flush()
        results.detach()


def _fill_closed() -> None:
    """Opens the null device where a standard stream is closed: the next file opened would take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _silence(stream: Any) -> None:
    # what cannot be written must not fail once more when Python ends
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _give_up(stream: Any, reason: OSError) -> NoReturn:
    _silence(stream)
    if reason.errno == errno.EPIPE:
        sys.exit(PIPE_CLOSED)
    raise OutputError(f"cannot write to standard output: {reason.strerror or reason}") from reason
