"""A video file: how it is opened, and the frames that come out of its decoder."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, final

import av
from av.codec.context import Flags
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from rfcodec.errors import ConfigError, FrameSizeError, InputError, VideoReadError
from rfcodec.types import RawLayout
from rfcodec.video.raw import check_pixels, fitting, frame_bytes

DEFAULT_FPS = Fraction(25)
MAX_SIDE = 16384

# FFmpeg has more: one draws text files as a terminal, others are playlists that open further files and addresses.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,ogg,asf,mpeg,mpegts,mpegvideo,m4v,h261,h263,h264,hevc,vvc,av1,obu,ivf,"
    "yuv4mpegpipe,nut,mxf,dv,gif,apng,rawvideo"
)
_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
# of ffmpeg's choice: a default stream is worth that many pixels
_DEFAULT_BONUS = 5_000_000


@final
@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a source is read, whichever of its frames are wanted.

    `raw` describes a file without a header. `fps`, in frames per second, goes before what the source says; each frame is
    then shown once. `vfr` is what becomes of a variable frame rate: "cfr" resamples to a constant one, "keep-frames" shows
    each frame once. `stream` counts from 0 among the video streams; None is the default one. With `strict` a damaged
    source is an error. `deinterlace` makes progressive frames of interlaced ones, `tone_map` SDR BT.709 of PQ, HLG and wide
    gamuts.
    """

    raw: RawLayout | None = None
    fps: Fraction | None = None
    vfr: Literal["cfr", "keep-frames"] = "cfr"
    stream: int | None = None
    strict: bool = False
    deinterlace: bool = True
    tone_map: bool = True

    def __post_init__(self) -> None:
        if self.vfr not in ("cfr", "keep-frames"):
            raise ConfigError(f"vfr is {self.vfr!r}; legal: cfr, keep-frames")


@final
class Decoding:
    """The frames of a stream in the order in which they are shown; goes on after damage, as the ffmpeg program does.

    Counts packets and frames, frames that the decoder calls corrupt, and errors, each of which cost a frame. `end` is that
    of the last packet, in bytes from the start of the file.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.packets = self.frames = self.corrupt = self.errors = self.end = 0
        self._container, self._stream = container, stream

    def __iter__(self) -> Generator[VideoFrame]:
        for packet in self._packets():
            for frame in self._decoded(packet):
                self.frames += 1
                self.corrupt += frame.is_corrupt
                yield frame

    def _packets(self) -> Generator[Packet | None]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0 and packet.dts is not None:
                    continue  # "as before", which FFmpeg's decoders take for an error
                self.packets += packet.size > 0 and not packet.is_discard
                self.end = (packet.pos or 0) + packet.size or self.end
                yield packet
        except FFmpegError:
            self.errors += 1
            yield None  # which empties the decoder

    def _decoded(self, packet: Packet | None) -> list[VideoFrame]:
        try:
            return self._stream.decode(packet)
        except FFmpegError:
            self.errors += 1
            return []


@final
@dataclass(frozen=True, slots=True)
class Source:
    """A file and how to read it.

    `threaded`: several frames are decoded at a time, in which case FFmpeg can lose the error of the last packet and frames
    near any error.
    """

    path: Path
    reading: ReadOptions
    threaded: bool = True

    @contextmanager
    def opened(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """The open file and its video stream; raises VideoReadError, also for what FFmpeg raises while it is open."""
        with read_errors(self.path), av.open(address(self.path), **self._arguments()) as container:
            stream = self._chosen(container)
            stream.thread_type = "FRAME" if self.threaded else "NONE"
            # else a crop of the left side is rounded to what suits the memory
            stream.codec_context.flags |= Flags.unaligned
            yield container, stream

    def frames(self) -> Generator[VideoFrame]:
        """All frames in the order in which they are shown; raises VideoReadError."""
        with self.opened() as (container, stream):
            yield from Decoding(container, stream)

    def check(self) -> None:
        """Raises VideoReadError where there is no such file, FrameSizeError and InputError for a layout that is none."""
        raw = self.reading.raw
        if self.reading.fps is not None:
            check_fps(self.reading.fps)
        if not self.path.is_file():
            raise VideoReadError(f"{self.path}: there is no such file")
        if raw is None:
            if self.path.suffix.lower() == ".yuv":
                raise VideoReadError(
                    f"{self.path}: raw video has no header; its width, height and fps must be given (--raw WxH@FPS)"
                )
            return
        check_size(raw.width, raw.height)
        check_fps(raw.fps)
        length, frame = self.path.stat().st_size, frame_bytes(raw)
        if length == 0 or length % frame:
            raise VideoReadError(
                f"{self.path}: {length} bytes are no whole number of {raw.pixels} frames of "
                f"{raw.width}x{raw.height} ({frame} bytes each); check the size given: {fitting(raw, length)}"
            )

    def _arguments(self) -> dict[str, Any]:
        """Arguments of av.open."""
        raw = self.reading.raw
        if raw is None:
            return {"options": {"format_whitelist": _CONTAINERS}}
        size, fps = f"{raw.width}x{raw.height}", f"{raw.fps.numerator}/{raw.fps.denominator}"
        return {
            "format": "rawvideo",
            "options": {"video_size": size, "pixel_format": check_pixels(raw.pixels), "framerate": fps},
        }

    def _chosen(self, container: InputContainer) -> VideoStream:
        streams, wanted = video_streams(container), self.reading.stream
        if not streams:
            cover = " but a cover picture" if container.streams.video else ""
            raise VideoReadError(f"{self.path}: holds no video stream{cover}")
        if wanted is None:
            return max(streams, key=_weight)
        if not 0 <= wanted < len(streams):
            raise VideoReadError(f"{self.path}: has no video stream {wanted}; legal: 0 to {len(streams) - 1}")
        return streams[wanted]


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The streams that move and can be decoded: pictures attached to sound are none, nor are those of unknown codecs."""
    found = [stream for stream in container.streams.video if not stream.disposition & _PICTURES]
    return [stream for stream in found if stream.codec_context is not None]


def _weight(stream: VideoStream) -> int:
    return stream.width * stream.height + (_DEFAULT_BONUS if stream.disposition & Disposition.default else 0)


def address(path: Path) -> str:
    """What FFmpeg is told to open: a file whatever its name looks like, since it takes a:b for a protocol."""
    return f"file:{path}"


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
