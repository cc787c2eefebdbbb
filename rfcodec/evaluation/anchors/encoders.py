"""Codecs to compare with: x265, SVT-AV1 and VVenC as elementary streams of the ffmpeg that comes with imageio-ffmpeg.

    video -- prepare --> y4m -- encode --> .hevc .obu .vvc -- decode --> Video of the true size

An elementary stream holds no bytes of a container. x265 and SVT-AV1 run at constant rate factor, by settings measured to
need few bits at equal PSNR and LPIPS (docs/evaluation.md, section 2), VVenC at constant QP; all with hierarchical B frames
and one intra frame for the whole clip (x265 adds one where it finds a cut), in one thread: bytes are the same on every run.
Where the smallest file is too large, the picture is coded at half, then quarter size.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, final

from rfcodec.errors import AnchorError, BudgetTooSmall, ConfigError, FrameSizeError, VideoReadError
from rfcodec.support.files import replacing
from rfcodec.support.programs import ffmpeg, ffmpeg_version, run, shell_line, working_folder
from rfcodec.types import VideoFormat
from rfcodec.video.planes import DecodedVideo, coded_size, count_frames, decode_stream, prepare

__all__ = ["ANCHORS", "Anchor", "AnchorStream", "decode", "encode", "encode_to_rate", "ffmpeg_version", "prepare"]

SCALES = (1, 2, 4)


@final
@dataclass(frozen=True)
class Anchor:
    """An encoder of ffmpeg as data; `dataclasses.replace(anchor, preset=...)` is another one.

    `knob` names what sets the rate, `values` are those it may take, from large files to small; `least` is the smallest
    side it takes in pixels; `extension` is also ffmpeg's name of the elementary stream; `options` are ffmpeg's, with
    {preset} and {knob} to fill in.
    """

    name: str
    extension: str
    knob: str
    values: Sequence[float]
    least: int
    preset: str
    options: str

    def arguments(self, knob: float) -> list[str]:
        """Arguments of ffmpeg that choose the encoder and its settings."""
        return [word.format(preset=self.preset, knob=f"{knob:g}") for word in self.options.split()]


# info=0: x265 writes its settings into the stream. wpp=0: entry points and restarts for threads that we do not use.
# psy-rd costs 4 % of the bits at equal PSNR and gains nothing in LPIPS
_X265 = (
    "-c:v libx265 -preset {preset} -x265-params crf={knob}:psy-rd=0:psy-rdoq=0"
    ":keyint=-1:info=0:wpp=0:frame-threads=1:pools=none:log-level=error"
)
# crf by parameters: ffmpeg's own option is an integer of at most 63
# tune=0 saves 9 % of the bits at equal LPIPS and costs 3 % at equal PSNR
_SVT_AV1 = "-c:v libsvtav1 -preset {preset} -svtav1-params crf={knob}:tune=0:keyint=-1:lp=1"
# maxparallelframes=0: else VVenC may write an empty file and report success. Delimiters cost six bytes a frame.
_VVENC = (
    "-c:v libvvenc -preset {preset} -qp {knob} -threads 1 "
    "-vvenc-params intraperiod=-1:qpa=0:accessunitdelimiter=0:maxparallelframes=0"
)


def _quarters(first: int, last: int) -> tuple[float, ...]:
    return tuple(quarter / 4 for quarter in range(4 * first, 4 * last + 1))


ANCHORS = {
    anchor.name: anchor
    for anchor in (
        Anchor("x265", "hevc", "crf", _quarters(0, 51), least=16, preset="slow", options=_X265),
        # crf 0 is lossless
        Anchor("svt-av1", "obu", "crf", _quarters(1, 70), least=16, preset="4", options=_SVT_AV1),
        # ffmpeg has a buffer of one byte a pixel for a coded picture with its headers; smaller ones and QPs may need more
        Anchor("vvc", "vvc", "qp", range(10, 64), least=32, preset="medium", options=_VVENC),
    )
}


@final
@dataclass(frozen=True)
class AnchorStream:
    """An elementary stream: size in bytes, knob, the divisor of width and height, and the commands that make it.

    encode_seconds is the wall time of this one encode.
    """

    path: Path
    size: int
    knob: float
    scale: int
    commands: tuple[str, ...]
    encode_seconds: float


def encode(anchor: Anchor, source: Path, video: VideoFormat, out: Path, *, knob: float, scale: int = 1) -> AnchorStream:
    """Encodes a prepared source, decodes the stream and counts its frames; `out` is written only where all went well.

    knob is one of the anchor's values; scale divides width and height by 1, 2 or 4, to the nearest even size. Raises
    ConfigError, FrameSizeError where the encoder takes no pictures that small, AnchorError and OutputError.
    """
    _check(anchor, video, knob, scale)
    arguments = _arguments(anchor, source, video, knob, scale)
    with replacing(out) as part:
        start = time.perf_counter()
        run(ffmpeg(*arguments, part.absolute()))
        seconds = time.perf_counter() - start
        _check_stream(anchor, part, video, scale)
    line = shell_line(ffmpeg(*arguments, out.absolute()))
    return AnchorStream(out, out.stat().st_size, knob, scale, (line,), seconds)


def encode_to_rate(anchor: Anchor, source: Path, video: VideoFormat, out: Path, bpp: float) -> AnchorStream:
    """A stream of at most bpp * pixels / 8 bytes, too large by the next finer knob, at the largest scale that goes so low.

    Bisects the knob's values: one encode at the last, then about log2 of their number, as if files only shrank along them.
    Neighbours a quarter apart may be out of order, so that a slightly larger file may fit as well. Raises BudgetTooSmall,
    which names the smallest stream there is, and what `encode` raises.
    """
    budget, too_large = int(bpp * video.pixels / 8), []
    with working_folder(out) as folder:
        for scale in _scales(anchor, video):
            trial = partial(_trial, anchor, source, video, folder, scale)
            stream = largest_within(anchor.values, trial, budget)
            if stream.size <= budget:
                with replacing(out) as part:
                    stream.path.replace(part)
                arguments = _arguments(anchor, source, video, stream.knob, scale)
                return replace(stream, path=out, commands=(shell_line(ffmpeg(*arguments, out.absolute())),))
            too_large.append(stream)
    least = min(too_large, key=lambda stream: stream.size)
    raise BudgetTooSmall(
        f"{anchor.name} cannot code this video in {budget} bytes ({bpp:.6g} bits per pixel): it needs {least.size} "
        f"({8 * least.size / video.pixels:.6g}) at {anchor.knob} {least.knob:g} and 1/{least.scale} of width and height"
    )


def decode(stream: AnchorStream, video: VideoFormat) -> DecodedVideo:
    """The decoded frames at the true size: scaled up by Lanczos where they were coded smaller, odd sizes cut out."""
    return DecodedVideo(video, partial(decode_stream, stream.path, video, stream.scale))


class Sized(Protocol):
    """A stream that knows its size in bytes."""

    @property
    def size(self) -> int:
        """Bytes of the stream."""
        ...


Knob = TypeVar("Knob")
Stream = TypeVar("Stream", bound=Sized)


def largest_within(knobs: Sequence[Knob], encode: Callable[[Knob], Stream], budget: int) -> Stream:
    """The first stream of at most `budget` bytes, by bisection of knobs that are ordered from large files to small.

    That of the last knob, and nothing else is encoded, where even that is too large.
    """
    best = encode(knobs[-1])
    low, high = 0, len(knobs) - 1
    while best.size <= budget and low < high:
        middle = (low + high) // 2
        stream = encode(knobs[middle])
        if stream.size <= budget:
            best, high = stream, middle
        else:
            low = middle + 1
    return best


def _trial(anchor: Anchor, source: Path, video: VideoFormat, folder: Path, scale: int, knob: float) -> AnchorStream:
    return encode(anchor, source, video, folder / f"{scale}-{knob:g}.{anchor.extension}", knob=knob, scale=scale)


def _arguments(anchor: Anchor, source: Path, video: VideoFormat, knob: float, scale: int) -> list[str]:
    width, height = coded_size(video, scale)
    scaler = ["-vf", f"scale={width}:{height}:flags=lanczos+accurate_rnd+bitexact"] if scale > 1 else []
    return ["-i", str(source.absolute()), *scaler, *anchor.arguments(knob), "-f", anchor.extension]


def _scales(anchor: Anchor, video: VideoFormat) -> list[int]:
    """Those that the encoder takes pictures of; full size in any case, for `encode` to refuse."""
    return [scale for scale in SCALES if scale == 1 or min(coded_size(video, scale)) >= anchor.least]


def _check(anchor: Anchor, video: VideoFormat, knob: float, scale: int) -> None:
    if knob not in anchor.values:
        first, second, *_, last = anchor.values
        steps = f"in steps of {second - first:g}"
        raise ConfigError(f"{anchor.knob} {knob:g}: {anchor.name} takes {first:g} to {last:g} {steps}")
    if scale not in SCALES:
        raise ConfigError(f"scale {scale}: must be one of {', '.join(map(str, SCALES))}")
    width, height = coded_size(video, scale)
    if min(width, height) < anchor.least:
        raise FrameSizeError(
            f"{anchor.name} takes pictures of {anchor.least} pixels or more each way, not {width}x{height}, which is "
            f"{video.width}x{video.height} at scale {scale}; use larger pictures or a smaller scale"
        )


def _check_stream(anchor: Anchor, path: Path, video: VideoFormat, scale: int) -> None:
    try:
        count, size = count_frames(path)
    except VideoReadError as error:
        raise AnchorError(f"{anchor.name} reported success, but its stream cannot be decoded: {error}") from error
    expected = coded_size(video, scale)
    if (count, size) != (video.num_frames, expected):
        raise AnchorError(
            f"{anchor.name}: the stream holds {count} frames of {size[0]}x{size[1]}, not {video.num_frames} of "
            f"{expected[0]}x{expected[1]}; was the source made from this video?"
        )
