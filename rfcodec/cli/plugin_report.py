"""Lists of plugins, and of the backbones that are known by name."""

from collections.abc import Iterable, Iterator
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from typing import Any

from rfcodec import registry
from rfcodec.backbones.openers import Facts, catalogue
from rfcodec.support.console import make_list, out, print_json

TAKEN = {"none": "-", "first": "first", "last": "last", "first+last": "both", "any": "any"}

Row = dict[str, Any]


def plugin_rows(kind: str) -> list[Row]:
    """Name, id, where it comes from, what it is, and its fields, of every installed plugin of a kind."""
    rows = []
    for name, plugin in sorted(registry.loadable(kind).items()):
        row = {
            "name": name,
            "id": getattr(plugin, "ID", ""),
            "from": registry.names(kind)[name].value,
            "what": (plugin.__doc__ or "").partition("\n")[0],
        }
        if kind == "codebooks" and is_dataclass(plugin):
            row["fields"] = ", ".join(f"{item.name}={item.default}" for item in dataclass_fields(plugin))
        rows.append(row)
    return rows


def checkpoint_rows() -> list[Facts]:
    """Name and facts of everything that a plugin knows by name beside what is registered."""
    return [{"name": name, **facts} for name, facts in catalogue().items()]


def plugin_list(kind: str, as_json: bool) -> None:
    """Names and what they are; everything else with --json."""
    rows = plugin_rows(kind)
    if as_json:
        print_json(rows)
    else:
        _print_plugins(rows)


def backbone_list(as_json: bool) -> None:
    """What is installed, and what is known by name: which frames it takes, under which licence."""
    installed, known = plugin_rows("backbones"), checkpoint_rows()
    if as_json:
        print_json({"installed": installed, "checkpoints": known})
        return
    _print_plugins(installed)
    out.print()
    out.print(make_list(_by_licence(known), ("by licence, fetched when first used", "known frames")))
    out.print()
    out.print("Known frames: - none, first, last, both of them, any. What one needs: `rfcodec backbones show NAME`.")


def _print_plugins(rows: list[Row]) -> None:
    described = [(row["name"], row["what"] + (f" [{row['fields']}]" if row.get("fields") else "")) for row in rows]
    out.print(make_list(described, ("name", "what it is")))


def _by_licence(known: list[Facts]) -> Iterator[tuple[str, str]]:
    for licence in dict.fromkeys(row["licence"] for row in known):
        yield licence, ""
        yield from ((f" {row['name']}", _said_frames(row["takes"])) for row in known if row["licence"] == licence)


def _said_frames(takes: Iterable[str]) -> str:
    return " ".join(TAKEN[words] for words in takes)
