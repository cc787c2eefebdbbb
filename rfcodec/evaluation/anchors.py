"""Codecs to compare with: x265, SVT-AV1 and VVenC as elementary streams of the ffmpeg that comes with imageio-ffmpeg.

    video -- prepare --> y4m -- encode --> .hevc .obu .vvc -- decode --> Video of the true size

An elementary stream holds no bytes of a container. All three run at constant QP without adaptive quantisation, with
hierarchical B frames and one intra frame for the whole clip (x265 adds one where it finds a cut), in one thread: bytes are
the same on every run. Where the file is too large at the largest QP, the picture is coded at half, then quarter size.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, final

from rfcodec.errors import AnchorError, BudgetTooSmall, ConfigError, FrameSizeError, VideoReadError
from rfcodec.evaluation.planes import DecodedVideo, coded_size, count_frames, decode_stream, prepare
from rfcodec.evaluation.programs import ffmpeg, ffmpeg_version, replacing, run, shell_line, working_folder
from rfcodec.types import VideoFormat

__all__ = ["ANCHORS", "Anchor", "AnchorStream", "decode", "encode", "encode_to_rate", "ffmpeg_version", "prepare"]

SCALES = (1, 2, 4)


@final
@dataclass(frozen=True)
class Anchor:
    """An encoder of ffmpeg as data; `dataclasses.replace(anchor, preset=...)` is another one.

    `best` <= QP <= `worst`; `least` is the smallest side it takes in pixels; `extension` is also ffmpeg's name of the
    elementary stream; `options` are ffmpeg's, with {preset} and {qp} to fill in.
    """

    name: str
    extension: str
    best: int
    worst: int
    least: int
    preset: str
    options: str

    def arguments(self, qp: int) -> list[str]:
        """Arguments of ffmpeg that choose the encoder and its settings."""
        return [word.format(preset=self.preset, qp=qp) for word in self.options.split()]


# info=0: x265 writes its settings into the stream. wpp=0: entry points and restarts for threads that we do not use.
_X265 = (
    "-c:v libx265 -preset {preset} -x265-params qp={qp}:keyint=-1:info=0:wpp=0:frame-threads=1:pools=none:log-level=error"
)
_SVT_AV1 = "-c:v libsvtav1 -preset {preset} -qp {qp} -svtav1-params rc=0:aq-mode=0:keyint=-1:lp=1"
# maxparallelframes=0: else VVenC may write an empty file and report success. Delimiters cost six bytes a frame.
_VVENC = (
    "-c:v libvvenc -preset {preset} -qp {qp} -threads 1 "
    "-vvenc-params intraperiod=-1:qpa=0:accessunitdelimiter=0:maxparallelframes=0"
)

ANCHORS = {
    anchor.name: anchor
    for anchor in (
        Anchor("x265", "hevc", best=0, worst=51, least=16, preset="slow", options=_X265),
        # ffmpeg takes QP 0 for one that is not set
        Anchor("svt-av1", "obu", best=1, worst=63, least=16, preset="4", options=_SVT_AV1),
        # ffmpeg has a buffer of one byte a pixel for a coded picture with its headers; smaller ones and QPs may need more
        Anchor("vvc", "vvc", best=10, worst=63, least=32, preset="medium", options=_VVENC),
    )
}


@final
@dataclass(frozen=True)
class AnchorStream:
    """An elementary stream: size in bytes, QP, the divisor of width and height, and the commands that make it.

    encode_seconds is the wall time of this one encode.
    """

    path: Path
    size: int
    qp: int
    scale: int
    commands: tuple[str, ...]
    encode_seconds: float


def encode(anchor: Anchor, source: Path, video: VideoFormat, out: Path, *, qp: int, scale: int = 1) -> AnchorStream:
    """Encodes a prepared source, decodes the stream and counts its frames; `out` stands only where all went well.

    scale divides width and height by 1, 2 or 4, to the nearest even size. Raises ConfigError, FrameSizeError where the
    encoder takes no pictures that small, AnchorError and OutputError.
    """
    _check(anchor, video, qp, scale)
    arguments = _arguments(anchor, source, video, qp, scale)
    with replacing(out) as part:
        start = time.perf_counter()
        run(ffmpeg(*arguments, part.absolute()))
        seconds = time.perf_counter() - start
        _check_stream(anchor, part, video, scale)
    line = shell_line(ffmpeg(*arguments, out.absolute()))
    return AnchorStream(out, out.stat().st_size, qp, scale, (line,), seconds)


def encode_to_rate(anchor: Anchor, source: Path, video: VideoFormat, out: Path, bpp: float) -> AnchorStream:
    """The largest stream of at most bpp * pixels / 8 bytes at the largest scale that can go so low.

    Bisects QP: one encode at the largest, then about log2(worst - best), on the assumption that a larger QP makes no larger
    file. Raises BudgetTooSmall, which names the smallest stream there is, and what `encode` raises.
    """
    budget, too_large = int(bpp * video.pixels / 8), []
    knobs = range(anchor.best, anchor.worst + 1)
    with working_folder(out) as folder:
        for scale in _scales(anchor, video):
            trial = partial(_trial, anchor, source, video, folder, scale)
            stream = largest_within(knobs, trial, budget)
            if stream.size <= budget:
                with replacing(out) as part:
                    stream.path.replace(part)
                arguments = _arguments(anchor, source, video, stream.qp, scale)
                return replace(stream, path=out, commands=(shell_line(ffmpeg(*arguments, out.absolute())),))
            too_large.append(stream)
    least = min(too_large, key=lambda stream: stream.size)
    raise BudgetTooSmall(
        f"{anchor.name} cannot code this video in {budget} bytes ({bpp:.6g} bits per pixel): it needs {least.size} "
        f"({8 * least.size / video.pixels:.6g}) at qp {least.qp} and 1/{least.scale} of width and height"
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


def _trial(anchor: Anchor, source: Path, video: VideoFormat, folder: Path, scale: int, qp: int) -> AnchorStream:
    return encode(anchor, source, video, folder / f"{scale}-{qp}.{anchor.extension}", qp=qp, scale=scale)


def _arguments(anchor: Anchor, source: Path, video: VideoFormat, qp: int, scale: int) -> list[str]:
    width, height = coded_size(video, scale)
    scaler = ["-vf", f"scale={width}:{height}:flags=lanczos+accurate_rnd+bitexact"] if scale > 1 else []
    return ["-i", str(source.absolute()), *scaler, *anchor.arguments(qp), "-f", anchor.extension]


def _scales(anchor: Anchor, video: VideoFormat) -> list[int]:
    """Those that the encoder takes pictures of; full size in any case, for `encode` to refuse."""
    return [scale for scale in SCALES if scale == 1 or min(coded_size(video, scale)) >= anchor.least]


def _check(anchor: Anchor, video: VideoFormat, qp: int, scale: int) -> None:
    if not anchor.best <= qp <= anchor.worst:
        raise ConfigError(f"qp {qp}: {anchor.name} takes {anchor.best} to {anchor.worst}")
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
