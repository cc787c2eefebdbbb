"""What backbones tell of themselves before they are used, in JSON and in words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rfcodec import registry
from rfcodec.backbones.openers import (
    BACKBONES,
    BackboneRequest,
    Described,
    Facts,
    Options,
    catalogue,
    find_opener,
    package,
)
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ConfigError
from rfcodec.types import Geometry

SAID = {"none": "no frame", "first": "first", "last": "last", "first+last": "first and last", "any": "anywhere"}
HEADING = ("what", "family", "licence", "note")
# those that are said in words of their own; any other fact is said as it is
WORDED = {"name", "kind", "takes", "shipped", "weights", "geometry", "gop", "parameters_billions", "experts"}
WORDED |= {"tflop", "precision", "memory_gb", *HEADING}

Row = tuple[str, str]


def checkpoint_rows() -> list[Facts]:
    """Name and facts of everything that a plugin knows by name beside what is registered."""
    return [{"name": name, **facts} for name, facts in catalogue().items()]


def said_frames(takes: Iterable[str]) -> str:
    """Known frames in words."""
    return ", ".join(SAID[words] for words in takes)


def backbone_facts(name: str, size: tuple[int, int], frames: int, options: Options) -> Facts:
    """All that is known of a backbone, for GOPs of that size; raises UnknownPlugin, MissingWeights or ConfigError.

    One that tells nothing, or leaves out what it takes, is opened: the protocol has the rest.
    """
    if min(*size, frames) < 1:
        raise ConfigError(f"a size of {size[0]}x{size[1]} and {frames} frames is none: all three are at least 1")
    opener = find_opener(BackboneRequest(name))
    entry = registry.names(BACKBONES).get(name)
    facts: dict[str, Any] = {"name": name, "kind": f"plugin {package(entry)}".strip()}
    if entry:
        facts["what"] = (opener.__doc__ or "").partition("\n")[0]
    if isinstance(opener, Described):
        facts |= opener.describe(options, (frames, *size))
    if not {"takes", "geometry"} <= facts.keys():
        backbone = opener(RuntimeConfig(), options)
        facts = {"takes": list(backbone.takes), "geometry": backbone.geometry, **facts}
    return {**facts, **_sizes(facts["geometry"], size, frames)}


def _sizes(geometry: Geometry, size: tuple[int, int], frames: int) -> Facts:
    count, (width, height) = geometry.padded_frames(frames), geometry.padded_size(*size)
    told = {name: value for name, value in asdict(geometry).items() if name not in ("given", "least")}
    shape = list(geometry.latent_shape(count, width, height))
    return {
        "geometry": told | {"least_frames": geometry.padded_frames(1)},
        "gop": {"width": width, "height": height, "frames": count, "latents": shape},
    }


def fact_rows(facts: Facts) -> list[Row]:
    """The same in words, for people."""
    rows = [("name", facts["name"]), ("kind", facts["kind"])]
    rows += [(key, facts[key]) for key in HEADING if facts.get(key)]
    rows.append(("known frames", said_frames(facts["takes"])))
    if "shipped" in facts:
        rows += _shipped_rows(facts["shipped"])
    if "weights" in facts:
        rows += _weight_rows(facts["weights"])
    rows += _geometry_rows(facts["geometry"], facts["gop"])
    if "tflop" in facts:
        rows += _cost_rows(facts) + _memory_rows(facts)
    return rows + [row for key, value in facts.items() if key not in WORDED for row in _plain_rows(key, value)]


def _plain_rows(key: str, value: Any) -> Iterator[Row]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _plain_rows(f"{key} {name}", part)
    else:
        yield key.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


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
        state = "no: --fetch fetches them when they are first used, where there is a network"
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
