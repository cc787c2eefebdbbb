"""Where a model comes from: a named checkpoint, a hub id or a folder. Needs no torch."""

import json
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import final

from pydantic import BaseModel, ConfigDict, Field

from rfcodec.backbones.diffusers.untyped import Arguments
from rfcodec.errors import MissingWeights, UnknownPlugin

MODEL_INDEX = "model_index.json"
LIVE = "live:"  # before the class of a pipeline that has no name
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(@[\w./-]+)?")


class Checkpoint(BaseModel):
    """A public checkpoint: where it lies, whose it is, what it can be given, how big it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub: str = Field(description="id on the hub")
    family: str = Field(description="id of its pipeline spec")
    licence: str
    takes: tuple[str, ...] = Field(default=(), description="known frames, where fewer than those of the family")
    text_billions: float = Field(default=0, ge=0, description="parameters of its text encoders")
    other_billions: float = Field(default=0, ge=0, description="parameters of what stays loaded beside transformer and VAE")
    vae: Arguments = Field(default_factory=dict, description="class and configuration of the VAE")
    transformer: Arguments = Field(default_factory=dict, description="class and configuration of the transformer")
    experts: int = Field(default=1, ge=1, description="transformers that share the time axis")
    note: str = ""


@lru_cache(maxsize=1)
def checkpoints() -> dict[str, Checkpoint]:
    """The named checkpoints of checkpoints.toml."""
    text = (files("rfcodec.backbones.diffusers") / "checkpoints.toml").read_text()
    return {name: Checkpoint(**table) for name, table in tomllib.loads(text).items()}


@final
@dataclass(frozen=True)
class Source:
    """A name as given, and what it stands for."""

    name: str
    checkpoint: Checkpoint | None = None

    def local(self) -> Path | None:
        """The model's folder, where it was named as one."""
        folder = Path(self.name)
        return folder if self.checkpoint is None and (folder / MODEL_INDEX).is_file() else None

    def folder(self, fetch: bool = True) -> Path:
        """The model's folder, or its place in the hub's cache, fetched if it may be. Raises MissingWeights."""
        if local := self.local():
            return local
        repository, _, revision = (self.checkpoint.hub if self.checkpoint else self.name).partition("@")
        return _fetch(repository, revision or None, fetch)

    def takes(self) -> tuple[str, ...]:
        """Known frames that a named checkpoint can be given, where they are fewer than those of its family."""
        return self.checkpoint.takes if self.checkpoint else ()

    def index(self, folder: Path) -> Arguments:
        """model_index.json; raises MissingWeights."""
        try:
            found = json.loads((folder / MODEL_INDEX).read_text())
            if not (isinstance(found, dict) and re.fullmatch(r"\w+", str(found.get("_class_name")))):
                raise ValueError("it names no pipeline class")
            for name, value in found.items():
                if isinstance(value, list) and not (re.fullmatch(r"\w+", name) and len(value) == 2):
                    raise ValueError(f"{name!r} is no component")
            return found
        except (OSError, ValueError) as error:
            raise MissingWeights(f"{folder / MODEL_INDEX} cannot be read: {error}") from error

    def pipeline(self, folder: Path) -> str:
        """Class of the pipeline that the model names."""
        return self.index(folder)["_class_name"]

    def parts(self, folder: Path) -> list[str]:
        """Names of the components that the model holds."""
        return [name for name, value in self.index(folder).items() if isinstance(value, list) and value[0]]


def find_source(name: str, trusted: bool = True) -> Source:
    """What a name stands for; raises UnknownPlugin. Of names that are not trusted, those of checkpoints alone."""
    if name in checkpoints():
        return Source(name, checkpoints()[name])
    if not trusted and not name.startswith(LIVE):
        raise UnknownPlugin(
            f"the stream names the model {name!r}: say where it is with --backbone (backbone=... in Python), if you trust "
            "it; a stream alone opens what is known by name"
        )
    if (Path(name) / MODEL_INDEX).is_file() or (HUB_ID.fullmatch(name) and not Path(name).exists()):
        return Source(name)
    if name.startswith(LIVE):
        raise UnknownPlugin(f"the stream was made with a live {name.removeprefix(LIVE)}: hand one over as backbone=...")
    hint = f"the folder has no {MODEL_INDEX}" if Path(name).is_dir() else "it is no folder and no hub id"
    raise UnknownPlugin(
        f"there is no backbone {name!r}: {hint}. A backbone is a name that `rfcodec backbones` lists, such as "
        "gaussian, a folder written by save_pretrained, or a hub id such as Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
    )


def _fetch(repository: str, revision: str | None, fetch: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    # components alone: some repositories hold further checkpoints beside them
    patterns = [MODEL_INDEX, "rfcodec.toml", *(f"*/*.{kind}" for kind in ("json", "safetensors", "txt", "model", "jinja"))]
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, local_files_only=not fetch))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        raise MissingWeights(
            f"the weights of {repository} are not on this machine "
            f"{f'and cannot be fetched ({type(error).__name__})' if fetch else 'and may not be fetched'}: with a network "
            f"--fetch or `hf download {repository}` fetches them, gigabytes as `rfcodec backbones show` tells; or name the "
            "folder that holds them"
        ) from error
