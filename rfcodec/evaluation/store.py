"""The folder of a sweep: a JSON a point, its stream and pictures beside it; nothing stands there half written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast, final

from rfcodec.errors import ConfigError
from rfcodec.support.files import write_file

SCHEMA = 1  # of a point


class Point(TypedDict):
    """One clip, coded by one method at one value of its knob: what is in points/KEY.json.

    `role`: codec, anchor, ceiling or floor. `rate`: bpp and kbps of all bytes over pixels of the frames shown, those of a
    paper, bits a latent dimension.
    `metrics` and `series`: values of the clip and of its frames by name, `blank`: why others are not there.
    `stream`: bytes, and bytes_by_purpose. `seams`: first frames of all GOPs but the first. `cost`: seconds, evaluations,
    bytes of memory. Points that are derived from others (`derived`) have the first six alone.
    """

    clip: str
    curve: str
    role: str
    video: dict[str, Any]
    rate: dict[str, Any]
    metrics: dict[str, Any]
    method: dict[str, Any]
    knob: dict[str, Any]
    schema: int
    key: str
    job: dict[str, Any]
    protocol: str
    seams: list[int]
    stream: dict[str, Any]
    series: dict[str, list[float]]
    blank: dict[str, str]
    commands: list[str]
    cost: dict[str, Any]
    pictures: dict[str, str]
    versions: dict[str, str]
    hardware: dict[str, Any]
    host: str
    when: str


class Failure(TypedDict):
    """Why a point is not there: what is in failures/KEY.json."""

    key: str
    clip: str
    curve: str
    error: str


def derived(like: Point, **changes: Any) -> Point:
    """A point that stands between or for others: the six fields that all have, of `like`, and what is said of it."""
    kept = {name: like[name] for name in ("clip", "curve", "role", "video", "rate", "metrics")}
    return cast(Point, kept | changes)


@final
class Store:
    """points/KEY.json, failures/KEY.json, sweep.json, clips.json, and the files that points name.

    A point's JSON is written last, by renaming: where it stands, all it names stands too. Raises OutputError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, key: str) -> bool:
        """Whether that point is done."""
        return (self.folder / "points" / f"{key}.json").is_file()

    def keep(self, point: Point, files: Mapping[str, bytes]) -> None:
        """Writes the files of a point, then the point; an earlier failure of it is forgotten."""
        for name, data in files.items():
            write_file(self.folder / name, data)
        self.write_json(f"points/{point['key']}.json", point)
        (self.folder / "failures" / f"{point['key']}.json").unlink(missing_ok=True)

    def fail(self, failure: Failure) -> None:
        """Remembers why a point is not there."""
        self.write_json(f"failures/{failure['key']}.json", failure)

    def point(self, key: str) -> Point:
        """That point; raises ConfigError where it is not there or cannot be read."""
        return _read_point(self.folder / "points" / f"{key}.json")

    def points(self) -> list[Point]:
        """All points, by clip, curve and rate."""
        found = [_read_point(path) for path in (self.folder / "points").glob("*.json")]
        return sorted(found, key=lambda point: (point["clip"], point["curve"], point["knob"]["value"]))

    def failures(self) -> list[Failure]:
        """All failures, by clip and curve."""
        found = [_read(path, ("clip", "curve")) for path in (self.folder / "failures").glob("*.json")]
        return sorted(found, key=lambda failure: (failure["clip"], failure["curve"]))

    def write_json(self, name: str, value: Any) -> None:
        """A JSON file of the folder."""
        write_file(self.folder / name, json.dumps(value, indent=1, allow_nan=False) + "\n")


def _read(path: Path, words: Sequence[str]) -> Any:
    found = read_json(path)
    if isinstance(found, dict) and all(isinstance(found.get(word), str) for word in words):
        return found
    raise ConfigError(f"{path}: has no {' and '.join(words)}; delete it, and its point is made again")


def _read_point(path: Path) -> Point:
    found = _read(path, ("clip", "curve"))
    knob = found.get("knob")
    if not (isinstance(knob, dict) and isinstance(knob.get("value"), int | float)):
        raise ConfigError(f"{path}: has no number of a knob; delete it, and its point is made again")
    return found


def read_json(path: Path) -> Any:
    """What is in a JSON file; raises ConfigError where it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); delete it, and its point is made again") from error


def comparable(point: Point) -> dict[str, Any]:
    """A point without what differs from run to run: times, memory, hardware, host and date."""
    left_out = ("cost", "hardware", "host", "when")
    costs = {name: value for name, value in point["cost"].items() if name.endswith("evaluations")}
    return {name: value for name, value in point.items() if name not in left_out} | {"cost": costs}
