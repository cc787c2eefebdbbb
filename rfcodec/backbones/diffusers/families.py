"""Which spec a pipeline has, and the other pipelines of its family over the same components."""

import importlib
import inspect

from rfcodec.backbones.diffusers.calls import config_entry
from rfcodec.backbones.diffusers.library import diffusers
from rfcodec.backbones.diffusers.specs import PipelineSpec, built_in
from rfcodec.backbones.diffusers.untyped import Pipeline
from rfcodec.errors import BackboneError


def family_of(pipe: Pipeline, specs: tuple[PipelineSpec, ...]) -> tuple[PipelineSpec, ...]:
    """The spec of a pipeline, then those of its family that its components can serve too; raises BackboneError."""
    name = type(pipe).__name__
    known = [spec for spec in specs if name == spec.pipeline.rpartition(":")[2] and _applies(spec, pipe)]
    # that of the model's folder or of another package before ours; the one that asks for most; of equals the first
    first = max(known, key=lambda spec: (spec not in built_in(), len(spec.when)), default=None)
    if first is None:
        raise BackboneError(
            f"{type(pipe).__name__} is of no known family; known: {', '.join(sorted({p.pipeline for p in specs}))}. "
            "docs/backbones.md says how a family is added"
        )
    rest = [p for p in specs if p.family == first.family and p.id != first.id and _applies(p, pipe)]
    return (first, *rest)


def _applies(spec: PipelineSpec, pipe: Pipeline) -> bool:
    for entry in spec.when:
        path, _, wanted = entry.partition("=")
        value = config_entry(pipe, path)
        if not (str(value) == wanted if wanted else bool(value)):
            return False
    return True


def full_name(name: str, specs: tuple[PipelineSpec, ...]) -> str:
    """The name of a class with its module, where a spec says it."""
    return next((p.pipeline for p in specs if p.pipeline.rpartition(":")[2] == name), name)


def pipeline_class(name: str) -> Pipeline:
    """The class of a spec: of diffusers, or package.module:Class."""
    module, colon, attribute = name.rpartition(":")
    try:
        return getattr(importlib.import_module(module), attribute) if colon else getattr(diffusers, name)
    except (ImportError, AttributeError) as error:
        raise BackboneError(f"the pipeline {name} cannot be imported: {error}; install or upgrade its package") from error


def sibling(pipe: Pipeline, kind: Pipeline) -> Pipeline:
    """The same components as a pipeline of another class of the family."""
    if type(pipe) is kind:
        return pipe
    wanted = inspect.signature(kind.__init__).parameters
    parts = {name: part for name, part in pipe.components.items() if name in wanted}
    settings = {name: value for name, value in pipe.config.items() if name in wanted and name not in parts}
    missing = {name: None for name, item in wanted.items() if name != "self" and item.default is item.empty}
    return kind(**(missing | parts | {k: v for k, v in settings.items() if not isinstance(v, tuple | list)}))
