"""Decoded frames become a file: lossless FFV1, H.264 or plain YCbCr planes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast, final

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from rfcodec.errors import FrameSizeError, OutputError
from rfcodec.support.files import Replacement
from rfcodec.types import Frame, Frames, VideoFormat
from rfcodec.video.colour import ToYcbcr, default_matrix, tag

RGB_PIXELS = "bgr0"


def check_frames(frames: np.ndarray) -> None:
    """Raises FrameSizeError unless `frames` is uint8 `t y x 3` and not empty."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise FrameSizeError(f"frames of {frames.dtype} {frames.shape}: must be uint8 of shape (t, y, x, 3), not empty")


@final
@dataclass(frozen=True, slots=True)
class Coding:
    """FFmpeg's names of a container, a codec and a layout of samples, with their options; `bt709` tags primaries too."""

    container: str
    codec: str
    pixels: str
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    bt709: bool = False


@final
class StreamFile:
    """A container with one video stream, which takes its name when it is finished.

    PyAV itself, as imageio's writer takes no encoder options and no colour tags.
    """

    def __init__(self, path: Path, coding: Coding, size: tuple[int, int], fps: Fraction, matrix: str | None) -> None:
        self._file, self._count, self._tick = Replacement(path), 0, 1 / fps
        # FFmpeg opens the file with the first packet; a missing folder must show before anything is computed
        self._file.part.touch()
        try:
            options = dict(coding.container_options)
            self._container = av.open(self._file.part, "w", format=coding.container, options=options)
            stream = self._container.add_stream(coding.codec, rate=fps, options=dict(coding.options))
            self._stream = cast(VideoStream, stream)
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = coding.pixels
            tag(self._stream.codec_context, matrix, coding.bt709)
        except BaseException:
            self._file.drop()
            raise

    def add(self, picture: VideoFrame) -> None:
        """Codes the next picture."""
        picture.pts, picture.time_base = self._count, self._tick
        self._count += 1
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Gives the file its name."""
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
        self._file.take()

    def drop(self) -> None:
        """Leaves nothing behind of what was not finished."""
        with suppress(FFmpegError, OSError, ValueError):
            self._container.close()
        self._file.drop()


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of file is coded; matrix None stands for the one that a reader assumes of an untagged stream."""

    container: str
    codec: str
    pixels: str
    odd_pixels: str
    matrix: str | None
    options: dict[str, str]

    def coding(self, video: VideoFormat) -> Coding:
        """That of a video of this size."""
        pixels = self.odd_pixels if video.width % 2 or video.height % 2 else self.pixels
        return Coding(self.container, self.codec, pixels, self.options, bt709=self.matrix == "bt709")


_KINDS = {
    ".mkv": _Kind("matroska", "ffv1", RGB_PIXELS, RGB_PIXELS, None, {"level": "3", "slicecrc": "1"}),
    # 4:2:0 has no odd sizes in H.264; 4:4:4 keeps the true size where padding would change it.
    ".mp4": _Kind("mp4", "libx264", "yuv420p", "yuv444p", "bt709", {"crf": "12"}),
    ".y4m": _Kind("yuv4mpegpipe", "wrapped_avframe", "yuv444p", "yuv444p", None, {}),
    ".yuv": _Kind("rawvideo", "rawvideo", "yuv420p", "yuv420p", None, {}),
}


@final
class VideoWriter:
    """Writes RGB frames to a file whose suffix chooses the coding; a context manager.

    `.mkv` FFV1 in RGB, lossless. `.mp4` H.264, crf 12, BT.709, limited range, 4:2:0 (4:4:4 if width or height is odd).
    `.y4m` 4:4:4 and `.yuv` raw 4:2:0 planes: 8 bits, limited range, BT.709 from 720 lines on, else BT.601.
    Frames go to a `.part` file in the same folder, which takes the final name when the `with` block ends well and is
    deleted otherwise. Raises OutputError where the suffix is unknown or the file cannot be written, and where no frame
    was; num_frames is not checked.
    """

    def __init__(self, path: str | Path, video_format: VideoFormat) -> None:
        self._path, self._format = Path(path), video_format
        kind = _KINDS.get(self._path.suffix.lower())
        if kind is None:
            raise OutputError(f"{path}: unknown kind of video file; legal suffixes: {', '.join(_KINDS)}")
        self._coding = kind.coding(video_format)
        self._matrix = None
        if self._coding.pixels != RGB_PIXELS:
            self._matrix = kind.matrix or default_matrix(video_format.height)
        self._convert = _to_pixels(self._matrix, self._coding.pixels)
        self._count = 0
        self._file: StreamFile

    def __enter__(self) -> "VideoWriter":
        if self._path.is_dir():
            raise OutputError(f"{self._path}: is a folder; name a file")
        size = (self._format.width, self._format.height)
        with writing(self._path):
            self._file = StreamFile(self._path, self._coding, size, self._format.fps, self._matrix)
        return self

    def write(self, frames: Frames) -> None:
        """Appends frames; raises FrameSizeError where their size is not that of the format."""
        check_frames(frames)
        expected = (self._format.height, self._format.width)
        if frames.shape[1:3] != expected:
            raise FrameSizeError(f"frames of {frames.shape[1:3]} rows, columns: must be {expected}")
        with writing(self._path):
            for frame in frames:
                self._file.add(self._convert(frame))
                self._count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            # after success there is none left
            self._file.drop()

    def _finish(self) -> None:
        if self._count == 0:
            raise OutputError(f"{self._path}: no frames were written")
        with writing(self._path):
            self._file.finish()


def _to_pixels(matrix: str | None, pixels: str) -> Callable[[Frame], VideoFrame]:
    if matrix is not None:
        return ToYcbcr(matrix, pixels).frame
    reformatter = VideoReformatter()

    def convert(frame: Frame) -> VideoFrame:
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        return reformatter.reformat(picture, format=pixels)

    return convert


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what FFmpeg and the disk raise while `path` is written into an OutputError."""
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason}") from error
