"""Value types that several parts share.

Axis legend: c channels, f latent frames, h latent rows, w latent columns; frames of video are `t y x 3`.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import UInt8

Frames = UInt8[np.ndarray, "t y x 3"]  # 8-bit RGB
Frame = UInt8[np.ndarray, "y x 3"]

NEARLY = Fraction(3, 100)  # as 832x480 is 16:9: what a size of multiples of 16 or 32 may change the aspect by


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """Size, length and speed of a video: width and height in pixels, fps in frames per second.

    num_frames is 0 in a header that leaves the length to the end mark, else at least 1. sample_aspect is the width of a
    pixel over its height.
    """

    width: int
    height: int
    num_frames: int
    fps: Fraction
    sample_aspect: Fraction = Fraction(1)

    @property
    def pixels(self) -> int:
        """Pixels of the whole video, the denominator of bits per pixel."""
        return self.width * self.height * self.num_frames

    def scaled(self, width: int, height: int) -> "VideoFormat":
        """The format at another size, with pixels of the aspect that leaves the picture's own as it is.

        A size that keeps the picture's aspect to within 3 %, as whole numbers can, leaves that of the pixels too.
        """
        change = Fraction(self.width * height, self.height * width)
        aspect = self.sample_aspect if abs(change - 1) < NEARLY else self.sample_aspect * change
        return replace(self, width=width, height=height, sample_aspect=aspect)


@dataclass(frozen=True, slots=True)
class RawLayout:
    """What a raw file lacks: width and height in pixels, fps in frames per second, FFmpeg's name of its pixel format."""

    width: int
    height: int
    fps: Fraction
    pixels: str = "yuv420p"


@dataclass(frozen=True, slots=True)
class GopSpan:
    """Source frames [start, stop) of one group of pictures.

    The GOP before has shown the first `overlap` frames; this GOP's budget pays for `references` reference frames; the next
    GOP continues the last `carried` latent frames.
    """

    index: int
    start: int
    stop: int
    overlap: int = 0
    references: int = 0
    carried: int = 0

    @property
    def num_frames(self) -> int:
        """Frames that the GOP codes, those of the overlap included."""
        return self.stop - self.start

    @property
    def num_shown(self) -> int:
        """Frames that the GOP adds to the output, without the overlap."""
        return self.num_frames - self.overlap


@dataclass(frozen=True, slots=True)
class NoiseAddress:
    """What a noise vector is a function of: a 64-bit seed, the GOP, the step (0 is the start at t = 1), the block."""

    seed: int
    gop: int
    step: int
    block: int = 0


@dataclass(frozen=True, slots=True)
class Geometry:
    """How latents relate to frames.

    A GOP has 1 + k * temporal frames and 1 + k latent frames, at least `least`; each latent sample covers
    spatial x spatial pixels; width and height must be multiples of `multiple`. Where a first frame is known, it replaces
    the first `given` latent frames, which then carry no bits.
    """

    channels: int
    temporal: int
    spatial: int
    multiple: int
    given: int = 0
    least: int = 1

    def latent_frame(self, position: int) -> int:
        """Number of the latent frame that holds frame `position` of the GOP: ceil(position / temporal)."""
        return -(-position // self.temporal)

    def padded_frames(self, num_frames: int) -> int:
        """Smallest legal frame count >= num_frames."""
        return 1 + max(self.least - 1, -(-(num_frames - 1) // self.temporal)) * self.temporal

    def padded_size(self, width: int, height: int) -> tuple[int, int]:
        """Smallest legal (width, height) that holds the picture."""
        return -(-width // self.multiple) * self.multiple, -(-height // self.multiple) * self.multiple

    def latent_shape(self, num_frames: int, width: int, height: int) -> tuple[int, int, int, int]:
        """Shape c f h w of the latents of a legal GOP."""
        return self.channels, 1 + (num_frames - 1) // self.temporal, height // self.spatial, width // self.spatial


@dataclass(frozen=True, slots=True)
class Identity:
    """Name of a backbone, hash of its weights (8 bytes), and the arithmetic it computes with; all in the sequence header."""

    name: str
    weights: bytes
    arithmetic: str


@dataclass(frozen=True)
class InformationProfile:
    """mmse(t): mean squared error per latent dimension of x0_hat along the true trajectory.

    A table over increasing ln A, A = (1 - t) / t; ln mmse is linear between its points and constant beyond them.
    """

    log_snr: tuple[float, ...]
    mmse: tuple[float, ...]

    def at(self, t: float) -> float:
        """mmse at 0 < t <= 1."""
        position = -math.inf if t == 1 else math.log((1 - t) / t)
        i = bisect_left(self.log_snr, position)
        if i in (0, len(self.log_snr)):
            return self.mmse[min(i, len(self.log_snr) - 1)]
        share = (position - self.log_snr[i - 1]) / (self.log_snr[i] - self.log_snr[i - 1])
        return math.exp((1 - share) * math.log(self.mmse[i - 1]) + share * math.log(self.mmse[i]))
