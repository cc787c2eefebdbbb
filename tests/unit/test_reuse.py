"""One evaluation for several steps: which times are evaluated, and what the other steps see."""

import pytest
import torch

from rfcodec.flow.path import velocity_to_clean
from rfcodec.flow.reuse import reuse_clean
from rfcodec.flow.rollout import rollout
from rfcodec.protocols import State

GRID = (1.0, 0.8, 0.6, 0.5, 0.3, 0.1, 0.0)


class Recorder:
    """Euler, with a memory of what it was given."""

    def __init__(self, grid=GRID):
        self.time_grid, self.seen = grid, []

    def start(self, shape):
        return State(torch.ones(shape))

    def __call__(self, k, state, v):
        self.seen.append((k, velocity_to_clean(v, state.x, self.time_grid[k])))
        return State(state.x + (self.time_grid[k + 1] - self.time_grid[k]) * v)


def field(x, t):
    return x.sin() + t


@pytest.mark.parametrize(
    ("every", "times"),
    [(1, GRID[:-1]), (2, (1.0, 0.6, 0.3)), (4, (1.0, 0.3)), (5, (1.0, 0.1)), (8, (1.0,))],
)
def test_the_model_is_evaluated_at_each_nth_time(every, times):
    evaluated, inner = [], Recorder()
    step = reuse_clean(inner, every)
    rollout(lambda x, t: evaluated.append(t) or field(x, t), (2, 1, 3, 3), step)
    assert tuple(evaluated) == times
    assert [k for k, _ in inner.seen] == list(range(len(GRID) - 1))


def test_the_steps_between_keep_the_estimate():
    inner = Recorder()
    rollout(field, (2, 1, 3, 3), reuse_clean(inner, 2))
    estimates = [estimate for _, estimate in inner.seen]
    for first, second in zip(estimates[::2], estimates[1::2], strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=0)
    assert not torch.allclose(estimates[0], estimates[2], atol=1e-2)


def test_one_is_the_step_itself():
    inner = Recorder()
    assert reuse_clean(inner, 1) is inner
