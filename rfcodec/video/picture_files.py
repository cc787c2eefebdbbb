"""Decoded frames as PNG files, each of which appears when it is whole; and which file names a pattern stands for."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image

from rfcodec.support.files import remove_leftovers, taking
from rfcodec.types import Frame

NAMES = "frame_%06d.png"
_NUMBER = re.compile(r"%(?:0?\d{1,2})?d")


def picture_pattern(target: str | Path) -> Path | None:
    """The pattern of the PNG files that `target` asks for: a folder (with its slash, or there already) or `%05d.png`.

    None where it asks for no pictures.
    """
    path = Path(target)
    if str(target).endswith(("/", "\\")) or (path.is_dir() and not path.suffix):
        return path / NAMES
    return path if is_pattern(path) and path.suffix.lower() == ".png" else None


def is_pattern(path: Path) -> bool:
    """Whether the name holds one number, such as %05d."""
    return len(_NUMBER.findall(path.name)) == 1


def names(pattern: Path) -> Callable[[str], bool]:
    """Whether a file name is one of the pattern's."""
    found = _NUMBER.search(pattern.name)
    before, after = (pattern.name, "") if found is None else (pattern.name[: found.start()], pattern.name[found.end() :])
    expected = re.compile(re.escape(before) + r"\d+" + re.escape(after))
    return lambda name: expected.fullmatch(name) is not None


def files_of(pattern: Path) -> list[Path]:
    """The files that have names of the pattern, in the order of their names."""
    matches = names(pattern)
    try:
        return sorted(path for path in pattern.parent.iterdir() if matches(path.name))
    except OSError:
        return []


@contextmanager
def picture_files(pattern: Path, first: int = 0) -> Iterator[Callable[[Frame], None]]:
    """Yields what writes the next RGB frame; the first has the number `first`. The folder is made if need be.

    Raises OSError.
    """
    folder, number = pattern.parent, first
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, names(pattern))

    def add(frame: Frame) -> None:
        nonlocal number
        with taking(folder / (pattern.name % number), tidy=False) as part:
            Image.fromarray(np.ascontiguousarray(frame)).save(part, "PNG")
        number += 1

    try:
        yield add
    finally:
        if made and number == first:
            with suppress(OSError):
                folder.rmdir()
