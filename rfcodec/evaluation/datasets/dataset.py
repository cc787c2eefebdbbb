"""Datasets as TOML: which clips, under which file names, and where to get what is not there."""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rfcodec.errors import ConfigError, InputError
from rfcodec.evaluation.datasets.clips import RAW, Clip, checksum, clip_of, clips_in, open_clip
from rfcodec.support.files import write_file
from rfcodec.support.settings import explain
from rfcodec.support.toml import read_toml
from rfcodec.types import RawLayout

__all__ = ["Clip", "checksum", "clip_of", "dataset_names", "load_dataset", "open_clip", "record_checksums"]

CHECKSUMS = "\n[sha256]"  # the last table of a TOML that has one


def _check_speed(fps: int | str | None) -> int | str | None:
    try:
        if fps is not None and Fraction(str(fps)) <= 0:
            raise ValueError
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError('write a speed above 0, such as 25 or "30000/1001"') from error
    return fps


class _Entry(BaseModel):
    """What the TOML says of one clip; what it leaves out is the dataset's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    also: tuple[str, ...] = Field(default=(), description="other names, to be tried in the file names")
    get: str = Field(default="", description="address of this clip")
    fps: int | str | None = None
    frames: tuple[int, int] | None = None
    size: tuple[int, int] | None = None

    _speed = field_validator("fps")(_check_speed)


class _Dataset(BaseModel):
    """A TOML file; `width`, `height` and `fps` (120 or "30000/1001") are those of raw planes, `fps` of pictures too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    about: str = ""
    get: tuple[str, ...] = Field(default=(), description="addresses where the clips are to be had")
    width: int | None = Field(default=None, ge=1)
    height: int | None = Field(default=None, ge=1)
    fps: int | str | None = None
    files: tuple[str, ...] = Field(
        default=("{name}",), description="paths below the root, in order of preference, with {name} and {fps}"
    )
    clips: dict[str, _Entry] = Field(min_length=1)
    sha256: dict[str, str] = Field(default_factory=dict)

    _speed = field_validator("fps")(_check_speed)

    @field_validator("files")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                pattern.format(name="", fps="")
            except (ValueError, LookupError, AttributeError) as error:
                raise ValueError(f"a pattern has {{name}} and {{fps}} alone, not {pattern!r}") from error
        return patterns

    def spellings(self, name: str) -> list[str]:
        """The paths under which a clip is looked for."""
        entry = self.clips[name]
        return [path.format(name=word, fps=entry.fps or self.fps) for word in (name, *entry.also) for path in self.files]

    def clip(self, name: str, path: Path) -> Clip:
        """The clip that was found at a path."""
        entry = self.clips[name]
        speed = entry.fps or self.fps
        fps = Fraction(str(speed)) if speed else None
        return Clip(name, path, entry.frames, entry.size, self._layout(path, fps), self.sha256.get(name), fps)

    def origin(self) -> str:
        """Where to get it, for messages."""
        return f"{self.title} is to be had from {' and '.join(self.get) or 'where its TOML does not say'}"

    def _layout(self, path: Path, fps: Fraction | None) -> RawLayout | None:
        if path.suffix.lower() != RAW:
            return None
        if self.width is None or self.height is None or fps is None:
            raise ConfigError(f"{self.title}: {path.name} is raw, so its TOML must give width, height and fps")
        return RawLayout(self.width, self.height, fps)


def dataset_names() -> list[str]:
    """The datasets that come with rfcodec."""
    found = (path.name for path in (files("rfcodec.evaluation.datasets") / "data").iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml") and "_published" not in name)


def load_dataset(
    source: str | Path, root: Path | None = None, only: Sequence[str] = (), *, verify: bool = True
) -> list[Clip]:
    """The clips of a dataset: one of `dataset_names()`, a TOML file, a folder of videos, or one video.

    `root` is the folder below which the clips of a name or a TOML file lie, for the latter its own by default. `only`
    names the clips that are wanted, in that order; the others may be missing. Checksums that the TOML has are verified
    unless `verify` is False. Of a folder, all videos that can be read, sorted by name (`clips_in`). Raises ConfigError on
    what is no dataset and InputError on what is missing, with the file names that were looked for and where to get it.
    """
    if str(source) not in dataset_names() and Path(source).suffix != ".toml":
        clips = {clip.name: clip for clip in _loose_clips(Path(source))}
        return [clips[name] for name in _wanted(only, clips, source)]
    dataset = _read(source)
    root = root or (Path(source).parent if Path(source).suffix == ".toml" else None)
    if root is None or not root.is_dir():
        told = f"{root}: there is no such folder" if root else "the folder that holds its clips must be given"
        raise InputError(f"dataset {source}: {told}; {dataset.origin()}")
    names = _wanted(only, dataset.clips, source)
    found = _find(dataset, root, names)
    if missing := [name for name in names if found[name] is None]:
        raise InputError(*_missing(dataset, missing, f"dataset {source}: {len(missing)} of {len(names)}", root))
    clips = [dataset.clip(name, path) for name, path in found.items() if path]
    for clip in clips if verify else ():
        _verify(clip, dataset)
    return clips


def record_checksums(toml: str | Path, root: Path) -> Path:
    """Writes the checksums of all clips below `root` into a dataset's TOML file and returns its path.

    One of `dataset_names()` is copied to `root/NAME.toml` first. Raises OutputError and what `load_dataset` raises.
    """
    clips = load_dataset(toml, root, verify=False)
    target = Path(root) / f"{toml}.toml" if str(toml) in dataset_names() else Path(toml)
    lines = [f"{json.dumps(clip.name)} = {json.dumps(checksum(clip.path))}" for clip in clips]
    write_file(target, "\n".join([_file(toml).read_text().partition(CHECKSUMS)[0].rstrip(), CHECKSUMS, *lines, ""]))
    return target


def _file(source: str | Path) -> Any:
    known = str(source) in dataset_names()
    return files("rfcodec.evaluation.datasets") / "data" / f"{source}.toml" if known else Path(source)


def _read(source: str | Path) -> _Dataset:
    try:
        return _Dataset(**read_toml(_file(source)))
    except ValidationError as error:
        raise ConfigError(f"dataset {source} is not legal: {explain(_Dataset, error)}") from None


def _loose_clips(path: Path) -> list[Clip]:
    if not path.exists():
        raise ConfigError(
            f"there is no dataset {path}: legal are {', '.join(dataset_names())}, a TOML file, a folder and a video"
        )
    return clips_in(path) if path.is_dir() else [clip_of(path)]


def _wanted(only: Sequence[str], known: Mapping[str, object], source: str | Path) -> Sequence[str]:
    if unknown := [name for name in only if name not in known]:
        raise ConfigError(f"dataset {source} has no clip {unknown[0]!r}; it has {', '.join(known)}")
    return only or tuple(known)


def _find(dataset: _Dataset, root: Path, names: Sequence[str]) -> dict[str, Path | None]:
    """Each clip at the first of its spellings that there is: below the root itself, else as a file in any folder."""
    places = {name: [root / spelling for spelling in dataset.spellings(name)] for name in names}
    found = {name: next((path for path in paths if path.exists()), None) for name, paths in places.items()}
    if None in found.values():
        deeper = {path.name: path for path in sorted(root.rglob("*"), reverse=True) if path.is_file()}
        for name in (name for name in names if found[name] is None):
            found[name] = next((deeper[spelling] for spelling in dataset.spellings(name) if spelling in deeper), None)
    return found


def _missing(dataset: _Dataset, names: Sequence[str], how_many: str, root: Path) -> list[str]:
    lines = [f"{how_many} clips are not below {root}:"]
    for name in names:
        address = dataset.clips[name].get
        lines.append(f"  {name}: looked for {', '.join(dataset.spellings(name))}" + (f"; get {address}" if address else ""))
    return [*lines, dataset.origin()]


def _verify(clip: Clip, dataset: _Dataset) -> None:
    if clip.sha256 and (found := checksum(clip.path)) != clip.sha256:
        raise InputError(
            f"{clip.path}: has SHA-256 {found}, {clip.name} should have {clip.sha256}: get it again; {dataset.origin()}"
        )
