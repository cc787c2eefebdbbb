"""Presets: named settings; and the settings of a command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

from pydantic import BaseModel, ValidationError

from rfcodec.config import CodebookConfig, EncoderConfig, RuntimeConfig, StreamConfig
from rfcodec.errors import ConfigError, UnknownPlugin
from rfcodec.support.settings import explain, unknown
from rfcodec.support.words import nearest, spelt

Settings = dict[str, Any]
Config = TypeVar("Config", bound=BaseModel)


@final
@dataclass(frozen=True)
class Preset:
    """Settings by field name, dots for parts; `with_budget` are added to them, and win, where a budget is given."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    with_budget: Mapping[str, Any] = field(default_factory=dict)

    def tree(self, budget: bool) -> Settings:
        """The settings as a tree of its own."""
        tree: Settings = {}
        for path, value in ({**self.settings, **self.with_budget} if budget else self.settings).items():
            _put(tree, path, value)
        return tree


BUDGET_WORDS = ("bpp", "kbps", "bytes")
# rfcodec's own method: posterior step, equal-information grid, trellis codebook
DEFAULT = Preset()
# Eight evaluations of a model made for few, and no pilot pass before them: two fifths of the encoder's time. With another
# backbone the same number of evaluations, and its own profile where it has one.
FAST = Preset({"backbone": "tiny-fast", "trajectory.steps": 8, "profile": "backbone"})
# GVCC (arXiv 2603.26571): Euler-Maruyama, g = 3 t^2, 17 + 3 steps at shift 3, 64 of 16384 atoms a latent frame; with a
# budget as many whole atoms as it pays for
GVCC = Preset(
    {
        "trajectory.solver": "euler_maruyama",
        "trajectory.diffusion": "power",
        "trajectory.gain": 3,
        "trajectory.power": 2,
        "trajectory.steps": 20,
        "trajectory.ode_tail": 3,
        "trajectory.tail_order": 1,
        "trajectory.bit_ramp": 0,
        "trajectory.shift": 3,
        "codebook.name": "gvcc",
        "codebook.k": 16384,
        "codebook.m": 64,
        "spectral_emphasis": 0.0,
        "carried_weight": 1.0,
        "correction_share": 0.0,
    },
    with_budget={"codebook.m": 0},
)
PRESETS = {"default": DEFAULT, "fast": FAST, "gvcc": GVCC}


def configure(preset: str = "default", settings: Mapping[str, Any] | None = None) -> tuple[StreamConfig, EncoderConfig]:
    """Settings of a preset, changed by `settings`: field names as keys, dots for parts ("trajectory.steps").

    "codebook.x" sets the field x of the codebook. Raises ConfigError with the legal range of a bad value.
    """
    preset = spelt(preset, PRESETS)
    if preset not in PRESETS:
        raise UnknownPlugin(f"there is no preset {preset!r}{nearest(preset, PRESETS)}; there are: {', '.join(PRESETS)}")
    given = settings or {}
    tree = PRESETS[preset].tree(budget=any(given.get(word) for word in BUDGET_WORDS))
    # the name of a codebook comes first, because it resets the fields of the one before
    for path, value in sorted(given.items(), key=lambda item: item[0] != "codebook.name"):
        _put(tree, path, value)
    legal = StreamConfig.model_fields | EncoderConfig.model_fields
    if strangers := [name for name in tree if name not in legal]:
        raise ConfigError(unknown(strangers[0], legal))
    effort = {name: tree.pop(name) for name in list(tree) if name in EncoderConfig.model_fields}
    return _checked(StreamConfig, tree), _checked(EncoderConfig, effort)


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
