"""A scheduler whose step is ours: hands every model evaluation of an unmodified pipeline to the trajectory coder."""

from typing import Any, final

import torch
from torch import Tensor

from rfcodec.backbones.diffusers.layout import Layout
from rfcodec.backbones.diffusers.library import diffusers
from rfcodec.backbones.diffusers.specs import PipelineSpec
from rfcodec.errors import BackboneError
from rfcodec.protocols import Latents, State, Step

TIMESTEPS = 1000.0


class EulerOnGrid(diffusers.FlowMatchEulerDiscreteScheduler):
    """Plain Euler of diffusers on a given grid: for what rides along with the video, and for comparison."""

    grid: tuple[float, ...]
    spec: PipelineSpec

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: torch.device | str | None = None,
        sigmas: object = None,
        mu: float | None = None,
        timesteps: object = None,
    ) -> None:
        """The given grid, whatever is asked for; the arguments stand here because pipelines look for their names."""
        set_grid(self, self.grid, self.spec, device)


@final
class TapScheduler(EulerOnGrid):
    """Runs a tap instead of Euler, on the tap's time grid."""

    tap: "Tap"

    def listen(self, tap: "Tap") -> None:
        """Hands every step to the tap from now on."""
        self.tap, self.grid, self.spec = tap, tap.grid, tap.spec

    def step(self, model_output: Tensor, timestep: object, sample: Tensor, *_: object, **__: object) -> tuple[Tensor]:
        """The state after the step, in the pipeline's layout."""
        return (self.tap(model_output, sample),)

    def __deepcopy__(self, memo: dict[int, object]) -> EulerOnGrid:
        if not self.spec.copies_scheduler:
            raise BackboneError(
                f"{self.spec.pipeline} copies its scheduler, so that its steps cannot be ours: it cannot be driven"
            )
        copy = EulerOnGrid()
        copy.grid, copy.spec = self.grid, self.spec
        return copy


def set_grid(scheduler: Any, grid: tuple[float, ...], spec: PipelineSpec, device: torch.device | str | None) -> None:
    """Times as float32 sigmas, and timesteps computed from those: never rounded to integers, never shifted."""
    sigmas = torch.tensor(grid, dtype=torch.float32, device=device)
    if spec.time == "inverted":
        sigmas = 1 - sigmas
    scheduler.sigmas, scheduler.timesteps = sigmas, sigmas[:-1] * TIMESTEPS
    scheduler.num_inference_steps = len(grid) - 1
    scheduler._step_index = scheduler._begin_index = None


@final
class Tap:
    """One run: turns what a pipeline hands its scheduler into calls of a Step, and keeps the float32 state."""

    def __init__(self, step: Step, spec: PipelineSpec, layout: Layout) -> None:
        self.grid = tuple(step.time_grid)
        self.spec = spec
        self.calls = 0
        self._step, self._layout = step, layout
        self._state: State | None = None

    def __call__(self, model_output: Tensor, sample: Tensor) -> Tensor:
        """One step, on the coded part of the state alone."""
        velocity = self.spec.sign * self._layout.take(model_output).float()
        # the pipeline's own state counts once: later it may be rounded to the precision of the model
        state = State(self._layout.take(sample).float()) if self._state is None else self._state
        self._state = self._step(self.calls, state, velocity)
        self.calls += 1
        return self._layout.place(sample, self._state.x)

    def finish(self) -> Latents:
        """The coded latents at t = 0; raises BackboneError where the pipeline left steps out."""
        if self._state is None or self.calls != len(self.grid) - 1:
            raise BackboneError(f"{self.spec.pipeline} made {self.calls} steps of {len(self.grid) - 1}: it cannot be driven")
        return self._state.x
