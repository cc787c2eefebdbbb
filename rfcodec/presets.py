"""Presets: named functions that return settings; and the settings of a command line."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rfcodec.config import CodebookConfig, EncoderConfig, RuntimeConfig, StreamConfig, TrajectoryConfig
from rfcodec.errors import ConfigError, UnknownPlugin
from rfcodec.support.settings import explain, unknown
from rfcodec.support.words import nearest

Settings = dict[str, Any]
Config = TypeVar("Config", bound=BaseModel)


def default() -> Settings:
    """rfcodec's own method: posterior step, equal-information grid, trellis codebook."""
    return {}


def gvcc() -> Settings:
    """GVCC (arXiv 2603.26571): Euler-Maruyama, g = 3 t^2, 17 + 3 steps at shift 3, 64 of 16384 atoms a latent frame.

    With a budget, as many whole atoms as it pays for.
    """
    trajectory = TrajectoryConfig(
        solver="euler_maruyama", diffusion="power", gain=3, power=2, steps=20, ode_tail=3, tail_order=1, bit_ramp=0, shift=3
    )
    codebook = CodebookConfig(name="gvcc", parameters={"k": 16384, "m": 64})
    return {
        "trajectory": trajectory.model_dump(),
        "codebook": codebook.model_dump(),
        "spectral_emphasis": 0.0,
        "carried_weight": 1.0,
        "correction_share": 0.0,
    }


def fast() -> Settings:
    """Eight evaluations of a model made for few, and no pilot pass before them: two fifths of the encoder's time.

    With another backbone the same number of evaluations, and its own profile where it has one.
    """
    return {"backbone": "tiny-fast", "trajectory": {"steps": 8}, "profile": "backbone"}


BUDGET_WORDS = ("bpp", "kbps", "bytes")
PRESETS = {"default": default, "fast": fast, "gvcc": gvcc}


def configure(preset: str = "default", settings: Mapping[str, Any] | None = None) -> tuple[StreamConfig, EncoderConfig]:
    """Settings of a preset, changed by `settings`: field names as keys, dots for parts ("trajectory.steps").

    "codebook.x" sets the field x of the codebook. Raises ConfigError with the legal range of a bad value.
    """
    if preset not in PRESETS:
        raise UnknownPlugin(f"there is no preset {preset!r}{nearest(preset, PRESETS)}; there are: {', '.join(PRESETS)}")
    tree = PRESETS[preset]()
    # the name of a codebook comes first, because it resets the fields of the one before
    for path, value in sorted((settings or {}).items(), key=lambda item: item[0] != "codebook.name"):
        _put(tree, path, value)
    if preset == "gvcc" and any(tree.get(word) for word in BUDGET_WORDS) and "codebook.m" not in (settings or {}):
        _spend_the_budget(tree)
    legal = StreamConfig.model_fields | EncoderConfig.model_fields
    if strangers := [name for name in tree if name not in legal]:
        raise ConfigError(unknown(strangers[0], legal))
    effort = {name: tree.pop(name) for name in list(tree) if name in EncoderConfig.model_fields}
    return _checked(StreamConfig, tree), _checked(EncoderConfig, effort)


def _spend_the_budget(tree: Settings) -> None:
    codebook = tree.get("codebook")
    if isinstance(codebook, dict) and codebook.get("name") == "gvcc":
        _put(tree, "codebook.m", 0)


def runtime(**settings: Any) -> RuntimeConfig:
    """A RuntimeConfig; raises ConfigError with the legal range of a bad value."""
    return _checked(RuntimeConfig, settings)


def _checked(config: type[Config], settings: Settings) -> Config:
    try:
        return config(**settings)
    except ValidationError as error:
        raise ConfigError(explain(config, error)) from None


def _put(tree: Settings, path: str, value: Any) -> None:
    part, _, rest = path.partition(".")
    if not isinstance(tree, dict) or (rest and not isinstance(tree.get(part, {}), dict)):
        raise ConfigError(f"{path} is a part of a setting that was given a plain value; set the part alone")
    if not rest:
        tree[part] = value
    elif part == "codebook" and rest not in CodebookConfig.model_fields:
        tree.setdefault(part, {}).setdefault("parameters", {})[rest] = value
    elif part == "codebook" and rest == "name":
        tree[part] = {"name": value}
    else:
        _put(tree.setdefault(part, {}), rest, value)
