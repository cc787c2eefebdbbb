"""Descriptions of sweeps: TOML and options say the same, and what is wrong is named."""

import pytest

from rfcodec.errors import ConfigError
from rfcodec.evaluation.sweep.description import read_sweep
from rfcodec.support.command_line import spread

DESCRIPTION = """
dataset = "demo"
frames = "0:33"
size = "256x144"
backbones = ["gaussian"]
modes = ["t2v", "i2v"]
codebooks = ["trellis", "hadamard"]
anchors = ["x265"]
bpp = [0.1, 0.2]

[set]
gop = 17
trajectory.steps = 8

[[curves]]
kind = "codec"
label = "GVCC"
backbone = "gaussian"
preset = "gvcc"
knob = "codebook.m"
values = [8, 16]
set = { gop = 9 }

[[curves]]
kind = "anchor"
codec = "svt-av1"
knob = "crf"
scale = 2
values = [40, 50]
"""


@pytest.fixture
def described(tmp_path):
    """A description on disk."""
    (tmp_path / "mine.toml").write_text(DESCRIPTION)
    return tmp_path / "mine.toml"


def test_curves_are_the_product_and_what_is_named(described):
    curves = {curve.name: curve for curve in read_sweep(described, {}).all_curves()}
    assert list(curves) == [
        "gaussian t2v trellis",
        "gaussian t2v hadamard",
        "gaussian i2v trellis",
        "gaussian i2v hadamard",
        "GVCC",
        "svt-av1 1/2 size",
        "x265",
        "gaussian ceiling",
        "gaussian floor",
    ]
    assert curves["gaussian i2v hadamard"].settings(0.1) == {
        "backbone": "gaussian",
        "mode": "i2v",
        "codebook.name": "hadamard",
        "gop": 17,
        "trajectory.steps": 8,
        "bpp": 0.1,
    }
    native = curves["GVCC"].settings(16.0)
    assert (native["gop"], native["codebook.m"], "bpp" in native) == (9, 16, False)
    assert isinstance(native["codebook.m"], int)
    assert (curves["x265"].values, curves["svt-av1 1/2 size"].values) == ((0.1, 0.2), (40, 50))


def test_options_go_before_the_file(described):
    sweep = read_sweep(described, {"bpp": [0.3], "size": "64x48", "modes": ["flf2v"], "clips": [], "frames": None})
    assert (sweep.name, sweep.bpp, sweep.size, sweep.modes, sweep.frames) == ("mine", (0.3,), (64, 48), ("flf2v",), (0, 33))


def test_files_take_the_place_of_a_dataset(described):
    assert read_sweep(described, {"clips": ["carphone"]}).dataset == "demo"
    assert read_sweep(described, {"clips": [str(described)]}).dataset is None
    assert read_sweep(described, {"clips": [str(described)], "dataset": "uvg"}).dataset == "uvg"


def test_an_option_can_switch_off(described):
    kinds = {curve.kind for curve in read_sweep(described, {"bounds": False}).all_curves()}
    assert kinds == {"codec", "anchor"}


def test_options_alone_suffice():
    sweep = read_sweep(None, {"clips": ["a.mp4"], "backbones": ["gaussian"], "bpp": [0.1], "set": {"gop": 9}})
    assert sweep.all_curves()[0].settings(0.1) == {"backbone": "gaussian", "mode": "t2v", "gop": 9, "bpp": 0.1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bpp": ["high"]}, "bpp is 'high'; legal: a list, each item a number"),
        ({"size": "64"}, "WxH"),
        ({"frames": "5"}, "A:B"),
        ({"protocol": "fair"}, "honest, gvcc, gvc"),
        ({"colour": "red"}, "colour"),
        ({"curves": [{"kind": "codecs"}]}, "kind"),
    ],
)
def test_what_is_wrong_is_named(options, said):
    with pytest.raises(ConfigError, match=said):
        read_sweep(None, options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no curve"),
        ({"backbones": ["gaussian"]}, "no values of bpp"),
        ({"backbones": ["gaussian", "gaussian"], "bpp": [0.1]}, "two curves are called 'gaussian t2v'"),
        ({"curves": [{"kind": "anchor", "codec": "x265", "knob": "crf"}], "bpp": [0.1]}, "no values of crf"),
    ],
)
def test_curves_that_cannot_be(options, said):
    with pytest.raises(ConfigError, match=said):
        read_sweep(None, options).all_curves()


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml"):
        read_sweep(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(ConfigError, match="TOML"):
        read_sweep(tmp_path / "bad.toml", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'name = "\xff"', "cannot be read as TOML"),
        (b"x = " + b"[" * 9000, "cannot be read as TOML"),
        (b"x = " + b"9" * 9000, "cannot be read as TOML"),
        (b"set = [1]", "set is"),
        (b"curves = 1", "curves is"),
        (b"curves = [1]", "curves"),
        (b'[[curves]]\nkind = "codec"\nset = 1.5', "is 1.5"),
    ],
)
def test_what_is_no_table_is_one_line(text, said, tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=said):
        read_sweep(path, {})


def test_several_values_of_an_option():
    words = ["quick.toml", "--clips", "a", "b", "--bpp", "0.1", "0.2", "--out", "o", "--anchors", "x265", "--bpp", "0.3"]
    expected = [
        "quick.toml",
        "--clips",
        "a",
        "--clips",
        "b",
        "--bpp",
        "0.1",
        "--bpp",
        "0.2",
        "--out",
        "o",
        "--anchors",
        "x265",
        "--bpp",
        "0.3",
    ]
    assert spread(words) == expected
