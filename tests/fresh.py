"""The command line, called in this process; as a script: calls read from standard input, one after the other."""

import io
import json
import logging
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line came to."""

    status: int
    out: str
    err: str


def call(*arguments):
    """What `rfcodec *arguments` comes to."""
    from rfcodec.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    argv, show, level = sys.argv, warnings.showwarning, logging.getLogger("rfcodec").level
    sys.argv, status = ["rfcodec", *map(str, arguments)], 0
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("always")
            main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        sys.argv, warnings.showwarning = argv, show
        logging.getLogger("rfcodec").setLevel(level)
    return Outcome(status, out.getvalue(), err.getvalue())


if __name__ == "__main__":
    print("OUTCOMES", json.dumps([asdict(call(*words)) for words in json.load(sys.stdin)]))
