"""What command lines share: options of several values, and errors and signals as one line."""

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, final

import typer
from typer.core import TyperCommand

from rfcodec.errors import LONGEST_LINE, RfcodecError, printable
from rfcodec.support.console import err, standard_streams

# of click, which typer may hold a copy of: a command line that cannot be understood
UsageError: Any = typer.BadParameter.__mro__[1]

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


def exhausted(error: Exception) -> str:
    """What to do where an error says that memory or the stack is used up; "" for any other error."""
    said = str(error)
    if isinstance(error, RecursionError):
        return "the input is nested too deeply to be read"
    # torch raises its own class, or a RuntimeError from the allocator of the CPU
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in said:
        return "there is not enough memory: smaller frames or shorter GOPs need less; --max-memory refuses what needs more"
    return ""


@final
class Stopped(BaseException):
    """A signal asked the program to end; what was begun is cleaned up on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = SIGNAL_STATUS + number


def guarded(run: Callable[[], object]) -> None:
    """Runs a command, and ends the program with its status where it returns one.

    Errors of ours become one line and exit status 1, a wrong command line one line and 2, a signal one line and 128 + its
    number. A second signal ends the program at once.
    """
    warnings.showwarning = lambda message, *_: err.say(printable(str(message), LONGEST_LINE), "warning: ", "yellow")
    try:
        with stopping(), standard_streams():
            status = run()
    except RfcodecError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            err.say("stopped: the program that read the output has ended")
            sys.exit(SIGNAL_STATUS + PIPE_SIGNAL)
        _fail(str(error), 1)
    except UsageError as error:
        if not (said := " ".join(error.format_message().split())):
            sys.exit(2)  # nothing was asked for, and help is shown
        _fail(f"{said.rstrip('.')}; see {error.ctx.command_path if error.ctx else 'rfcodec'} -h", 2)
    except (MemoryError, RecursionError, RuntimeError) as error:
        if not exhausted(error):
            raise
        _fail(exhausted(error), 1)
    except Stopped as stop:
        err.say(f"stopped by {stop}; nothing unfinished was left under the final name")
        sys.exit(stop.status)
    if isinstance(status, int) and status:
        sys.exit(status)


def _fail(text: str, status: int) -> NoReturn:
    err.say(text, "error: ", "red")
    sys.exit(status)


@contextmanager
def stopping() -> Iterator[None]:
    """The signals that end a program raise Stopped in the block, those apart that are ignored, as under nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for name in SIGNALS if (number := getattr(signal, name, None)) is not None}
    # None: a handler that is not Python's, which could not be put back
    before = {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Stopped(number)
