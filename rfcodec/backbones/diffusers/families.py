"""Which profile a pipeline has, and the other pipelines of its family over the same components."""

import importlib
import inspect
from typing import Any

from rfcodec.backbones.diffusers.calls import config_entry
from rfcodec.backbones.diffusers.library import diffusers
from rfcodec.backbones.diffusers.profiles import PipelineProfile, built_in
from rfcodec.errors import BackboneError


def family_of(pipe: Any, profiles: tuple[PipelineProfile, ...]) -> tuple[PipelineProfile, ...]:
    """The profile of a pipeline, then those of its family that its components can serve too; raises BackboneError."""
    name = type(pipe).__name__
    known = [profile for profile in profiles if name == profile.pipeline.rpartition(":")[2] and _applies(profile, pipe)]
    # that of the model's folder or of another package before ours; the one that asks for most; of equals the first
    first = max(known, key=lambda profile: (profile not in built_in(), len(profile.when)), default=None)
    if first is None:
        raise BackboneError(
            f"{type(pipe).__name__} is of no known family; known: {', '.join(sorted({p.pipeline for p in profiles}))}. "
            "docs/backbones.md says how a family is added"
        )
    rest = [p for p in profiles if p.family == first.family and p.id != first.id and _applies(p, pipe)]
    return (first, *rest)


def _applies(profile: PipelineProfile, pipe: Any) -> bool:
    for entry in profile.when:
        path, _, wanted = entry.partition("=")
        value = config_entry(pipe, path)
        if not (str(value) == wanted if wanted else bool(value)):
            return False
    return True


def full_name(name: str, profiles: tuple[PipelineProfile, ...]) -> str:
    """The name of a class with its module, where a profile says it."""
    return next((p.pipeline for p in profiles if p.pipeline.rpartition(":")[2] == name), name)


def pipeline_class(name: str) -> Any:
    """The class of a profile: of diffusers, or package.module:Class."""
    module, colon, attribute = name.rpartition(":")
    try:
        return getattr(importlib.import_module(module), attribute) if colon else getattr(diffusers, name)
    except (ImportError, AttributeError) as error:
        raise BackboneError(f"the pipeline {name} cannot be imported: {error}; install or upgrade its package") from error


def sibling(pipe: Any, kind: Any) -> Any:
    """The same components as a pipeline of another class of the family."""
    if type(pipe) is kind:
        return pipe
    wanted = inspect.signature(kind.__init__).parameters
    parts = {name: part for name, part in pipe.components.items() if name in wanted}
    settings = {name: value for name, value in pipe.config.items() if name in wanted and name not in parts}
    missing = {name: None for name, item in wanted.items() if name != "self" and item.default is item.empty}
    return kind(**(missing | parts | {k: v for k, v in settings.items() if not isinstance(v, tuple | list)}))
