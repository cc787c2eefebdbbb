"""A condition in a pipeline's own words."""

from dataclasses import dataclass
from typing import final

from rfcodec.backbones.diffusers.specs import PipelineSpec
from rfcodec.backbones.diffusers.untyped import Pipeline, Settings
from rfcodec.protocols import Condition, Latents, Shape


@final
@dataclass(frozen=True)
class PreparedCondition:
    """The condition, the pipeline that takes it and the arguments of its call.

    `shape` c f h w is that of the coded latents, `given` the known ones that stand before them.
    """

    condition: Condition
    spec: PipelineSpec
    pipeline: Pipeline
    arguments: Settings
    shape: Shape
    given: Latents | None
