"""The arguments of a pipeline's call for a condition: what its spec says, and how known frames are handed over."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image

from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.specs import PipelineSpec
from rfcodec.backbones.diffusers.untyped import Arguments, Pipeline
from rfcodec.errors import BackboneError, ConfigError
from rfcodec.protocols import Condition, Frame

GREY = 128


def call_arguments(spec: PipelineSpec, pipe: Pipeline, condition: Condition, options: DiffusersOptions) -> Arguments:
    """Arguments of the call, grid, noise and scheduler aside. Raises ConfigError for an option that it cannot take."""
    legal = inspect.signature(type(pipe).__call__).parameters
    sizes = {"height": condition.height, "width": condition.width, "num_frames": condition.num_frames}
    arguments: Arguments = {name: value for name, value in sizes.items() if name in legal}
    arguments |= {"prompt": condition.text, "negative_prompt": options.negative_prompt}
    arguments |= dict(spec.call)
    arguments |= FRAME_ARGUMENTS[spec.frames](pipe, condition)
    if spec.guidance in legal:
        arguments[spec.guidance] = options.guidance_scale
    if spec.guidance_needs and not config_entry(pipe, spec.guidance_needs):
        _require("guidance_scale", options.guidance_scale == 1, spec)
    if options.guidance_scale_2 is not None:
        experts = config_entry(pipe, "boundary_ratio") and getattr(pipe, "transformer_2", None) is not None
        _require("guidance_scale_2", bool("guidance_scale_2" in legal and experts), spec)
        arguments["guidance_scale_2"] = options.guidance_scale_2
    _require("frame_rate", options.frame_rate is None or spec.frame_rate > 0, spec)
    if spec.frame_rate:
        arguments["frame_rate"] = options.frame_rate or spec.frame_rate
    unknown = set(arguments) - set(legal)
    if unknown - {"negative_prompt"}:
        raise BackboneError(f"{spec.pipeline} knows no argument {min(unknown)!r}: its spec is of another version")
    return {name: value for name, value in arguments.items() if name in legal}


def _require(option: str, taken: bool, spec: PipelineSpec) -> None:
    if not taken:
        raise ConfigError(f"backbone_options.{option} is set, but {spec.pipeline} cannot take it: leave it out")


def picture(frame: Frame) -> PIL.Image.Image:
    """A frame as pipelines take it; of legal size, so that no pipeline resizes it."""
    return PIL.Image.fromarray(np.ascontiguousarray(frame))


def _none(pipe: Pipeline, condition: Condition) -> Arguments:
    return {}


def _image(pipe: Pipeline, condition: Condition) -> Arguments:
    known = {"image": condition.first, "last_image": condition.last}
    return {name: picture(reference.frame) for name, reference in known.items() if reference}


def _keyframes(pipe: Pipeline, condition: Condition) -> Arguments:
    kind = _beside(pipe, "LTXVideoCondition")
    known = [(0, condition.first), (condition.num_frames - 1, condition.last)]
    found = [kind(image=picture(reference.frame), frame_index=index) for index, reference in known if reference]
    return {"conditions": found} if found else {}


def _latent_keyframes(pipe: Pipeline, condition: Condition) -> Arguments:
    kind = _beside(pipe, "LTX2VideoCondition")
    known = [(0, condition.first), (-1, condition.last)]
    # crf: by default a known frame goes through H.264 first
    found = [kind(frames=picture(reference.frame), index=index, crf=0) for index, reference in known if reference]
    return {"conditions": found} if found else {}


def _video_mask(pipe: Pipeline, condition: Condition) -> Arguments:
    size = (condition.width, condition.height)
    grey, free, kept = (PIL.Image.new(mode, size, level) for mode, level in (("RGB", (GREY,) * 3), ("L", 255), ("L", 0)))
    video, mask = [grey] * condition.num_frames, [free] * condition.num_frames
    for reference in condition.references:
        video[reference.position], mask[reference.position] = picture(reference.frame), kept
    return {"video": video, "mask": mask} if condition.references else {}


FRAME_ARGUMENTS: dict[str, Callable[[Pipeline, Condition], Arguments]] = {
    "none": _none,
    "image": _image,
    "keyframes": _keyframes,
    "latent_keyframes": _latent_keyframes,
    "video_mask": _video_mask,
}


def _beside(pipe: Pipeline, name: str) -> Any:
    return getattr(importlib.import_module(type(pipe).__module__), name)


def config_entry(pipe: Pipeline, path: str) -> Any:
    """NAME of the pipeline's config or COMPONENT.NAME of a component's; None where there is none."""
    component, _, name = path.rpartition(".")
    owner = getattr(pipe, component, None) if component else pipe
    return getattr(getattr(owner, "config", None), name, None)
