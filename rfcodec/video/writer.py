"""Decoded frames become a file, a folder of pictures, or a stream on standard output."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, final

import numpy as np

from rfcodec.errors import FrameSizeError, OutputError
from rfcodec.support.files import STANDARD, is_stream
from rfcodec.types import Frame, Frames, VideoFormat
from rfcodec.video.colour import default_matrix
from rfcodec.video.muxing import PALETTE_PIXELS, RGB_PIXELS, Coding, StreamFile, converter, writing
from rfcodec.video.picture_files import picture_files, picture_pattern
from rfcodec.video.y4m import y4m_file

logger = logging.getLogger("rfcodec.video")
Add = Callable[[Frame], None]
GIF_FPS = 50  # players show a frame of a hundredth of a second for ten


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
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)

    @property
    def even(self) -> bool:
        """Whether odd sizes need other pixels."""
        return self.pixels != self.odd_pixels

    def coding(self, video: VideoFormat) -> Coding:
        """That of a video of this size."""
        pixels = self.odd_pixels if _odd(video) else self.pixels
        tagged = self.matrix == "bt709"
        return Coding(self.container, self.codec, pixels, self.options, self.container_options, tagged, video.sample_aspect)


def _h264(container: str) -> _Kind:
    # 4:2:0 has no odd sizes in H.264; 4:4:4 keeps the true size where padding would change it. The index comes first, so
    # that a player starts before it has the whole file
    return _Kind(container, "libx264", "yuv420p", "yuv444p", "bt709", {"crf": "12"}, {"movflags": "+faststart"})


_Y4M = _Kind("yuv4mpegpipe", "", "yuv444p", "yuv444p", None)
_KINDS = {
    ".mkv": _Kind("matroska", "ffv1", RGB_PIXELS, RGB_PIXELS, None, {"level": "3", "slicecrc": "1"}),
    ".mp4": _h264("mp4"),
    ".y4m": _Y4M,
    ".yuv": _Kind("rawvideo", "rawvideo", "yuv420p", "yuv420p", None),
    ".mov": _h264("mov"),
    ".webm": _Kind(
        *("webm", "libvpx-vp9", "yuv420p", "yuv420p", "bt709"),
        {"crf": "15", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    ),
    ".gif": _Kind("gif", "gif", PALETTE_PIXELS, PALETTE_PIXELS, None),
}
KINDS = f"{', '.join(_KINDS)}; pictures: a folder with its slash, or a pattern such as %05d.png; - is standard output"


@final
class VideoWriter:
    """Writes RGB frames to a file whose suffix chooses the coding; a context manager.

    `.mkv` FFV1 in RGB, lossless. `.mp4` and `.mov` H.264, crf 12, BT.709, limited range, 4:2:0 (4:4:4 if width or height
    is odd; with `pad_even` the last column or row is repeated instead). `.webm` VP9, crf 15, 4:2:0, BT.709. `.gif` 256
    colours a frame. `.y4m` 4:4:4 and `.yuv` raw 4:2:0 planes: 8 bits, limited range, BT.709 from 720 lines on, else BT.601.
    A folder, or a pattern such as `%05d.png`: PNG files, numbered from `first`, each of which appears when it is whole.
    `-` or a binary file: `.y4m`, flushed frame by frame, on standard output or there.

    A file is written under a temporary name in the same folder; it takes its own when the `with` block ends well and is
    deleted otherwise. Raises OutputError where the kind is unknown or the file cannot be written, and where no frame was;
    num_frames is not checked.
    """

    def __init__(
        self, target: str | Path | IO[bytes], video_format: VideoFormat, *, pad_even: bool = False, first: int = 0
    ) -> None:
        self._target, self.format, self._first = target, video_format, first
        self._name = "standard output" if target == STANDARD or not isinstance(target, str | Path) else str(target)
        self._pattern = picture_pattern(target) if isinstance(target, str | Path) else None
        self._kind = None if self._pattern else self._found_kind()
        self._padding = _padding(video_format, self._kind) if pad_even and self._kind else (0, 0)
        self._stack, self._count = ExitStack(), 0
        self._add: Add

    def _found_kind(self) -> _Kind:
        if not isinstance(self._target, str | Path) or str(self._target) == STANDARD:
            return _Y4M
        path = Path(self._target)
        kind = _KINDS.get(path.suffix.lower())
        if kind is None and is_stream(path):
            return _Y4M
        if kind is None:
            raise OutputError(f"{path}: unknown kind of video file; legal suffixes: {KINDS}")
        return kind

    def __enter__(self) -> "VideoWriter":
        if self._kind and isinstance(self._target, str | Path) and Path(self._target).is_dir():
            raise OutputError(f"{self._name}: is a folder; name a file, or end it with a slash for pictures")
        with writing(self._name):
            self._add = self._stack.enter_context(self._open())
        return self

    def write(self, frames: Frames) -> None:
        """Appends frames; raises FrameSizeError where their size is not that of the format."""
        check_frames(frames)
        expected = (self.format.height, self.format.width)
        if frames.shape[1:3] != expected:
            raise FrameSizeError(f"frames of {frames.shape[1:3]} rows, columns: must be {expected}")
        if any(self._padding):
            frames = np.pad(frames, ((0, 0), (0, self._padding[1]), (0, self._padding[0]), (0, 0)), mode="edge")
        with writing(self._name):
            for frame in frames:
                self._add(frame)
                self._count += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        if self._count == 0:
            nothing = OutputError(f"{self._name}: no frames were written")
            self._stack.__exit__(OutputError, nothing, None)
            raise nothing
        with writing(self._name):
            self._stack.close()

    def _open(self) -> AbstractContextManager[Add]:
        if self._pattern:
            return picture_files(self._pattern, self._first)
        right, below = self._padding
        video = replace(self.format, width=self.format.width + right, height=self.format.height + below)
        if self._kind is None or self._kind is _Y4M or not isinstance(self._target, str | Path):
            return y4m_file(self._target, video)
        _tell(self._kind, self.format, self._padding)
        return _coded(Path(self._target), self._kind, video)


@contextmanager
def _coded(path: Path, kind: _Kind, video: VideoFormat) -> Iterator[Add]:
    """Yields what adds the next frame to a container."""
    coding, size = kind.coding(video), (video.width, video.height)
    matrix = None if coding.pixels in (RGB_PIXELS, PALETTE_PIXELS) else kind.matrix or default_matrix(video.height)
    convert = converter(matrix, coding.pixels, size)
    file = StreamFile(path, coding, size, video.fps, matrix)
    try:
        yield lambda frame: file.add(convert(frame))
        file.finish()
    finally:
        file.drop()


def _odd(video: VideoFormat) -> bool:
    return bool(video.width % 2 or video.height % 2)


def _padding(video: VideoFormat, kind: _Kind) -> tuple[int, int]:
    """Columns and rows that make a size even, where the kind needs that."""
    return (video.width % 2, video.height % 2) if kind.even else (0, 0)


def _tell(kind: _Kind, video: VideoFormat, padding: tuple[int, int]) -> None:
    size = f"{video.width}x{video.height}"
    if any(padding):
        logger.info("%s is padded to %dx%d", size, video.width + padding[0], video.height + padding[1])
    elif kind.even and _odd(video):
        logger.info("%s is odd: H.264 in 4:4:4, which many players do not show; --pad-even makes it even, in 4:2:0", size)
    if kind.container == "gif" and video.fps > GIF_FPS:
        logger.info("players show at most %d frames of a GIF in a second; this has %.5g", GIF_FPS, video.fps)
