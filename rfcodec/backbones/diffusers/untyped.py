"""Names for what cannot have a type: diffusers makes components, configurations and methods attributes at run time."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Pipeline: TypeAlias = Any  # a DiffusionPipeline, live, or its class
Model: TypeAlias = Any  # a transformer or an autoencoder with its `config`, or its class
Arguments: TypeAlias = dict[str, Any]  # of a call, by name
Settings: TypeAlias = Mapping[str, Any]  # the same, not to be changed
