"""The headers of a stream as field lists (docs/bitstream.md, sections 3 and 4)."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from rfcodec.bitstream.fields import (
    Extensions,
    choice,
    extensions,
    fixed,
    increments,
    milli,
    nested,
    octets,
    read_whole,
    text,
    uint,
    write,
)
from rfcodec.config import EULER_NEEDS
from rfcodec.errors import InvalidField, TruncatedStream
from rfcodec.types import VideoFormat

SOLVERS = {"posterior": 0, "euler_maruyama": 1}
DIFFUSIONS = {"eta": 0, "power": 1}
MOST_PIXELS = 1 << 31  # of one GOP: bounds the memory that a header can ask for


@final
@dataclass(frozen=True)
class _Aspect:
    """Payload of the extension `aspect`."""

    numerator: int = uint("width of a pixel over its height, numerator", 1, 65535)
    denominator: int = uint("width of a pixel over its height, denominator", 1, 65535)

    def __post_init__(self) -> None:
        if math.gcd(self.numerator, self.denominator) != 1 or self.numerator == self.denominator:
            raise InvalidField(f"aspect is {self.numerator}:{self.denominator}; legal: lowest terms other than 1:1")


def write_aspect(aspect: Fraction) -> Extensions:
    """The extension that says what pixels are not square; none for 1. Terms beyond 65535 are brought near."""
    if aspect == 1:
        return ()
    small = max(min(aspect, 1 / aspect).limit_denominator(65535), Fraction(1, 65535))
    near = small if aspect < 1 else 1 / small
    return () if near == 1 else (("aspect", write(_Aspect(near.numerator, near.denominator))),)


def read_aspect(extensions: Extensions) -> Fraction:
    """Inverse of `write_aspect`; raises InvalidField."""
    payload = dict(extensions).get("aspect")
    if payload is None:
        return Fraction(1)
    try:
        found = read_whole(_Aspect, payload)
    except TruncatedStream as error:
        raise InvalidField(f"the extension aspect is too short: {error}") from error
    return Fraction(found.numerator, found.denominator)


@final
@dataclass(frozen=True)
class TrajectoryHeader:
    """The SDE and its grid; names and ranges are those of TrajectoryConfig, but ode_tail is always a number."""

    solver: str = choice("solver of the SDE", SOLVERS)
    diffusion: str = choice("family of g: eta sqrt(2t/(1-t)) or gain t^power", DIFFUSIONS)
    eta: float = milli("eta of the family eta", 0, 100)
    gain: float = milli("gain of the family power", 0, 100)
    power: float = milli("power of t in the family power", 0, 100)
    steps: int = uint("model evaluations of a GOP", 2, 500)
    ode_tail: int = uint("closing steps that carry no bits", 1, 499)
    tail_order: int = uint("order of the closing steps", 1, 2)
    bit_ramp: int = uint("growth of bits: coded step k has a share (k + 1)^bit_ramp", 0, 4)
    shift: float = milli("shift of the uniform grid; 0: each GOP writes its own grid", 0, 1000)

    def __post_init__(self) -> None:
        if self.ode_tail >= self.steps:
            raise InvalidField(f"ode_tail is {self.ode_tail} of {self.steps} steps; legal: 1 to {self.steps - 1}")
        if self.solver == "euler_maruyama" and self.diffusion == "eta" and self.eta:
            raise InvalidField(f"eta is {self.eta}: {EULER_NEEDS}")

    @property
    def coded_steps(self) -> int:
        """Steps that carry bits."""
        return self.steps - self.ode_tail


@final
@dataclass(frozen=True)
class SequenceHeader:
    """All that a decoder must know before the first GOP."""

    width: int = uint("width in pixels", 1, 65535)
    height: int = uint("height in pixels", 1, 65535)
    num_frames: int = uint("frames shown; 0: the end mark has the number", 0, 2**31 - 1)
    fps_numerator: int = uint("frames per second, numerator", 1, 2**31 - 1)
    fps_denominator: int = uint("frames per second, denominator", 1, 2**31 - 1)
    gop: int = uint("most frames of a GOP", 1, 4096)
    mode: int = uint("id of the conditioner", 0, 127)
    still: int = uint("id of the still coder", 0, 127)
    codebook: int = uint("id of the codebook", 0, 127)
    codebook_parameters: bytes = octets("fields of the codebook", 64)
    trajectory: TrajectoryHeader = nested("the SDE and its grid", TrajectoryHeader)
    seed: int = uint("seed of all noise", 0, 2**62 - 1)
    backbone: str = text("name of the backbone", 255)
    weights: bytes = octets("hash of its weights", 8)
    arithmetic: str = text("what the encoder computed with", 255)
    backbone_options: str = text("settings of the backbone", 4095)
    prompt: str = text("text that conditions every GOP", 65535)
    extensions: Extensions = extensions("additions of later releases", 65535)

    def __post_init__(self) -> None:
        read_aspect(self.extensions)
        if self.width * self.height * min(self.gop, self.num_frames or self.gop) > MOST_PIXELS:
            raise InvalidField(f"{self.gop} frames of {self.width}x{self.height} are too much for one GOP: shorten the GOP")

    @property
    def format(self) -> VideoFormat:
        """Size, length and speed of the video."""
        fps = Fraction(self.fps_numerator, self.fps_denominator)
        return VideoFormat(self.width, self.height, self.num_frames, fps, read_aspect(self.extensions))


@final
@dataclass(frozen=True)
class GopHeader:
    """What differs from GOP to GOP: bits, time grid, digest."""

    index: int = uint("number of the GOP", 0, 2**31 - 1)
    symbol_bits: int = uint("bits that the coded steps share; bits that no step can use stay unspent", 0, 2**40)
    levels: tuple[int, ...] = increments("time grid between 1 and 0 as levels of ln A; empty: the uniform grid", 499)
    digest: bytes = octets("first bytes of the BLAKE2s hash of the final latents", 32)
    extensions: Extensions = extensions("additions of later releases", 1024)


@final
@dataclass(frozen=True)
class StillHeader:
    """Precedes the symbols of a still that the backbone codes; neither digest nor extensions."""

    symbol_bits: int = uint("bits that the coded steps share", 0, 2**40)
    levels: tuple[int, ...] = increments("time grid between 1 and 0 as levels of ln A; empty: the uniform grid", 499)


@final
@dataclass(frozen=True)
class EndMark:
    """Closes a stream; its size is fixed, so that a reader finds it and the index from the end of the file."""

    total: int = fixed("bytes of the whole stream", 8)
    index: int = fixed("bytes of the index unit", 4)
    num_frames: int = fixed("frames shown", 4, 1, 2**31 - 1)
