"""The opened parts of one stream: what encoder and decoder share before and around the trajectory."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, final

import numpy as np
import torch

from rfcodec import registry
from rfcodec.bitstream import fields
from rfcodec.bitstream.headers import GopHeader, SequenceHeader
from rfcodec.config import RuntimeConfig, StreamConfig, TrajectoryConfig
from rfcodec.errors import (
    BackboneMismatch,
    BitstreamError,
    ConfigError,
    InvalidField,
    UnsupportedCondition,
)
from rfcodec.flow.time_grid import levels_to_grid, shifted_grid
from rfcodec.protocols import (
    Backbone,
    Codebook,
    Condition,
    Conditioner,
    Decoded,
    IntraCoder,
    Latents,
    Reference,
    Shape,
)
from rfcodec.trajectory.rate import Steps, split_bits
from rfcodec.trajectory.step import GopPlan
from rfcodec.types import Frames, GopSpan, Identity, NoiseAddress, VideoFormat

PRETRAINED = "diffusers"  # the registered backbone that opens every name that is not registered


def open_backbone(name: str, options: str, runtime: RuntimeConfig, trusted: bool = True) -> Backbone:
    """The backbone that a name stands for: a registered one or, if none is, a pretrained pipeline (id or folder).

    `options` are those of the stream, a `name=value` a line. What `runtime` says of weights and options goes before.
    `trusted` is False for a name that comes from a stream: nothing is then fetched but named checkpoints, and no code of
    the model's own is imported. Raises UnknownPlugin, ConfigError, BackboneError.
    """
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    found = name if runtime.weights is None else runtime.weights
    if isinstance(found, Backbone) and not isinstance(found, type):
        return found
    found = os.fspath(found) if isinstance(found, os.PathLike) else found
    chosen = read_options(options) | {key: str(value) for key, value in runtime.overrides.items()}
    if isinstance(found, str) and found in registry.names("backbones"):
        return registry.load("backbones", found)(runtime, chosen)
    return registry.load("backbones", PRETRAINED)(runtime, chosen, found, trusted or runtime.weights is not None)


def read_options(text: str) -> dict[str, str]:
    """The options in a header, a `name=value` a line."""
    return {name: value for name, _, value in (line.partition("=") for line in text.split("\n") if line)}


def write_options(options: Mapping[str, Any]) -> str:
    """Inverse of `read_options`, sorted by name; raises ConfigError on what does not fit a line."""
    for name, value in options.items():
        if "\n" in f"{name}{value}" or "=" in name:
            raise ConfigError(f"backbone_options.{name} is {value!r}: a name without '=' and a value of one line are legal")
    return "\n".join(f"{name}={options[name]}" for name in sorted(options))


def make_header(video: VideoFormat, stream: StreamConfig, backbone: Backbone) -> SequenceHeader:
    """The sequence header that says what a StreamConfig says."""
    identity = backbone.identity
    codebook = registry.load("codebooks", stream.codebook.name)
    known = {item.name for item in dataclass_fields(codebook)}
    if unknown := set(stream.codebook.parameters) - known:
        raise ConfigError(
            f"codebook {stream.codebook.name} has no field {min(unknown)!r}; it has {', '.join(sorted(known))}"
        )
    parameters = fields.write(codebook(**stream.codebook.parameters))
    trajectory = stream.trajectory
    return SequenceHeader(
        width=video.width,
        height=video.height,
        num_frames=video.num_frames,
        fps_numerator=video.fps.numerator,
        fps_denominator=video.fps.denominator,
        gop=stream.gop,
        mode=registry.load("conditioners", stream.mode).ID,
        still=registry.load("stills", stream.still).ID,
        codebook=codebook.ID,
        codebook_parameters=parameters,
        solver=trajectory.solver,
        diffusion=trajectory.diffusion,
        diffusion_scale=trajectory.scale,
        diffusion_power=trajectory.power,
        steps=trajectory.steps,
        ode_tail=trajectory.tail_steps(backbone.tail_share),
        tail_order=trajectory.tail_order,
        bit_ramp=trajectory.bit_ramp,
        shift=trajectory.shift,
        seed=stream.seed,
        backbone=identity.name,
        weights=identity.weights,
        arithmetic=identity.arithmetic,
        backbone_options=write_options(stream.backbone_options),
        prompt=stream.prompt,
    )


@final
class DecodedGop:
    """A GOP as both sides hold it: its condition, its final latents, its frames on first use.

    `handover` is the time and the state in which the coded steps ended; None where there was no trajectory.
    """

    def __init__(
        self,
        engine: "Engine",
        span: GopSpan,
        condition: Condition,
        latents: Latents,
        handover: tuple[float, Latents] | None = None,
    ) -> None:
        self.engine, self.span, self.condition, self.latents, self.handover = engine, span, condition, latents, handover
        self._frames: Frames | None = None

    @property
    def frames(self) -> Frames:
        """Frames of the GOP at the true size."""
        if self._frames is None:
            header = self.engine.header
            frames = self.engine.backbone.decode(self.latents)
            self._frames = np.ascontiguousarray(frames[: self.span.num_frames, : header.height, : header.width])
        return self._frames

    @property
    def shown(self) -> Frames:
        """The frames that this GOP adds to the output."""
        return self.frames[self.span.overlap :]

    def with_latents(self, latents: Latents) -> "DecodedGop":
        """The same GOP with other final latents."""
        return DecodedGop(self.engine, self.span, self.condition, latents, self.handover)

    def digest(self, size: int) -> bytes:
        """BLAKE2s of the latents' float32 bytes, cut to `size`."""
        return hashlib.blake2s(self.latents.cpu().numpy().astype("<f4").tobytes()).digest()[:size]


@final
@dataclass(frozen=True)
class FinishedGop:
    """A GOP that was coded elsewhere: its place and the frames that it adds to the output."""

    span: GopSpan
    shown: Frames


@final
@dataclass(frozen=True)
class Boundary:
    """Stands for a GOP that was skipped: its condition is known, its frames are not."""

    condition: Any

    @property
    def frames(self) -> Frames:
        """Not there."""
        raise BitstreamError("the frames of a skipped GOP are not known")


@final
class Engine:
    """Backbone, codebook and conditioner of one stream, by the ids in its header."""

    def __init__(self, header: SequenceHeader, backbone: Backbone, intra: "Callable[[Engine], IntraCoder]") -> None:
        self.header = header
        self.backbone = backbone
        codebook = registry.by_id("codebooks", header.codebook)
        self.codebook: Codebook = fields.read_whole(codebook, header.codebook_parameters)
        still = registry.by_id("stills", header.still)(header.width, header.height, intra(self))
        self.conditioner: Conditioner = registry.by_id("conditioners", header.mode)(still, header.prompt)
        self._spans: list[GopSpan] | None = None
        self.trajectory = TrajectoryConfig(
            solver=header.solver,  # type: ignore[arg-type]
            diffusion=header.diffusion,  # type: ignore[arg-type]
            scale=header.diffusion_scale,
            power=header.diffusion_power,
            steps=header.steps,
            ode_tail=header.ode_tail,
            tail_order=header.tail_order,
            bit_ramp=header.bit_ramp,
            shift=header.shift,
        )

    @property
    def coded_steps(self) -> Steps:
        """The steps that carry bits."""
        return Steps(self.header.coded_steps, self.header.bit_ramp)

    def spans(self) -> list[GopSpan]:
        """The GOPs of the video."""
        if self._spans is None:
            self._spans = list(self.conditioner.plan(self.header.num_frames, self.header.gop))
        return self._spans

    def shape(self, num_frames: int) -> Shape:
        """Shape c f h w of the latents of a GOP of num_frames."""
        geometry = self.backbone.geometry
        width, height = geometry.padded_size(self.header.width, self.header.height)
        return geometry.latent_shape(geometry.padded_frames(num_frames), width, height)

    def given(self, span: GopSpan, condition: Condition) -> int:
        """Leading latent frames that the first frame of the condition stands for, and that carry no bits.

        Raises UnsupportedCondition where that frame is lost: the shape of what was coded is then another.
        """
        given = self.backbone.geometry.given
        if given and not condition.first and (span.overlap or span.references):
            raise UnsupportedCondition(f"GOP {span.index} stands on a frame that is lost")
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
        """What conditions the GOP, read from its bytes; reference frames at their true size."""
        known = self.conditioner.condition(side_info, span, previous)
        width, height = self.backbone.geometry.padded_size(self.header.width, self.header.height)
        return Condition(self.backbone.geometry.padded_frames(span.num_frames), width, height, **known)

    def prepare(self, condition: Condition) -> Any:
        """The backbone's own form of a condition, its references padded to the legal size."""

        def padded(reference: Reference | None) -> Reference | None:
            return reference and Reference(self.pad(reference.frame[None])[0], reference.rmse)

        first, last = padded(condition.first), padded(condition.last)
        ready = Condition(condition.num_frames, condition.width, condition.height, condition.text, first, last)
        return self.backbone.condition(ready)

    def gop_plan(self, header: GopHeader, shape: Shape) -> GopPlan:
        """Time grid and bits of each step, as the headers say."""
        sequence = self.header
        if sequence.shift:
            grid = shifted_grid(sequence.steps, sequence.shift)
        elif len(header.levels) != sequence.steps - 1:
            raise InvalidField(f"GOP {header.index} has {len(header.levels)} levels for {sequence.steps} steps")
        else:
            grid = levels_to_grid(header.levels)
        return GopPlan(grid, split_bits(self.codebook, shape, header.symbol_bits, self.coded_steps))

    def start_address(self, gop: int) -> NoiseAddress:
        """Address of the noise at t = 1 of a GOP; its coded steps follow."""
        return NoiseAddress(self.header.seed, gop, 0)


def check_identity(header: SequenceHeader, identity: Identity) -> None:
    """Raises BackboneMismatch on other weights; whether another arithmetic matters, digests say."""
    if header.weights != identity.weights:
        raise BackboneMismatch(
            f"the stream was made with {header.backbone} weights {header.weights.hex()}, "
            f"{identity.name} here has {identity.weights.hex()}: name the folder or hub id of the weights that wrote the "
            "stream with --backbone, or install the release that did"
        )
