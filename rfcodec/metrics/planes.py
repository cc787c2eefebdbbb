"""Frames as planes of YCbCr 4:2:0, the way `VideoWriter` writes a `.yuv` file."""

from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from rfcodec.errors import OutputError
from rfcodec.types import Frames, VideoFormat
from rfcodec.video.colour import ToYcbcr, default_matrix

Planes = UInt8[np.ndarray, "t n"]


def ycbcr(frames: Frames) -> Planes:
    """Planes Y, Cb, Cr of each frame as one row: 8 bits, limited range, BT.709 from 720 lines on, else BT.601.

    Chroma planes of odd sizes are rounded up.
    """
    convert = ToYcbcr(default_matrix(frames.shape[1]))
    return np.stack([convert.samples(frame) for frame in frames])


@final
class PlaneFiles:
    """Planes of both clips, converted once for all metrics; `reference.yuv` and `test.yuv` in `folder` for those that ask.

    The files grow with every frame: 1.5 bytes a pixel each.
    """

    def __init__(self, folder: Path, video_format: VideoFormat) -> None:
        self.folder, self.format = folder, video_format
        self.num_frames = 0
        self._latest: tuple[int, Planes, Planes] | None = None
        self._failure: OutputError | None = None

    def convert(self, start: int, reference: Frames, test: Frames) -> "tuple[Planes, Planes]":
        """Rows of `ycbcr` of frames [start, start + t) of both clips; every metric asks for the same frames in turn."""
        if self._latest is None or self._latest[0] != start:
            self._latest = start, ycbcr(reference), ycbcr(test)
        return self._latest[1:]

    def extend(self, start: int, reference: Frames, test: Frames) -> None:
        """Appends frames [start, start + t) where another metric has not done so; raises OutputError, then ever again."""
        if self._failure:
            raise self._failure
        if start < self.num_frames:
            return
        try:
            for name, planes in zip(("reference", "test"), self.convert(start, reference, test), strict=True):
                with (self.folder / f"{name}.yuv").open("ab") as file:
                    planes.tofile(file)
        except OSError as error:
            message = f"frames cannot be written: {error.strerror or error}; TMPDIR names another folder"
            self._failure = OutputError(message)
            raise self._failure from error
        self.num_frames += len(reference)
