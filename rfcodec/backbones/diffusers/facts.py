"""What there is to say of a pretrained model before it is fetched: what it takes and costs, whose it is, where it is."""

import json
from pathlib import Path

from rfcodec.backbones.diffusers.blueprint import cached_folder
from rfcodec.backbones.diffusers.estimate import Estimate, estimate
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.sources import Source
from rfcodec.backbones.openers import Facts, Options, Size

WEIGHTLESS = ("tokenizer", "scheduler", "processor", "image_processor", "feature_extractor", "guider", "safety_checker")


def facts(source: Source, options: Options, size: Size) -> Facts:
    """All that is known of a model for GOPs of that size; raises UnknownPlugin, MissingWeights or ConfigError."""
    chosen, (frames, width, height) = DiffusersOptions.read(options), size
    plan, known = estimate(source.name, width, height, frames, chosen), source.checkpoint
    return {
        "kind": "pretrained pipeline",
        "family": plan.family,
        "takes": list(plan.takes),
        "licence": known.licence if known else "not known here: read it where the weights come from",
        "note": known.note if known else "",
        "weights": whereabouts(source),
        "geometry": plan.geometry,
        "parameters_billions": dict(plan.weights),
        "experts": plan.experts,
        "tflop": _operations(plan),
        "precision": {
            "model": chosen.dtype,
            "vae": chosen.vae_dtype,
            "quantization": chosen.quantization,
            "vae_tiling": chosen.vae_tiling,
        },
        "memory_gb": _memory(plan),
    }


def _operations(plan: Estimate) -> Facts:
    return {
        "pass": plan.tflop,
        "uncounted": plan.uncounted,
        "passes_per_evaluation": plan.guidance_factor,
        "evaluations_decode": plan.evaluations,
        "evaluations_encode": plan.evaluations + plan.probes,
        "gop_decode": plan.tflop_decode,
        "gop_encode": plan.tflop_encode,
    }


def _memory(plan: Estimate) -> Facts:
    parts = ("transformers", "vae", "text_encoders", "others", "evaluation", "vae_work")
    sums = ("everything", "without_text", "embedding", "model_offload", "group_offload")
    return {name: getattr(plan.memory, name) for name in (*parts, *sums)}


def whereabouts(source: Source) -> Facts:
    """Where the weights come from, and which of them are on this machine; asks no network."""
    local, hub = source.local(), source.checkpoint.hub if source.checkpoint else source.name
    folder = local or cached_folder(hub)
    if folder is None:
        return {"from": hub, "folder": None, "here": False, "missing": []}
    missing = [part for part in source.parts(folder) if not _has_weights(folder / part, part)]
    return {"from": "folder" if local else hub, "folder": str(folder), "here": not missing, "missing": missing}


def _has_weights(folder: Path, part: str) -> bool:
    if part.startswith(WEIGHTLESS):
        return True
    indices = list(folder.glob("*.safetensors.index.json"))
    if not indices:
        return any(folder.glob("*.safetensors"))
    shards = {name for index in indices for name in _shards(index)}
    return all((folder / name).is_file() for name in shards)


def _shards(index: Path) -> set[str]:
    return set(json.loads(index.read_text())["weight_map"].values())
