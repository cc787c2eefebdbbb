"""What a sweep is: clips, curves and what is measured, as a TOML file, as options, or as an object.

A curve is a clip's points of one method; only its knob varies within it, which is `bpp` unless said otherwise.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rfcodec.errors import ConfigError
from rfcodec.evaluation.datasets.protocol import PROTOCOLS
from rfcodec.metrics.collector import DEFAULT_METRICS
from rfcodec.support.settings import explain
from rfcodec.support.toml import read_toml
from rfcodec.support.words import parse_frames, parse_size

Setting = str | int | float
BPP = "bpp"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Curve(_Model):
    label: str = Field(default="", description="name in tables and plots; default: made of the settings")
    knob: str = Field(default=BPP, description="what varies: bpp, or a method's own number")
    values: tuple[float, ...] = Field(default=(), description="of the knob; default: the sweep's `bpp`")


@final
class CodecCurve(_Curve):
    """rfcodec itself; a knob other than bpp is the name of a setting, such as codebook.m."""

    kind: Literal["codec"] = "codec"
    backbone: str = "tiny"
    mode: str = "t2v"
    codebook: str | None = None
    preset: str = "default"
    set: dict[str, Setting] = Field(default_factory=dict, description="further settings, names with dots")

    @property
    def name(self) -> str:
        """Backbone, mode and what else is not the default."""
        preset = "" if self.preset == "default" else self.preset
        return self.label or " ".join(filter(None, (Path(self.backbone).name, self.mode, self.codebook or preset)))

    def settings(self, value: float) -> dict[str, Any]:
        """The settings of one point, as `configure` takes them."""
        fixed = {"backbone": self.backbone, "mode": self.mode} | self.set
        book = {"codebook.name": self.codebook} if self.codebook else {}
        return fixed | book | {self.knob: int(value) if self.knob != BPP and value.is_integer() else value}


@final
class AnchorCurve(_Curve):
    """A codec of ffmpeg: the largest stream within each bpp or, with its own knob (crf; vvc: qp), at each value."""

    kind: Literal["anchor"] = "anchor"
    codec: str
    preset: str | None = Field(default=None, description="the encoder's own; default: that of the anchor")
    scale: int = Field(default=1, description="divisor of width and height, with a knob of its own")

    @property
    def name(self) -> str:
        """The codec, and what else is not the default."""
        scale = f"1/{self.scale} size" if self.scale > 1 else ""
        return self.label or " ".join(filter(None, (self.codec, self.preset, scale)))


@final
class ExternalCurve(_Curve):
    """A codec run by command line, described in a TOML file: within each bpp, or at values of its own knob."""

    kind: Literal["external"] = "external"
    file: Path

    @field_validator("file")
    @classmethod
    def _absolute(cls, file: Path) -> Path:
        return file.absolute()  # workers may run in another folder

    @property
    def name(self) -> str:
        """The file's name."""
        return self.label or self.file.stem


@final
class StillCurve(_Curve):
    """A still coder alone: every frame by itself, each within bpp."""

    kind: Literal["still"] = "still"
    still: str
    backbone: str = Field(default="gaussian", description="of the still coder `trajectory`")

    @property
    def name(self) -> str:
        """The still coder."""
        return self.label or self.still


@final
class BoundCurve(_Model):
    """What no rate can change: the autoencoder's round trip (ceiling), or generation without any bits (floor)."""

    kind: Literal["ceiling", "floor"]
    label: str = ""
    backbone: str
    set: dict[str, Setting] = Field(default_factory=dict)
    knob: str = "none"
    values: tuple[float, ...] = (0.0,)

    @property
    def name(self) -> str:
        """Kind and backbone."""
        return self.label or f"{Path(self.backbone).name} {self.kind}"


Curve = Annotated[CodecCurve | AnchorCurve | ExternalCurve | StillCurve | BoundCurve, Field(discriminator="kind")]


@final
class Sweep(_Model):
    """One sweep: the product of backbones, modes, codebooks and rates, further curves, and anchors, over the clips."""

    name: str = "sweep"
    dataset: str | None = Field(default=None, description="name, TOML file or folder; see rfcodec.evaluation.datasets")
    root: Path | None = Field(default=None, description="folder below which the dataset's clips lie")
    clips: tuple[str, ...] = Field(default=(), description="files, or names of the dataset's clips")
    frames: tuple[int | None, int | None] = (None, None)
    size: tuple[int, int] | None = None
    protocol: str = "honest"
    metrics: tuple[str, ...] = DEFAULT_METRICS
    backbones: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("t2v",)
    codebooks: tuple[str, ...] = ()
    bpp: tuple[float, ...] = ()
    set: dict[str, Setting] = Field(default_factory=dict, description="settings of all points of rfcodec")
    anchors: tuple[str, ...] = ()
    external: tuple[Path, ...] = Field(default=(), description="TOML files of codecs run by command line")
    curves: tuple[Curve, ...] = ()
    bounds: bool = Field(default=True, description="measure the ceiling and the floor of each backbone too")
    decode: bool = Field(
        default=True, description="decode each stream anew; false: measure what its encoder shows, which is the same"
    )

    def all_curves(self) -> list[Any]:
        """Every curve, rates filled in; raises ConfigError where one has none or two have one name."""
        grid = itertools.product(self.backbones, self.modes, self.codebooks or (None,))
        found: list[Any] = [CodecCurve(backbone=b, mode=m, codebook=c) for b, m, c in grid]
        found += [*self.curves, *(AnchorCurve(codec=codec) for codec in self.anchors)]
        found += [ExternalCurve(file=file) for file in self.external]
        found = [self._filled(curve) for curve in found]
        if self.bounds:
            backbones = dict.fromkeys(curve.backbone for curve in found if curve.kind == "codec")
            fixed = {name: value for name, value in self.set.items() if not name.startswith("codebook.")}
            found += [BoundCurve(kind=kind, backbone=b, set=fixed) for b in backbones for kind in ("ceiling", "floor")]
        names = [curve.name for curve in found]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"two curves are called {min(twice)!r}: give one a label")
        if not found:
            raise ConfigError("the sweep has no curve: name backbones, anchors or [[curves]]")
        return found

    def _filled(self, curve: Any) -> Any:
        values = curve.values or (self.bpp if curve.knob == BPP else ())
        if not values:
            raise ConfigError(f"curve {curve.name}: no values of {curve.knob} are given; name `bpp`, or `values`")
        more = {"set": self.set | curve.set} if curve.kind == "codec" else {}
        return curve.model_copy(update={"values": values, **more})


def read_sweep(path: Path | None, options: Mapping[str, Any]) -> Sweep:
    """A sweep as the TOML file says it, changed by `options`; raises ConfigError that names the bad field."""
    told = read_toml(path) if path else {}
    if path:
        told.setdefault("name", path.stem)
    if not options.get("dataset") and any(Path(clip).exists() for clip in options.get("clips") or ()):
        told.pop("dataset", None)  # files that are named take the place of the file's dataset
    fixed = told.get("set", {})
    told |= {name: value for name, value in options.items() if value or value is False}
    told["set"] = {**_dotted(fixed), **_dotted(options.get("set") or {})} if isinstance(fixed, dict) else fixed
    for curve in _tables(told.get("curves")):
        curve |= {"set": _dotted(curve["set"])} if isinstance(curve.get("set"), dict) else {}
    for name, parse in (("frames", parse_frames), ("size", parse_size)):
        if isinstance(told.get(name), str):
            told[name] = parse(told[name])
    try:
        sweep = Sweep(**told)
    except ValidationError as error:
        raise ConfigError(f"{path or 'the sweep'}: {explain(Sweep, error)}") from None
    if sweep.protocol not in PROTOCOLS:
        raise ConfigError(f"there is no protocol {sweep.protocol!r}; there are: {', '.join(PROTOCOLS)}")
    return sweep


def _tables(value: Any) -> list[dict[str, Any]]:
    # what is no table is refused by its name when the sweep is made
    return [table for table in value if isinstance(table, dict)] if isinstance(value, list) else []


def _dotted(tree: Mapping[str, Any], before: str = "") -> dict[str, Setting]:
    """TOML reads a.b = 1 as a tree."""
    flat: dict[str, Setting] = {}
    for name, value in tree.items():
        flat |= _dotted(value, f"{before}{name}.") if isinstance(value, Mapping) else {before + name: value}
    return flat
