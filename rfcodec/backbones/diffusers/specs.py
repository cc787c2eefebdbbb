"""What is particular to a pipeline, as data: how it is called, what its state looks like, how its latents are normalised."""

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rfcodec.backbones.diffusers.untyped import Settings
from rfcodec.errors import BackboneError
from rfcodec.protocols import Places
from rfcodec.support.settings import explain
from rfcodec.types import Geometry

OWN_SPEC = "rfcodec.toml"  # beside model_index.json: the spec that a model brings along


class PipelineSpec(BaseModel):
    """The data of one pipeline class. Defaults are those of a plain text-to-video pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    family: str = Field(description="specs of one family share weights")
    pipeline: str = Field(description="class in diffusers, or package.module:Class")
    when: tuple[str, ...] = Field(
        default=(), description="config entries that must be set: NAME of the pipeline or COMPONENT.NAME, or with =VALUE"
    )
    takes: tuple[Places, ...] = Field(default=("none",), description="where the reference frames of a call may stand")
    frames: Literal["none", "image", "keyframes", "latent_keyframes", "video_mask"] = Field(
        default="none", description="the arguments that carry known frames"
    )
    layout: Literal["frames", "channels_last", "tokens"] = Field(
        default="frames", description="state that the scheduler sees: b c f h w, b f h w c, or b (f h w) c"
    )
    extra: Literal["before", "after"] = Field(default="before", description="where tokens that are no video stand")
    given: int = Field(default=0, ge=0, le=1, description="latent frames that a known first frame replaces")
    sign: Literal[1, -1] = Field(default=1, description="what the scheduler is given, over the velocity eps - x0")
    time: Literal["sigma", "inverted"] = Field(default="sigma", description="timestep over 1000: t, or 1 - t")
    start: Literal["argument", "replace"] = Field(
        default="argument", description="how noise goes in: as `latents`, or in place of what the pipeline drew"
    )
    guidance: str = Field(default="guidance_scale", description="argument of the guidance scale, or `guider` component")
    guidance_needs: str = Field(default="", description="config entry without which the guidance scale is ignored")
    call: Settings = Field(default_factory=dict, description="constant arguments of a call")
    frame_rate: int = Field(default=0, ge=0, description="frames per second that a call is told; 0: it is not")
    fits_size: bool = Field(default=False, description="whether the pipeline fits sizes to its own list")
    fixed: tuple[str, ...] = Field(default=(), description="methods whose result is made fixed noise: no video, not coded")
    copies_scheduler: bool = Field(default=False, description="whether copies of the scheduler are plain Euler, not ours")
    statistics: Literal["config", "buffers", "none"] = Field(
        default="none", description="where the VAE keeps mean and standard deviation of its latents"
    )
    scaling: bool = Field(default=False, description="whether latents are multiplied by the VAE's scaling_factor")
    channels: str = Field(default="vae.latent_channels", description="config entry of the number of latent channels")
    temporal: int = Field(default=4, ge=1, description="frames of a latent frame")
    spatial: int = Field(default=8, ge=1, description="pixels of a latent sample, each way")
    multiple: int = Field(default=16, ge=1, description="what width and height must be multiples of")
    native: Literal["", "wan", "ltx"] = Field(default="", description="velocity without the pipeline, where we have it")

    def only(self, takes: Sequence[str]) -> "PipelineSpec":
        """The same for a checkpoint that was trained for some of the known frames alone."""
        return self.model_copy(update={"takes": tuple(words for words in self.takes if words in takes)})

    def geometry(self, channels: int) -> Geometry:
        """Geometry of the latents; known frames need a group to stand in."""
        least = 1 if "none" in self.takes else 2
        return Geometry(channels, self.temporal, self.spatial, self.multiple, self.given, max(least, 1 + self.given))


def read_specs(text: str, known: Sequence[PipelineSpec] = ()) -> tuple[PipelineSpec, ...]:
    """The specs of a TOML text; `like` may name one before it or of `known`. Raises BackboneError."""
    found = {spec.id: spec.model_dump() for spec in known}
    fresh = []
    try:
        for table in tomllib.loads(text)["pipeline"]:
            base = found[table.pop("like")] if "like" in table else {}
            merged = base | table | {"call": base.get("call", {}) | table.get("call", {})}
            fresh.append(PipelineSpec(**merged))
            found[fresh[-1].id] = merged
    except ValidationError as error:
        told = explain(PipelineSpec, error)
        raise BackboneError(f"a pipeline spec is not legal: {told}; docs/backbones.md has how one is written") from None
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise BackboneError(f"a pipeline spec is not legal: {error}; docs/backbones.md has how one is written") from error
    return tuple(fresh)


@lru_cache(maxsize=1)
def built_in() -> tuple[PipelineSpec, ...]:
    """The specs of families.toml."""
    return read_specs((files("rfcodec.backbones.diffusers") / "families.toml").read_text())


def all_specs(folder: Path | None = None, trusted: bool = True) -> tuple[PipelineSpec, ...]:
    """Specs that the model's own folder brings along, if it is trusted, then those of other packages, then ours."""
    own = folder / OWN_SPEC if folder and trusted else None
    local = read_specs(own.read_text(), built_in()) if own and own.is_file() else ()
    plugins = [spec for entry in entry_points(group="rfcodec.families") for spec in entry.load()]
    return (*local, *plugins, *built_in())
