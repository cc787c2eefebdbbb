"""How the weights of tiny are made: crops, examples, steps, checkpoints, curves."""

import itertools
import json

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib", reason="curves are drawn with matplotlib")

from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training import clips, curves, examples, train, validation
from rfcodec.backbones.tiny.training.denoising import clip_shares
from rfcodec.backbones.tiny.training.optimizer import orthogonal

SMALL = ((5, 32), (3, 48))


@pytest.fixture
def scaled(tmp_path, make_clip, save, monkeypatch):
    monkeypatch.setattr(clips, "LINES", (48,))
    monkeypatch.setattr(clips, "SHAPES", SMALL)
    folder = tmp_path / "clips"
    folder.mkdir()
    for k, name in enumerate(["one", "two", "coast"]):
        save(folder / f"{name}.mkv", np.roll(make_clip(12, 96, 64), 5 * k, axis=2))
    return clips.scale_clips(folder, tmp_path / "cache")


def test_clips_are_scaled_once_and_keep_their_shape(scaled, tmp_path):
    assert [path.name for path in scaled] == ["coast.48.npy", "one.48.npy", "two.48.npy"]
    assert np.load(scaled[0]).shape == (12, 48, 72, 3)
    before = [path.stat().st_mtime_ns for path in scaled]
    assert clips.scale_clips(tmp_path / "clips", tmp_path / "cache") == scaled
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
    one, other = (examples.Examples(scaled, 3, 100) for _ in range(2))
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
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "training" in entry] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert curves.draw(tmp_path / "run").read_bytes()[:4] == b"\x89PNG"


def test_a_resumed_training_is_the_same_training(scaled, tmp_path):
    whole = train.Training(a_plan(6), tmp_path / "whole")
    whole.run(scaled)
    half = train.Training(a_plan(6), tmp_path / "halves")
    half.resume(tmp_path / "whole" / "before_decay.pt")
    assert half.step == 4
    half.run(scaled)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, half.network.state_dict()[name]), name


def test_the_rate_rises_stays_and_falls():
    shares = [train.Plan(steps=10, decay=4, warm_up=3).rate_share(k) for k in range(10)]
    assert shares == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (12, 12)])
def test_steps_are_nearly_orthogonal(shape):
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_whole_clips_are_measured_against_the_wiener_estimate(scaled, tmp_path):
    network = TinyNetwork((4, 8, 8, 8))
    for name, shares in clip_shares(network, tmp_path / "clips", 32, 3):
        assert name in ("one", "two", "coast")
        assert shares == pytest.approx([1.0] * 5)
