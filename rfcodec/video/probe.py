"""What one look at a video file finds: size, length, speed, colour, orientation, and what is damaged."""

import logging
import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import final

import numpy as np
from av.container import InputContainer
from av.format import Flags
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from rfcodec.errors import DamageWarning, VideoReadError
from rfcodec.types import VideoFormat
from rfcodec.video.brightness import LightMeter, light_of
from rfcodec.video.colour import default_matrix, from_ycbcr
from rfcodec.video.damage import SourceReport, missing_packets, report
from rfcodec.video.hdr import Light
from rfcodec.video.orientation import Orientation, orientation
from rfcodec.video.rates import Timeline, frame_rate
from rfcodec.video.source import DEFAULT_FPS, Decoding, Source, video_streams

log = logging.getLogger(__name__)

# Numbers of ISO/IEC 23091-2 (FFmpeg's AVColorSpace) to the names of FFmpeg's scale filter.
_RGB, _UNTAGGED = 0, 2
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}

# Packets that the rate is found from: enough to tell 30 from 30000/1001 in milliseconds, in bytes that are soon read.
_PACKETS, _BYTES = 512, 1 << 26
_OFF = Fraction(1, 100)  # of a rate: what is said of it is off by more than rounding
# Seconds between two frames beyond which the clock was set anew: containers made for broadcast do that, others hardly.
_BROADCAST_GAP, _GAP = Fraction(10), Fraction(3600)


@final
@dataclass(frozen=True, slots=True)
class Probe:
    """What all reads of a source share.

    `format` is that of the frames as shown: upright, at a constant rate. `colour` holds options of FFmpeg's scale
    filter, `light` is what is mapped to SDR BT.709, None where nothing is. `begins` says where each decoded frame begins
    among those shown, and where the last one ends; None: each is shown once.
    """

    source: Source
    format: VideoFormat
    colour: str
    light: Light | None
    orientation: Orientation
    interlaced: bool
    begins: np.ndarray | None
    report: SourceReport


def probe(source: Source, stop: int | None) -> Probe:
    """Looks at the frames of a file by decoding them, but never beyond frame `stop`, and says what will be done to them.

    Raises VideoReadError; a damaged source that is not read strictly is a DamageWarning.
    """
    speed = _speed(source)
    look = _look(source, stop, speed.rate)
    if source.threaded and look.doubtful:
        source = replace(source, threaded=False)
        look = _look(source, stop, speed.rate)
    _check_damage(source, look.report)
    upright = orientation(look.first)
    fps, begins = _shown(source, speed, look)
    count = len(look.begins) - 1 if begins is None else int(begins[-1])
    width, height, aspect = look.first.width, look.first.height, look.aspect
    if upright.turned:
        width, height, aspect = height, width, 1 / aspect
    video = VideoFormat(width, height, count if stop is None else min(stop, count), fps, aspect)
    if upright.words:
        log.info("%s: %s, as its display matrix asks", source.path, upright.words)
    if _mistagged(look.first):
        log.info("%s: its tags say RGB, its samples are YCbCr: taken as untagged", source.path)
    if look.light:
        log.info("%s: %s", source.path, look.light)
    return Probe(
        source, video, _colour(source.path, look.first), look.light, upright, _interlaced(source, look), begins, look.report
    )


@final
@dataclass(frozen=True, slots=True)
class _Speed:
    """Frames per second of the frames as they lie in the file, and what the container says of it."""

    rate: Fraction
    said: Fraction


def _speed(source: Source) -> _Speed:
    with source.opened() as (container, stream):
        if len(streams := video_streams(container)) > 1:
            chosen = f"{streams.index(stream)} of 0 to {len(streams) - 1} is read ({stream.width}x{stream.height})"
            log.info("%s: video stream %s; --stream N takes another", source.path, chosen)
        said = stream.average_rate or stream.guessed_rate or DEFAULT_FPS
        if source.reading.raw or not stream.time_base:
            return _Speed(said, said)
        times, size = [], 0
        for packet in islice(container.demux(stream), _PACKETS):
            times += [] if packet.pts is None or packet.is_discard else [packet.pts * stream.time_base]
            size += packet.size
            if size > _BYTES:
                break
        return _Speed(frame_rate(stream.guessed_rate or None, sorted(set(times)), stream.time_base), said)


@final
@dataclass(frozen=True, slots=True)
class _Look:
    """The first frame decoded, its light, and the aspect of its pixels.

    `begins`: where each frame begins at a constant rate, and where the last one ends. `doubtful`: threads of the decoder may
    have lost frames.
    """

    first: VideoFrame
    light: Light | None
    aspect: Fraction
    begins: list[int]
    interlaced: int
    report: SourceReport
    doubtful: bool


def _look(source: Source, stop: int | None, rate: Fraction) -> _Look:
    keep = not _resampled(source)
    with source.opened() as (container, stream):
        decoding, timeline = Decoding(container, stream), Timeline(rate, _gap(container))
        clocked = not (container.format.name == "avi" and stream.codec_context.has_b_frames)  # else in coding order
        first, last, interlaced, begins = None, None, 0, []
        aspect = stream.sample_aspect_ratio or Fraction(1)
        meter = LightMeter(source.reading.tone_map)
        before = report(decoding)
        for frame in decoding:
            begins.append(timeline.place(_time(frame) if clocked else None))
            if stop is not None and (len(begins) - 1 if keep else begins[-1]) >= stop:
                return _Look(first or frame, meter.light, aspect, begins, interlaced, before, before.damaged)
            first, last, before = first or frame, frame, report(decoding)
            interlaced += frame.interlaced_frame
            meter.add(frame, _colour(source.path, first))
        if first is None or last is None:
            raise VideoReadError(f"{source.path}: holds no frames that can be read")
        # shown once at the least, however short it is said to be
        begins.append(max(begins[-1] + 1, timeline.place(_end(last) if clocked else None)))
        missing = missing_packets(container, stream, decoding, (_time(first) or 0) + begins[-1] / rate, rate)
        found = report(decoding, missing)
        return _Look(
            first, meter.light, aspect, begins, interlaced, found, found.damaged or decoding.packets != decoding.frames
        )


def _time(frame: VideoFrame) -> Fraction | None:
    return frame.pts * frame.time_base if frame.pts is not None and frame.time_base else None


def _end(frame: VideoFrame) -> Fraction | None:
    time = _time(frame)
    return time + frame.duration * frame.time_base if time is not None and frame.duration and frame.time_base else None


def _gap(container: InputContainer) -> Fraction:
    return _BROADCAST_GAP if container.format.flags & Flags.ts_discont.value else _GAP


def _resampled(source: Source) -> bool:
    return source.reading.fps is None and source.reading.vfr == "cfr"


def _shown(source: Source, speed: _Speed, look: _Look) -> tuple[Fraction, np.ndarray | None]:
    """Frames per second of the frames that are shown, and where each decoded frame begins among them."""
    told, begins = source.reading.fps, np.array(look.begins)
    varies = bool(np.any(np.diff(begins) != 1))
    if told is not None:
        return told, None
    if not varies:
        if abs(speed.rate / speed.said - 1) > _OFF:
            log.info("%s: %s frames per second; its container says %s", source.path, speed.rate, speed.said)
        return speed.rate, None
    if not _resampled(source):
        return speed.said, None
    changed = f"{np.sum(np.diff(begins) > 1)} frames held, {np.sum(np.diff(begins) == 0)} dropped"
    log.info("%s: frames at variable intervals, resampled to %s frames per second: %s", source.path, speed.rate, changed)
    return speed.rate, begins


def _interlaced(source: Source, look: _Look) -> bool:
    if not look.interlaced or not source.reading.deinterlace:
        return False
    log.info("%s: interlaced, so its frames are deinterlaced (bwdif); --no-deinterlace keeps the fields", source.path)
    return True


def _check_damage(source: Source, found: SourceReport) -> None:
    if not found.damaged:
        return
    if source.reading.strict:
        raise VideoReadError(f"{source.path}: damaged: {found}; without --strict these are used")
    warnings.warn(f"{source.path}: damaged or cut short: {found}", DamageWarning, stacklevel=2)


def _mistagged(frame: VideoFrame) -> bool:
    return int(frame.colorspace) == _RGB and not (frame.format.is_rgb or frame.format.has_palette)


def _colour(path: Path, frame: VideoFrame) -> str:
    if frame.format.is_rgb or frame.format.has_palette:
        return ""
    number = int(frame.colorspace)
    matrix = _untagged_matrix(frame) if number in (_RGB, _UNTAGGED) else _MATRICES.get(number)
    if matrix is None:
        legal = ", ".join(sorted(set(_MATRICES.values())))
        raise VideoReadError(f"{path}: colour matrix number {number} is not supported; legal: {legal}")
    grey = frame.format.name.startswith(("gray", "ya")) and frame.color_range != ColorRange.MPEG
    full = grey or frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return from_ycbcr(matrix, full)


def _untagged_matrix(frame: VideoFrame) -> str:
    light = light_of(frame)
    return "bt2020" if light and light.gamut == "BT.2020" else default_matrix(frame.height)
