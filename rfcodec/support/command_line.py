"""What command lines share: options of several values, and errors and signals as one line."""

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand

from rfcodec.errors import LONGEST_LINE, RfcodecError, printable

SEVERAL = (
    *("--clips", "--backbones", "--modes", "--codebooks", "--bpp", "--anchors", "--metrics", "--external"),
    *("--bits", "--seeds", "--steps", "--into"),
)

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNAL_STATUS, PIPE_SIGNAL = 128, 13  # as shells count


class SeveralValues(TyperCommand):
    """Reads `--bpp 0.1 0.2` as `--bpp 0.1 --bpp 0.2`, for the options that take several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Names the option before each of its values."""
        return super().parse_args(ctx, spread(args))


def spread(words: Sequence[str]) -> list[str]:
    """The words with the name of an option of several values before each of them."""
    found: list[str] = []
    option, fresh = None, False
    for word in words:
        if word.startswith("--"):
            option, fresh = (word if word in SEVERAL else None), True
        elif option and not fresh:
            found.append(option)
        else:
            fresh = False
        found.append(word)
    return found


@final
class Stopped(BaseException):
    """A signal asked the program to end; what was begun is cleaned up on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = SIGNAL_STATUS + number


def guarded(run: Callable[[], object]) -> None:
    """Runs a command; errors of ours become one line and exit status 1, a signal one line and 128 + its number.

    A second signal ends the program at once.
    """
    err = Console(stderr=True)
    warnings.showwarning = lambda message, *_: err.print(
        f"[yellow]warning:[/] {escape(printable(str(message), LONGEST_LINE))}"
    )
    try:
        with stopping():
            run()
    except RfcodecError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            err.print("stopped: the program that read the output has ended", highlight=False)
            sys.exit(SIGNAL_STATUS + PIPE_SIGNAL)
        err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except Stopped as stop:
        err.print(f"stopped by {stop}; nothing unfinished was left under the final name", highlight=False, soft_wrap=True)
        sys.exit(stop.status)


@contextmanager
def stopping() -> Iterator[None]:
    """The signals that end a program raise Stopped in the block, those apart that are ignored, as under nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Stopped(number)
