"""The default backbone by the command line: every mode, decoded in a fresh process to what the encoder saw."""

import json

import numpy as np
import pytest

from rfcodec.presets import configure

FEW = ["--set", "trajectory.steps=6"]


WAYS = {"t2v": [], "i2v": ["--gop", 7], "flf2v": ["--gop", 7, "--still", "trajectory"]}


@pytest.fixture(scope="module")
def coded(cli, in_a_fresh_process, clip_file, tmp_path_factory):
    """Every mode, coded here and decoded by one other process."""
    folder, calls = tmp_path_factory.mktemp("tiny"), []
    for mode, more in WAYS.items():
        out, recon = folder / f"{mode}.rfv", folder / f"{mode}-recon.mkv"
        told = cli("encode", clip_file, out, "--recon", recon, "--mode", mode, "--bytes", 3000, *more, *FEW)
        assert told.status == 0, told.err
        calls.append(["decode", out, folder / f"{mode}.mkv"])
    for outcome in in_a_fresh_process(calls):
        assert outcome.status == 0, outcome.err
    return folder


@pytest.mark.parametrize("mode", WAYS)
def test_a_fresh_process_decodes_what_the_encoder_saw(mode, coded, cli, load):
    assert np.array_equal(load(coded / f"{mode}-recon.mkv"), load(coded / f"{mode}.mkv"))
    assert 0.98 * 3000 <= (coded / f"{mode}.rfv").stat().st_size <= 3000
    header = json.loads(cli("info", coded / f"{mode}.rfv", "--json").out)["header"]
    assert header["backbone"] == "tiny"


def test_its_precision_is_an_option_of_the_stream(cli, clip_file, tmp_path):
    rough = ["--set", "backbone_options.dtype=bfloat16", "--frames", "0:3", "--bytes", 900, *FEW]
    told = cli("encode", clip_file, tmp_path / "a.rfv", *rough)
    assert told.status == 0, told.err
    assert "bfloat16" in cli("info", tmp_path / "a.rfv").out
    assert "the digest of 1 of 1 GOPs" in cli("decode", tmp_path / "a.rfv", tmp_path / "a.mkv").err


def test_a_known_profile_needs_no_pilot_pass(cli, clip_file, tmp_path):
    told = cli("encode", clip_file, tmp_path / "a.rfv", "--set", "profile=backbone", "--bytes", 2000, *FEW)
    assert told.status == 0, told.err
    assert "nothing is known" not in told.err


def test_the_fast_preset_takes_eight_evaluations_and_no_pilot_pass(cli, clip_file, tmp_path):
    told = cli("encode", clip_file, tmp_path / "a.rfv", "--preset", "fast", "--frames", "0:3", "--bytes", 900)
    assert told.status == 0, told.err
    assert "nothing is known" not in told.err
    header = json.loads(cli("info", tmp_path / "a.rfv", "--json").out)["header"]
    assert (header["backbone"], header["trajectory.steps"]) == ("tiny-fast", 8)
    decoded = cli("decode", tmp_path / "a.rfv", tmp_path / "a.mkv")
    assert decoded.status == 0, decoded.err
    assert "the digest of 1 of 1 GOPs is the encoder's" in decoded.err


def test_the_fast_preset_suits_other_backbones():
    stream, effort = configure("fast", {"backbone": "gaussian", "trajectory.steps": 4})
    assert (stream.backbone, stream.trajectory.steps, effort.profile) == ("gaussian", 4, "backbone")
