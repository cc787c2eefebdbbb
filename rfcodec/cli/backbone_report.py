"""What there is to say of a backbone before it is used: what it takes and costs, whose it is, whether it is here."""

import json
from pathlib import Path
from typing import Any, get_args

from rfcodec import registry
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.sources import MODEL_INDEX, Source, checkpoints, find_source
from rfcodec.backbones.diffusers.specs import all_specs
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ConfigError
from rfcodec.protocols import Places
from rfcodec.types import Geometry

SAID = {"none": "no frame", "first": "first", "last": "last", "first+last": "first and last"}
WEIGHTLESS = ("tokenizer", "scheduler", "processor", "image_processor", "feature_extractor", "guider", "safety_checker")
OWN = ("rfcodec.backbones.gaussian", "rfcodec.backbones.tiny")  # whose constructors cost next to nothing

Facts = dict[str, Any]
Row = tuple[str, str]


def checkpoint_rows() -> list[Facts]:
    """Name, hub id, family, known frames and licence of every named checkpoint."""
    rows = []
    for name, known in checkpoints().items():
        takes = {words for spec in all_specs() if spec.family == known.family for words in spec.takes}
        rows.append(
            {
                "name": name,
                "hub": known.hub,
                "family": known.family,
                "takes": [words for words in get_args(Places) if words in (known.takes or takes)],
                "licence": known.licence,
            }
        )
    return rows


def said_frames(takes: list[str]) -> str:
    """Known frames in words."""
    return ", ".join(SAID[words] for words in takes)


def backbone_facts(name: str, size: tuple[int, int], frames: int, options: DiffusersOptions) -> Facts:
    """All that is known of a backbone, for GOPs of that size; raises UnknownPlugin, MissingWeights or ConfigError."""
    if min(*size, frames) < 1:
        raise ConfigError(f"a size of {size[0]}x{size[1]} and {frames} frames is none: all three are at least 1")
    entry = registry.names("backbones").get(name)
    if entry is None:
        return _pretrained(name, size, frames, options)
    if not entry.value.startswith(OWN):
        raise ConfigError(f"{name} ({entry.value}) says nothing of its cost: name a checkpoint, a folder or a hub id")
    open_backbone = registry.load("backbones", name)
    backbone = open_backbone(RuntimeConfig(), {})
    what = (open_backbone.__doc__ or "").partition("\n")[0]
    facts = {"name": name, "kind": "closed form, no weights", "what": what, "takes": list(get_args(Places))}
    return facts | _provenance(backbone) | _sizes(backbone.geometry, size, frames)


def _provenance(backbone: Any) -> Facts:
    card = getattr(backbone, "card", None)
    if card is None:
        return {}
    known = card.model_dump(include={"bytes", "sha256", "parameters", "trained_on", "compute"})
    return {"kind": "learned, its weights are in the package", "licence": card.licence, "shipped": known}


def _pretrained(name: str, size: tuple[int, int], frames: int, options: DiffusersOptions) -> Facts:
    # here, because diffusers takes seconds to import
    from rfcodec.backbones.diffusers.estimate import estimate

    source, plan = find_source(name), estimate(name, *size, frames, options)
    known = source.checkpoint
    return {
        "name": name,
        "kind": "pretrained pipeline",
        "family": plan.family,
        "takes": list(plan.takes),
        "licence": known.licence if known else "not known here: read it where the weights come from",
        "note": known.note if known else "",
        "weights": _whereabouts(source),
        **_sizes(plan.geometry, size, frames),
        "parameters_billions": dict(plan.weights),
        "experts": plan.experts,
        "tflop": {
            "pass": plan.tflop,
            "uncounted": plan.uncounted,
            "passes_per_evaluation": plan.guidance_factor,
            "evaluations_decode": plan.evaluations,
            "evaluations_encode": plan.evaluations + plan.probes,
            "gop_decode": plan.tflop_decode,
            "gop_encode": plan.tflop_encode,
        },
        "precision": {
            "model": options.dtype,
            "vae": options.vae_dtype,
            "quantization": options.quantization,
            "vae_tiling": options.vae_tiling,
        },
        "memory_gb": {
            "transformers": plan.memory.transformers,
            "vae": plan.memory.vae,
            "text_encoders": plan.memory.text_encoders,
            "others": plan.memory.others,
            "evaluation": plan.memory.evaluation,
            "vae_work": plan.memory.vae_work,
            "everything": plan.memory.everything,
            "without_text": plan.memory.without_text,
            "embedding": plan.memory.embedding,
            "model_offload": plan.memory.model_offload,
            "group_offload": plan.memory.group_offload,
        },
    }


def _sizes(geometry: Geometry, size: tuple[int, int], frames: int) -> Facts:
    count, (width, height) = geometry.padded_frames(frames), geometry.padded_size(*size)
    return {
        "geometry": {
            "temporal": geometry.temporal,
            "spatial": geometry.spatial,
            "channels": geometry.channels,
            "multiple": geometry.multiple,
            "least_frames": geometry.padded_frames(1),
        },
        "gop": {
            "width": width,
            "height": height,
            "frames": count,
            "latents": list(geometry.latent_shape(count, width, height)),
        },
    }


def _whereabouts(source: Source) -> Facts:
    from rfcodec.backbones.diffusers.blueprint import cached_folder

    hub = source.checkpoint.hub if source.checkpoint else source.name
    local = source.checkpoint is None and (Path(source.name) / MODEL_INDEX).is_file()
    folder = Path(source.name) if local else cached_folder(hub)
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


def fact_rows(facts: Facts) -> list[Row]:
    """The same in words, for people."""
    rows = [("name", facts["name"]), ("kind", facts["kind"])]
    rows += [(key, facts[key]) for key in ("what", "family", "licence", "note") if facts.get(key)]
    rows.append(("known frames", said_frames(facts["takes"])))
    if "shipped" in facts:
        rows += _shipped_rows(facts["shipped"])
    if "weights" in facts:
        rows += _weight_rows(facts["weights"])
    rows += _geometry_rows(facts["geometry"], facts["gop"])
    if "tflop" in facts:
        rows += _cost_rows(facts) + _memory_rows(facts)
    return rows


def _shipped_rows(shipped: Facts) -> list[Row]:
    size = (
        f"{shipped['parameters'] / 1e6:.2f} million parameters, {shipped['bytes'] / 1e6:.2f} MB, checked when they are read"
    )
    return [
        ("weights", size),
        ("sha256", shipped["sha256"]),
        ("trained on", shipped["trained_on"]),
        ("compute", shipped["compute"]),
    ]


def _weight_rows(weights: Facts) -> list[Row]:
    if weights["here"]:
        state = f"yes: {weights['folder']}"
    elif weights["folder"]:
        state = f"in part: {weights['folder']} has no weights of {', '.join(weights['missing'])}"
    else:
        state = "no: they are fetched when first used, where there is a network"
    return [("weights from", weights["from"]), ("on this machine", state)]


def _geometry_rows(geometry: Facts, gop: Facts) -> list[Row]:
    temporal, spatial, channels = geometry["temporal"], geometry["spatial"], geometry["channels"]
    ratio, shape = 3 * temporal * spatial**2 / channels, " x ".join(map(str, gop["latents"]))
    return [
        ("latents", f"{temporal} x {spatial} x {spatial} to one, {channels} channels: {ratio:g} times fewer values"),
        ("frames of a GOP", f"1 + {temporal} k, at least {geometry['least_frames']}"),
        ("width and height", f"multiples of {geometry['multiple']}"),
        ("this GOP", f"{gop['width']}x{gop['height']}, {gop['frames']} frames: {shape} latents (c f h w)"),
    ]


def _cost_rows(facts: Facts) -> list[Row]:
    count, cost = facts["parameters_billions"], facts["tflop"]
    experts = f"{facts['experts']} x " if facts["experts"] > 1 else ""
    rows = [
        ("parameters", f"transformer {experts}{count['transformer']:.2f} billion, VAE {count['vae']:.2f}"),
        ("", f"text encoders {count['text_encoders']:.2f}, others {count['others']:.2f}"),
    ]
    if cost["pass"] is None:
        return [*rows, ("operations", f"not counted: {cost['uncounted']}")]
    twice = " (guidance: two passes)" if cost["passes_per_evaluation"] > 1 else ""
    return [
        *rows,
        ("one evaluation", f"{_short(cost['pass'] * cost['passes_per_evaluation'])} TFLOP{twice}"),
        ("decoding a GOP", f"{_short(cost['gop_decode'])} TFLOP, {cost['evaluations_decode']} evaluations"),
        ("encoding a GOP", f"{_short(cost['gop_encode'])} TFLOP, {cost['evaluations_encode']} evaluations"),
    ]


def _memory_rows(facts: Facts) -> list[Row]:
    size = {name: f"{_short(value)} GB" for name, value in facts["memory_gb"].items()}
    tiles = "" if facts["precision"]["vae_tiling"] else " (less with vae_tiling)"
    return [
        ("precision", _said_precision(facts["precision"])),
        ("weights", f"transformers {size['transformers']}, VAE {size['vae']}"),
        ("", f"text encoders {size['text_encoders']}, others {size['others']}"),
        ("activations, roughly", f"evaluation {size['evaluation']}, VAE {size['vae_work']}{tiles}"),
        ("device, everything there", size["everything"]),
        ("device, text encoders released", f"{size['without_text']}; {size['embedding']} while a prompt is embedded"),
        ("device, --offload model", size["model_offload"]),
        ("device, --offload group", size["group_offload"]),
    ]


def _said_precision(precision: Facts) -> str:
    model = (
        precision["model"] if precision["quantization"] == "none" else f"{precision['quantization']} in {precision['model']}"
    )
    return f"transformer {model}, VAE {precision['vae']}{' in tiles' if precision['vae_tiling'] else ''}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
