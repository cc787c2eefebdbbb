"""Videos span by span: what FFmpeg can read becomes uint8 RGB; arrays are videos too."""

import logging
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol, final, runtime_checkable

import numpy as np

from rfcodec.errors import FrameRangeError, VideoReadError
from rfcodec.support.speed import parse_speed
from rfcodec.types import Frame, Frames, RawLayout, VideoFormat
from rfcodec.video.filters import rgb_frames
from rfcodec.video.probe import Probe, probe
from rfcodec.video.source import DEFAULT_FPS, ReadOptions, Source, check_size, read_errors
from rfcodec.video.writer import VideoWriter, check_frames

log = logging.getLogger(__name__)

__all__ = ["DEFAULT_FPS", "ArrayVideo", "RawLayout", "ReadOptions", "Video", "VideoReader", "VideoWriter", "open_video"]


@runtime_checkable
class Video(Protocol):
    """A video that is read span by span."""

    format: VideoFormat

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop) as RGB; raises FrameRangeError outside 0 <= start < stop <= num_frames."""
        ...


@final
class ArrayVideo:
    """A video that lies in memory: uint8 frames `t y x 3`, fps in frames per second.

    29.97 stands for 30000/1001; the default is 25. Raises FrameSizeError where the array is no such thing and InputError
    where fps is not positive.
    """

    def __init__(self, frames: Frames, fps: Fraction | float = DEFAULT_FPS) -> None:
        check_frames(frames)
        count, height, width, _ = frames.shape
        self.format = VideoFormat(width, height, count, parse_speed(fps))
        self._frames = frames

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop); raises FrameRangeError outside 0 <= start < stop <= num_frames."""
        check_span(start, stop, self.format.num_frames)
        return self._frames[start:stop]


@final
class VideoReader:
    """A video file as uint8 RGB, made by `open_video`.

    Holds the last span that was read and nothing else: spans that move forward, overlapping or not, decode every frame
    once. A span that begins before the last one opens the file again. Close it, or use it in a `with` statement.
    """

    def __init__(self, found: Probe, video_format: VideoFormat, first: int) -> None:
        self.format = video_format
        self.report = found.report
        self._found, self._first = found, first
        self._begin(0)

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop), counted from the first frame of the chosen range.

        Raises FrameRangeError outside 0 <= start < stop <= num_frames and VideoReadError where the file is damaged.
        """
        check_span(start, stop, self.format.num_frames)
        if start < self._kept_from:
            self.close()
            self._begin(start)
        held = self._kept[start - self._kept_from :][: stop - start]
        if len(held) == stop - start:
            return held.copy()
        for _ in range(self._kept_from + len(self._kept), start):
            self._decode()
        self._kept = self._extend(held, stop - start)
        self._kept_from = start
        return self._kept.copy()

    def close(self) -> None:
        """Closes the file; a later `read` opens it again."""
        self._decoder.close()
        self._begin(0)

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, start: int) -> None:
        self._kept = np.empty((0, self.format.height, self.format.width, 3), np.uint8)
        self._kept_from = start
        self._decoder = self._open(start)

    def _open(self, start: int) -> Generator[Frame]:
        size = self.format.width, self.format.height
        with read_errors(self._found.source.path):
            yield from rgb_frames(self._found, size, self._first + start)

    def _extend(self, held: np.ndarray, count: int) -> np.ndarray:
        span = np.empty((count, self.format.height, self.format.width, 3), np.uint8)
        span[: len(held)] = held
        for frame in span[len(held) :]:
            frame[...] = self._decode()
        return span

    def _decode(self) -> Frame:
        frame = next(self._decoder, None)
        if frame is None:
            raise VideoReadError(f"{self._found.source.path}: ended before its last frame; was it changed while being read?")
        return frame


def open_video(
    path: str | Path,
    *,
    frames: tuple[int | None, int | None] = (None, None),
    size: tuple[int, int] | None = None,
    reading: ReadOptions = ReadOptions(),
) -> VideoReader:
    """Opens frames A <= i < B of a video file, `frames = (A, B)`; a None stands for the clip's own end.

    size = (width, height) scales with Lanczos, and pixels get the aspect that leaves the picture's as it is. `reading` says
    what the file does not say or where it is wrong. Matrix and range of YCbCr are those of the stream's tags; untagged:
    BT.709 from 720 lines on, else BT.601, limited range. Frames are those that a player shows: upright, progressive, at a
    constant rate. What is done for that is told to the logger "rfcodec.video". Frames are counted by decoding up to B,
    since containers count packets, guess or say nothing; a clip that does not say its speed has 25 frames per second. A
    damaged file is a DamageWarning, and what `report` of the reader says.

    Raises VideoReadError, FrameRangeError (which names the number of frames) or FrameSizeError.
    """
    source = Source(Path(path), reading)
    source.check()
    if size is not None:
        check_size(*size)
    first, stop = frames[0] or 0, frames[1]
    _check_order(first, stop)
    found = probe(source, stop)
    stop = found.format.num_frames if stop is None else stop
    check_span(first, stop, found.format.num_frames)
    shown = replace(found.format, num_frames=stop - first)
    shown = shown.scaled(*size) if size else shown
    if shown.sample_aspect != 1:
        aspect = f"{shown.sample_aspect.numerator}:{shown.sample_aspect.denominator}"
        log.info("%s: %dx%d pixels of aspect %s, which is kept with them", path, shown.width, shown.height, aspect)
    return VideoReader(found, shown, first)


def _check_order(start: int, stop: int | None) -> None:
    if start < 0 or (stop is not None and stop <= start):
        raise FrameRangeError(f"frames {start}:{stop}: must have 0 <= first < end")


def check_span(start: int, stop: int, num_frames: int) -> None:
    """Raises FrameRangeError outside 0 <= start < stop <= num_frames."""
    if not 0 <= start < stop <= num_frames:
        raise FrameRangeError(f"frames {start}:{stop} do not exist: there are {num_frames} (0:{num_frames})")
