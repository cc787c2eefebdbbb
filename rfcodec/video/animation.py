"""Animated GIF, WebP and PNG, and TIFF of several pages: their pictures with their times, as a file that FFmpeg reads.

Pillow composes each picture from those before it; FFmpeg reads no animated WebP and drops what is transparent.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame
from PIL import Image, ImageSequence

from rfcodec.video.source import DEFAULT_FPS
from rfcodec.video.still import as_rgb, opened_picture

log = logging.getLogger(__name__)

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
        copy = Path(folder) / file.name
        with opened_picture(file) as image:
            if image.has_transparency_data:
                log.info("%s: transparent parts are shown over black", file)
            _copy(image, copy)
        yield copy


def _copy(image: Image.Image, target: Path) -> None:
    begin = Fraction(0)
    # MOV keeps how long each picture is shown, the last one too
    with av.open(target, "w", format="mov") as container:
        stream = container.add_stream("png", rate=_SECOND, options={"compression_level": "1"})
        stream.width, stream.height, stream.pix_fmt = *image.size, "rgb24"
        stream.codec_context.thread_count = 1  # then a packet comes with its frame
        for picture in ImageSequence.Iterator(image):
            frame = VideoFrame.from_ndarray(as_rgb(picture), format="rgb24")
            frame.time_base, shown = Fraction(1, _SECOND), Fraction(_milliseconds(picture), _SECOND)
            frame.pts = round(begin / frame.time_base)
            begin += shown
            for packet in stream.encode(frame):
                packet.duration = round(shown / packet.time_base)
                container.mux(packet)


def _milliseconds(picture: Image.Image) -> int:
    if picture.format == "TIFF":  # which knows no times
        return int(_SECOND / DEFAULT_FPS)
    told = picture.info.get("duration", 0)
    return round(told) if told >= _TOO_SHORT else _LONGER
