"""What a path names as a video: a file, a pipe, a folder or pattern of pictures, one picture, an animation."""

import logging
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from rfcodec.errors import VideoReadError
from rfcodec.video.animation import as_container, is_animation
from rfcodec.video.pictures import PICTURES, Pictures, View, is_pattern, list_pattern, picture_folder
from rfcodec.video.reader import Video, open_video
from rfcodec.video.source import ReadOptions
from rfcodec.video.spool import spooled

log = logging.getLogger(__name__)

STDIN = Path("-")
Span = tuple[int | None, int | None]
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@contextmanager
def open_path(path: Path, frames: Span, size: tuple[int, int] | None, reading: ReadOptions) -> Iterator[Video]:
    """Frames [A, B) of what a path names, at (width, height); `-` is standard input.

    Raises VideoReadError, FrameRangeError, FrameSizeError, InputError.
    """
    pictures = _pictures(path, reading)
    if pictures is not None:
        yield View(pictures, frames, size)
        return
    with ExitStack() as stack:
        file = stack.enter_context(_file(path))
        if reading.raw is None and is_animation(file):
            file = stack.enter_context(as_container(file))
        yield stack.enter_context(closing(open_video(file, frames=frames, size=size, reading=reading)))


def _pictures(path: Path, reading: ReadOptions) -> Pictures | None:
    if path.is_dir():
        return picture_folder(path, reading.fps)
    if path.is_file():
        one = path.suffix.lower() in PICTURES and not is_animation(path)
        return Pictures([path], str(path), reading.fps) if one else None
    return Pictures(list_pattern(path), str(path), reading.fps) if is_pattern(path) else None


@contextmanager
def _file(path: Path) -> Iterator[Path]:
    """A regular file: the path itself, or a copy of what a pipe holds."""
    if path == STDIN:
        if sys.stdin is None or sys.stdin.isatty():
            raise VideoReadError(
                "-: standard input is a terminal; pipe a video into it: cat IN.mp4 | rfcodec encode - OUT.rfv"
            )
        log.info("standard input: waiting for a video, which is read to its end first")
        with spooled(sys.stdin.buffer, "standard input") as copy:
            yield copy
        return
    mode = _mode(path)
    if stat.S_ISFIFO(mode):
        log.info("%s: is a pipe: waiting for a video, which is read to its end first", path)
        with path.open("rb") as pipe, spooled(pipe, path.name) as copy:
            yield copy
        return
    if not stat.S_ISREG(mode):
        raise VideoReadError(f"{path}: is a device or a socket; name a file, a pipe or a folder of pictures")
    if path.suffix.lower() == ".rfv":
        raise VideoReadError(f"{path}: is coded already; `rfcodec decode {path} OUT.mkv` makes a video of it")
    yield path


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        if _ADDRESS.match(str(path)):
            raise VideoReadError(
                f"{str(path).replace(':/', '://', 1)}: is an address, and none is opened; download it first, or pipe it: "
                "curl -L ADDRESS | rfcodec encode - OUT.rfv"
            ) from None
        missing = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise VideoReadError(f"{path}: {missing}") from None
