"""The folder of a sweep: a JSON a point, its stream and pictures beside it; nothing stands there half written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from rfcodec.errors import ConfigError
from rfcodec.support.files import write_file

SCHEMA = 1  # of a point
Point = dict[str, Any]


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

    def fail(self, failure: Point) -> None:
        """Remembers why a point is not there."""
        self.write_json(f"failures/{failure['key']}.json", failure)

    def points(self) -> list[Point]:
        """All points, by clip, curve and rate."""
        found = [read_json(path) for path in (self.folder / "points").glob("*.json")]
        return sorted(found, key=lambda point: (point["clip"], point["curve"], point["knob"]["value"]))

    def failures(self) -> list[Point]:
        """All failures, by clip and curve."""
        found = [read_json(path) for path in (self.folder / "failures").glob("*.json")]
        return sorted(found, key=lambda failure: (failure["clip"], failure["curve"]))

    def write_json(self, name: str, value: Any) -> None:
        """A JSON file of the folder."""
        write_file(self.folder / name, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """What is in a JSON file; raises ConfigError where it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); delete it, and its point is made again") from error


def comparable(point: Point) -> Point:
    """A point without what differs from run to run: times, memory, hardware, host and date."""
    left_out = ("cost", "hardware", "host", "when")
    costs = {name: value for name, value in point["cost"].items() if name.endswith("evaluations")}
    return {name: value for name, value in point.items() if name not in left_out} | {"cost": costs}
