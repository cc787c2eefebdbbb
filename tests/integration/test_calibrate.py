"""Calibration: measured once, kept on this machine, used instead of a pilot pass."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from rfcodec import api
from rfcodec.backbones.gaussian.backbone import latent_backbone, pixel_backbone
from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.coding.calibrate import calibrate
from rfcodec.coding.information import information, mean_profile, stored_profile
from rfcodec.config import RuntimeConfig, StreamConfig
from rfcodec.errors import FrameRangeError, OutputError
from rfcodec.flow.path import time_of_snr
from rfcodec.types import InformationProfile


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RFCODEC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Counting:
    """A backbone that counts its evaluations, and says nothing of its profile."""

    def __init__(self):
        self.inner, self.evaluations = latent_backbone(RuntimeConfig(), {}), 0
        self.geometry, self.takes = self.inner.geometry, self.inner.takes
        self.tail_share, self.tail_end = self.inner.tail_share, self.inner.tail_end
        self.identity = replace(self.inner.identity, name="counting", weights=b"counted!")
        self.encode, self.decode, self.prepare = self.inner.encode, self.inner.decode, self.inner.prepare

    def profile(self, prepared):
        return None

    def run(self, prepared, step):
        self.evaluations += len(step.time_grid) - 1
        return self.inner.run(prepared, step)


@pytest.fixture
def clip(make_clip, save, tmp_path):
    return save(tmp_path / "clip.mkv", make_clip(20, 64, 48))


def test_what_is_measured_on_the_prior_is_its_closed_form(save, tmp_path):
    backbone = pixel_backbone(RuntimeConfig(), {})
    prior = GaussianPrior(backbone.spectrum, (3, 9, 96, 128))
    clips = []
    for seed in range(3):
        # without what leaves the range of a picture
        draw = prior.sample(np.random.default_rng(seed))
        frames = backbone.decode(draw - draw.mean((1, 2, 3), keepdim=True))
        clips.append(save(tmp_path / f"{seed}.mkv", frames))
    found = calibrate(clips, StreamConfig(backbone="gaussian", gop=9), RuntimeConfig())
    assert found.gops == 3
    exact = prior.profile()
    for u, mmse in zip(found.profile.log_snr, found.profile.mmse, strict=True):
        if -3 < u < 2:  # more noise measures the means that were left out, less the rounding to 8 bits
            assert mmse == pytest.approx(exact.at(time_of_snr(np.exp(u))), rel=0.12)


def test_a_stored_profile_spares_the_pilot_pass(clip, tmp_path, caplog):
    backbone = Counting()
    settings = {"gop": 9, "bytes": 1000, "trajectory__steps": 5, "profile": "backbone", "backbone": backbone}
    with caplog.at_level(logging.WARNING):
        api.encode(clip, tmp_path / "pilot.rfv", **settings)
    assert "rfcodec calibrate" in caplog.text
    with_pilot, backbone.evaluations = backbone.evaluations, 0
    found = calibrate([clip], StreamConfig(gop=9, backbone="counting"), RuntimeConfig(weights=backbone), gops=2)
    assert backbone.evaluations == 2 * len(found.profile.log_snr)
    backbone.evaluations = 0
    caplog.clear()
    api.encode(clip, tmp_path / "spared.rfv", **settings)
    assert backbone.evaluations == 3 * 5 < with_pilot
    assert not caplog.text


def test_each_mode_and_option_has_a_profile_of_its_own(clip):
    backbone = Counting()
    stream = StreamConfig(gop=9, backbone="counting")
    files = {
        calibrate([clip], stream.model_copy(update={"mode": mode}), RuntimeConfig(weights=backbone), gops=1).file
        for mode in ("t2v", "i2v", "flf2v")
    }
    assert len(files) == 3
    # what is known already need not be sent
    tables = sorted(json.loads(file.read_text())["mmse"][-8] for file in files)
    assert tables[0] < tables[-1]


def test_clips_are_measured_all_over(clip, monkeypatch):
    starts = []
    monkeypatch.setattr("rfcodec.coding.calibrate._measure", lambda engine, video, start: starts.append(start) or PROFILE)
    found = calibrate(
        [clip],
        StreamConfig(backbone="gaussian", gop=5),
        RuntimeConfig(),
        gops=3,
        watch=lambda done, profile: starts.append(-done),
    )
    assert starts == [0, -1, 7, -2, 15, -3]
    assert (found.gops, found.profile) == (3, PROFILE)


PROFILE = InformationProfile((-1.0, 0.0, 1.0), (0.5, 0.25, 0.125))


def test_the_mean_is_that_of_the_errors():
    other = InformationProfile(PROFILE.log_snr, (0.1, 0.05, 0.025))
    assert mean_profile([PROFILE, other]).mmse == pytest.approx((0.3, 0.15, 0.075))


def test_information_of_a_constant_error_is_the_snr():
    profile = InformationProfile((-1.0, 0.0, 1.0), (0.5, 0.5, 0.5))
    assert information(profile) == pytest.approx([0.5 * np.exp(2 * u) / 2 / np.log(2) for u in profile.log_snr])


def test_a_clip_shorter_than_a_gop_is_refused(clip, cache):
    with pytest.raises(FrameRangeError, match=r"clip.mkv has 20 frames.*--gop"):
        calibrate([clip], StreamConfig(backbone="gaussian", gop=33), RuntimeConfig())
    assert not cache.exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"log_snr": [1]',
        "[]",
        "{}",
        '{"log_snr": [], "mmse": []}',
        '{"log_snr": [1, 2], "mmse": [1]}',
        '{"log_snr": [2, 1], "mmse": [1, 1]}',
        '{"log_snr": [1, 2], "mmse": [1, 0]}',
        '{"log_snr": [1, 2], "mmse": [NaN, 1]}',
    ],
)
def test_a_damaged_profile_is_not_used(clip, text):
    backbone = Counting()
    found = calibrate([clip], StreamConfig(backbone="gaussian", gop=9), RuntimeConfig(weights=backbone), gops=1)
    found.file.write_text(text)
    header = type("Header", (), {"weights": b"counted!", "backbone_options": "", "mode": 1})
    with pytest.warns(UserWarning, match="calibrate again"):
        assert stored_profile(header) is None


def test_a_cache_that_cannot_be_written_is_said(clip, cache):
    cache.write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="RFCODEC_CACHE"):
        calibrate([clip], StreamConfig(backbone="gaussian", gop=9), RuntimeConfig(), gops=1)


def test_the_command_line(clip, cli, cache):
    done = cli("calibrate", "gaussian", clip, "--gop", 9, "--gops", 1, "--size", "32x24", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["gops"] == 1
    times = [point["t"] for point in found["profile"]]
    assert times == sorted(times, reverse=True)
    assert found["file"].startswith(str(cache))
    assert "bits a dimension" in cli("calibrate", "gaussian", clip, "--gop", 9, "--gops", 1).out
