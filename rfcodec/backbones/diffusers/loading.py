"""Opening pretrained pipelines: by name, hub id, folder or as they are, ready for the machine at hand."""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError

from rfcodec.backbones.diffusers.calls import config_entry
from rfcodec.backbones.diffusers.identity import folder_tensors, module_tensors, settings_of, weights_digest
from rfcodec.backbones.diffusers.library import bars_on_terminals, diffusers
from rfcodec.backbones.diffusers.machine import load_settings, settle
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.pipeline import DiffusersBackbone
from rfcodec.backbones.diffusers.profiles import PipelineProfile, all_profiles
from rfcodec.backbones.diffusers.prompts import PromptMemo, cache_folder, no_encoder
from rfcodec.backbones.diffusers.sources import LIVE, Source, find_source
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, MissingWeights
from rfcodec.types import Identity

TEXT_PARTS = ("text_encoder", "tokenizer", "image_processor", "feature_extractor", "processor", "scheduler", "guider")


def open_pipeline(runtime: RuntimeConfig, options: Mapping[str, str], source: Any) -> DiffusersBackbone:
    """The backbone of a named checkpoint, hub id, model folder or live pipeline.

    Raises UnknownPlugin, MissingWeights, BackboneError for a pipeline of no known family, ConfigError for options.
    """
    chosen = DiffusersOptions.read(options)
    if isinstance(source, diffusers.DiffusionPipeline):
        return _backbone(source, _LivePipelines(source), f"{LIVE}{type(source).__name__}", chosen)
    found = find_source(source)
    folder = found.folder()
    loaded = _LoadedPipelines(folder, found, runtime, chosen)
    return _backbone(loaded.pipe, loaded, found.name, chosen, folder, found.takes())


def _backbone(
    pipe: Any,
    opened: "_LivePipelines | _LoadedPipelines",
    name: str,
    options: DiffusersOptions,
    folder: Path | None = None,
    takes: Sequence[str] = (),
) -> DiffusersBackbone:
    profiles = family_of(pipe, all_profiles(folder))
    if takes:
        profiles = tuple(profile.only(takes) for profile in profiles)
    tensors = folder_tensors(folder) if folder else module_tensors(pipe.components)
    weights = weights_digest(chain(tensors, settings_of(pipe)))
    versions = f"torch {torch.__version__} diffusers {diffusers.__version__}"
    profile = f"{pipe._execution_device.type} {options.profile_words()} {versions}"
    text = weights_digest(folder_tensors(folder, text_parts=True)).hex() if folder else ""
    prompts = PromptMemo(opened.encoder, f"{weights.hex()} {options.dtype}", text, cache_folder() if folder else None)
    return DiffusersBackbone(profiles, opened.pipeline, Identity(name, weights, profile), options, prompts)


def family_of(pipe: Any, profiles: tuple[PipelineProfile, ...]) -> tuple[PipelineProfile, ...]:
    """The profile of a pipeline, then those of its family that its components can serve too; raises BackboneError."""
    name = type(pipe).__name__
    known = [profile for profile in profiles if name == profile.pipeline.rpartition(":")[2] and _applies(profile, pipe)]
    # the one that asks for most; of equals the first
    first = max(known, key=lambda profile: len(profile.when), default=None)
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


def sibling(pipe: Any, profile: PipelineProfile) -> Any:
    """The same components as another pipeline of the family."""
    kind = pipeline_class(profile.pipeline)
    if type(pipe) is kind:
        return pipe
    wanted = inspect.signature(kind.__init__).parameters
    parts = {name: part for name, part in pipe.components.items() if name in wanted}
    settings = {name: value for name, value in pipe.config.items() if name in wanted and name not in parts}
    missing = {name: None for name, item in wanted.items() if name != "self" and item.default is item.empty}
    return kind(**(missing | parts | {k: v for k, v in settings.items() if not isinstance(v, tuple | list)}))


@final
@dataclass
class _LivePipelines:
    """Pipelines over components that somebody else has loaded."""

    pipe: Any
    _siblings: dict[str, Any] = field(default_factory=dict)

    def pipeline(self, profile: PipelineProfile) -> Any:
        """The pipeline of a profile over the same components."""
        if profile.id not in self._siblings:
            self._siblings[profile.id] = sibling(self.pipe, profile)
        return self._siblings[profile.id]

    def encoder(self, kind: type) -> Callable[..., Any]:
        """encode_prompt of a class, over the components at hand."""
        if getattr(self.pipe, "text_encoder", None) is None:
            return no_encoder(type(self.pipe).__name__)(kind)
        # not through the instance, whose own encode_prompt may be replaced at this moment
        holder = next((pipe for pipe in self._siblings.values() if type(pipe) is kind), self.pipe)
        return partial(kind.encode_prompt, holder)  # type: ignore[attr-defined]


@final
class _LoadedPipelines:
    """Pipelines of a model folder. Text encoders are loaded when a text asks for them, and let go of after it."""

    def __init__(self, folder: Path, source: Source, runtime: RuntimeConfig, options: DiffusersOptions) -> None:
        self._folder, self._runtime, self._options = folder, runtime, options
        self._kind = pipeline_class(full_name(options.pipeline or source.pipeline(folder), all_profiles(folder)))
        skipped = {name: None for name in source.parts(folder) if name.startswith("text_encoder")}
        self.pipe = settle(_load(self._kind, folder, options, skipped), runtime, options)
        self._siblings: dict[str, Any] = {}
        self._parts = source.parts(folder)

    def pipeline(self, profile: PipelineProfile) -> Any:
        """The pipeline of a profile over the same components."""
        if profile.id not in self._siblings:
            self._siblings[profile.id] = sibling(self.pipe, profile)
        return self._siblings[profile.id]

    def encoder(self, kind: type) -> Callable[..., Any]:
        """encode_prompt of a class, over text encoders that live as long as the function does."""
        shared = {name: getattr(self.pipe, name, None) for name in self._parts if not name.startswith(TEXT_PARTS)}
        pipe = _load(self._kind, self._folder, self._options, shared)
        encoders = [part for name, part in pipe.components.items() if name.startswith("text_encoder") and part]
        if not encoders:
            return no_encoder(str(self._folder))(kind)
        for encoder in encoders:
            encoder.to(self._runtime.device)
        return partial(kind.encode_prompt, pipe)  # type: ignore[attr-defined]


def _load(kind: Any, folder: Path, options: DiffusersOptions, parts: Mapping[str, Any]) -> Any:
    try:
        with bars_on_terminals():
            return kind.from_pretrained(folder, local_files_only=True, **load_settings(folder, options, parts))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        kind_of_error = MissingWeights if isinstance(error, OSError | SafetensorError) else BackboneError
        raise kind_of_error(f"{folder} cannot be loaded as {kind.__name__}: {error}") from error
