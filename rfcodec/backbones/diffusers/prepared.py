"""A condition in a pipeline's own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from rfcodec.backbones.diffusers.specs import PipelineSpec
from rfcodec.protocols import Condition, Latents, Shape


@final
@dataclass(frozen=True)
class PreparedCondition:
    """The condition, the pipeline that takes it and the arguments of its call.

    `shape` c f h w is that of the coded latents, `given` the known ones that stand before them.
    """

    condition: Condition
    spec: PipelineSpec
    pipeline: Any
    arguments: Mapping[str, Any]
    shape: Shape
    given: Latents | None
