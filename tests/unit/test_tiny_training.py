"""How the weights of tiny are made: crops, examples, steps, checkpoints, curves."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from codebooks.trellis import TrellisCodebook
from rfcodec.backbones.gaussian.backbone import pixel_backbone
from rfcodec.backbones.tiny.backbone import tiny_backbone
from rfcodec.backbones.tiny.denoiser import Denoiser
from rfcodec.backbones.tiny.network import WIDTHS, TinyNetwork
from rfcodec.backbones.tiny.training import __main__ as commands
from rfcodec.backbones.tiny.training import clips, examples, few_evaluations, flow_matching, profile, train, validation
from rfcodec.backbones.tiny.training.denoising import clip_shares
from rfcodec.backbones.tiny.training.optimizer import orthogonal
from rfcodec.backbones.tiny.weights import read_card, read_network
from rfcodec.coding.planning import choose_levels
from rfcodec.config import EncoderConfig, RuntimeConfig, TrajectoryConfig
from rfcodec.errors import ConfigError, InputError, MissingWeights
from rfcodec.flow.rollout import rollout
from rfcodec.flow.time_grid import time_to_level
from rfcodec.trajectory.rate import Steps
from rfcodec.trajectory.step import GopPlan, TrajectoryStep

SMALL = ((5, 32), (3, 48))


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, "LINES", (48,))
        patch.setattr(clips, "SHAPES", SMALL)
        yield


@pytest.fixture(scope="module")
def home(small, make_clip, save, tmp_path_factory):
    """Three clips."""
    home = tmp_path_factory.mktemp("training")
    (home / "clips").mkdir()
    for k, name in enumerate(["one", "two", "coast"]):
        save(home / "clips" / f"{name}.mkv", np.roll(make_clip(12, 96, 64), 5 * k, axis=2))
    return home


@pytest.fixture(scope="module")
def scaled(home):
    return clips.scale_clips(home / "clips", home / "cache")


def test_clips_are_scaled_once_and_keep_their_shape(scaled, home):
    assert [path.name for path in scaled] == ["coast.48.npy", "one.48.npy", "two.48.npy"]
    assert np.load(scaled[0]).shape == (12, 48, 72, 3)
    before = [path.stat().st_mtime_ns for path in scaled]
    assert clips.scale_clips(home / "clips", home / "cache") == scaled
    assert [path.stat().st_mtime_ns for path in scaled] == before


def test_crops_are_of_the_shapes_and_of_all_clips(scaled):
    crops, generator = clips.RandomCrops(scaled), np.random.default_rng(0)
    drawn = [crops.draw(generator) for _ in range(40)]
    assert {(len(crop.frames), *crop.frames.shape[1:3]) for crop in drawn} == {(f, s, s) for f, s in SMALL}
    assert {crop.clip for crop in drawn} == {"one", "two", "coast"}


def test_a_crop_is_a_part_of_its_clip(scaled):
    crop = clips.RandomCrops(scaled[:1]).draw(np.random.default_rng(3))
    whole, first = np.load(scaled[0]), crop.frames[0]
    turned = (first, first[:, ::-1])
    side = len(first)
    places = itertools.product(range(12), range(48 - side + 1), range(72 - side + 1))
    assert any(np.array_equal(whole[t, y : y + side, x : x + side], one) for t, y, x in places for one in turned)


def test_examples_depend_on_their_number_alone(scaled):
    one, other = (train.Numbered(flow_matching.FlowMatching(), scaled, 3, 100) for _ in range(2))
    other[0]
    assert torch.equal(one[7].clean, other[7].clean)
    assert torch.equal(one[7].estimate.features, other[7].estimate.features)
    assert one[7].mse != one[8].mse


def test_references_are_coded_and_say_their_error(scaled):
    frames = np.load(scaled[0])[:3, :32, :32]
    generator = np.random.default_rng(0)
    estimate = examples.example(frames, "first+last", 0.5, generator).estimate
    assert (estimate.signals[:, [0, 3]] == 1).all()
    assert (estimate.signals[:, [1, 4]] > 0).all()
    assert not examples.example(frames, "none", 0.5, generator).estimate.signals.any()


def test_held_back_clips_are_not_trained_on(scaled):
    training, apart = validation.held_back(scaled)
    assert [path.name for path in apart] == ["coast.48.npy"]
    assert set(training) | set(apart) == set(scaled)
    assert not set(training) & set(apart)


def a_plan(steps, **more):
    return train.Plan(steps=steps, decay=2, crops=2, warm_up=2, check_steps=100, workers=0, widths=(8, 8, 16, 16), **more)


def test_training_lowers_the_error(scaled, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "LOG_STEPS", 5)
    training = train.Training(a_plan(40, ema=0.5), tmp_path / "run")
    training.run(scaled)
    left = validation.means(validation.shares(training.averaged(), scaled[:1]))
    assert np.mean(list(left.values())) < 0.97
    entries = train.read_log(tmp_path / "run")
    assert [entry["step"] for entry in entries if "training" in entry] == [5, 10, 15, 20, 25, 30, 35, 40]


def state_of(training):
    return training.network.state_dict() | {f"average {k}": v for k, v in training.average.state_dict().items()}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("few", [False, True])
def test_a_resumed_training_is_the_same_training(scaled, tmp_path, monkeypatch, workers, few):
    monkeypatch.setattr(train, "LOG_STEPS", 1)
    objective = few_evaluations.FewEvaluations(read_card("tiny"), the_look) if few else None
    whole = train.Training(replace(a_plan(6), workers=workers), tmp_path / "run", objective)
    whole.run(scaled)
    log = train.read_log(tmp_path / "run")
    half = train.Training(replace(a_plan(6), workers=workers), tmp_path / "run", objective)
    half.resume(tmp_path / "run" / "before_decay.pt")
    assert half.step == 4
    half.run(scaled)
    for name, value in state_of(whole).items():
        assert torch.equal(value, state_of(half)[name]), name
    again = train.read_log(tmp_path / "run")
    assert [{**entry, "seconds": 0} for entry in again] == [{**entry, "seconds": 0} for entry in log]


def test_a_run_goes_on_from_its_newest_checkpoint_at_a_full_rate(scaled, tmp_path):
    folder = tmp_path / "run"
    assert train.newest(folder, 6) is None
    train.Training(a_plan(6), folder).run(scaled)
    assert train.newest(folder, 6) == folder / "last.pt"
    assert train.newest(folder, 8) == folder / "before_decay.pt"
    longer = train.Training(a_plan(8), folder)
    longer.resume(folder / "before_decay.pt")
    longer.run(scaled)
    assert [entry["step"] for entry in train.read_log(folder)] == [8]


def test_a_line_of_the_log_that_was_cut_short_is_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 50}\n{"step": 1')
    assert train.read_log(tmp_path) == [{"step": 50}]


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(InputError, match="no checkpoint of this network"):
        train.Training(a_plan(6), tmp_path).resume(tmp_path / "last.pt")


def test_checkpoints_of_other_networks_are_refused(scaled, tmp_path):
    train.Training(a_plan(6), tmp_path).save("last.pt")
    with pytest.raises(InputError, match="no checkpoint of this network"):
        train.Training(replace(a_plan(6), widths=(8, 8, 8, 8)), tmp_path).resume(tmp_path / "last.pt")


def test_too_few_clips_are_said(scaled):
    with pytest.raises(InputError, match="too few"):
        validation.held_back(scaled[:1])
    with pytest.raises(InputError, match="none has"):
        clips.RandomCrops([])
    assert [path.name for path in validation.held_back(scaled[1:])[1]] == ["one.48.npy"]


def test_each_stage_is_a_command(home, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="curves are drawn with matplotlib")
    monkeypatch.setattr(commands, "PROFILE_CROPS", 1)
    monkeypatch.setattr(profile, "LOG_SNR", (-2.0, 0.0))
    monkeypatch.setattr(commands, "LOG_SNR", (-2.0, 0.0))

    def call(*words):
        told = CliRunner().invoke(commands.app, [str(word) for word in words])
        assert told.exit_code == 0, told.output
        return told.output

    cache, run, weights = tmp_path / "cache", tmp_path / "run", tmp_path / "weights"
    assert "3 arrays" in call("scale", home / "clips", cache)
    call("train", cache, "--run", run, "--steps", 2, "--decay", 1)
    assert str(run / "curves.png") in call("curves", "--run", run).replace("\n", "")
    assert (run / "curves.png").read_bytes()[:4] == b"\x89PNG"
    call("export", cache, "--run", run, "--into", weights, "--compute", "none", "--tail-end", "0.2")
    _, card = read_network("tiny", weights)
    assert (card.compute, card.tail_end, card.widths) == ("none", 0.2, WIDTHS)
    assert set(card.shares) == {"none", "first", "first+last"}
    assert all(len(shares) == 2 and min(shares) > 0 for shares in card.shares.values())

    monkeypatch.setattr(commands, "Lpips", lambda folder: SimpleNamespace(distance=the_look))
    few = tmp_path / "few"
    call("shorten", cache, "--run", few, "--steps", 2, "--decay", 1, "--lpips-weights", tmp_path)
    assert train.read_plan(few)["objective"] == f"few evaluations from {read_card('tiny').sha256[:16]}"
    call("export", cache, "--run", few, "--into", weights, "--name", "tiny-fast")
    before, after = read_network("tiny")[0], read_network("tiny-fast", weights)[0]
    moved = [float((a - b).abs().max()) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert 0 < max(moved) < 0.1


def test_looks_need_their_weights(scaled, tmp_path):
    told = CliRunner().invoke(commands.app, ["shorten", str(scaled[0].parent), "--lpips-weights", str(tmp_path)])
    assert isinstance(told.exception, MissingWeights)


# Few evaluations


def the_look(reference, test):
    """How much the edges differ, whose squared error is not trained."""
    return sum((r.diff(dim=d).abs() - t.diff(dim=d).abs()).abs().mean() for r, t in [(reference, test)] for d in (2, 3))


def a_draw(scaled, kind="first", seed=4):
    generator = np.random.default_rng(seed)
    frames = clips.RandomCrops(scaled).draw(generator).frames
    return few_evaluations.Draw(examples.scene(frames, kind, generator), generator)


@pytest.mark.parametrize("kind", ["none", "first", "first+last"])
@pytest.mark.parametrize(("evaluations", "bits"), [(4, 0.005), (8, 0.05)])
def test_the_course_is_the_one_that_an_encoder_plans(scaled, kind, evaluations, bits):
    one = a_draw(scaled, kind)
    planned = few_evaluations.course(read_card("tiny"), one.scene.estimator, bits, evaluations)
    backbone, dims = tiny_backbone(RuntimeConfig(), {}), one.scene.clean.numel()
    coded = evaluations - math.ceil(backbone.tail_share * evaluations)
    header = SimpleNamespace(trajectory=SimpleNamespace(shift=0.0, ode_tail=evaluations - coded))
    engine = SimpleNamespace(header=header, codebook=TrellisCodebook(), backbone=backbone, coded_steps=Steps(coded, 1))
    profile = backbone.profile(Denoiser(TinyNetwork((4, 8, 8, 8)), one.scene.estimator))
    effort = EncoderConfig(efficiency=few_evaluations.EFFICIENCY)
    levels = choose_levels(engine, tuple(one.scene.clean.shape), round(bits * dims), profile, effort)
    # whole bits move a level by one at most
    assert [*map(time_to_level, planned.times[1:-1])] == pytest.approx(levels, abs=1)
    assert len(planned.bits) == coded
    assert sum(planned.bits) == pytest.approx(bits)


@pytest.mark.parametrize("evaluation", range(4))
def test_states_that_are_trained_lie_on_one_trajectory(scaled, evaluation):
    network, card = read_network("tiny")
    planned = few_evaluations.course(card, a_draw(scaled).scene.estimator, 0.05, 4)
    found = few_evaluations.visited(network, a_draw(scaled), planned, evaluation)
    one = a_draw(scaled)
    states = []
    noise = few_evaluations.IdealNoise(one, planned.bits)
    step = TrajectoryStep(TrajectoryConfig(), GopPlan(planned.times, (0, 0, 0)), noise)

    def velocity(x, t):
        states.append(one.scene.at(x, t))
        return Denoiser(network, one.scene.estimator).velocity(x, t)

    rollout(velocity, one.scene.estimator.shape, step)
    assert torch.equal(found.estimate.features, states[evaluation].estimate.features)
    assert found.mse == states[evaluation].mse


def test_noise_is_white_and_as_near_the_residual_as_its_bits_say():
    generator = np.random.default_rng(0)
    clean = 5 * examples.white(torch.empty(3, 8, 64, 64), generator)
    one = few_evaluations.Draw(examples.Scene(clean, None), generator)
    x0_hat = examples.white(clean, generator)
    z, residual = few_evaluations.IdealNoise(one, (0.5, 0.1))(1, x0_hat), clean - x0_hat
    cosine = float((z * residual).mean() / residual.square().mean().sqrt())
    assert float(z.square().mean()) == pytest.approx(1, abs=0.01)
    assert cosine == pytest.approx(math.sqrt(1 - 2 ** (-0.2 * few_evaluations.EFFICIENCY)), abs=0.01)


def test_pictures_are_the_frames(scaled):
    frames = np.load(scaled[0])[:2]
    unit = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
    latents = pixel_backbone(RuntimeConfig(), {}).encode(frames)
    assert torch.allclose(few_evaluations.pictures(latents), unit, atol=1e-5)


def test_only_the_last_evaluation_is_judged_by_its_looks(scaled, monkeypatch):
    network, card = read_network("tiny")
    trained, looks = [], []

    def look(reference, test):
        looks.append(the_look(reference, test))
        return looks[-1]

    def noting(network, one, planned, evaluation):
        trained.append(evaluation == len(planned.times) - 2)
        return visited(network, one, planned, evaluation)

    visited = few_evaluations.visited
    monkeypatch.setattr(few_evaluations, "visited", noting)
    objective = few_evaluations.FewEvaluations(card, look)

    def loss(weight, seed):
        monkeypatch.setattr(few_evaluations, "LOOKS", weight)
        looks.clear()
        return float(objective.loss(network, a_draw(scaled, seed=seed))[0])

    for seed in range(8):
        by_error, with_looks = loss(0.0, seed), loss(3.0, seed)
        assert bool(looks) == trained[-1]
        assert with_looks == pytest.approx(by_error + 3 * float(sum(looks)), rel=1e-5)
    assert set(trained) == {True, False}


def test_figures_of_a_few_evaluations_are_of_the_last_one(scaled):
    network, card = read_network("tiny")
    found = few_evaluations.FewEvaluations(card, the_look).check(network, scaled)
    assert set(found) == {f"{n} evaluations, {what}" for n in (4, 8) for what in ("error", "looks")}
    assert found["8 evaluations, error"] < found["4 evaluations, error"]
    assert found == few_evaluations.FewEvaluations(card, the_look).check(network, scaled)


def test_weights_without_a_profile_are_refused():
    with pytest.raises(ConfigError, match="no profile"):
        few_evaluations.FewEvaluations(read_card("tiny").model_copy(update={"shares": {}}), the_look)


def test_a_run_goes_on_with_its_own_objective_only(scaled, tmp_path):
    train.Training(a_plan(1), tmp_path / "run").run(scaled)
    other = few_evaluations.FewEvaluations(read_card("tiny"), the_look)
    with pytest.raises(InputError, match="a run of flow matching: name another folder"):
        train.Training(a_plan(1), tmp_path / "run", other).run(scaled)


def test_the_rate_rises_stays_and_falls():
    shares = [train.Plan(steps=10, decay=4, warm_up=3).rate_share(k) for k in range(10)]
    assert shares == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (12, 12)])
def test_steps_are_nearly_orthogonal(shape):
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_whole_clips_are_measured_against_the_wiener_estimate(home):
    network = TinyNetwork((4, 8, 8, 8))
    for name, shares in clip_shares(network, home / "clips", 32, 3):
        assert name in ("one", "two", "coast")
        assert shares == pytest.approx([1.0] * 5)
