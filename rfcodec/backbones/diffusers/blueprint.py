"""A model without its weights: modules on the meta device, built from a checkpoint's data or from configuration files."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import final, get_args

import torch
import transformers
from torch import nn

from rfcodec.backbones.diffusers.families import family_of
from rfcodec.backbones.diffusers.library import diffusers
from rfcodec.backbones.diffusers.machine import MODELS
from rfcodec.backbones.diffusers.pipeline import family_geometry
from rfcodec.backbones.diffusers.sources import MODEL_INDEX, Checkpoint, checkpoints, find_source
from rfcodec.backbones.diffusers.specs import PipelineSpec, all_specs
from rfcodec.backbones.diffusers.untyped import Arguments, Model
from rfcodec.errors import MissingWeights
from rfcodec.protocols import Places
from rfcodec.types import Geometry


@final
@dataclass(frozen=True)
class Blueprint:
    """The parts that an estimate looks into, and the numbers of parameters of those that it only weighs."""

    specs: tuple[PipelineSpec, ...]
    takes: tuple[str, ...]
    transformer: Model
    vae: Model
    experts: int
    text: float
    others: float

    @property
    def geometry(self) -> Geometry:
        """Geometry of the latents, that of all pipelines of the family."""
        component, _, name = self.specs[0].channels.rpartition(".")
        return family_geometry(self.specs, int(getattr(getattr(self, component).config, name)))


def blueprint(name: str) -> Blueprint:
    """The blueprint of a named checkpoint, a model folder or a hub id; raises UnknownPlugin or MissingWeights."""
    source = find_source(name)
    known = source.checkpoint or next((item for item in checkpoints().values() if item.hub == name), None)
    if known:
        return _of_checkpoint(known)
    folder = Path(name) if (Path(name) / MODEL_INDEX).is_file() else cached_folder(name)
    if folder is None:
        raise MissingWeights(
            f"nothing is known of {name}: it is no named checkpoint and its configuration is not on this machine; "
            f"with a network `hf download {name} --include '*.json'` fetches it"
        )
    return _of_folder(folder)


def cached_folder(hub: str) -> Path | None:
    """The folder of a hub id in the hub's cache on this machine, as far as it was fetched; asks no network."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = hub.partition("@")
    index = try_to_load_from_cache(repository, MODEL_INDEX, revision=revision or None)
    return Path(index).parent if isinstance(index, str) else None


def parameters(module: nn.Module) -> int:
    """How many parameters a module has."""
    return sum(parameter.numel() for parameter in module.parameters())


def _of_checkpoint(checkpoint: Checkpoint) -> Blueprint:
    specs = tuple(spec for spec in all_specs() if spec.family == checkpoint.family)
    transformer, vae = (_on_meta(dict(table)) for table in (checkpoint.transformer, checkpoint.vae))
    return Blueprint(
        specs,
        checkpoint.takes or _takes(specs),
        transformer,
        vae,
        checkpoint.experts,
        checkpoint.text_billions * 1e9,
        checkpoint.other_billions * 1e9,
    )


def _on_meta(table: Arguments) -> Model:
    kind = getattr(diffusers, table.pop("class"))
    with torch.device("meta"):
        return kind(**table).eval()


def _of_folder(folder: Path) -> Blueprint:
    index = _read(folder / MODEL_INDEX)
    parts = {name: _part(folder / name, *kind) for name, kind in index.items() if (folder / name / "config.json").is_file()}
    parts = {name: part for name, part in parts.items() if part is not None}
    for needed in ("transformer", "vae"):
        if needed not in parts:
            raise MissingWeights(f"{folder / needed} holds no configuration of a model that can be built")
    # family_of looks at the name of a pipeline's class and at configurations, which this has too
    pipe = type(index["_class_name"], (SimpleNamespace,), {})(config=SimpleNamespace(**index), **parts)
    specs = family_of(pipe, all_specs(folder))
    counts = {name: parameters(part) for name, part in parts.items()}
    text = sum(count for name, count in counts.items() if name.startswith("text_encoder"))
    others = sum(counts.values()) - text - sum(counts.get(name, 0) for name in (*MODELS, "vae"))
    experts = sum(name in parts for name in MODELS)
    return Blueprint(specs, _takes(specs), parts["transformer"], parts["vae"], experts, text, others)


def _part(folder: Path, library: str, kind: str) -> Model:
    """A component as its configuration file describes it; None where its class is of no library known here."""
    homes = {"diffusers": diffusers, "transformers": transformers}
    found = getattr(homes.get(library) or getattr(diffusers.pipelines, library, None), kind, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        return None
    build: Model = found
    with torch.device("meta"):
        if issubclass(found, transformers.PreTrainedModel):
            return build(build.config_class.from_pretrained(folder))
        return build.from_config(_read(folder / "config.json")).eval()


def _read(path: Path) -> Arguments:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise MissingWeights(f"{path} cannot be read: {error}") from error


def _takes(specs: tuple[PipelineSpec, ...]) -> tuple[str, ...]:
    found = {words for spec in specs for words in spec.takes}
    return tuple(words for words in get_args(Places) if words in found)
