"""Frames as planes of YCbCr 4:2:0, the way `VideoWriter` writes a `.yuv` file."""

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

import numpy as np
from jaxtyping import UInt8

from rfcodec.errors import OutputError
from rfcodec.types import Frames, VideoFormat
from rfcodec.video_writer import VideoWriter


def ycbcr(frames: Frames) -> UInt8[np.ndarray, "t n"]:
    """Planes Y, Cb, Cr of each frame as one row: 8 bits, limited range, BT.709 from 720 lines on, else BT.601.

    Chroma planes of odd sizes are rounded up.
    """
    count, height, width, _ = frames.shape
    with TemporaryDirectory(prefix="rfcodec-") as folder:
        path = Path(folder) / "frames.yuv"
        with VideoWriter(path, VideoFormat(width, height, count, Fraction(25))) as writer:
            writer.write(frames)
        return np.fromfile(path, np.uint8).reshape(count, -1)


def plane_sizes(width: int, height: int) -> tuple[int, int, int]:
    """Samples of the planes Y, Cb and Cr."""
    chroma = -(-width // 2) * -(-height // 2)
    return width * height, chroma, chroma


@final
class PlaneFiles:
    """`reference.yuv` and `test.yuv` in a folder, which grow with every frame: 1.5 bytes a pixel each."""

    def __init__(self, folder: Path, video_format: VideoFormat) -> None:
        self.folder, self.format = folder, video_format
        self.num_frames = 0

    def extend(self, start: int, reference: Frames, test: Frames) -> None:
        """Appends frames [start, start + t) where another metric has not done so; raises OutputError."""
        if start < self.num_frames:
            return
        try:
            for name, frames in (("reference", reference), ("test", test)):
                with (self.folder / f"{name}.yuv").open("ab") as file:
                    ycbcr(frames).tofile(file)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written: {error.strerror}; TMPDIR names another folder") from error
        self.num_frames += len(reference)
