"""A backbone seen from outside: what its velocities pass through, and what they do not."""

import numpy as np
import pytest
import torch

from rfcodec.backbones.gaussian.backbone import pixel_backbone
from rfcodec.config import RuntimeConfig
from rfcodec.evaluation.sweep.counting import Evaluations
from rfcodec.protocols import Backbone, Condition, State
from rfcodec.research.wrapped import WrappedBackbone


class Recorder:
    """A step that keeps the velocities it is handed, and the state as it is."""

    time_grid = (1.0, 0.6, 0.3, 0.0)

    def __init__(self):
        self.velocities = []

    def start(self, shape):
        return State(torch.ones(shape))

    def __call__(self, k, state, v):
        self.velocities.append(v)
        return state


@pytest.fixture
def inner():
    return pixel_backbone(RuntimeConfig(), {})


def run(backbone, inner, clip):
    """Velocities of a trajectory of the clip's condition."""
    step = Recorder()
    backbone.run(inner.prepare(Condition(len(clip), clip.shape[2], clip.shape[1])), step)
    return step.velocities


def test_all_but_velocities_is_the_other_backbones(inner, make_clip):
    clip = make_clip(5, 16, 8)
    wrapped = WrappedBackbone(inner, Evaluations())
    assert isinstance(wrapped, Backbone)
    assert (wrapped.geometry, wrapped.identity) == (inner.geometry, inner.identity)
    assert torch.equal(wrapped.encode(clip), inner.encode(clip))
    assert np.array_equal(wrapped.decode(inner.encode(clip)), inner.decode(inner.encode(clip)))


def test_evaluations_are_counted_over_trajectories_and_change_nothing(inner, make_clip):
    clip, evaluations = make_clip(5, 16, 8), Evaluations()
    wrapped = WrappedBackbone(inner, evaluations)
    for _ in range(2):
        assert all(map(torch.equal, run(wrapped, inner, clip), run(inner, inner, clip)))
    assert evaluations.count == 2 * (len(Recorder.time_grid) - 1)


def test_what_is_seen_takes_the_place_of_the_velocity(inner, make_clip):
    clip, begun = make_clip(5, 16, 8), []
    wrapped = WrappedBackbone(inner, lambda: begun.append(1) or torch.neg)
    assert all(torch.equal(v, -u) for v, u in zip(run(wrapped, inner, clip), run(inner, inner, clip), strict=True))
    assert begun == [1]
