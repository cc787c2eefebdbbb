"""The backbone as a coder of single frames: a GOP of one frame, unconditional, in a bare payload."""

import math
from typing import final

import torch

from rfcodec.bitstream import fields, symbols
from rfcodec.bitstream.headers import StillHeader
from rfcodec.coding.engine import Engine
from rfcodec.coding.planning import choose_levels, measure_profile
from rfcodec.coding.run import run
from rfcodec.config import EncoderConfig
from rfcodec.protocols import Condition, Frame
from rfcodec.trajectory.noise import ChooseNoise, Emphasis, ReplayNoise
from rfcodec.trajectory.rate import announced_bits
from rfcodec.types import NoiseAddress

STILL_GOP = 1 << 32  # the GOP number in the noise addresses of stills: above that of every GOP


@final
class TrajectoryFrames:
    """Implements IntraCoder with the parts of an engine. payload: a StillHeader, then the symbols.

    `effort` is the encoder's; its settings of grid and emphasis are used. A decoder needs none.
    """

    def __init__(self, engine: Engine, effort: EncoderConfig | None = None) -> None:
        self._engine, self._effort = engine, effort or EncoderConfig()

    def encode(self, frame: Frame, max_bytes: int) -> bytes:
        """A coding in at most max_bytes or, where that is too few, in the codebook's least bits of every step."""
        engine, effort = self._engine, self._effort
        target = engine.backbone.encode(engine.pad(frame[None]))
        shape = tuple(target.shape)
        profile = measure_profile(engine, engine.prepare(self._condition()), target, effort)
        steps = engine.coded_steps
        room = max(8 * max_bytes, steps.count * engine.codebook.least_bits(shape))
        levels = choose_levels(engine, shape, room, profile, effort)
        head = len(fields.write(StillHeader(room, levels)))
        room = max(8 * (max_bytes - head), steps.count * engine.codebook.least_bits(shape))
        header = StillHeader(announced_bits(engine.codebook, shape, room, steps), levels)
        plan = engine.gop_plan(header, shape)
        emphasis = Emphasis(torch.ones(()), effort.spectral_emphasis)
        noise = ChooseNoise(engine.codebook, self._address(), target, plan.step_bits, emphasis, lambda *_: None)
        run(engine, self._condition(), plan, noise)
        return fields.write(header) + symbols.pack(noise.symbols, plan.step_bits)

    def decode(self, data: bytes) -> Frame:
        """The frame, y x 3, from the replayed trajectory; raises BitstreamError on damaged data."""
        reader = fields.ByteReader(data)
        header = fields.read(StillHeader, reader)
        plan = self._engine.gop_plan(header, self._engine.shape(1))
        values = symbols.unpack(reader.take(math.ceil(sum(plan.step_bits) / 8)), plan.step_bits)
        engine, noise = self._engine, ReplayNoise(self._engine.codebook, self._address(), values, plan.step_bits)
        latents = run(engine, self._condition(), plan, noise).latents
        return engine.backbone.decode(latents)[0, : engine.header.height, : engine.header.width]

    def _address(self) -> NoiseAddress:
        return NoiseAddress(self._engine.header.seed, STILL_GOP, 0)

    def _condition(self) -> Condition:
        width, height = self._engine.backbone.geometry.padded_size(self._engine.header.width, self._engine.header.height)
        return Condition(self._engine.backbone.geometry.padded_frames(1), width, height)
