"""Regions of interest: better inside, worse outside, and nothing of it in the file."""

import numpy as np
import pytest
import torch
from PIL import Image

from rfcodec import api
from rfcodec.coding.engine import Engine
from rfcodec.coding.planning import choice_emphasis
from rfcodec.coding.regions import open_mask, region_weights
from rfcodec.config import EncoderConfig
from rfcodec.errors import FrameRangeError, InputError
from rfcodec.types import Geometry, GopSpan, VideoFormat
from rfcodec.video.reader import ArrayVideo

SMALL = {"backbone": "gaussian", "gop": 9, "trajectory__steps": 10, "bytes": 1200}


@pytest.fixture(scope="module")
def source(make_clip):
    return make_clip(9, 96, 64)


@pytest.fixture(scope="module")
def mask():
    picture = np.zeros((64, 96), np.uint8)
    picture[:, :48] = 255
    return picture


def halves(source, path):
    shown = np.concatenate([piece.frames for piece in api.decode(path)])
    squares = (shown.astype(np.float64) - source) ** 2
    return squares[:, :, :48].mean(), squares[:, :, 48:].mean()


def test_the_region_gains_what_the_rest_loses(source, mask, tmp_path):
    plain, masked = tmp_path / "plain.rfv", tmp_path / "masked.rfv"
    api.encode(source, plain, **SMALL)
    api.encode(source, masked, roi=mask, **SMALL)
    inside, outside = halves(source, plain)
    inside_now, outside_now = halves(source, masked)
    assert inside_now < 0.97 * inside
    assert outside_now > outside
    # not a byte says so
    assert api.info(plain).header == api.info(masked).header
    assert api.info(plain).gops[0].header.symbol_bits == api.info(masked).gops[0].header.symbol_bits


def test_a_picture_a_video_and_an_array_are_one_mask(source, mask, cli, save, tmp_path):
    Image.fromarray(mask).resize((48, 32), Image.Resampling.NEAREST).save(tmp_path / "mask.png")
    video = save(tmp_path / "mask.mkv", np.repeat(np.repeat(mask[None, ..., None], 9, 0), 3, 3))
    clip = save(tmp_path / "clip.mkv", source)
    few = ["--backbone", "gaussian", "--bytes", 900, "--set", "trajectory.steps=4", "--gop", 9]
    for name, roi in (("picture", tmp_path / "mask.png"), ("video", video)):
        assert cli("encode", clip, tmp_path / f"{name}.rfv", "--roi", roi, *few).status == 0
    api.encode(source, tmp_path / "array.rfv", roi=mask, backbone="gaussian", bytes=900, gop=9, trajectory__steps=4)
    symbols = [api.info(tmp_path / f"{name}.rfv").gops[0].symbols for name in ("picture", "video", "array")]
    assert symbols[0] == symbols[1] == symbols[2]


class Backbone:
    geometry = Geometry(channels=2, temporal=4, spatial=8, multiple=8)


def test_weights_are_means_over_what_a_latent_covers(make_clip):
    engine = object.__new__(Engine)
    engine.backbone = Backbone()
    frames = np.zeros((9, 20, 24), np.uint8)
    frames[0, :8, :8] = 255  # one cell of the first latent frame
    frames[1:3, 8:16, 8:12] = 255  # half a cell, in half the frames of the second
    frames[5:9, 16:, :] = 255  # the last row of cells, padded from 4 rows to 8, in the third
    video = open_mask(frames, VideoFormat(24, 20, 9, 25))
    weights = region_weights(engine, video, GopSpan(0, 0, 9), 5.0)
    wanted = torch.ones(1, 3, 3, 3)
    wanted[0, 0, 0, 0], wanted[0, 1, 1, 1], wanted[0, 2, 2, :] = 5.0, 2.0, 5.0
    torch.testing.assert_close(weights, wanted)
    # coded without the first latent frame, and with a tail
    emphasis = choice_emphasis(
        engine, GopSpan(0, 0, 9, carried=1), (2, 2, 3, 3), EncoderConfig(roi_gain=5.0, carried_weight=2.0), video
    )
    torch.testing.assert_close(emphasis.weights, wanted[:, 1:] * torch.tensor([1.0, 2.0]).view(1, 2, 1, 1))


def test_one_frame_has_one_mask():
    engine = object.__new__(Engine)
    engine.backbone = Backbone()
    mask = ArrayVideo(np.full((1, 8, 16, 3), 255, np.uint8))
    assert region_weights(engine, mask, GopSpan(0, 0, 1), 2.0).tolist() == [[[[2.0, 2.0]]]]


@pytest.mark.parametrize(
    ("mask", "fault"),
    [
        (np.zeros((32, 48), np.uint8), InputError),
        (np.zeros((4, 64, 96), np.uint8), FrameRangeError),
        (np.zeros((64, 96), np.float32), InputError),
        (np.zeros(64, np.uint8), InputError),
        (5, InputError),
        (torch.zeros(64, 96), InputError),
        ("no\0where.png", InputError),
        ("nowhere.png", InputError),
        ("nowhere.mp4", InputError),
    ],
)
def test_masks_that_do_not_fit_are_refused(source, mask, fault, tmp_path):
    with pytest.raises(fault):
        api.encode(source, tmp_path / "out.rfv", roi=mask, **SMALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["deep", "animated"])
def test_pictures_that_would_be_misread_are_refused(source, kind, tmp_path):
    if kind == "deep":
        Image.fromarray(np.full((64, 96), 300, np.uint16)).save(tmp_path / "mask.png")
    else:
        pages = [Image.new("L", (96, 64), level) for level in (0, 255)]
        pages[0].save(tmp_path / "mask.tiff", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="single picture of 8 bits"):
        api.encode(source, tmp_path / "out.rfv", roi=next(tmp_path.glob("mask.*")), **SMALL)


def test_a_file_that_is_no_picture_is_refused(source, tmp_path):
    (tmp_path / "mask.png").write_text("not a picture")
    with pytest.raises(InputError, match="picture"):
        api.encode(source, tmp_path / "out.rfv", roi=tmp_path / "mask.png", **SMALL)
