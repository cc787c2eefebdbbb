"""One HTML page that shows a sweep, from the sweep's folder alone."""

import base64
import hashlib
import json
import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final
from urllib.parse import quote

from rfcodec.errors import ConfigError, InputError
from rfcodec.evaluation.report import plots, summary
from rfcodec.evaluation.report.bd import LEAST_OVERLAP, bd_quality
from rfcodec.evaluation.report.curves import (
    MEAN,
    clips_of,
    curves_of,
    mean_points,
    metrics_of,
    ranked,
    select,
)
from rfcodec.evaluation.report.tables import amount, number, significant, table
from rfcodec.evaluation.store import SCHEMA, Failure, Point, Store, read_json
from rfcodec.support.files import write_file

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["build_report", "load_points", "table"]

Made = TypeVar("Made", Point, Failure)

PAGE, FIGURES = "report.html", "figures"
# base64 adds a third
PICTURE_ROOM, PICTURE_ROOM_CLIP, FIGURE_ROOM = 24_000_000, 3_000_000, 12_000_000
KINDS = {"strip": "Frames", "slice": "Middle row over time", "player": "Players"}


def load_points(folder: str | Path) -> list[Point]:
    """Points of the sweep that the folder was last used for, in order of clip, curve and rate.

    Raises InputError where one is of another schema, ConfigError where a file cannot be read.
    """
    points = _of_sweep(Path(folder), Store(Path(folder)).points())
    for point in points:
        if point.get("schema") != SCHEMA:
            found = f"{folder}: point {point['key']}: schema {point.get('schema')} is not {SCHEMA}"
            raise InputError(f"{found}; make the point again, or read it with its own version")
    return [p for clip in clips_of(points) for curve in curves_of(points) for p in select(points, clip=clip, curve=curve)]


def build_report(folder: str | Path) -> Path:
    """Writes `report.html` and `figures/` into a sweep's folder and returns the page.

    The page needs no network and no script; figures and pictures are inside up to about 50 MB, further ones are links to
    files in the folder. Points and failures of sweeps that used the folder before do not appear. Raises InputError where
    the folder holds no points, ConfigError where a package is missing and OutputError where nothing can be written.
    """
    folder = Path(folder)
    points = load_points(folder)
    if not points:
        raise InputError(f"{folder}: holds no points (points/*.json); name the folder of a sweep that has finished a job")
    page = _environment().get_template("report.html.j2").render(_context(folder, points))
    write_file(folder / PAGE, page)
    return folder / PAGE


@final
@dataclass(frozen=True)
class _Clip:
    """What the page shows of one clip."""

    name: str
    slug: str
    video: dict[str, Any]
    points: list[Point]
    source: dict[str, str]

    @cached_property
    def rungs(self) -> list[summary.Rung]:
        """Methods at equal rates."""
        return summary.rungs(self.points)

    @property
    def levels(self) -> list[Point]:
        """Ceilings and floors."""
        return [point for point in self.points if point["role"] in ("ceiling", "floor")]

    def compression(self, point: Point) -> dict[str, float | None]:
        """See `summary.compression`."""
        return summary.compression(point, self.points)

    def picture_paths(self) -> list[str]:
        """The source's and those of points at equal rates, strips before slices before players."""
        matched = [point for rung in self.rungs for point in rung.matches.values() if point]
        shown = [self.source, *(point.get("pictures") or {} for point in [*self.levels, *matched])]
        return list(dict.fromkeys(pictures[kind] for kind in KINDS for pictures in shown if kind in pictures))


def _context(folder: Path, points: Sequence[Point]) -> dict[str, Any]:
    sweep, sources = _optional(folder / "sweep.json"), _optional(folder / "clips.json")
    clips = [_clip(name, points, sources.get(name) or {}) for name in clips_of(points)]
    figures = plots.write_figures(points, folder / FIGURES, {clip.name: clip.slug for clip in clips})
    drawings = {clip: {kind: f"{FIGURES}/{path.name}" for kind, path in kinds.items()} for clip, kinds in figures.items()}
    ordered = [drawings[clip][kind] for clip in sorted(drawings, key=lambda c: c != MEAN) for kind in drawings[clip]]
    room = min(PICTURE_ROOM_CLIP, PICTURE_ROOM // len(clips))
    pictures = [_sources(folder, clip.picture_paths(), room) for clip in clips]
    whole = mean_points(points)
    return {
        "title": sweep.get("name") or sweep.get("title") or folder.resolve().name,
        "settings": _flat({name: value for name, value in sweep.items() if name != "keys"}),
        "points": points,
        "clips": clips,
        "whole": _Clip(MEAN, "mean", {}, whole, {}),
        "metrics": metrics_of(points),
        "ranked": ranked(metrics_of(points)),
        "codecs": curves_of(points, "codec"),
        "anchors": curves_of(points, "anchor"),
        "savings": [
            ("Bits for equal quality: BD-rate", True, summary.comparisons(points)),
            ("Quality for equal bits: BD-PSNR and its like", False, summary.comparisons(points, bd_quality)),
        ],
        "notes": summary.notes(points),
        "failures": _of_sweep(folder, Store(folder).failures()),
        "blanks": summary.blanks(points),
        "unaveraged": [curve for curve in curves_of(points) if curve not in curves_of(whole)],
        "drawings": drawings,
        "pictures": {path: source for found in pictures for path, source in found.items()},
        "figures": _sources(folder, ordered, FIGURE_ROOM),
        "streams": {path.stem: f"streams/{quote(path.name)}" for path in sorted((folder / "streams").glob("*"))},
        "purposes": list(dict.fromkeys(name for p in points if p["role"] == "codec" for name in _purposes(p))),
        "costs": summary.costs(points),
        "circumstances": summary.circumstances(points),
        "MEAN": MEAN,
        "LEAST_OVERLAP": LEAST_OVERLAP,
        "KINDS": KINDS,
    }


def _clip(name: str, points: Sequence[Point], source: Mapping[str, Any]) -> _Clip:
    own = select(points, clip=name)
    ordered = [point for curve in curves_of(own) for point in select(own, curve=curve)]
    return _Clip(name, _slug(name), source.get("video") or own[0]["video"], ordered, source.get("pictures") or {})


def _purposes(point: Point) -> dict[str, int]:
    return point["stream"].get("bytes_by_purpose") or {}


def _sources(folder: Path, paths: Iterable[str], room: int) -> dict[str, str]:
    """For each picture what HTML's src takes: the data itself while there is room, then relative links."""
    found: dict[str, str] = {}
    for path in paths:
        file = (folder / path).resolve()
        if not file.is_relative_to(folder.resolve()) or not file.is_file():
            continue
        size = file.stat().st_size
        found[path] = _data(file) if size <= room else quote(path)
        room -= size if size <= room else 0
    return found


def _data(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _slug(name: str) -> str:
    """The name as part of a file name: itself where it can be, else with a few digits that keep it apart."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and words."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        nested = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: _words(value)}
    return flat


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return json.dumps(value) if isinstance(value, Mapping) else str(value)


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _of_sweep(folder: Path, made: list[Made]) -> list[Made]:
    """Points or failures of those jobs that the sweep's file names; all, where it names none."""
    keys = _optional(folder / "sweep.json").get("keys")
    return made if keys is None else [one for one in made if one["key"] in keys]


def _environment() -> "Environment":
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise ConfigError("reports need the package jinja2: pip install 'rfcodec[benchmarks]'") from error
    loader = FileSystemLoader(Path(__file__).parent)
    # the template's name ends in j2, so that Jinja would not escape by itself
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "signed": partial(number, signed=True), "significant": significant}
    environment.filters |= {"amount": amount, "purposes": _purposes, "link": quote}
    return environment
