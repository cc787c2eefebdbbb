"""What can be read once only, such as a pipe, as a file."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rfcodec.errors import VideoReadError

PIECE = 1 << 20  # bytes
RESERVE = 1 << 28  # bytes of the disk that are left to others


@contextmanager
def spooled(file: IO[bytes], name: str) -> Iterator[Path]:
    """A copy of what is left of a binary file under `name`; deleted at the end.

    Raises VideoReadError where nothing is left or the disk does not hold it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if not _copy(file, path, name):
            raise VideoReadError(f"{name}: holds no bytes: nothing was written into it")
        yield path


def _copy(file: IO[bytes], path: Path, name: str) -> int:
    size, room = 0, shutil.disk_usage(path.parent).free - RESERVE
    try:
        with path.open("wb") as target:
            while piece := file.read(PIECE):
                size += len(piece)
                if size > room:
                    raise VideoReadError(
                        f"{name}: is longer than {max(room, 0)} bytes, which is what {path.parent.parent} has room for; "
                        "let TMPDIR name a larger folder, or save the video in a file"
                    )
                target.write(piece)
    except (OSError, TypeError) as error:
        raise VideoReadError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return size
