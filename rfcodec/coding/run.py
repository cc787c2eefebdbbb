"""One run of a trajectory: the only way from a condition to latents, for GOPs, stills, display and evaluation."""

from contextlib import closing
from typing import NamedTuple

from rfcodec.coding.engine import Engine
from rfcodec.flow.rollout import observed
from rfcodec.protocols import Condition, Latents, State
from rfcodec.trajectory.step import GopPlan, RunNoise, TrajectoryStep


class Run(NamedTuple):
    """Final latents c f h w; time and state in which the coded steps ended, None where there is no ODE tail; their bits."""

    latents: Latents
    handover: tuple[float, Latents] | None = None
    step_bits: tuple[int, ...] = ()


def run(engine: Engine, condition: Condition, plan: GopPlan, noise: RunNoise) -> Run:
    """Runs the backbone from the noise at the first time of the plan to t = 0, then closes the noise; raises BackboneError.

    Encoder and decoder differ in the noise object alone: the encoder's chooses noise, the decoder's replays it.
    """
    handed: list[tuple[float, Latents]] = []

    def keep(k: int, state: State, v: Latents) -> Latents:
        if k == len(plan.step_bits):
            handed.append((plan.time_grid[k], state.x.float().clone()))  # drivers may write into their state
        return v

    with closing(noise):
        step = observed(TrajectoryStep(engine.trajectory, plan, noise), keep)
        latents = engine.backbone.run(engine.prepare(condition), step)
    return Run(latents, handed[0] if handed else None, plan.step_bits)
