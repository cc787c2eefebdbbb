"""One run of a trajectory: what works ahead of it ends with it, and a watched step is the step."""

import threading
from fractions import Fraction

import pytest
import torch

from rfcodec.codec import open_encoder
from rfcodec.coding.run import run
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig
from rfcodec.errors import BackboneError
from rfcodec.flow.rollout import observed, rollout
from rfcodec.flow.time_grid import shifted_grid
from rfcodec.protocols import State
from rfcodec.trajectory.noise import ChooseNoise, Emphasis, ReplayNoise
from rfcodec.trajectory.step import GopPlan
from rfcodec.types import GopSpan, VideoFormat

PLAN = GopPlan(shifted_grid(5, 3.0), (40, 60, 80))


@pytest.fixture(scope="module")
def engine():
    stream = StreamConfig(backbone="gaussian", gop=3, trajectory={"steps": 5, "ode_tail": 2})
    return open_encoder(VideoFormat(32, 24, 3, Fraction(25)), stream, EncoderConfig(), RuntimeConfig())


def choosing(engine, target, watch=lambda *_: None):
    emphasis = Emphasis(torch.ones(()))
    return ChooseNoise(engine.codebook, engine.start_address(0), target, PLAN.step_bits, emphasis, watch)


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("noise")]


def unconditional(engine):
    return engine.condition(b"", GopSpan(0, 0, 3), None)


def test_chosen_and_replayed_noise_lead_to_the_same_latents(engine):
    condition = unconditional(engine)
    target = torch.randn(engine.coded_shape(GopSpan(0, 0, 3), condition), generator=torch.Generator().manual_seed(1))
    noise = choosing(engine, target)
    chosen = run(engine, condition, PLAN, noise)
    replay = ReplayNoise(engine.codebook, engine.start_address(0), noise.symbols, PLAN.step_bits)
    replayed = run(engine, condition, PLAN, replay)
    assert torch.equal(chosen.latents, replayed.latents)
    assert chosen.handover[0] == PLAN.time_grid[3]
    assert torch.equal(chosen.handover[1], replayed.handover[1])
    assert not workers()


def test_the_worker_ends_where_a_run_fails(engine):
    def fail(k, mse, x0_hat):
        assert workers()
        raise BackboneError("no more")

    target = torch.zeros(engine.shape(3))
    with pytest.raises(BackboneError, match="no more"):
        run(engine, unconditional(engine), PLAN, choosing(engine, target, fail))
    assert not workers()


def test_a_failed_preparation_shows_where_the_noise_is_asked_for(engine, monkeypatch):
    def fail(*_):
        raise MemoryError("none left")

    monkeypatch.setattr(type(engine.codebook), "prepare", fail)
    with pytest.raises(MemoryError, match="none left"):
        run(engine, unconditional(engine), PLAN, choosing(engine, torch.zeros(engine.shape(3))))
    assert not workers()


def test_a_run_without_coded_steps_hands_over_its_start(engine):
    plan = GopPlan(PLAN.time_grid, ())
    noise = ReplayNoise(engine.codebook, engine.start_address(0), [], ())
    time, state = run(engine, unconditional(engine), plan, noise).handover
    assert time == 1.0
    assert torch.equal(state, engine.codebook.noise(engine.start_address(0), engine.shape(3), 0, 0))


def test_what_a_hook_returns_is_the_velocity_that_counts():
    class Euler:
        time_grid = (1.0, 0.5, 0.0)

        def start(self, shape):
            return State(torch.ones(shape))

        def __call__(self, k, state, v):
            return State(state.x + (self.time_grid[k + 1] - self.time_grid[k]) * v)

    seen = []

    def hook(k, state, v):
        seen.append((k, float(state.x)))
        return 2 * v

    final = rollout(lambda x, t: x.clone(), (1, 1, 1, 1), observed(Euler(), hook))
    assert seen == [(0, 1.0), (1, 0.0)]
    assert float(final) == 0.0
