"""How a file comes by its name: only once it is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

from rfcodec.errors import OutputError


@final
class Replacement:
    """A file that is written under the temporary name `part` beside `path`; for writers whose life is no single block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.{os.getpid()}.part")

    def take(self) -> None:
        """Gives the file its name; raises OSError."""
        self.part.replace(self.path)

    def drop(self) -> None:
        """Deletes what did not take its name."""
        with suppress(OSError):
            self.part.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its name when the block ends well and is deleted otherwise.

    Raises OutputError where that cannot be.
    """
    replacement = Replacement(path)
    try:
        yield replacement.part
        replacement.take()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {path}: {reason}; choose another place or free some space") from error
    finally:
        replacement.drop()


def write_file(path: Path, data: bytes | str) -> None:
    """The whole file, text as UTF-8, its folder made if need be; raises OutputError."""
    with replacing(path) as part:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data.encode() if isinstance(data, str) else data)
