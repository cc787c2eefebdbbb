"""A video file: how it is opened, and the frames that come out of its decoder."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from rfcodec.errors import FrameSizeError, InputError, VideoReadError
from rfcodec.types import RawLayout

DEFAULT_FPS = Fraction(25)
MAX_SIDE = 16384

# FFmpeg has more: one draws text files as a terminal, others are playlists that open further files and addresses.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,ogg,asf,mpeg,mpegts,mpegvideo,m4v,h261,h263,h264,hevc,vvc,av1,obu,ivf,"
    "yuv4mpegpipe,nut,mxf,dv,gif,apng,rawvideo"
)


@final
@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a source is read, whichever of its frames are wanted.

    `raw` describes a file without a header. `fps`, in frames per second, goes before what the source says.
    """

    raw: RawLayout | None = None
    fps: Fraction | None = None


@final
@dataclass(frozen=True, slots=True)
class Source:
    """A file and how to read it."""

    path: Path
    reading: ReadOptions

    @contextmanager
    def opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """The open file and its video stream; raises VideoReadError, also for what FFmpeg raises while it is open."""
        with read_errors(self.path), av.open(self.path, **self._arguments()) as container:
            if not container.streams.video:
                raise VideoReadError(f"{self.path}: holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "FRAME"
            yield container, stream

    def frames(self) -> Generator[VideoFrame]:
        """All frames in the order in which they are shown; raises VideoReadError."""
        with self.opened() as (container, stream):
            yield from container.decode(stream)

    def check(self) -> None:
        """Raises VideoReadError where there is no such file, FrameSizeError and InputError for a layout that is none."""
        raw = self.reading.raw
        if self.reading.fps is not None:
            check_fps(self.reading.fps)
        if not self.path.is_file():
            raise VideoReadError(f"{self.path}: there is no such file")
        if raw is None:
            if self.path.suffix.lower() == ".yuv":
                raise VideoReadError(f"{self.path}: raw video has no header; its width, height and fps must be given")
            return
        check_size(raw.width, raw.height)
        check_fps(raw.fps)
        length = self.path.stat().st_size
        if length == 0 or length % raw.frame_bytes:
            raise VideoReadError(
                f"{self.path}: {length} bytes are no whole number of yuv420p frames of "
                f"{raw.width}x{raw.height} ({raw.frame_bytes} bytes each); check the size given"
            )

    def _arguments(self) -> dict[str, Any]:
        """Arguments of av.open."""
        raw = self.reading.raw
        if raw is None:
            return {"options": {"format_whitelist": _CONTAINERS}}
        size, fps = f"{raw.width}x{raw.height}", f"{raw.fps.numerator}/{raw.fps.denominator}"
        return {"format": "rawvideo", "options": {"video_size": size, "pixel_format": "yuv420p", "framerate": fps}}


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turns what FFmpeg raises while `path` is read into a VideoReadError."""
    try:
        yield
    except (FFmpegError, OSError, ValueError, IndexError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoReadError(f"{path}: cannot be read as video: {reason}") from error


def check_size(width: int, height: int) -> None:
    """Raises FrameSizeError."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise FrameSizeError(f"size {width}x{height}: width and height must lie in 1..{MAX_SIDE}")


def check_fps(fps: Fraction) -> None:
    """Raises InputError."""
    if fps <= 0:
        raise InputError(f"fps {fps}: must be greater than 0")
