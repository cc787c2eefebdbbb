"""What one look at a video file finds: size, length, speed and colour."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import final

from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from rfcodec.errors import VideoReadError
from rfcodec.types import VideoFormat
from rfcodec.video.colour import default_matrix, from_ycbcr
from rfcodec.video.source import DEFAULT_FPS, Source

# Numbers of ISO/IEC 23091-2 (FFmpeg's AVColorSpace) to the names of FFmpeg's scale filter.
_UNTAGGED = 2
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}


@final
@dataclass(frozen=True, slots=True)
class Probe:
    """The format of all frames; `colour` holds options of FFmpeg's scale filter."""

    format: VideoFormat
    colour: str


def probe(source: Source, stop: int | None) -> Probe:
    """Counts frames by decoding, but never beyond `stop`; raises VideoReadError."""
    with source.opened() as (container, stream):
        decoded = container.decode(stream)
        first = next(decoded, None)
        if first is None:
            raise VideoReadError(f"{source.path}: holds no frames")
        count = _count(source.path, decoded, stop)
        raw = source.reading.raw
        fps = raw.fps if raw else stream.average_rate or stream.guessed_rate or DEFAULT_FPS
        found = VideoFormat(first.width, first.height, count, Fraction(source.reading.fps or fps))
        return Probe(found, _colour(source.path, first))


def _count(path: Path, decoded: Iterator[VideoFrame], stop: int | None) -> int:
    """Frames before `stop`, the first of which is decoded already."""
    count = 1
    try:
        while count != stop and next(decoded, None) is not None:
            count += 1
    except FFmpegError as error:
        raise VideoReadError(f"{path}: damaged after {count} frames; frames 0:{count} can be read") from error
    return count


def _colour(path: Path, frame: VideoFrame) -> str:
    if frame.format.is_rgb or frame.format.has_palette:
        return ""
    matrix = default_matrix(frame.height) if frame.colorspace == _UNTAGGED else _MATRICES.get(int(frame.colorspace))
    if matrix is None:
        legal = ", ".join(sorted(set(_MATRICES.values())))
        raise VideoReadError(f"{path}: colour matrix number {int(frame.colorspace)} is not supported; legal: {legal}")
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return from_ycbcr(matrix, full)
