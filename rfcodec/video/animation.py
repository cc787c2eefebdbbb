"""Animated GIF, WebP and PNG: their pictures with their times, as a file that FFmpeg reads.

Pillow composes each picture from those before it; FFmpeg reads no animated WebP and drops what is transparent.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageSequence

from rfcodec.video.source import DEFAULT_FPS
from rfcodec.video.still import as_rgb, opened_picture

MOVING = (".gif", ".apng", ".png", ".webp", ".tif", ".tiff")
_SECOND = 1000  # of Pillow's durations
# browsers and FFmpeg show a picture that long where a file says less than the second number
_LONGER, _TOO_SHORT = 100, 20


def is_animation(file: Path) -> bool:
    """Whether a file holds several pictures; raises VideoReadError where its name says so and it holds none."""
    if file.suffix.lower() not in MOVING:
        return False
    with opened_picture(file) as image:
        return getattr(image, "n_frames", 1) > 1  # Pillow gives it to some formats alone


@contextmanager
def as_container(file: Path) -> Iterator[Path]:
    """A lossless copy of an animation, one picture at a time; deleted at the end. Raises VideoReadError."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{file.name}.mov"
        with opened_picture(file) as image:
            _copy(image, copy)
        yield copy


def _copy(image: Image.Image, target: Path) -> None:
    convert, begin = VideoReformatter(), 0
    with av.open(target, "w") as container:
        stream = container.add_stream("ffv1", rate=_SECOND)
        stream.width, stream.height, stream.pix_fmt = *image.size, "bgr0"
        for picture in ImageSequence.Iterator(image):
            rgb = VideoFrame.from_ndarray(as_rgb(picture), format="rgb24")
            frame = convert.reformat(rgb, format="bgr0")
            frame.pts, frame.time_base, frame.duration = begin, Fraction(1, _SECOND), _duration(picture)
            begin += frame.duration
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _duration(picture: Image.Image) -> int:
    told = picture.info.get("duration")
    if told is None:
        return int(_SECOND / DEFAULT_FPS)
    return round(told) if told >= _TOO_SHORT else _LONGER
