"""What every command has: -h, -q and -v, and the one place where notes and the log are shown."""

import logging
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rfcodec.errors import LONGEST_LINE, printable
from rfcodec.support.console import err

LOG = logging.getLogger("rfcodec")
SETTINGS = {"help_option_names": ["-h", "--help"]}
DATED = logging.Formatter("%(asctime)s %(name)s: %(message)s")
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no notes; warnings and errors stay.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say what is done, and when.")]


class Verbs(TyperGroup):
    """All commands, in the order of their definition."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(self.commands)


def verb(run: Callable[..., None]) -> Callable[..., None]:
    """The command with two more options, -q and -v."""

    @wraps(run)
    def loud(*, quiet: bool = False, verbose: bool = False, **given: Any) -> None:
        show_notes(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
        run(**given)

    more = {"quiet": Quiet, "verbose": Verbose}
    own = signature(run)
    added = [Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=kind) for name, kind in more.items()]
    # what typer reads
    setattr(loud, "__signature__", own.replace(parameters=[*own.parameters.values(), *added]))  # noqa: B010
    loud.__annotations__ = run.__annotations__ | more
    return loud


class _Notes(logging.Handler):
    """A record as a line of standard error, above the bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Shows it."""
        self.setFormatter(DATED if record.levelno < logging.INFO else None)
        label = "warning: " if record.levelno >= logging.WARNING else ""
        err.say(printable(self.format(record), LONGEST_LINE), label, "yellow")


def show_notes(level: int) -> None:
    """What every part of rfcodec notes is shown from now on, from a level of the log on."""
    LOG.handlers = [_Notes()]
    LOG.setLevel(level)


def shows_progress() -> bool:
    """Whether a bar is wanted, and standard error is a terminal."""
    return err.is_terminal and LOG.isEnabledFor(logging.INFO)
