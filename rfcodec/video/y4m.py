"""Video as YUV4MPEG2: a line of header, then planes, so that a reader has each frame as soon as it is written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rfcodec.support.files import writable
from rfcodec.types import Frame, VideoFormat
from rfcodec.video.colour import ToYcbcr, default_matrix


@contextmanager
def y4m_file(target: str | Path | IO[bytes], video: VideoFormat) -> Iterator[Callable[[Frame], None]]:
    """Yields what adds the next RGB frame: as 4:4:4, 8 bits, limited range; a target is as in `writable`. Raises OSError."""
    convert = ToYcbcr(default_matrix(video.height), "yuv444p")
    with writable(target) as file:
        file.write(header(video).encode())

        def add(frame: Frame) -> None:
            file.write(b"FRAME\n" + convert.frame(frame).to_ndarray().tobytes())
            file.flush()

        yield add


def header(video: VideoFormat) -> str:
    """The first line; the format has no word for the matrix, which readers take by the number of lines."""
    rate, aspect = (f"{value.numerator}:{value.denominator}" for value in (video.fps, video.sample_aspect))
    size = f"W{video.width} H{video.height}"
    return f"YUV4MPEG2 {size} F{rate} Ip A{aspect} C444 XYSCSS=444 XCOLORRANGE=LIMITED\n"
