"""The source as planes that every codec is given, and decoded planes as frames of the true size.

Planes are 8-bit 4:2:0 of even size in limited range, by the matrix that a reader assumes of untagged planes of that
height. Odd sizes repeat their last row or column, which is cut off again after decoding.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import final

import av
import imageio.v3 as iio
import numpy as np
from av.error import FFmpegError

from rfcodec.errors import VideoReadError
from rfcodec.support.files import replacing
from rfcodec.types import Frame, Frames, VideoFormat
from rfcodec.video.colour import ToYcbcr, default_matrix, from_ycbcr, to_rgb
from rfcodec.video.reader import Video, check_span

SPAN = 4  # frames that are held at a time


def coded_size(video: VideoFormat, scale: int = 1) -> tuple[int, int]:
    """(width, height) that is coded: those of the video divided by `scale`, to the nearest even number, halves up."""
    return (video.width + scale) // (2 * scale) * 2, (video.height + scale) // (2 * scale) * 2


def matrix_of(video: VideoFormat) -> str:
    """The matrix of the planes of a video, "bt601" or "bt709", at whatever scale they are coded."""
    return default_matrix(coded_size(video)[1])


def chunks(video: Video) -> Iterator[Frames]:
    """All frames of a video, a few at a time."""
    count = video.format.num_frames
    for start in range(0, count, SPAN):
        yield video.read(start, min(start + SPAN, count))


def prepare(video: Video, path: Path) -> None:
    """Writes a video as y4m of 4:2:0, which every codec is given; frame by frame, so that length costs no memory.

    Full-range sources become limited range here, once, and the same for all. Raises OutputError and what `video` raises.
    """
    width, height = coded_size(video.format)
    fps = video.format.fps
    # no aspect ratio, which some encoders would spend bytes on
    header = f"YUV4MPEG2 W{width} H{height} F{fps.numerator}:{fps.denominator} Ip C420mpeg2 XCOLORRANGE=LIMITED\n"
    convert = ToYcbcr(matrix_of(video.format))
    even = ((0, height - video.format.height), (0, width - video.format.width), (0, 0))
    with replacing(path) as part, part.open("wb") as file:
        file.write(header.encode())
        for frames in chunks(video):
            for frame in frames:
                file.write(b"FRAME\n" + convert.samples(np.pad(frame, even, mode="edge")).tobytes())


def count_frames(path: Path) -> tuple[int, tuple[int, int]]:
    """(number of frames, size of the first) of a stream, by decoding it; raises VideoReadError."""
    try:
        with av.open(path) as container:
            container.streams.video[0].thread_type = "FRAME"
            frames = container.decode(video=0)
            first = next(frames)
            return 1 + sum(1 for _ in frames), (first.width, first.height)
    except (FFmpegError, IndexError, StopIteration) as error:
        reason = getattr(error, "strerror", None) or "it holds no frames"
        raise VideoReadError(f"{path}: cannot be decoded: {reason}") from error


@final
class DecodedVideo:
    """What a codec decoded as a Video of the true size; close it, or use it in a `with` statement.

    `pictures` decodes from the first frame on and may yield larger pictures, whose last rows and columns are cut off. Spans
    that move forward decode every frame once; one that begins before the end of the last decodes from the first frame on.
    """

    def __init__(self, video: VideoFormat, pictures: Callable[[], Generator[Frame]]) -> None:
        self.format = video
        self._decode = pictures
        self._pictures, self._next = pictures(), 0

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop); raises FrameRangeError, and VideoReadError where the stream is damaged or too short."""
        check_span(start, stop, self.format.num_frames)
        if start < self._next:
            self.close()
        frames = np.empty((stop - start, self.format.height, self.format.width, 3), np.uint8)
        while self._next < stop:
            picture = next(self._pictures, None)
            if picture is None:
                raise VideoReadError(f"the decoded video ended before frame {self._next} of {self.format.num_frames}")
            if self._next >= start:
                frames[self._next - start] = picture[: self.format.height, : self.format.width]
            self._next += 1
        return frames

    def close(self) -> None:
        """Stops decoding; a later `read` begins anew."""
        self._pictures.close()
        self._pictures, self._next = self._decode(), 0

    def __enter__(self) -> "DecodedVideo":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode_stream(path: Path, video: VideoFormat, scale: int) -> Generator[Frame]:
    """The pictures of an elementary stream of that video coded at 1/scale of its size; at most 1 larger each way than it.

    Chroma is interpolated bicubically as `open_video` does, smaller pictures by Lanczos, both in the step that makes RGB,
    with the matrix of the planes: a decoder would assume another one of a smaller picture. Raises VideoReadError.
    """
    algorithm = "bicubic" if scale == 1 else "lanczos"
    scaler = to_rgb(from_ycbcr(matrix_of(video)), coded_size(video), algorithm)
    filters: list[tuple[str, str | dict]] = [("scale", scaler), ("format", "rgb24")]
    try:
        with iio.imopen(path, "r", plugin="pyav") as file:
            yield from file.iter(filter_sequence=filters, thread_type="FRAME")
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoReadError(f"{path}: cannot be decoded: {getattr(error, 'strerror', None) or error}") from error
