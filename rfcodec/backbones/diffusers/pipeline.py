"""A pipeline of diffusers behind the protocol of all backbones."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from rfcodec.backbones.diffusers.autoencoder import Autoencoder
from rfcodec.backbones.diffusers.caches import cached
from rfcodec.backbones.diffusers.calls import call_arguments, config_entry
from rfcodec.backbones.diffusers.families import pipeline_class, sibling
from rfcodec.backbones.diffusers.layout import Layout
from rfcodec.backbones.diffusers.library import quiet
from rfcodec.backbones.diffusers.ltx import LtxVelocity
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.patches import mode_only, replaced, starting_from, unchanging
from rfcodec.backbones.diffusers.prepared import PreparedCondition
from rfcodec.backbones.diffusers.prompts import PromptMemo
from rfcodec.backbones.diffusers.scheduler import Tap, TapScheduler
from rfcodec.backbones.diffusers.specs import PipelineSpec
from rfcodec.backbones.diffusers.untyped import Pipeline
from rfcodec.backbones.diffusers.wan import WanVelocity
from rfcodec.backbones.places import covers, refuse_places
from rfcodec.errors import BackboneError
from rfcodec.flow.reuse import reuse_clean
from rfcodec.flow.rollout import rollout
from rfcodec.protocols import Condition, Frames, Latents, Places, Step
from rfcodec.types import Geometry, Identity, InformationProfile

TAIL_SHARE, TAIL_END = 0.3, 0.33  # as measured on nearly white latents

Velocity = Callable[[Tensor, float], Tensor]


@final
class DiffusersBackbone:
    """Drives an unmodified pipeline, or its native velocity, one call of the step for each model evaluation."""

    def __init__(
        self,
        specs: tuple[PipelineSpec, ...],
        pipe: Pipeline,
        identity: Identity,
        options: DiffusersOptions,
        prompts: PromptMemo,
    ) -> None:
        """`specs` are those of one family, that of the pipeline first."""
        self.identity = identity
        self.tail_share, self.tail_end = TAIL_SHARE, TAIL_END
        self.options = options
        self._specs, self._prompts = specs, prompts
        self._pipelines = {specs[0].id: pipe}
        self._autoencoder = Autoencoder(pipe.vae, specs[0])
        self.takes: tuple[Places, ...] = tuple(dict.fromkeys(places for spec in specs for places in spec.takes))
        self.geometry = family_geometry(specs, int(config_entry(pipe, specs[0].channels)))

    def encode(self, frames: Frames) -> Latents:
        """Frames of legal size to latents: posterior mode, normalised, float32."""
        with failures_named(self.identity.name, frames.shape):
            return self._autoencoder.encode(frames)

    def decode(self, latents: Latents) -> Frames:
        """Latents to frames."""
        with failures_named(self.identity.name, tuple(latents.shape)):
            return self._autoencoder.decode(latents)

    def prepare(self, condition: Condition) -> PreparedCondition:
        """Chooses the pipeline that takes these references; raises UnsupportedCondition where none does."""
        refuse_places(f"{self.identity.name} ({self._specs[0].family})", self.takes, condition)
        spec = next(spec for spec in self._specs if covers(spec.takes, condition.places))
        c, f, h, w = self.geometry.latent_shape(condition.num_frames, condition.width, condition.height)
        given = None
        if condition.first and self.geometry.given:
            given = self.encode(condition.first.frame[None])[:, : self.geometry.given]
        shape = (c, f - (given.shape[1] if given is not None else 0), h, w)
        if spec.id not in self._pipelines:
            loaded = self._pipelines[self._specs[0].id]
            self._pipelines[spec.id] = sibling(loaded, pipeline_class(spec.pipeline))
        pipe = self._pipelines[spec.id]
        return PreparedCondition(condition, spec, pipe, call_arguments(spec, pipe, condition, self.options), shape, given)

    def profile(self, prepared: PreparedCondition) -> InformationProfile | None:
        """Not known beforehand."""
        return None

    def run(self, prepared: PreparedCondition, step: Step) -> Latents:
        """Drives the trajectory; the known latents stand before what is coded. Raises BackboneError if the model fails."""
        step, pipe = reuse_clean(step, self.options.reuse), prepared.pipeline
        text = replaced(pipe, "encode_prompt", self._prompts.standing_in(pipe))
        with text, cached(pipe, self.options, len(step.time_grid) - 1), failures_named(self.identity.name, prepared.shape):
            if prepared.spec.native and self.options.driver != "pipeline":
                latents = rollout(self._native(prepared), prepared.shape, step)
            else:
                latents = drive(prepared, step, self.options)
        return latents if prepared.given is None else torch.cat([prepared.given.to(latents.device), latents], dim=1)

    def _native(self, condition: PreparedCondition) -> Velocity:
        return {"wan": WanVelocity, "ltx": LtxVelocity}[condition.spec.native](condition, self.options)


@contextmanager
def failures_named(name: str, shape: tuple[int, ...]) -> Iterator[None]:
    """Within it, what torch raises becomes an error that says what was tried."""
    try:
        yield
    except (RuntimeError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise BackboneError(
            f"{name} failed on an array of {'x'.join(map(str, shape))}: {error}. Try smaller frames, a shorter GOP or "
            "--offload; `rfcodec backbones show` says what a model needs"
        ) from error


def drive(condition: PreparedCondition, step: Step, options: DiffusersOptions) -> Latents:
    """Calls the pipeline with a scheduler whose step is ours; returns the coded latents at t = 0."""
    pipe, spec = condition.pipeline, condition.spec
    total = condition.shape[1] + (0 if condition.given is None else condition.given.shape[1])
    layout = Layout(spec, condition.shape, total)
    tap = Tap(step, spec, layout)
    scheduler = TapScheduler()
    scheduler.listen(tap)
    device = pipe._execution_device
    start = step.start(condition.shape).x.to(device)
    arguments = dict(condition.arguments)
    with ExitStack() as stack:
        stack.enter_context(replaced(pipe, "scheduler", scheduler))
        stack.enter_context(replaced(pipe, "_progress_bar_config", {"disable": True}))
        stack.enter_context(mode_only(pipe.vae))
        if spec.start == "argument":
            arguments["latents"] = whole_state(start, total)
        else:
            stack.enter_context(replaced(pipe, "prepare_latents", starting_from(pipe.prepare_latents, layout, start)))
        if spec.fits_size:
            size = (condition.condition.height, condition.condition.width)
            stack.enter_context(replaced(pipe.video_processor, "calculate_default_height_width", lambda *_, **__: size))
        if spec.guidance == "guider":
            with quiet():
                guider = pipe.guider.new(guidance_scale=options.guidance_scale)
            stack.enter_context(replaced(pipe, "guider", guider))
        # nothing that is drawn from it is kept: the start is ours, posteriors have one sample, the rest is `fixed`; without
        # one, pipelines would advance the generator of the whole process
        generator = torch.Generator()
        for name in spec.fixed:
            stack.enter_context(replaced(pipe, name, unchanging(getattr(pipe, name))))
        pipe(
            **arguments,
            num_inference_steps=len(tap.grid) - 1,
            output_type="latent",
            return_dict=False,
            generator=generator,
        )
    return tap.finish()


def whole_state(start: Latents, total: int) -> Tensor:
    """The noise as a pipeline's `latents`, zeros where known frames will stand."""
    c, f, h, w = start.shape
    return torch.cat([start.new_zeros(c, total - f, h, w), start], dim=1)[None]


def family_geometry(specs: tuple[PipelineSpec, ...], channels: int) -> Geometry:
    """The geometry that all pipelines of a family can work with."""
    each = [spec.geometry(channels) for spec in specs]
    return replace(each[0], given=max(item.given for item in each), least=max(item.least for item in each))
