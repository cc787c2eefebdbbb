"""Pretrained rectified-flow pipelines of diffusers as backbones: driven through their scheduler, described by data."""

from collections.abc import Mapping
from typing import Any

from rfcodec.config import RuntimeConfig
from rfcodec.errors import UnknownPlugin
from rfcodec.protocols import Backbone


def open_pretrained(
    runtime: RuntimeConfig, options: Mapping[str, str], source: Any = None, trusted: bool = True
) -> Backbone[Any]:
    """Any rectified-flow pipeline of diffusers: by name, hub id, folder, or live."""
    if source is None:
        raise UnknownPlugin("`diffusers` stands for all pretrained pipelines: name one, by id, hub id or folder")
    # here, because torch and diffusers take seconds to import
    from rfcodec.backbones.diffusers.loading import open_pipeline

    return open_pipeline(runtime, options, source, trusted)
