"""The one conversion between RGB and YCbCr: by swscale, in memory, with the same filters in both directions.

RGB has 8 bits and full range, YCbCr is written in 8 bits and limited range. `rfcodec.video.pictures.opencv_rgb` is another,
published conversion, which one protocol asks for by name.
"""

from typing import Any, final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt8

from rfcodec.types import Frame

Plane = UInt8[np.ndarray, "y x"]
Planes = tuple[Plane, Plane, Plane]

HD_HEIGHT = 720
FLAGS = "accurate_rnd+full_chroma_int+full_chroma_inp"
_FLAGS = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
_SWSCALE = {"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}
# numbers of ISO/IEC 23091-2
_RGB_TAG, _TAGS = 0, {"bt709": 1, "bt601": 6}


def default_matrix(height: int) -> str:
    """The matrix that a picture of that many lines is taken to have where nothing says it."""
    return "bt709" if height >= HD_HEIGHT else "bt601"


@final
class ToYcbcr:
    """Converts RGB frames to YCbCr of limited range by a matrix, "bt709" or "bt601"; keeps swscale's tables.

    `pixels` is FFmpeg's name of the layout. Chroma planes of odd sizes are rounded up. Not for several threads at once.
    """

    def __init__(self, matrix: str, pixels: str = "yuv420p") -> None:
        self._matrix, self._pixels = _SWSCALE[matrix], pixels
        self._reformatter = VideoReformatter()

    def frame(self, rgb: Frame, size: tuple[int | None, int | None] = (None, None)) -> VideoFrame:
        """The frame as FFmpeg takes it, scaled bicubically to (width, height) where these are given."""
        return self._reformatter.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            *size,
            format=self._pixels,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_FLAGS,
        )

    def samples(self, rgb: Frame) -> UInt8[np.ndarray, "n"]:
        """Y, Cb and Cr one after the other, as a raw file has them."""
        return np.concatenate([plane.ravel() for plane in planes_of(self.frame(rgb))])


def to_rgb(colour: str, size: tuple[int, int] | None = None, algorithm: str = "bicubic") -> str:
    """Arguments of FFmpeg's scale filter that make full-range RGB; `colour` is `from_ycbcr(...)`, or empty for RGB.

    `algorithm` scales the picture to (width, height) = `size`, and chroma to the size of luma.
    """
    sides = f"w={size[0]}:h={size[1]}:" if size else ""
    return f"{sides}flags={algorithm}+{FLAGS}:out_range=full{colour}"


def from_ycbcr(matrix: str, full: bool = False) -> str:
    """What `to_rgb` is told of YCbCr: FFmpeg's name of the matrix, and whether the range is full."""
    return f":in_color_matrix={matrix}:in_range={'full' if full else 'limited'}"


def tag(context: Any, matrix: str | None, primaries: bool = False) -> None:
    """Says matrix (None: RGB) and range in a stream; `primaries`: those and the transfer are BT.709's too.

    Any: PyAV does not annotate the setters of codec contexts.
    """
    context.colorspace = _RGB_TAG if matrix is None else _TAGS[matrix]
    context.color_range = ColorRange.JPEG if matrix is None else ColorRange.MPEG
    if primaries:
        context.color_primaries = context.color_trc = _TAGS["bt709"]


def plane_shapes(width: int, height: int) -> tuple[tuple[int, int], ...]:
    """(height, width) of the planes Y, Cb and Cr of 4:2:0; chroma is rounded up."""
    chroma = -(-height // 2), -(-width // 2)
    return (height, width), chroma, chroma


def split_planes(samples: UInt8[np.ndarray, "n"], width: int, height: int) -> Planes:
    """The planes of 4:2:0 that lie one after the other; views of the samples."""
    (y, u, v), shapes = np.split(samples, _ends(width, height)), plane_shapes(width, height)
    return y.reshape(shapes[0]), u.reshape(shapes[1]), v.reshape(shapes[2])


def planes_of(frame: VideoFrame) -> Planes:
    """The planes of a 4:2:0 frame, copied, since its buffers are the decoder's."""
    rows = [np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    shapes = plane_shapes(frame.width, frame.height)
    y, u, v = (samples[:height, :width].copy() for samples, (height, width) in zip(rows, shapes, strict=True))
    return y, u, v


def _ends(width: int, height: int) -> list[int]:
    sizes = [rows * columns for rows, columns in plane_shapes(width, height)]
    return [sizes[0], sizes[0] + sizes[1]]
