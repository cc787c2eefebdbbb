"""Whether an output would destroy what a command reads."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from rfcodec.errors import OutputError
from rfcodec.support.files import STANDARD, is_stream, same_file
from rfcodec.video.picture_files import files_of, is_pattern, picture_pattern

Place = str | Path


def check_outputs(outputs: Mapping[str, Place], inputs: Mapping[str, Place]) -> None:
    """Raises OutputError where an output is an input, or another output, by whatever name; keys say what each is."""
    for what, output in outputs.items():
        for source, given in inputs.items():
            if _clash(output, given):
                raise OutputError(f"{what} {output} is the {source} {given}, which would be lost: name another file")
    for (what, output), (other, second) in combinations(outputs.items(), 2):
        if _clash(output, second) or STANDARD == str(output) == str(second):
            raise OutputError(f"{what} {output} and {other} {second} are one file: name two")


def existing(output: Place) -> list[Path]:
    """The files that an output replaces: itself, or the pictures that are there under its names."""
    pattern = picture_pattern(output)
    if pattern is not None:
        return files_of(pattern)
    path = Path(output)
    return [] if str(output) == STANDARD or is_stream(path) or path.is_dir() or not path.exists() else [path]


def _clash(output: Place, other: Place) -> bool:
    """Whether writing the output destroys a file of the other, or adds pictures to a folder of them."""
    if STANDARD in (str(output), str(other)) or is_stream(Path(output)):
        return False
    pattern = picture_pattern(output)
    if pattern is None:
        return same_file(Path(output), Path(other)) or bool(_known(existing(output)) & _known(_files(other)))
    return same_file(pattern.parent, Path(other)) or bool(_known(existing(output)) & _known(_files(other)))


def _files(place: Place) -> Iterable[Path]:
    """The files that an input, or another output, stands for."""
    path = Path(place)
    if path.is_dir():
        return path.iterdir()
    return files_of(path) if is_pattern(path) and not path.exists() else [path]


def _known(paths: Iterable[Path]) -> set[tuple[int, int]]:
    found = (path.stat() for path in paths if path.exists())
    return {(entry.st_dev, entry.st_ino) for entry in found}
