"""Other pictures from the same bits: an ODE tail that the viewer chooses, for display alone.

Digests, and the frames that the next GOP continues, always use the ODE tail of the stream.
"""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from rfcodec.coding.decoded import DecodedGop
from rfcodec.coding.run import run
from rfcodec.config import RuntimeConfig
from rfcodec.flow.time_grid import level_to_time, tail_levels, time_to_level, within_range
from rfcodec.protocols import Latents, Shape
from rfcodec.trajectory.step import GopPlan
from rfcodec.types import Frames


def shown(gop: DecodedGop, runtime: RuntimeConfig) -> Frames:
    """The frames that a GOP adds to the output, with `realism` and `closing_steps` of the settings.

    latents = mean + realism (end - mean), mean = x0_hat at the end of the coded steps: the straight line from the picture of
    least squared error to one with the source's distribution has the least error at each distance between (Freirich et al.
    2021, arXiv 2107.02555). realism above 1 restores variance that few steps lose.
    """
    realism, steps = runtime.realism, runtime.closing_steps
    if gop.run.handover is None or (realism == 1 and steps is None):
        return gop.shown
    end = gop.latents if steps is None else close(gop, gop.run.handover, steps)
    if realism != 1:
        mean = close(gop, gop.run.handover, 1)
        end = mean + realism * (end.to(mean.device) - mean)
    return gop.with_latents(end).shown


@final
@dataclass(frozen=True)
class _Resume:
    """Noise of a trajectory that goes on from a state and needs none."""

    state: Tensor

    def start(self, shape: Shape) -> Latents:
        """The state at the hand-over."""
        return self.state

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """Not called: no step is coded."""
        raise NotImplementedError

    def close(self) -> None:
        """Does nothing: no thread prepares noise."""


def close(gop: DecodedGop, handover: tuple[float, Latents], steps: int) -> Latents:
    """Final latents of another ODE tail of `steps` evaluations from the hand-over; with one step they are x0_hat there."""
    engine, (t, state) = gop.engine, handover
    first = time_to_level(t)
    levels = within_range(tail_levels(first, engine.backbone.tail_end, steps))
    # near the last level fewer levels than steps are left
    plan = GopPlan((t, *(level_to_time(level) for level in levels if level > first), 0.0), ())
    return run(engine, gop.condition, plan, _Resume(state)).latents
