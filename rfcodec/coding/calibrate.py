"""Measures the information profile of a backbone once, on clips, for later encodings without a pilot pass."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rfcodec.bitstream import fields
from rfcodec.bitstream.headers import SequenceHeader
from rfcodec.coding.engine import Engine
from rfcodec.coding.header import make_header, open_backbone, write_options
from rfcodec.coding.information import FINE_LOG_SNR, information, mean_profile, probe, store_profile
from rfcodec.coding.intra import TrajectoryFrames
from rfcodec.config import RuntimeConfig, StreamConfig
from rfcodec.errors import FrameRangeError
from rfcodec.protocols import Backbone
from rfcodec.support.steady import steady_arithmetic
from rfcodec.types import InformationProfile
from rfcodec.video.inputs import as_video
from rfcodec.video.reader import Video

EXACT = 1 << 30  # bytes: no limit for a reference frame


@final
@dataclass(frozen=True)
class Calibration:
    """An information profile, the number of GOPs it was measured on, and the file it is stored in."""

    profile: InformationProfile
    gops: int
    file: Path

    @property
    def information(self) -> list[float]:
        """Bits a dimension from t = 1 to each time of the profile."""
        return information(self.profile)


@steady_arithmetic()
def calibrate(
    clips: Sequence[Path],
    stream: StreamConfig,
    runtime: RuntimeConfig,
    *,
    gops: int = 4,
    open_clip: Callable[[Path], AbstractContextManager[Video]] = as_video,
    watch: Callable[[int, InformationProfile], None] = lambda done, profile: None,
) -> Calibration:
    """Measures `gops` GOPs of each clip, spread over it, with exact reference frames; stores the mean.

    Calls `watch` after each GOP with the number of GOPs done and the mean so far. Raises InputError, FrameRangeError,
    BackboneError, OutputError.
    """
    backbone = open_backbone(stream.backbone, write_options(stream.backbone_options), runtime)
    stream = stream.model_copy(update={"still": "png"})
    measured: list[InformationProfile] = []
    header: SequenceHeader | None = None
    for clip in clips:
        with open_clip(clip) as video:
            header = _header(video, stream, backbone)
            for start in _starts(clip, video.format.num_frames, stream.gop, gops):
                measured.append(_measure(Engine(header, backbone, TrajectoryFrames), video, start))
                watch(len(measured), mean_profile(measured))
    if header is None:
        raise FrameRangeError("no clip was given: name one or more videos")
    profile = mean_profile(measured)
    return Calibration(profile, len(measured), store_profile(header, profile, len(measured)))


def _header(video: Video, stream: StreamConfig, backbone: Backbone) -> SequenceHeader:
    return fields.read_whole(SequenceHeader, fields.write(make_header(video.format, stream, backbone)))


def _starts(clip: Path, num_frames: int, gop: int, most: int) -> list[int]:
    last = num_frames - gop
    if last < 0:
        raise FrameRangeError(f"{clip} has {num_frames} frames, a GOP {gop}: give longer clips, or a shorter --gop")
    count = min(most, last // gop + 1)
    return [last * i // max(count - 1, 1) for i in range(count)]


def _measure(engine: Engine, video: Video, start: int) -> InformationProfile:
    # coded as the first GOP of a video is
    frames = video.read(start, start + engine.header.gop)
    span = next(iter(engine.conditioner.plan(len(frames), engine.header.gop)))
    condition = engine.condition(engine.conditioner.emit(frames, span, EXACT, None), span, None)
    coded = engine.backbone.encode(engine.pad(frames))[:, engine.given(span, condition) :]
    return probe(engine, engine.prepare(condition), coded, FINE_LOG_SNR)
