"""Whatever somebody has in hand as a Video: a path, bytes, a file object, arrays, tensors, pictures."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rfcodec.errors import FrameSizeError, InputError
from rfcodec.types import Frames
from rfcodec.video.paths import Span, open_path
from rfcodec.video.pictures import View
from rfcodec.video.reader import ArrayVideo, Video
from rfcodec.video.source import DEFAULT_FPS, ReadOptions
from rfcodec.video.spool import spooled
from rfcodec.video.still import as_rgb

Input = str | Path | bytes | IO[bytes] | Video | Frames | Tensor | Sequence[Image.Image]


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
        raise FrameSizeError(f"size is {'x'.join(map(str, size))}; legal: (width, height), both at least 1")
    in_memory = _in_memory(given, reading.fps or DEFAULT_FPS)
    if reading != ReadOptions() and in_memory is given:
        raise InputError("fps is for arrays and files, as are all options of reading: an object with `read` has its own")
    if in_memory is not None:
        yield in_memory if (frames, size) == ((None, None), None) else View(in_memory, frames, size)
        return
    with _on_disk(given) as path, open_path(path, frames, size, reading) as video:
        yield video


def _in_memory(given: object, fps: Fraction) -> Video | None:
    if isinstance(given, Tensor):
        if given.dtype != torch.uint8:
            raise FrameSizeError(f"frames of {given.dtype} {tuple(given.shape)}: must be uint8 of shape (t, y, x, 3)")
        given = given.detach().cpu().numpy()
    elif isinstance(given, Sequence) and given and all(isinstance(item, Image.Image) for item in given):
        given = _stacked(given)
    if isinstance(given, np.ndarray):
        return ArrayVideo(given, fps)
    return given if isinstance(given, Video) else None


def _stacked(pictures: Sequence[Image.Image]) -> Frames:
    frames = [as_rgb(picture) for picture in pictures]
    sizes = {(frame.shape[1], frame.shape[0]) for frame in frames}
    if len(sizes) > 1:
        raise FrameSizeError(f"the pictures have sizes from {min(sizes)} to {max(sizes)}: scale them to one")
    return np.stack(frames)


@contextmanager
def _on_disk(given: object) -> Iterator[Path]:
    if isinstance(given, str | Path):
        yield Path(given)
        return
    given = io.BytesIO(given) if isinstance(given, bytes | bytearray | memoryview) else given
    if not callable(getattr(given, "read", None)):
        raise InputError(
            "a video is a path, bytes, a binary file, an array or tensor t y x 3, PIL pictures, or an object with format "
            f"and read; not {type(given).__name__}"
        )
    with spooled(cast(IO[bytes], given), "video") as copy:
        yield copy
