"""GOPs shared out to workers give the file and the frames that one worker gives."""

from dataclasses import replace

import numpy as np
import pytest

import rfcodec
from rfcodec.codec import open_encoder as parallel_engine
from rfcodec.coding.watcher import Watcher
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneMismatch, BudgetTooSmall, ConfigError
from rfcodec.stream import parallel

SETTINGS = {"backbone": "gaussian", "bpp": 1.0, "gop": 5, "trajectory__steps": 4}
HERE = RuntimeConfig(jobs=2, executor="serial")  # the same tasks, without the start of processes


@pytest.fixture(scope="module", params=["t2v", "flf2v", "flf2v-trajectory"])
def settings(request):
    """Modes whose GOPs are independent, the last with stills that are trajectories themselves."""
    mode, _, still = request.param.partition("-")
    return SETTINGS | {"mode": mode, "still": still or "avif"}


@pytest.fixture(scope="module")
def serial(clip, settings, tmp_path_factory):
    """The file of one worker."""
    return rfcodec.encode(clip, tmp_path_factory.mktemp("serial") / "clip.rfv", **settings).path


def test_the_file_is_the_same_byte_for_byte(clip, settings, serial, tmp_path):
    rfcodec.encode(clip, tmp_path / "clip.rfv", runtime=HERE, **settings)
    assert (tmp_path / "clip.rfv").read_bytes() == serial.read_bytes()


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_so_it_is_from_other_processes(clip, executor, tmp_path):
    if executor == "ray":
        ray = pytest.importorskip("ray")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    two = RuntimeConfig(jobs=2, executor=executor)
    settings = SETTINGS | {"mode": "flf2v"}
    alone = rfcodec.encode(clip, tmp_path / "a.rfv", **settings)
    shared = rfcodec.encode(clip, tmp_path / "b.rfv", runtime=two, **settings)
    assert alone.path.read_bytes() == shared.path.read_bytes()
    frames = [np.concatenate([piece.frames for piece in rfcodec.decode(alone.path, runtime=r)]) for r in (None, two)]
    np.testing.assert_array_equal(*frames)
    if executor == "ray":
        ray.shutdown()


def test_the_frames_are_the_same(serial):
    expected = list(rfcodec.decode(serial))
    found = list(rfcodec.decode(serial, runtime=HERE))
    assert [(piece.start, piece.digest_ok) for piece in found] == [(piece.start, True) for piece in expected]
    frames = np.concatenate([piece.frames for piece in expected])
    np.testing.assert_array_equal(np.concatenate([piece.frames for piece in found]), frames)
    some = np.concatenate([piece.frames for piece in rfcodec.decode(serial, frames=(3, 8), runtime=HERE)])
    np.testing.assert_array_equal(some, frames[3:8])


class _Told(Watcher):
    def __init__(self):
        self.frames, self.size = [], 0

    def gop(self, decoded, source, size):
        self.frames.append(decoded.shown)
        self.size += size
        assert len(source) == decoded.span.num_frames


def test_a_watcher_is_told_in_order(clip, tmp_path):
    serial, parallel = _Told(), _Told()
    settings = SETTINGS | {"mode": "flf2v"}
    rfcodec.encode(clip, tmp_path / "a.rfv", watcher=serial, **settings)
    rfcodec.encode(clip, tmp_path / "b.rfv", watcher=parallel, runtime=HERE, **settings)
    np.testing.assert_array_equal(np.concatenate(parallel.frames), np.concatenate(serial.frames))
    assert parallel.size == serial.size


def test_a_chain_cannot_be_shared_out(clip, tmp_path):
    with pytest.raises(ConfigError, match="i2v every GOP continues the one before"):
        rfcodec.encode(clip, tmp_path / "clip.rfv", mode="i2v", runtime=HERE, **SETTINGS)
    assert not list(tmp_path.iterdir())
    done = rfcodec.encode(clip, tmp_path / "clip.rfv", mode="i2v", **SETTINGS)
    with pytest.raises(ConfigError, match="i2v"):
        list(rfcodec.decode(done.path, runtime=HERE))


def test_nothing_is_left_of_what_fails_on_a_worker(clip, tmp_path):
    with pytest.raises(BudgetTooSmall, match="smallest possible"):
        rfcodec.encode(clip, tmp_path / "clip.rfv", mode="t2v", runtime=HERE, **SETTINGS | {"bpp": 0.02})
    assert not list(tmp_path.iterdir())


def test_a_worker_with_another_model_is_refused(clip, tmp_path, monkeypatch):
    opened = []

    def other(*settings):
        opened.append(parallel_engine(*settings))
        if len(opened) > 1:  # the worker's
            identity = replace(opened[-1].backbone.identity, arithmetic="another machine")
            opened[-1].header = replace(opened[-1].header, arithmetic=identity.arithmetic)
        return opened[-1]

    monkeypatch.setattr(parallel, "open_encoder", other)
    with pytest.raises(BackboneMismatch, match="machines of one kind"):
        rfcodec.encode(clip, tmp_path / "clip.rfv", mode="t2v", runtime=HERE, **SETTINGS)
    assert not list(tmp_path.iterdir())


def test_a_live_model_is_not_sent(clip, tmp_path):
    from rfcodec.backbones.gaussian.backbone import pixel_backbone

    runtime = RuntimeConfig(jobs=2, weights=pixel_backbone(RuntimeConfig(), {}))
    with pytest.raises(ConfigError, match="live model"):
        rfcodec.encode(clip, tmp_path / "clip.rfv", mode="t2v", runtime=runtime, **SETTINGS)


def test_by_command_line(cli, clip_file, tmp_path):
    common = ["--backbone", "gaussian", "--mode", "flf2v", "--bpp", "1", "--gop", "7", "--steps", "4"]
    alone = cli("encode", clip_file, tmp_path / "a.rfv", *common)
    shared = cli("encode", clip_file, tmp_path / "b.rfv", *common, "--jobs", "2", "--executor", "serial")
    assert (alone.status, shared.status) == (0, 0), alone.err + shared.err
    assert (tmp_path / "a.rfv").read_bytes() == (tmp_path / "b.rfv").read_bytes()
    decoded = cli("decode", tmp_path / "b.rfv", tmp_path / "b.mkv", "--jobs", "2", "--executor", "serial")
    assert decoded.status == 0, decoded.err
    refused = cli("decode", tmp_path / "b.rfv", tmp_path / "c.mkv", "--jobs", "2", "--executor-set", "gpu=1")
    assert refused.status == 1
    assert "gpus" in refused.err
