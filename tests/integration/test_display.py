"""Other pictures from the same bits, of less error or more variance, while digests and chains stay what they are."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from rfcodec import api
from rfcodec.backbones.gaussian.backbone import pixel_backbone
from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.bitstream.container import read_gops, read_preamble, read_units
from rfcodec.bitstream.fields import ByteReader
from rfcodec.codec import decode as decode_records
from rfcodec.codec import open_decoder
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ConfigError
from rfcodec.flow.time_grid import level_to_time
from rfcodec.presets import runtime
from rfcodec.stream.display import close, shown

SMALL = {"backbone": "gaussian", "gop": 5, "trajectory__steps": 10, "trajectory__ode_tail": 4, "bytes": 1500}


@pytest.fixture(scope="module")
def source():
    # of the prior itself, so that the estimate is as good as it says
    backbone = pixel_backbone(RuntimeConfig(), {})
    draw = GaussianPrior(backbone.spectrum, (3, 9, 96, 128)).sample(np.random.default_rng(1))
    return backbone.decode(draw - draw.mean((1, 2, 3), keepdim=True))


@pytest.fixture(scope="module")
def stream(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("display") / "clip.rfv"
    api.encode(source, path, mode="i2v", **SMALL)
    return path


def decoded(path, **settings):
    pieces = list(api.decode(path, runtime=RuntimeConfig(**settings)))
    assert all(piece.digest_ok for piece in pieces)
    return np.concatenate([piece.frames for piece in pieces])


def gops(path):
    reader = ByteReader(path.read_bytes())
    engine = open_decoder(read_preamble(reader), RuntimeConfig())
    return list(decode_records(engine, read_gops(read_units(reader))))


def error(frames, source):
    return float(np.mean((frames.astype(np.float64) - source) ** 2))


def test_realism_trades_error_for_variance(stream, source):
    # all but the still, which every decoder shows alike
    shown = {r: decoded(stream, realism=r)[1:] for r in (0, 0.5, 1, 1.5)}
    errors = [error(frames, source[1:]) for frames in shown.values()]
    variances = [float(frames.astype(np.float64).var()) for frames in shown.values()]
    assert errors == sorted(errors)
    assert errors[0] < 0.9 * errors[2]
    assert variances == sorted(variances)


def test_the_default_is_the_stream_s_own(stream):
    assert np.array_equal(decoded(stream, realism=1.0), decoded(stream))


def test_as_many_closing_steps_are_the_same_tail(stream):
    for gop in gops(stream):
        assert torch.equal(close(gop, gop.run.handover, 4), gop.latents)


def test_one_closing_step_is_the_picture_of_least_error(stream):
    assert np.array_equal(decoded(stream, closing_steps=1), decoded(stream, realism=0.0))


def test_any_number_of_closing_steps_falls_from_any_time(stream, monkeypatch):
    gop = gops(stream)[0]
    monkeypatch.setattr(gop.engine.backbone, "run", lambda condition, step: step)
    for steps in [1, 2, 20, 40]:
        for level in [1, 300, 538, 545, 560, 575, 576]:
            grid = close(gop, (level_to_time(level), gop.latents), steps).time_grid
            assert grid[0] == level_to_time(level), (steps, level)
            assert grid[-1] == 0, (steps, level)
            assert all(t > s for t, s in pairwise(grid)), (steps, level)


def test_a_chain_stands_on_the_stream_s_own_frames(stream):
    first, second = gops(stream)
    assert np.array_equal(second.condition.first.frame, first.frames[-1])
    assert not np.array_equal(shown(first, RuntimeConfig(realism=0))[-1], first.frames[-1])


def test_a_gop_without_a_trajectory_is_shown_as_it_is(stream):
    gop = gops(stream)[0]
    gop.run = gop.run._replace(handover=None)
    assert np.array_equal(shown(gop, RuntimeConfig(realism=0)), gop.shown)


@pytest.mark.parametrize("settings", [{"realism": -0.1}, {"realism": 2.1}, {"closing_steps": 0}, {"closing_steps": 41}])
def test_out_of_range_is_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        runtime(**settings)


def test_the_command_line_shows_it(stream, cli, load, tmp_path):
    for name, options in (("own", []), ("calm", ["--realism", 0]), ("one", ["--closing-steps", 1])):
        assert cli("decode", stream, tmp_path / f"{name}.mkv", *options).status == 0
    own, calm, one = (load(tmp_path / f"{name}.mkv") for name in ("own", "calm", "one"))
    assert np.array_equal(calm, one)
    assert not np.array_equal(calm, own)
