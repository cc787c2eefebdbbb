"""What a plugin of the group `rfcodec.backbones` is: a function of (runtime, options), and what it may offer beside."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, Generic, Protocol, TypeVar, final, runtime_checkable

from rfcodec import registry
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, BackboneMismatch, UnknownPlugin
from rfcodec.protocols import AnyBackbone
from rfcodec.support.words import nearest
from rfcodec.types import Identity

BACKBONES = "backbones"
OFFERS = ("describe", "fingerprint", "find", "catalogue", "screen")

Options = Mapping[str, str]  # `backbone_options`, names to words
Size = tuple[int, int, int]  # num_frames, width, height of a GOP
Offer = Callable[..., object]
Opened = TypeVar("Opened", bound=AnyBackbone)
Facts = Mapping[str, Any]  # what JSON can hold, `geometry` (a Geometry) aside


@final
@dataclass(frozen=True)
class BackboneRequest:
    """What somebody asked for that no plugin is registered as: a name, such as a folder or a hub id, or a live object.

    Where it is not `trusted`, a stream named it. A plugin then opens what it knows by name and nothing else: no folder, no
    address, and nothing that comes with a model is run. `weights` is the hash that the model must have, b"" where any will
    do: a plugin that can tell it beforehand raises BackboneMismatch before it loads anything.
    """

    what: object
    trusted: bool = True
    weights: bytes = b""


@runtime_checkable
class Opener(Protocol):
    """What every plugin is; raises ConfigError or BackboneError."""

    def __call__(self, runtime: RuntimeConfig, options: Options, /) -> AnyBackbone:
        """The backbone, ready to run."""
        ...


@runtime_checkable
class Finder(Protocol):
    """A plugin that also opens names that are not registered, or live objects."""

    def find(self, request: BackboneRequest, /) -> Opener:
        """What opens the backbone asked for; raises UnknownPlugin, with what is legal, where it is none of this plugin's."""
        ...


@runtime_checkable
class Catalogued(Protocol):
    """A plugin that knows some of the names that it finds."""

    def catalogue(self) -> Mapping[str, Facts]:
        """A few facts of each, by name."""
        ...


@runtime_checkable
class Described(Protocol):
    """An opener that tells of its backbone without opening it."""

    def describe(self, options: Options, size: Size, /) -> Facts:
        """Facts for GOPs of that size; docs/plugins.md lists the words that have a meaning."""
        ...


@runtime_checkable
class Screening(Protocol):
    """An opener some of whose options name files or code, or are for this machine to decide."""

    def screen(self, options: Options, /) -> None:
        """Raises ConfigError for an option of a stream that the user alone may set."""
        ...


@runtime_checkable
class Fingerprinted(Protocol):
    """An opener that knows its model without opening it."""

    def fingerprint(self, options: Options, /) -> str:
        """Words that differ whenever the model differs; "" where no more is known than its name."""
        ...


@final
class Offering(Generic[Opened]):
    """A function of (runtime, options) that offers more; `offering` makes one."""

    def __init__(self, opener: Callable[[RuntimeConfig, Options], Opened], offers: Mapping[str, Offer]) -> None:
        functools.update_wrapper(self, opener)
        vars(self).update(offers)
        self._opener = opener

    def __call__(self, runtime: RuntimeConfig, options: Options) -> Opened:
        """The backbone, ready to run."""
        return self._opener(runtime, options)


def offering(**offers: Offer) -> Callable[[Callable[[RuntimeConfig, Options], Opened]], Offering[Opened]]:
    """Decorator of an opener: adds what OFFERS lists, as named; UnknownPlugin for others."""
    for name in offers:
        if name not in OFFERS:
            raise UnknownPlugin(f"a backbone offers {name!r}; legal are {', '.join(OFFERS)}{nearest(name, OFFERS)}")
    return lambda opener: Offering(opener, offers)


def find_opener(request: BackboneRequest) -> Opener:
    """The plugin of that name or, if none is, what the first plugin by name finds; raises UnknownPlugin."""
    what = request.what
    if isinstance(what, str) and what in registry.names(BACKBONES):
        return registry.load(BACKBONES, what)
    refusals = []
    for finder in _plugins().values():
        if isinstance(finder, Finder):
            try:
                return finder.find(request)
            except UnknownPlugin as error:
                refusals.append(str(error))
    said = "; ".join(refusals) or f"there is no backbone {what!r}; installed: {', '.join(sorted(_plugins()))}"
    raise UnknownPlugin(said + (nearest(what, [*registry.names(BACKBONES), *catalogue()]) if isinstance(what, str) else ""))


def refuse_other_weights(wanted: bytes, identity: Identity) -> None:
    """Raises BackboneMismatch where a backbone has not the weights that a stream was made with."""
    if wanted != identity.weights:
        raise BackboneMismatch(
            f"the stream was made with weights {wanted.hex()}, {identity.name} here has {identity.weights.hex()}: name the "
            "folder or hub id of the weights that wrote the stream with --backbone, or install the release that did"
        )


def catalogue() -> dict[str, Facts]:
    """What all plugins know by name beside what is registered."""
    known: dict[str, Facts] = {}
    for plugin in _plugins().values():
        if isinstance(plugin, Catalogued):
            known |= plugin.catalogue()
    return known


def fingerprint(name: str, options: Options) -> str:
    """What tells the model of that name from others, at no more than the cost of reading a few bytes of it.

    A registered plugin that says nothing is known by the version of its package. "" where nothing is known.
    """
    try:
        opener = find_opener(BackboneRequest(name))
        if isinstance(opener, Fingerprinted):
            return opener.fingerprint(options)
    except (UnknownPlugin, BackboneError):
        return ""
    return package(registry.names(BACKBONES).get(name))


def package(entry: EntryPoint | None) -> str:
    """Name and version of the package that brings a plugin; "" where that is not known."""
    return f"{entry.dist.name} {entry.dist.version}" if entry and entry.dist else ""


def _plugins() -> dict[str, Opener]:
    return dict(sorted(registry.loadable(BACKBONES).items()))
