"""One video stream in one container, written by FFmpeg under a temporary name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast, final

import av
import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from rfcodec.errors import OutputError
from rfcodec.support.files import Replacement
from rfcodec.types import Frame
from rfcodec.video.colour import ToYcbcr, tag
from rfcodec.video.matroska import ROOM, set_pixel_shape

RGB_PIXELS, PALETTE_PIXELS = "bgr0", "pal8"
_MATROSKA, _SEEKING = ("matroska", "webm"), ("mp4", "mov")


@final
@dataclass(frozen=True, slots=True)
class Coding:
    """FFmpeg's names of a container, a codec and a layout of samples, with their options; `bt709` tags primaries too.

    `aspect` is the width of a pixel over its height.
    """

    container: str
    codec: str
    pixels: str
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    bt709: bool = False
    aspect: Fraction = Fraction(1)


@final
class StreamFile:
    """A container with one video stream, which takes its name when it is finished; raises OSError and FFmpegError.

    PyAV itself, as imageio's writer takes no encoder options and no colour tags.
    """

    def __init__(self, path: Path, coding: Coding, size: tuple[int, int], fps: Fraction, matrix: str | None) -> None:
        self._file, self._count, self._tick = Replacement(path), 0, 1 / fps
        # Matroska alone does not take the shape of a pixel from the coding
        self._shaped = (size, coding.aspect) if coding.container in _MATROSKA and coding.aspect != 1 else None
        try:
            if self._file.through and coding.container in _SEEKING:
                raise OutputError(f"{path}: .{coding.container} needs a file, as it is not written in one go; .mkv is")
            if self._file.through and self._shaped:
                raise OutputError(f"{path}: a stream of .mkv cannot say that pixels are not square; .y4m can")
            options = dict(coding.container_options)
            self._container = av.open(self._file.part, "w", format=coding.container, options=options)
            stream = self._container.add_stream(coding.codec, rate=fps, options=dict(coding.options))
            self._stream = cast(VideoStream, stream)
            self._stream.width, self._stream.height = size
            self._stream.pix_fmt = coding.pixels
            self._stream.codec_context.sample_aspect_ratio = coding.aspect
            tag(self._stream.codec_context, matrix, coding.bt709)
            if self._shaped:
                self._stream.metadata["title"] = ROOM
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
        if self._shaped:
            set_pixel_shape(self._file.part, *self._shaped)
        self._file.take()

    def drop(self) -> None:
        """Leaves nothing behind of what was not finished."""
        with suppress(FFmpegError, OSError, ValueError):
            self._container.close()
        self._file.drop()


@contextmanager
def writing(name: str | Path) -> Iterator[None]:
    """Turns what FFmpeg and the disk raise while `name` is written into an OutputError."""
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{name}: cannot be written: {reason}") from error


def converter(matrix: str | None, pixels: str, size: tuple[int, int]) -> Callable[[Frame], VideoFrame]:
    """What turns RGB frames of (width, height) into pictures of that layout; matrix None: no YCbCr."""
    if matrix is not None:
        return ToYcbcr(matrix, pixels).frame
    if pixels == PALETTE_PIXELS:
        return _to_palette(size)
    reformatter = VideoReformatter()

    def convert(frame: Frame) -> VideoFrame:
        return reformatter.reformat(_rgb(frame), format=pixels)

    return convert


def _to_palette(size: tuple[int, int]) -> Callable[[Frame], VideoFrame]:
    """The best 256 colours of each frame, the error spread over its neighbours."""
    graph, tick = Graph(), Fraction(1)
    source = graph.add_buffer(width=size[0], height=size[1], format=VideoFormat("rgb24"), time_base=tick)
    split, sink = graph.add("split"), graph.add("buffersink")
    colours = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    picture = graph.add("paletteuse", "new=1:dither=sierra2_4a")
    source.link_to(split)
    split.link_to(colours, 0, 0)
    split.link_to(picture, 1, 0)
    colours.link_to(picture, 0, 1)
    picture.link_to(sink)
    graph.configure()
    count = 0

    def convert(frame: Frame) -> VideoFrame:
        nonlocal count
        rgb = _rgb(frame)
        rgb.pts, rgb.time_base = count, tick
        count += 1
        graph.vpush(rgb)
        return graph.vpull()

    return convert


def _rgb(frame: Frame) -> VideoFrame:
    return VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
