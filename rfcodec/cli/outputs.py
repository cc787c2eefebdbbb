"""Whether a command may write what it is asked to, said before anything is computed."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.markup import escape
from rich.prompt import Confirm

from rfcodec.cli.options import err
from rfcodec.errors import OutputError
from rfcodec.support.files import STANDARD, is_stream, standard_output

STREAM_SUFFIX = ".rfv"

In = Annotated[str | None, typer.Option("-i", "--input", metavar="IN", help="The same as the argument IN.")]
Out = Annotated[str | None, typer.Option("-o", "--output", metavar="OUT", help="The same as the argument OUT.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", "-y", help="Replace files that are there, without a question.")]
Force = Annotated[bool, typer.Option("--force", help="Write a stream under a name that does not end in .rfv.")]
PadEven = Annotated[
    bool, typer.Option("--pad-even", help="Repeat the last column or row of odd sizes, for players of .mp4 and .mov.")
]


def may_write(outputs: Mapping[str, str | Path | None], inputs: Mapping[str, str | Path | None], overwrite: bool) -> None:
    """Raises OutputError unless all outputs may be written: none is an input, and what is there may be replaced.

    On a terminal it is asked where `overwrite` is not given.
    """
    from rfcodec.video.outputs import check_outputs, existing

    wanted = {what: place for what, place in outputs.items() if place is not None}
    check_outputs(wanted, {what: place for what, place in inputs.items() if place is not None})
    if overwrite:
        return
    for files in filter(None, map(existing, wanted.values())):
        there = f"{files[0]} exists" if len(files) == 1 else f"{files[0]} and {len(files) - 1} more of its kind exist"
        if not (sys.stdin.isatty() and err.is_terminal):
            raise OutputError(f"{there}: -y replaces what is there")
        if not Confirm.ask(f"{escape(there)}. Replace?", console=err, default=False):
            raise OutputError(f"{there}, and nothing was written")


def one_place(argument: str | None, option: str | None, name: str) -> str | None:
    """What the argument or the option says; raises a usage error where both do."""
    if argument is not None and option is not None:
        raise typer.BadParameter(f"{argument} and {option}: {name} is given twice")
    return argument if option is None else option


def needed(place: str | None, name: str) -> str:
    """The place; raises a usage error where it is missing."""
    if place is None:
        raise typer.BadParameter(f"{name} is missing")
    return place


def stream_target(source: str, target: str | None, force: bool) -> str:
    """Where `encode` writes: OUT, else beside the source. Raises OutputError where that is no name of a stream."""
    from rfcodec.video.picture_files import is_pattern

    if target is None:
        path = Path(source)
        if source == STANDARD or not path.name or is_pattern(path) or is_stream(path):
            raise OutputError(f"{source} gives the stream no name: add one such as out{STREAM_SUFFIX}")
        return str(path.with_name((path.name if path.is_dir() else path.stem) + STREAM_SUFFIX))
    path = Path(target)
    named = target == STANDARD or path.suffix.lower() == STREAM_SUFFIX or path.is_dir() or is_stream(path)
    if not named and not force:
        raise OutputError(
            f"{target} does not end in {STREAM_SUFFIX}: encode takes one video and writes one stream; --force allows it"
        )
    return target


@contextmanager
def stream_file(target: str) -> Iterator[Path | IO[bytes]]:
    """What a stream is written to: the path, or standard output, which nothing else is printed to meanwhile."""
    from rfcodec.video.muxing import writing

    if target != STANDARD:
        yield Path(target)
        return
    with standard_output() as file:
        yield file
        with writing("standard output"):
            file.flush()


def reporting(target: str) -> AbstractContextManager[object]:
    """Where the result is printed: on standard error where the stream itself goes to standard output."""
    return redirect_stdout(sys.stderr) if target == STANDARD else nullcontext()
