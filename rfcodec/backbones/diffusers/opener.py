"""What the plugin `diffusers` offers. Torch and diffusers are imported where something is opened: they take seconds."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final, get_args

from rfcodec.backbones.diffusers.sources import Source, checkpoints, find_source
from rfcodec.backbones.diffusers.specs import all_specs
from rfcodec.backbones.diffusers.untyped import Pipeline
from rfcodec.backbones.openers import BackboneRequest, Facts, Opener, Options, Size
from rfcodec.config import RuntimeConfig
from rfcodec.errors import UnknownPlugin
from rfcodec.protocols import AnyBackbone, Places


@final
class PretrainedPipelines:
    """Any rectified-flow pipeline of diffusers: by name, hub id, folder, or live."""

    def __call__(self, runtime: RuntimeConfig, options: Options) -> AnyBackbone:
        """Raises UnknownPlugin."""
        raise UnknownPlugin("`diffusers` stands for all pretrained pipelines: name one, by id, hub id or folder")

    def find(self, request: BackboneRequest) -> Opener:
        """What opens a named checkpoint, a hub id, a model folder or a live pipeline."""
        what, library = request.what, sys.modules.get("diffusers")
        if isinstance(what, str):
            return NamedPipeline(find_source(what, request.trusted), request.trusted, request.weights)
        # there is no live pipeline before the library is imported
        if library is None or not isinstance(what, library.DiffusionPipeline):
            raise UnknownPlugin(
                f"a backbone is a name, a folder, a hub id, a pipeline or a Backbone, not {type(what).__name__}"
            )
        return LivePipeline(what)

    def catalogue(self) -> Mapping[str, Facts]:
        """Hub id, family, known frames and licence of every named checkpoint."""
        rows = {}
        for name, known in checkpoints().items():
            takes = {words for spec in all_specs() if spec.family == known.family for words in spec.takes}
            rows[name] = {
                "hub": known.hub,
                "family": known.family,
                "takes": [words for words in get_args(Places) if words in (known.takes or takes)],
                "licence": known.licence,
            }
        return rows


class _Screened:
    """Of the options of a stream, those that are for the user alone are refused."""

    def screen(self, options: Options) -> None:
        """Raises ConfigError for options that name files or code, or have something fetched or compiled."""
        from rfcodec.backbones.diffusers.options import refuse_machine_options

        refuse_machine_options(options)


@final
@dataclass(frozen=True)
class NamedPipeline(_Screened):
    """Opens a pipeline by name; one that a stream named is not `trusted`. `weights` is the hash it must have, or b""."""

    source: Source
    trusted: bool
    weights: bytes = b""

    def __call__(self, runtime: RuntimeConfig, options: Options) -> AnyBackbone:
        """The backbone; raises MissingWeights, BackboneError or ConfigError."""
        from rfcodec.backbones.diffusers.loading import open_source

        return open_source(runtime, options, self.source, self.trusted, self.weights)

    def describe(self, options: Options, size: Size) -> Facts:
        """What it takes, needs and costs, whose it is, and whether it is here; raises MissingWeights."""
        from rfcodec.backbones.diffusers.facts import facts

        return facts(self.source, options, size)

    def fingerprint(self, options: Options) -> str:
        """Of a folder its digest; of the hub the id, since nothing may be here yet."""
        from rfcodec.backbones.diffusers.identity import folder_fingerprint

        if self.source.checkpoint:
            return self.source.checkpoint.hub
        local = self.source.local()
        return folder_fingerprint(local, self.source.parts(local), options.get("gguf", "")) if local else ""


@final
@dataclass(frozen=True)
class LivePipeline(_Screened):
    """Opens a pipeline that is there already."""

    pipe: Pipeline

    def __call__(self, runtime: RuntimeConfig, options: Options) -> AnyBackbone:
        """The backbone; raises BackboneError or ConfigError."""
        from rfcodec.backbones.diffusers.loading import open_live

        return open_live(self.pipe, options)
