"""What a stream says of itself: settings to a sequence header, and from one the backbone that it asks for."""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields as dataclass_fields

import torch

from rfcodec import registry
from rfcodec.backbones.openers import BackboneRequest, Screening, find_opener, refuse_other_weights
from rfcodec.bitstream import fields
from rfcodec.bitstream.headers import SequenceHeader, TrajectoryHeader, write_aspect
from rfcodec.config import RuntimeConfig, StreamConfig
from rfcodec.errors import ConfigError
from rfcodec.protocols import AnyBackbone, Backbone
from rfcodec.support.devices import check_device
from rfcodec.support.words import nearest
from rfcodec.types import GopSpan, Identity, VideoFormat

log = logging.getLogger(__name__)


def open_backbone(
    name: str, options: str, runtime: RuntimeConfig, trusted: bool = True, weights: bytes = b""
) -> AnyBackbone:
    """The backbone that a name stands for: a registered one or, if none is, what a plugin finds under it.

    `options` are those of the stream, a `name=value` a line. What `runtime` says of weights and options goes before.
    `trusted` is False for a name and options that come from a stream, and `weights` the hash that it tells: see
    BackboneRequest. Raises UnknownPlugin, ConfigError, BackboneError.
    """
    check_device(runtime.device)
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    found = name if runtime.weights is None else runtime.weights
    if isinstance(found, Backbone) and not isinstance(found, type):
        return found
    found = os.fspath(found) if isinstance(found, os.PathLike) else found
    told, ours = read_options(options), {key: str(value) for key, value in runtime.overrides.items()}
    opener = find_opener(BackboneRequest(found, trusted or runtime.weights is not None, weights))
    if not trusted and isinstance(opener, Screening):
        opener.screen({key: value for key, value in told.items() if key not in ours})
    log.debug("opening %s on %s", found, runtime.device)
    return opener(runtime, told | ours)


def read_options(text: str) -> dict[str, str]:
    """The options in a header, a `name=value` a line."""
    return {name: value for name, _, value in (line.partition("=") for line in text.split("\n") if line)}


def write_options(options: Mapping[str, object]) -> str:
    """Inverse of `read_options`, sorted by name; raises ConfigError on what does not fit a line."""
    for name, value in options.items():
        if "\n" in f"{name}{value}" or "=" in name:
            raise ConfigError(f"backbone_options.{name} is {value!r}: a name without '=' and a value of one line are legal")
    return "\n".join(f"{name}={options[name]}" for name in sorted(options))


def make_header(video: VideoFormat, stream: StreamConfig, backbone: AnyBackbone) -> SequenceHeader:
    """The sequence header that says what a StreamConfig says; raises ConfigError for fields that a codebook has not."""
    identity = backbone.identity
    codebook = registry.load("codebooks", stream.codebook.name)
    known = {item.name for item in dataclass_fields(codebook)}
    if unknown := set(stream.codebook.parameters) - known:
        raise ConfigError(
            f"codebook {stream.codebook.name} has no field {min(unknown)!r}; it has {', '.join(sorted(known))}"
            f"{nearest(min(unknown), known)}"
        )
    trajectory = stream.trajectory.model_dump()
    trajectory["ode_tail"] = stream.trajectory.tail_steps(backbone.tail_share)
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
        codebook_parameters=fields.write(codebook(**stream.codebook.parameters)),
        trajectory=TrajectoryHeader(**trajectory),
        seed=stream.seed,
        backbone=identity.name,
        weights=identity.weights,
        arithmetic=identity.arithmetic,
        backbone_options=write_options(stream.backbone_options),
        prompt=stream.prompt,
        extensions=write_aspect(video.sample_aspect),
    )


def plan_spans(header: SequenceHeader) -> Iterator[GopSpan]:
    """The GOPs that a header tells of, one after the other, without a backbone; raises UnknownPlugin."""
    still = registry.by_id("stills", header.still)(header.width, header.height, None)
    return registry.by_id("conditioners", header.mode)(still, header.prompt).plan(header.num_frames, header.gop)


def check_identity(header: SequenceHeader, identity: Identity) -> None:
    """Raises BackboneMismatch on other weights; whether another arithmetic matters, digests say."""
    refuse_other_weights(header.weights, identity)
