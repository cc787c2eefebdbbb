"""Decoded frames become a file: lossless FFV1, H.264 or plain YCbCr planes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import cast, final

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from rfcodec.errors import FrameSizeError, OutputError
from rfcodec.types import Frames, VideoFormat

HD_HEIGHT = 720
_SCALER = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


def default_matrix(height: int) -> str:
    """The matrix that a picture of that many lines is taken to have where nothing says it."""
    return "bt709" if height >= HD_HEIGHT else "bt601"


def check_frames(frames: np.ndarray) -> None:
    """Raises FrameSizeError unless `frames` is uint8 `t y x 3` and not empty."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise FrameSizeError(f"frames of {frames.dtype} {frames.shape}: must be uint8 of shape (t, y, x, 3), not empty")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of file is coded; matrix None stands for the one that a reader assumes of an untagged stream."""

    container: str
    codec: str
    pixels: str
    odd_pixels: str
    matrix: str | None
    options: dict[str, str]


_KINDS = {
    ".mkv": _Kind("matroska", "ffv1", "bgr0", "bgr0", None, {"level": "3", "slicecrc": "1"}),
    # 4:2:0 has no odd sizes in H.264; 4:4:4 keeps the true size where padding would change it.
    ".mp4": _Kind("mp4", "libx264", "yuv420p", "yuv444p", "bt709", {"crf": "12"}),
    ".y4m": _Kind("yuv4mpegpipe", "wrapped_avframe", "yuv444p", "yuv444p", None, {}),
    ".yuv": _Kind("rawvideo", "rawvideo", "yuv420p", "yuv420p", None, {}),
}
_SWSCALE = {"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}
_TAGS = {"bt709": 1, "bt601": 6}
_RGB_TAG = 0


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
        self._kind = kind
        self._pixels = kind.odd_pixels if video_format.width % 2 or video_format.height % 2 else kind.pixels
        self._matrix = kind.matrix or default_matrix(video_format.height)
        self._part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        self._reformatter = VideoReformatter()
        self._count = 0
        self._container: OutputContainer
        self._stream: VideoStream

    def __enter__(self) -> "VideoWriter":
        if self._path.is_dir():
            raise OutputError(f"{self._path}: is a folder; name a file")
        with writing(self._path):
            # FFmpeg opens the file with the first packet; a missing folder must show before anything is computed.
            self._part.touch()
        try:
            self._open()
        except BaseException:
            self._part.unlink(missing_ok=True)
            raise
        return self

    def write(self, frames: Frames) -> None:
        """Appends frames; raises FrameSizeError where their size is not that of the format."""
        check_frames(frames)
        expected = (self._format.height, self._format.width)
        if frames.shape[1:3] != expected:
            raise FrameSizeError(f"frames of {frames.shape[1:3]} rows, columns: must be {expected}")
        with writing(self._path):
            for frame in frames:
                self._container.mux(self._stream.encode(self._convert(frame)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
            else:
                with suppress(FFmpegError, OSError, ValueError):
                    self._container.close()
        finally:
            # After success there is none left.
            self._part.unlink(missing_ok=True)

    def _open(self) -> None:
        # PyAV itself: imageio's writer takes no encoder options and no colour tags.
        with writing(self._path):
            self._container = av.open(self._part, "w", format=self._kind.container)
            fps = self._format.fps
            stream = self._container.add_stream(self._kind.codec, rate=fps, options=dict(self._kind.options))
            self._stream = cast(VideoStream, stream)
            self._stream.width, self._stream.height = self._format.width, self._format.height
            self._stream.pix_fmt = self._pixels
            self._tag()

    def _tag(self) -> None:
        context = self._stream.codec_context
        context.colorspace = _TAGS[self._matrix] if self._pixels != "bgr0" else _RGB_TAG
        context.color_range = ColorRange.MPEG if self._pixels != "bgr0" else ColorRange.JPEG
        if self._kind.matrix == "bt709":
            context.color_primaries = context.color_trc = _TAGS["bt709"]

    def _convert(self, frame: np.ndarray) -> VideoFrame:
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        if self._pixels == "bgr0":
            picture = self._reformatter.reformat(picture, format="bgr0")
        else:
            picture = self._reformatter.reformat(
                picture,
                format=self._pixels,
                dst_colorspace=_SWSCALE[self._matrix],
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                interpolation=_SCALER,
            )
        picture.pts, picture.time_base = self._count, 1 / self._format.fps
        self._count += 1
        return picture

    def _finish(self) -> None:
        if self._count == 0:
            self._container.close()
            raise OutputError(f"{self._path}: no frames were written")
        with writing(self._path):
            try:
                self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()
            self._part.replace(self._path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what FFmpeg and the disk raise while `path` is written into an OutputError."""
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason}") from error
