"""What command lines share: options of several values, and errors as one line."""

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand

from rfcodec.errors import LONGEST_LINE, RfcodecError, printable

SEVERAL = (
    *("--clips", "--backbones", "--modes", "--codebooks", "--bpp", "--anchors", "--metrics", "--external"),
    *("--bits", "--seeds", "--steps", "--into"),
)


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


def guarded(run: Callable[[], object]) -> None:
    """Runs a command; errors of ours become one line and exit status 1."""
    err = Console(stderr=True)
    warnings.showwarning = lambda message, *_: err.print(
        f"[yellow]warning:[/] {escape(printable(str(message), LONGEST_LINE))}"
    )
    try:
        run()
    except RfcodecError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except (MemoryError, RecursionError, RuntimeError) as error:
        if not exhausted(error):
            raise
        err.print(f"[red]error:[/] {exhausted(error)}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("stopped; nothing was left under the final name")
        sys.exit(130)
