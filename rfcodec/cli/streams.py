"""Where a command reads a stream: a file, or a pipe, for which it may have to wait."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO

from rfcodec.bitstream.container import SIGNATURE
from rfcodec.errors import InputError, VideoReadError

log = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds without a word


def stream_source(path: Path) -> Path | bytes:
    """The path of a file; of a pipe, or `-` for standard input, all that it brings.

    What does not begin as a stream is not read to its end. Raises InputError, VideoReadError.
    """
    if str(path) == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("standard input is a terminal: pipe a stream into it, as in cat clip.rfv | rfcodec info -")
        with waiting("standard input"):
            return _read(sys.stdin.buffer)
    if path.exists() and not (path.is_file() or path.is_dir()):
        try:
            with waiting(str(path)), path.open("rb") as file:
                return _read(file)
        except OSError as error:
            raise VideoReadError(f"cannot read {path}: {error.strerror or error}") from error
    return path


@contextmanager
def waiting(name: str) -> Iterator[None]:
    """A line that says what is waited for, where that takes longer than a moment."""
    timer = Timer(PATIENCE, lambda: log.info("waiting for %s, which brings nothing yet", name))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _read(file: IO[bytes]) -> bytes:
    head = file.read(len(SIGNATURE))
    return head + file.read() if head == SIGNATURE else head
