"""Name or id -> plugin, through entry points, so that plugins of ours and of others are equals."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rfcodec.errors import ConfigError, ShadowedPackage, UnknownPlugin
from rfcodec.support.words import nearest, spelt

DISTRIBUTION = "rfcodec"
MARK = f'DISTRIBUTION = "{DISTRIBUTION}"'  # stands in the __init__.py of each package of ours beside the library


@lru_cache(maxsize=8)
def names(kind: str) -> dict[str, EntryPoint]:
    """The installed plugins of a kind: backbones, codebooks, conditioners or stills."""
    return {entry.name: entry for entry in entry_points(group=f"rfcodec.{kind}")}


@contextmanager
def registered(kind: str, name: str, plugin: type) -> Iterator[None]:
    """Makes a plugin known beside the installed ones in a `with` block of this process: for experiments.

    `plugin` is a class at the top of a module. Raises ConfigError where another plugin has its name or id.
    """
    known = names(kind)
    if name in known or any(getattr(plugin, "ID", None) == other.ID for other in loadable(kind).values()):
        raise ConfigError(f"{kind[:-1]} {name!r}: another plugin has this name or its id; ids 100 to 127 are free")
    known[name] = EntryPoint(name, f"{plugin.__module__}:{plugin.__qualname__}", f"rfcodec.{kind}")
    try:
        yield
    finally:
        del known[name]


def spelling(kind: str, name: str) -> str:
    """The name as the plugin of a kind is installed under it, where `name` differs in capital letters alone."""
    known = names(kind)
    return name if name in known else spelt(name, known)


def load(kind: str, name: str) -> Any:
    """The plugin of that name, in small or capital letters; raises UnknownPlugin or ShadowedPackage."""
    known, name = names(kind), spelling(kind, name)
    if name not in known:
        raise UnknownPlugin(f"there is no {kind[:-1]} {name!r}; installed: {', '.join(sorted(known))}{nearest(name, known)}")
    return _load(known[name])


def by_id(kind: str, number: int) -> Any:
    """The plugin with that id in the stream."""
    for plugin in loadable(kind).values():
        if number == plugin.ID:
            return plugin
    raise UnknownPlugin(
        f"the stream needs {kind[:-1]} number {number}, which is not installed; see docs/bitstream.md, section 7"
    )


def name_of(kind: str, number: int) -> str:
    """The name of the plugin with that id, or the id where it is not installed."""
    return next((name for name, plugin in loadable(kind).items() if number == plugin.ID), f"#{number}")


def loadable(kind: str) -> dict[str, Any]:
    """The plugins of a kind that can be loaded; a warning for each that cannot."""
    found = {}
    for name, entry in names(kind).items():
        try:
            found[name] = _load(entry)
        except UnknownPlugin as error:
            warnings.warn(str(error), stacklevel=3)
    return found


def _load(entry: EntryPoint) -> Any:
    package = entry.module.partition(".")[0]
    ours = entry.dist is not None and entry.dist.name == DISTRIBUTION
    if ours and package != __name__.partition(".")[0]:
        refuse_shadow(package)
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UnknownPlugin(f"the plugin {entry.name} ({entry.value}) cannot be loaded: {error}") from error


def refuse_shadow(package: str) -> None:
    """Raises ShadowedPackage if another package of that name stands before ours on the import path; imports neither."""
    found = find_spec(package)
    origin = Path(found.origin) if found and found.origin else None
    if origin is None or MARK not in origin.read_text(errors="replace"):
        place = origin or (list(found.submodule_search_locations or []) if found else "no place")
        raise ShadowedPackage(
            f"the package {package!r} at {place} hides the one of rfcodec: run from another folder or in a fresh environment"
        )
