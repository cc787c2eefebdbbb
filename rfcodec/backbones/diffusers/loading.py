"""Opening pretrained pipelines: by name, hub id, folder or as they are, ready for the machine at hand."""

import hashlib
import inspect
import struct
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from threading import RLock
from typing import final

import torch
from safetensors import SafetensorError

from rfcodec.backbones.diffusers.families import family_of, full_name, pipeline_class, sibling
from rfcodec.backbones.diffusers.identity import (
    folder_settings,
    folder_tensors,
    gguf_tensors,
    is_hashed,
    module_tensors,
    settings_of,
    weights_digest,
)
from rfcodec.backbones.diffusers.library import bars_on_terminals, diffusers
from rfcodec.backbones.diffusers.machine import load_settings, settle
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.pipeline import DiffusersBackbone
from rfcodec.backbones.diffusers.prompts import Encoder, PromptMemo, no_encoder
from rfcodec.backbones.diffusers.sources import LIVE, Source
from rfcodec.backbones.diffusers.specs import PipelineSpec, all_specs
from rfcodec.backbones.diffusers.untyped import Pipeline, Settings
from rfcodec.backbones.openers import refuse_other_weights
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, ConfigError, MissingWeights
from rfcodec.support.cache import cache_folder
from rfcodec.types import Identity

LOADING = RLock()  # diffusers changes torch for the whole process while it loads
AT_LOAD = (
    "pipeline",
    "dtype",
    "vae_dtype",
    "vae_tiling",
    "vae_slicing",
    "attention_backend",
    "compile",
    "quantization",
    "gguf",
)
TEXT_PARTS = ("text_encoder", "tokenizer", "image_processor", "feature_extractor", "processor", "scheduler", "guider")


def open_source(
    runtime: RuntimeConfig, options: Mapping[str, str], source: Source, trusted: bool, weights: bytes = b""
) -> DiffusersBackbone:
    """The backbone of a named checkpoint, hub id or model folder.

    Of a source that is not `trusted`, which a stream named, a spec in the folder is not read. Files whose hash is not
    `weights` (b"": any) are not loaded. Raises MissingWeights, BackboneMismatch, BackboneError for a pipeline of no known
    family or a folder that is no model, ConfigError for options.
    """
    chosen = DiffusersOptions.read(options)
    folder = source.folder(runtime.fetch)
    try:
        with LOADING:
            return _open_folder(folder, source, runtime, chosen, all_specs(folder, trusted), weights)
    except (OSError, TypeError, AttributeError, KeyError, ValueError, struct.error) as error:
        raise BackboneError(f"{folder} is no model that can be opened: {error!r}") from error


def open_live(pipe: Pipeline, words: Mapping[str, str]) -> DiffusersBackbone:
    """The backbone of a live pipeline; raises BackboneError for one of no known family, ConfigError for options."""
    options = DiffusersOptions.read(words)
    fixed = [name for name in AT_LOAD if getattr(options, name) != type(options).model_fields[name].default]
    if fixed:
        raise ConfigError(f"backbone_options.{fixed[0]} is set at load; a live pipeline is as it is: leave it out")
    precisions = {"dtype": pipe.transformer.dtype, "vae_dtype": pipe.vae.dtype}
    actual = options.model_copy(update={name: str(dtype).removeprefix("torch.") for name, dtype in precisions.items()})
    weights = weights_digest(chain(module_tensors(pipe.components), settings_of(pipe)))
    specs = family_of(pipe, all_specs())
    identity = Identity(f"{LIVE}{type(pipe).__name__}", weights, arithmetic(pipe, actual, specs))
    return DiffusersBackbone(specs, pipe, identity, options, PromptMemo(_live_encoder(pipe), "", "", None))


def _open_folder(
    folder: Path,
    source: Source,
    runtime: RuntimeConfig,
    options: DiffusersOptions,
    known: tuple[PipelineSpec, ...],
    wanted: bytes,
) -> DiffusersBackbone:
    parts = source.parts(folder)
    kind = full_name(options.pipeline or source.pipeline(folder), known)
    tensors = chain(folder_tensors(folder, [name for name in parts if is_hashed(name)]), gguf_tensors(options.gguf))
    weights = weights_digest(chain(tensors, folder_settings(folder, source.index(folder), pipeline_class(kind))))
    if wanted:
        refuse_other_weights(wanted, Identity(source.name, weights, ""))
    opened = _LoadedPipeline(folder, parts, kind, (runtime, options))
    specs = family_of(opened.pipe, known)
    if source.takes():
        specs = tuple(spec.only(source.takes()) for spec in specs)
    text = weights_digest(folder_tensors(folder, [name for name in parts if name.startswith("text_encoder")], empty=True))
    prompts = PromptMemo(opened.encoder, f"{weights.hex()} {options.dtype}", text.hex(), cache_folder() / "embeddings")
    identity = Identity(source.name, weights, arithmetic(opened.pipe, options, specs))
    return DiffusersBackbone(specs, opened.pipe, identity, options, prompts)


def arithmetic(pipe: Pipeline, options: DiffusersOptions, specs: tuple[PipelineSpec, ...]) -> str:
    """What of device, options, specs and libraries decides the last digits, in words."""
    device = pipe._execution_device
    words = [device.type, options.arithmetic_words()]
    if device.type == "cuda":
        precision = "tf32" if torch.backends.cuda.matmul.allow_tf32 else ""
        words = [torch.cuda.get_device_name(device).replace(" ", "-"), *([precision] if precision else []), words[1]]
    table = hashlib.blake2s("".join(spec.model_dump_json() for spec in specs).encode(), digest_size=3)
    words += [f"spec {table.hexdigest()}", f"torch {torch.__version__}", f"diffusers {diffusers.__version__}"]
    return " ".join(words)


def _live_encoder(pipe: Pipeline) -> Callable[[type], Encoder]:
    """encode_prompt of a class, over the components at hand."""

    def encoder(kind: Pipeline) -> Encoder:
        if getattr(pipe, "text_encoder", None) is None:
            return no_encoder(type(pipe).__name__)(kind)
        # of the class, since that of the pipeline may be replaced at this moment
        return partial(kind.encode_prompt, sibling(pipe, kind))

    return encoder


@final
class _LoadedPipeline:
    """The pipeline of a model folder. Text encoders are loaded when a text asks for them, and let go of after it."""

    def __init__(self, folder: Path, parts: list[str], kind: str, machine: tuple[RuntimeConfig, DiffusersOptions]) -> None:
        self._folder, self._parts, (self._runtime, self._options) = folder, parts, machine
        self._kind = pipeline_class(kind)
        self._kept: dict[type, Encoder] = {}
        text = [name for name in parts if name.startswith("text_encoder")]
        require_parts(folder, [name for name in parts if name not in text])
        self.pipe = settle(_load(self._kind, folder, self._options, dict.fromkeys(text)), self._runtime, self._options)

    def encoder(self, kind: Pipeline) -> Encoder:
        """encode_prompt of a class, over text encoders that live as long as the function does.

        One that looks at pictures is asked in every GOP, and kept.
        """
        if kind in self._kept:
            return self._kept[kind]
        require_parts(self._folder, self._parts)
        with LOADING:
            encode = self._load_encoder(kind)
        if "image" in inspect.signature(kind.encode_prompt).parameters:
            self._kept[kind] = encode
        return encode

    def _load_encoder(self, kind: Pipeline) -> Encoder:
        shared = {name: getattr(self.pipe, name, None) for name in self._parts if not name.startswith(TEXT_PARTS)}
        pipe = _load(self._kind, self._folder, self._options, shared)
        encoders = [part for name, part in pipe.components.items() if name.startswith("text_encoder") and part]
        if not encoders:
            return no_encoder(str(self._folder))(kind)
        for encoder in encoders:
            encoder.to(self._runtime.device)
        return partial(kind.encode_prompt, sibling(pipe, kind))


def require_parts(folder: Path, parts: list[str]) -> None:
    """Raises MissingWeights if a component has no folder: diffusers would make up an empty one."""
    missing = [name for name in parts if not (folder / name).is_dir()]
    if missing:
        raise MissingWeights(f"{folder} has no folder {missing[0]}, which its model_index.json names: fetch the model whole")


def _load(kind: Pipeline, folder: Path, options: DiffusersOptions, parts: Settings) -> Pipeline:
    try:
        with bars_on_terminals():
            safely = {"local_files_only": True, "use_safetensors": True}
            return kind.from_pretrained(folder, **safely, **load_settings(folder, options, parts))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError) as error:
        kind_of_error = MissingWeights if isinstance(error, OSError | SafetensorError) else BackboneError
        raise kind_of_error(f"{folder} cannot be loaded as {kind.__name__}: {error}") from error
