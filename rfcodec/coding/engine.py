"""The opened parts of one stream: spans, shapes, padding, conditions and plans, which encoder and decoder share."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, final

import numpy as np

from rfcodec import registry
from rfcodec.backbones.places import covers
from rfcodec.bitstream import fields
from rfcodec.bitstream.headers import GopHeader, SequenceHeader, StillHeader
from rfcodec.config import TrajectoryConfig
from rfcodec.errors import InvalidField, UnsupportedCondition
from rfcodec.flow.time_grid import levels_to_grid, shifted_grid
from rfcodec.protocols import Backbone, Codebook, Condition, Conditioner, Decoded, IntraCoder, Reference, Shape
from rfcodec.trajectory.rate import Steps, split_bits
from rfcodec.trajectory.step import GopPlan
from rfcodec.types import Frames, GopSpan, NoiseAddress


@final
class Engine:
    """Backbone, codebook and conditioner of one stream, by the ids in its header."""

    def __init__(self, header: SequenceHeader, backbone: Backbone[Any], intra: "Callable[[Engine], IntraCoder]") -> None:
        self.header = header
        self.backbone = backbone
        codebook = registry.by_id("codebooks", header.codebook)
        self.codebook: Codebook[Any] = fields.read_whole(codebook, header.codebook_parameters)
        still = registry.by_id("stills", header.still)(header.width, header.height, intra(self))
        self.conditioner: Conditioner = registry.by_id("conditioners", header.mode)(still, header.prompt)
        self._spans: Iterator[GopSpan] = iter(())
        self._span: GopSpan | None = None
        self.trajectory = TrajectoryConfig(**asdict(header.trajectory))

    @property
    def coded_steps(self) -> Steps:
        """Number of steps that carry bits, and the growth of these, from the header."""
        return Steps(self.header.trajectory.coded_steps, self.header.trajectory.bit_ramp)

    def spans(self) -> Iterator[GopSpan]:
        """The GOPs of the video one after the other, planned from mode, num_frames and gop alone."""
        return self.conditioner.plan(self.header.num_frames, self.header.gop)

    def span(self, index: int) -> GopSpan:
        """The GOP of that number, found from the one asked for before where that is earlier; raises InvalidField."""
        if self._span is None or self._span.index > index:
            self._spans, self._span = self.spans(), None
        while self._span is None or self._span.index < index:
            self._span = next(self._spans, None)
            if self._span is None:
                raise InvalidField(f"GOP {index} does not exist: the video has {self.header.num_frames} frames")
        return self._span

    def shape(self, num_frames: int) -> Shape:
        """Shape c f h w of the latents of a GOP of num_frames."""
        geometry = self.backbone.geometry
        width, height = geometry.padded_size(self.header.width, self.header.height)
        return geometry.latent_shape(geometry.padded_frames(num_frames), width, height)

    def given(self, span: GopSpan, condition: Condition) -> int:
        """Number of leading latent frames that the first frame of the condition replaces, and that carry no bits.

        Raises UnsupportedCondition where that frame is lost: the coded latents have a shape that is not known then.
        """
        given = self.backbone.geometry.given
        if given and not condition.first and (span.overlap or span.references):
            raise UnsupportedCondition(f"GOP {span.index} needs a frame that is lost")
        return given if condition.first else 0

    def coded_shape(self, span: GopSpan, condition: Condition) -> Shape:
        """Shape c f h w of the latents that a GOP of this condition codes; raises UnsupportedCondition."""
        channels, frames, *size = self.backbone.geometry.latent_shape(
            condition.num_frames, condition.width, condition.height
        )
        return channels, frames - self.given(span, condition), *size

    def pad(self, frames: Frames) -> Frames:
        """Frames of legal count and size: the last frame, column and row repeated."""
        count, height, width, _ = frames.shape
        legal_width, legal_height = self.backbone.geometry.padded_size(width, height)
        more = self.backbone.geometry.padded_frames(count) - count
        return np.pad(frames, ((0, more), (0, legal_height - height), (0, legal_width - width), (0, 0)), mode="edge")

    def condition(self, side_info: bytes, span: GopSpan, previous: Decoded | None) -> Condition:
        """The condition of a GOP, read from its bytes and the GOP before; reference frames at their true size."""
        known = self.conditioner.read(side_info, span, previous)
        width, height = self.backbone.geometry.padded_size(self.header.width, self.header.height)
        num_frames = self.backbone.geometry.padded_frames(span.num_frames)
        return Condition(num_frames, width, height, known.text, self._placed(known.references, span, num_frames))

    def _placed(self, references: tuple[Reference, ...], span: GopSpan, num_frames: int) -> tuple[Reference, ...]:
        # padding repeats the last frame, so that a reference at it moves to the last padded frame; that of a GOP of one
        # frame is also put there for models that take no first frame alone
        last = span.num_frames - 1
        moved = [replace(r, position=num_frames - 1) if r.position == last > 0 else r for r in references]
        if last == 0 < num_frames - 1 and references and not covers(self.backbone.takes, "first"):
            moved.append(replace(references[0], position=num_frames - 1))
        return tuple(moved)

    def prepare(self, condition: Condition) -> Any:
        """The backbone's form of a condition, its references padded to the legal size; raises UnsupportedCondition."""
        padded = (replace(r, frame=self.pad(r.frame[None])[0]) for r in condition.references)
        return self.backbone.prepare(replace(condition, references=tuple(padded)))

    def gop_plan(self, header: GopHeader | StillHeader, shape: Shape) -> GopPlan:
        """Time grid and bits of each step from the headers; raises InvalidField on a wrong number of levels."""
        sequence = self.header.trajectory
        if sequence.shift:
            grid = shifted_grid(sequence.steps, sequence.shift)
        elif len(header.levels) != sequence.steps - 1:
            raise InvalidField(f"a time grid has {len(header.levels)} levels for {sequence.steps} steps")
        else:
            grid = levels_to_grid(header.levels)
        return GopPlan(grid, split_bits(self.codebook, shape, header.symbol_bits, self.coded_steps))

    def start_address(self, gop: int) -> NoiseAddress:
        """Address of the noise at t = 1 of a GOP; its coded steps follow."""
        return NoiseAddress(self.header.seed, gop, 0)
