"""Whatever somebody has in hand as a Video: a path, bytes, a file object, arrays, tensors, pictures."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rfcodec.errors import FrameSizeError, InputError
from rfcodec.types import Frames
from rfcodec.video.pictures import View
from rfcodec.video.reader import ArrayVideo, Video, open_video
from rfcodec.video.source import DEFAULT_FPS, ReadOptions

Input = str | Path | bytes | IO[bytes] | Video | Frames | Tensor | Sequence[Image.Image]
Span = tuple[int | None, int | None]


@contextmanager
def as_video(
    given: Input,
    frames: Span = (None, None),
    size: tuple[int, int] | None = None,
    reading: ReadOptions = ReadOptions(),
) -> Iterator[Video]:
    """Frames [A, B) of what is given, at (width, height); closed at the end if it was opened here.

    Arrays and tensors are uint8 `t y x 3`, RGB; a sequence of PIL pictures has one size. Their speed is
    `reading.fps` (default 25). Raises InputError, FrameSizeError, FrameRangeError, VideoReadError.
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise FrameSizeError(f"size is {size}; legal: (width, height), both at least 1")
    in_memory = _in_memory(given, reading.fps or DEFAULT_FPS)
    if reading != ReadOptions() and in_memory is given:
        raise InputError("fps is for arrays and files, as are all options of reading: an object with `read` has its own")
    if in_memory is not None:
        yield in_memory if (frames, size) == ((None, None), None) else View(in_memory, frames, size)
        return
    with _on_disk(given) as path, closing(open_video(path, frames=frames, size=size, reading=reading)) as video:
        yield video


def parse_speed(fps: Fraction | float | str | None) -> Fraction | None:
    """Frames per second as a fraction of small terms, None for None; raises InputError."""
    if fps is None:
        return None
    try:
        speed = Fraction(fps).limit_denominator(1001)
    except (ValueError, OverflowError, TypeError, ZeroDivisionError):
        speed = Fraction(0)
    if speed <= 0:
        raise InputError(f"fps is {fps}; legal: a number above 0, in frames per second")
    return speed


def _in_memory(given: object, fps: Fraction) -> Video | None:
    if isinstance(given, Tensor):
        if given.dtype != torch.uint8:
            raise FrameSizeError(f"frames of {given.dtype} {tuple(given.shape)}: must be uint8 of shape (t, y, x, 3)")
        given = given.detach().cpu().numpy()
    elif isinstance(given, Sequence) and given and all(isinstance(item, Image.Image) for item in given):
        given = _stacked([item.convert("RGB") for item in given])
    if isinstance(given, np.ndarray):
        return ArrayVideo(given, fps)
    return given if isinstance(given, Video) else None


def _stacked(pictures: Sequence[Image.Image]) -> Frames:
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise FrameSizeError(f"the pictures have sizes from {min(sizes)} to {max(sizes)}: scale them to one")
    return np.stack([np.asarray(picture) for picture in pictures])


@contextmanager
def _on_disk(given: object) -> Iterator[Path]:
    if isinstance(given, str | Path):
        yield Path(given)
        return
    given = bytes(given) if isinstance(given, bytearray | memoryview) else given
    if not isinstance(given, bytes) and not callable(getattr(given, "read", None)):
        raise InputError(
            "a video is a path, bytes, a binary file, an array or tensor t y x 3, PIL pictures, or an object with format "
            f"and read; not {type(given).__name__}"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with path.open("wb") as file:
            if isinstance(given, bytes):
                file.write(given)
            else:
                shutil.copyfileobj(given, file)  # type: ignore[arg-type]
        yield path
