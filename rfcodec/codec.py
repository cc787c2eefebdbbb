"""The pipeline, top to bottom: encode, decode, and the one reconstruct that both run.

frames --emit--> side info --condition--> Condition --+
frames --backbone.encode--> target --ChooseNoise--> Step <--ReplayNoise-- symbols
                                                      |
                           backbone.run(condition, Step) --> latents --correction--> DecodedGop
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import final

from rfcodec.bitstream import fields, symbols
from rfcodec.bitstream.container import GopRecord
from rfcodec.bitstream.headers import GopHeader, SequenceHeader
from rfcodec.bitstream.records import Unit, UnitType
from rfcodec.coding.decoded import DecodedGop
from rfcodec.coding.engine import Engine
from rfcodec.coding.header import check_identity, make_header, open_backbone, write_options
from rfcodec.coding.intra import TrajectoryFrames
from rfcodec.coding.planning import GopFacts, choice_emphasis, measure_profile, plan_gop, plan_rate
from rfcodec.coding.regions import open_mask
from rfcodec.coding.run import run
from rfcodec.coding.watcher import StepReport, Watcher
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig
from rfcodec.errors import ConfigError, InvalidField
from rfcodec.protocols import Condition, Decoded
from rfcodec.trajectory.correction import ChooseCorrection, Correction, ReplayCorrection
from rfcodec.trajectory.noise import ChooseNoise, ReplayNoise
from rfcodec.trajectory.step import GopPlan, RunNoise
from rfcodec.types import Frames, GopSpan, VideoFormat
from rfcodec.video.reader import Video


def encode(
    video: Video, stream: StreamConfig, effort: EncoderConfig, runtime: RuntimeConfig, watcher: Watcher | None = None
) -> Iterator[Unit]:
    """Codes a video as units of a stream; raises ConfigError, BudgetTooSmall and errors of the video."""
    encoder = GopEncoder(open_encoder(video.format, stream, effort, runtime), effort, watcher or Watcher())
    yield Unit(UnitType.SEQUENCE, fields.write(encoder.engine.header))
    previous: DecodedGop | None = None
    for span in encoder.engine.spans():
        frames = video.read(span.start, span.stop)
        side_info = encoder.emit(frames, span, previous)
        previous, units = encoder.code(frames, span, side_info, previous)
        yield from units
        encoder.watcher.gop(previous, frames, sum(len(unit.write()) for unit in units))


@final
class GopEncoder:
    """Codes GOPs one at a time: first what conditions them, then their trajectory."""

    def __init__(self, engine: Engine, effort: EncoderConfig, watcher: Watcher) -> None:
        self.engine, self.effort, self.watcher = engine, effort, watcher
        self._budgets = plan_rate(engine, engine.spans(), effort).budgets
        self._mask = open_mask(effort.roi, engine.header.format)

    def emit(self, frames: Frames, span: GopSpan, previous: Decoded | None) -> bytes:
        """Side information of a GOP, in about its share of the budget."""
        return self.engine.conditioner.emit(frames, span, self._budgets[span.index].references, previous)

    def code(
        self, frames: Frames, span: GopSpan, side_info: bytes, previous: Decoded | None
    ) -> tuple[DecodedGop, list[Unit]]:
        """The GOP as a decoder will have it, and its units, for side information that is coded already."""
        engine, effort, budget = self.engine, self.effort, self._budgets[span.index]
        condition = engine.condition(side_info, span, previous)
        target = engine.backbone.encode(engine.pad(frames))
        coded = target[:, engine.given(span, condition) :]
        profile = measure_profile(engine, engine.prepare(condition), coded, effort)
        facts = GopFacts(span, budget, side_info, tuple(coded.shape), profile)
        header = plan_gop(engine, facts, effort)
        gop_plan = engine.gop_plan(header, facts.shape)
        noise = ChooseNoise(
            engine.codebook,
            engine.start_address(span.index),
            coded,
            gop_plan.step_bits,
            choice_emphasis(engine, span, facts.shape, effort, self._mask),
            lambda k, mse, x0_hat: self.watcher.step(
                StepReport(span, k, len(gop_plan.step_bits), gop_plan.step_bits[k], mse, x0_hat)
            ),
        )
        correction = ChooseCorrection(engine.conditioner.corrector, target, span.carried, budget.correction)
        decoded = reconstruct(engine, span, condition, gop_plan, noise, correction)
        header = replace(header, digest=decoded.digest(effort.digest_bytes))
        packed = symbols.pack(noise.symbols, gop_plan.step_bits)
        return decoded, list(gop_units(header, side_info, packed, correction.data))


def decode(engine: Engine, records: Iterable[GopRecord], before: Decoded | None = None) -> Iterator[DecodedGop]:
    """Replays GOPs that follow on `before`; raises BitstreamError on records that contradict the header."""
    spans = engine.spans()
    for record in records:
        if record.header.index >= len(spans):
            raise InvalidField(f"GOP {record.header.index} of {len(spans)} does not exist")
        span = spans[record.header.index]
        condition = engine.condition(record.side_info, span, before)
        gop_plan = engine.gop_plan(record.header, engine.coded_shape(span, condition))
        values = symbols.unpack(record.symbols, gop_plan.step_bits)
        if len(values) < len(gop_plan.step_bits) and record.intact:
            raise InvalidField(f"GOP {span.index} announces {record.header.symbol_bits} bits of symbols and has fewer")
        gop_plan = replace(gop_plan, step_bits=gop_plan.step_bits[: len(values)])
        noise = ReplayNoise(engine.codebook, engine.start_address(span.index), values, gop_plan.step_bits)
        correction = ReplayCorrection(engine.conditioner.corrector, record.correction, span.carried)
        before = decoded = reconstruct(engine, span, condition, gop_plan, noise, correction)
        yield decoded


def reconstruct(
    engine: Engine, span: GopSpan, condition: Condition, plan: GopPlan, noise: RunNoise, correction: Correction
) -> DecodedGop:
    """Both sides, the only way from bytes to latents: the noise object picks atoms, chosen or replayed."""
    done = run(engine, condition, plan, noise)
    return DecodedGop(engine, span, condition, done._replace(latents=correction(done.latents)))


def gop_units(header: GopHeader, side_info: bytes, packed: bytes, correction: bytes) -> Iterator[Unit]:
    """The units of one GOP; empty ones are left out."""
    yield Unit(UnitType.GOP, fields.write(header))
    parts = {UnitType.SIDE_INFO: side_info, UnitType.SYMBOLS: packed, UnitType.CORRECTION: correction}
    yield from (Unit(kind, payload) for kind, payload in parts.items() if payload)


def open_encoder(video: VideoFormat, stream: StreamConfig, effort: EncoderConfig, runtime: RuntimeConfig) -> Engine:
    """The engine of a new stream, made from the bytes of its header as a decoder makes it."""
    backbone = open_backbone(stream.backbone, write_options(stream.backbone_options), runtime)
    try:
        header = fields.read_whole(SequenceHeader, fields.write(make_header(video, stream, backbone)))
    except InvalidField as error:
        raise ConfigError(f"a stream cannot hold these settings: {error}") from error
    return Engine(header, backbone, partial(TrajectoryFrames, effort=effort))


def open_decoder(header: SequenceHeader, runtime: RuntimeConfig) -> Engine:
    """The engine that a header asks for; raises BackboneMismatch on other weights."""
    backbone = open_backbone(header.backbone, header.backbone_options, runtime, trusted=False, weights=header.weights)
    check_identity(header, backbone.identity)
    return Engine(header, backbone, TrajectoryFrames)
