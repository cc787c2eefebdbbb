"""Protocols: which frames of a clip, as which pictures, are coded and measured, and how a paper counts bytes and averages.

honest   every frame, the clip's own matrix and size; every byte of the file over pixels of the frames shown
gvcc     first GOPs of 33 frames, OpenCV's matrix, Pillow's Lanczos to 1280x720; counted fields alone, at nominal 16 fps
gvc      the same over whole sequences at their own size: every whole GOP, a trailing partial one is dropped
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, final

import numpy as np

from rfcodec.errors import FrameRangeError
from rfcodec.evaluation.datasets.clips import Clip, open_clip
from rfcodec.types import VideoFormat
from rfcodec.video.pictures import FilePlanes, OpencvVideo, RawPlanes, View, picture_folder
from rfcodec.video.reader import Video

# What GVCC's scripts (arXiv 2603.26571) count, in the words of rfcodec.api.info: I2V's first frame is free, so is every
# header; boundary frames of FLF2V are paid for. Framing of units, some seven bytes each, stays in.
GVCC_COUNTS: Mapping[str, tuple[str, ...]] = {
    "t2v": ("symbols",),
    "i2v": ("symbols", "correction"),
    "i2v-gvcc": ("symbols", "correction"),
    "flf2v": ("symbols", "side information"),
}
COLOURS = 3


@final
@dataclass(frozen=True)
class Rate:
    """Rate of a stream. `bpp` and `kbps` are honest under every protocol: all bytes, over pixels of the frames shown, at
    the clip's own speed. The paper's are None where the protocol is not a paper's."""

    bpp: float
    kbps: float
    paper_bpp: float | None
    paper_kbps: float | None


@final
@dataclass(frozen=True)
class Protocol:
    """How clips are read, rates counted and values averaged; the fields left alone are those of the honest protocol."""

    name: str
    size: tuple[int, int] | None = None  # width, height that pictures are scaled to; None: the clip's
    colour: Literal["own", "opencv"] = "own"  # own: the matrix that the video says it has
    gop: int | None = None  # frames of a GOP; None: the whole clip is one
    gops: int | None = None  # the first so many GOPs; None: all
    shared: tuple[str, ...] = ()  # modes whose GOPs share a frame with the one before
    fps: Fraction | None = None  # nominal speed from which the paper's kbps are computed
    counts: Mapping[str, tuple[str, ...]] | None = field(default=None, hash=False)  # purposes counted, by mode
    per_sample: bool = False  # whether the paper's bpp are bits over colour samples, three a pixel

    def spans(self, num_frames: int, mode: str | None = None) -> list[tuple[int, int]]:
        """Frames [start, stop) of each GOP that counts, whole ones alone; raises FrameRangeError where there is none.

        The stride is `gop`, or gop - 1 for modes whose GOPs share a frame.
        """
        if self.gop is None:
            return [(0, num_frames)]
        stride = max(self.gop - int(mode in self.shared), 1)
        starts = range(0, num_frames - self.gop + 1, stride)[: self.gops]
        if not starts:
            raise FrameRangeError(
                f"protocol {self.name}: a clip of {num_frames} frames has no GOP of {self.gop}; take fewer"
            )
        return [(start, start + self.gop) for start in starts]

    def open(self, clip: Clip, mode: str | None = None) -> Video:
        """The frames of a clip that are coded and measured; raises VideoReadError, FrameRangeError, FrameSizeError.

        A paper's planes are taken as 8-bit 4:2:0, whatever the file says of matrix and range; pictures are RGB as they are.
        """
        size = self.size or clip.size
        if self.colour == "own":
            video, size = open_clip(replace(clip, size=size)), None
        else:
            video = _by_opencv(clip)
        stop = self.spans(video.format.num_frames, mode)[-1][1]
        return video if size is None and stop == video.format.num_frames else View(video, (0, stop), size)

    def counted_bytes(self, size: int, bytes_by_purpose: Mapping[str, int] | None = None, mode: str | None = None) -> int:
        """What the paper counts of a stream of `size` bytes; all where it does not know the mode, or is no paper's."""
        purposes = (self.counts or {}).get(mode or "")
        if purposes is None or bytes_by_purpose is None:
            return size
        return sum(bytes_by_purpose.get(purpose, 0) for purpose in purposes)

    def rate(
        self, size: int, video: VideoFormat, bytes_by_purpose: Mapping[str, int] | None = None, mode: str | None = None
    ) -> Rate:
        """Rates of a stream of `size` bytes that shows `video`; bytes_by_purpose as rfcodec.api.info says them."""
        bpp, kbps = 8 * size / video.pixels, _kbps(size, video, video.fps)
        if self.counts is None:
            return Rate(bpp, kbps, None, None)
        counted = self.counted_bytes(size, bytes_by_purpose, mode)
        paper_bpp = 8 * counted / video.pixels / (COLOURS if self.per_sample else 1)
        return Rate(bpp, kbps, paper_bpp, _kbps(counted, video, self.fps or video.fps))

    def clip_mean(self, series: Sequence[float], mode: str | None = None) -> float:
        """Mean over frames of each GOP, then over GOPs, of a series of one value a frame shown.

        A frame that two GOPs share counts in both. Raises FrameRangeError where there is no whole GOP.
        """
        return float(np.mean([np.mean(series[start:stop]) for start, stop in self.spans(len(series), mode)]))


def mean(values: Sequence[float]) -> float:
    """Mean over clips of values of a clip each, as all protocols have it."""
    return float(np.mean(values))


def _kbps(size: int, video: VideoFormat, fps: Fraction) -> float:
    return float(8 * size * fps / video.num_frames / 1000)


def _by_opencv(clip: Clip) -> Video:
    if clip.path.is_dir():
        video: Video = picture_folder(clip.path, clip.fps)
    else:
        video = OpencvVideo(RawPlanes(clip.path, clip.raw) if clip.raw else FilePlanes(clip.path))
    return View(video, clip.frames) if clip.frames else video


def _paper(name: str, size: tuple[int, int] | None, gops: int | None) -> Protocol:
    return Protocol(name, size, "opencv", 33, gops, ("flf2v",), Fraction(16), GVCC_COUNTS)


PROTOCOLS: Mapping[str, Protocol] = {
    "honest": Protocol("honest"),
    "gvcc": _paper("gvcc", (1280, 720), 3),
    "gvc": _paper("gvc", None, None),
}
