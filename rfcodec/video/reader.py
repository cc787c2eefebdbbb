"""Frames in and out: what FFmpeg can read becomes uint8 RGB, span by span, and decoded frames become a file."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

import av
import imageio.v3 as iio
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from imageio.core.request import InitializationError

from rfcodec.errors import FrameRangeError, FrameSizeError, InputError, VideoReadError
from rfcodec.types import Frames, RawLayout, VideoFormat
from rfcodec.video.colour import default_matrix, from_ycbcr, to_rgb
from rfcodec.video.writer import VideoWriter, check_frames

__all__ = ["ArrayVideo", "RawLayout", "Video", "VideoReader", "VideoWriter", "open_video"]

DEFAULT_FPS = Fraction(25)
MAX_SIDE = 16384

# FFmpeg has more: one draws text files as a terminal, others are playlists that open further files and addresses.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,ogg,asf,mpeg,mpegts,mpegvideo,m4v,h261,h263,h264,hevc,vvc,av1,obu,ivf,"
    "yuv4mpegpipe,nut,mxf,dv,gif,apng,rawvideo"
)

# Numbers of ISO/IEC 23091-2 (FFmpeg's AVColorSpace) to the names of FFmpeg's scale filter.
_UNTAGGED = 2
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}


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

    Raises FrameSizeError where the array is no such thing and InputError where fps is not positive.
    """

    def __init__(self, frames: Frames, fps: Fraction | int = DEFAULT_FPS) -> None:
        check_frames(frames)
        _check_fps(Fraction(fps))
        count, height, width, _ = frames.shape
        self.format = VideoFormat(width, height, count, Fraction(fps))
        self._frames = frames

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop); raises FrameRangeError outside 0 <= start < stop <= num_frames."""
        check_span(start, stop, self.format.num_frames)
        return self._frames[start:stop]


@dataclass(frozen=True, slots=True)
class _Source:
    """A file and how to open it; `raw` where it has no header."""

    path: Path
    raw: RawLayout | None

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of av.open, which imageio passes on."""
        if self.raw is None:
            return {"options": {"format_whitelist": _CONTAINERS}}
        size, fps = f"{self.raw.width}x{self.raw.height}", f"{self.raw.fps.numerator}/{self.raw.fps.denominator}"
        return {"format": "rawvideo", "options": {"video_size": size, "pixel_format": "yuv420p", "framerate": fps}}


@dataclass(frozen=True, slots=True)
class _Probe:
    """What one look at the file found; `colour` holds options of FFmpeg's scale filter."""

    format: VideoFormat
    colour: str


@final
class VideoReader:
    """A video file as uint8 RGB, made by `open_video`.

    Holds the last span that was read and nothing else: spans that move forward, overlapping or not, decode every frame
    once. A span that begins before the last one opens the file again. Close it, or use it in a `with` statement.
    """

    def __init__(self, source: _Source, video_format: VideoFormat, scale: str, first: int) -> None:
        self.format = video_format
        self._source, self._scale, self._first = source, scale, first
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

    def _open(self, start: int) -> Generator[np.ndarray]:
        filters = [("trim", f"start_frame={self._first + start}"), ("scale", self._scale), ("format", "rgb24")]
        with _reading(self._source.path), _imageio(self._source) as file:
            yield from file.iter(filter_sequence=filters, thread_type="FRAME")

    def _extend(self, held: np.ndarray, count: int) -> np.ndarray:
        span = np.empty((count, self.format.height, self.format.width, 3), np.uint8)
        span[: len(held)] = held
        for frame in span[len(held) :]:
            frame[...] = self._decode()
        return span

    def _decode(self) -> np.ndarray:
        frame = next(self._decoder, None)
        if frame is None:
            raise VideoReadError(f"{self._source.path}: ended before its last frame; was it changed while being read?")
        return frame


def open_video(
    path: str | Path,
    *,
    frames: tuple[int | None, int | None] = (None, None),
    size: tuple[int, int] | None = None,
    raw: RawLayout | None = None,
) -> VideoReader:
    """Opens frames A <= i < B of a video file, `frames = (A, B)`; a None stands for the clip's own end.

    size = (width, height) scales with Lanczos; `raw` describes a `.yuv` file (planar 4:2:0, 8 bits). Matrix and range
    of YCbCr are those of the stream's tags; untagged: BT.709 from 720 lines on, else BT.601, limited range. Pictures
    are taken as stored: rotation and sample aspect ratio are not applied. Frames are counted by decoding up to B, since
    containers count packets, guess or say nothing; a clip that does not say its speed has 25 frames per second.
    Raises VideoReadError, FrameRangeError (which names the number of frames) or FrameSizeError.
    """
    source = _Source(Path(path), raw)
    _check_source(source)
    if size is not None:
        _check_size(*size)
    start, stop = frames
    _check_order(start, stop)
    probe = _probe(source, stop)
    found = probe.format
    start, stop = start or 0, found.num_frames if stop is None else stop
    check_span(start, stop, found.num_frames)
    width, height = size or (found.width, found.height)
    algorithm = "bicubic" if (width, height) == (found.width, found.height) else "lanczos"
    scale = to_rgb(probe.colour, (width, height), algorithm)
    return VideoReader(source, VideoFormat(width, height, stop - start, found.fps), scale, start)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, InitializationError, OSError, ValueError, IndexError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoReadError(f"{path}: cannot be read as video: {reason}") from error


def _imageio(source: _Source) -> Any:
    # Any: imageio declares imopen with the plugins' common base, which lacks the arguments of pyav's iter.
    return iio.imopen(source.path, "r", plugin="pyav", **source.arguments)


def _probe(source: _Source, stop: int | None) -> _Probe:
    """Counts frames by decoding, but never beyond `stop`; PyAV itself, as imageio shows no colour tags."""
    with _reading(source.path), av.open(source.path, **source.arguments) as container:
        if not container.streams.video:
            raise VideoReadError(f"{source.path}: holds no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "FRAME"
        decoded = container.decode(stream)
        first = next(decoded, None)
        if first is None:
            raise VideoReadError(f"{source.path}: holds no frames")
        count = _count(source.path, decoded, stop)
        fps = source.raw.fps if source.raw else stream.average_rate or stream.guessed_rate or DEFAULT_FPS
        return _Probe(VideoFormat(first.width, first.height, count, Fraction(fps)), _colour(source.path, first))


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


def _check_source(source: _Source) -> None:
    if not source.path.is_file():
        raise VideoReadError(f"{source.path}: there is no such file")
    if source.raw is None:
        if source.path.suffix.lower() == ".yuv":
            raise VideoReadError(f"{source.path}: raw video has no header; its width, height and fps must be given")
        return
    _check_size(source.raw.width, source.raw.height)
    _check_fps(source.raw.fps)
    length = source.path.stat().st_size
    if length == 0 or length % source.raw.frame_bytes:
        raise VideoReadError(
            f"{source.path}: {length} bytes are no whole number of yuv420p frames of "
            f"{source.raw.width}x{source.raw.height} ({source.raw.frame_bytes} bytes each); check the size given"
        )


def _check_size(width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise FrameSizeError(f"size {width}x{height}: width and height must lie in 1..{MAX_SIDE}")


def _check_fps(fps: Fraction) -> None:
    if fps <= 0:
        raise InputError(f"fps {fps}: must be greater than 0")


def _check_order(start: int | None, stop: int | None) -> None:
    if (start or 0) < 0 or (stop is not None and stop <= (start or 0)):
        raise FrameRangeError(f"frames {start or 0}:{stop}: must have 0 <= first < end")


def check_span(start: int, stop: int, num_frames: int) -> None:
    """Raises FrameRangeError outside 0 <= start < stop <= num_frames."""
    if not 0 <= start < stop <= num_frames:
        raise FrameRangeError(f"frames {start}:{stop} do not exist: there are {num_frames} (0:{num_frames})")
