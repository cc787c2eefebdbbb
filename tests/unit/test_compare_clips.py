"""Comparisons on clips: shares and savings by the rules of the library, and whole runs of the script."""

import json
import math

import pytest
from typer.testing import CliRunner

pytest.importorskip("bjontegaard", reason="BD-rates are those of the bjontegaard package")

from benchmarks import compare_clips
from rfcodec.evaluation.report.bd import Curve, bd_rate

SMALL = ["--size", "64x48", "--frames", "5"]


def points(method, *rows):
    keys = ("bytes", "psnr", "lpips")
    rows = [dict(zip(keys, row, strict=True)) | {"clip": "clip", "bpp": row[0] / 1000} for row in rows]
    return {"clip": [compare_clips._point(method, row) for row in rows]}


TEST = points("test", (100, 20.0, 0.5), (400, 30.0, 0.3), (1600, 40.0, 0.1))


def share(row, metric):
    found = compare_clips.shares({"anchor": points("anchor", row), "test": TEST}, "anchor", "test", metric)
    assert found["mean"] == found["clip"]
    (value,) = found["clip"].values()
    return value


@pytest.mark.parametrize(("psnr", "size"), [(20, 100), (25, 200), (35, 800), (40, 1600)])
def test_bits_are_interpolated_in_their_logarithm(psnr, size):
    assert share((400, psnr, 0.2), "psnr") == pytest.approx(size / 400)


def test_quality_may_fall_with_the_value():
    assert share((200, 30.0, 0.4), "lpips") == pytest.approx(1)
    assert share((800, 30.0, 0.2), "lpips") == pytest.approx(1)
    assert share((800, 30.0, 0.2), "psnr") == pytest.approx(0.5)


def test_nothing_is_said_beyond_the_points():
    assert share((800, 45.0, 0.05), "psnr") is None
    assert share((800, 45.0, 0.05), "lpips") is None


def test_savings_are_the_bd_rates_of_the_library():
    rows = [(100, 18.0, 0.6), (400, 27.0, 0.4), (1600, 35.0, 0.15)]
    found = compare_clips.savings({"anchor": points("anchor", *rows), "test": TEST}, "anchor", "test")
    test = [(100, 20.0), (400, 30.0), (1600, 40.0)]
    lines = [Curve.of(pairs, "higher") for pairs in ([row[:2] for row in rows], test)]
    assert found["psnr"]["clip"] == found["psnr"]["mean"] == pytest.approx(bd_rate(*lines).value)
    assert found["lpips"]["clip"] < 0


def test_savings_need_a_quarter_of_the_ranges_in_common():
    """28.5..30 of 10..40 dB are 5 %."""
    rows = [(100, 38.5, 0.6), (400, 50.0, 0.55)]
    found = compare_clips.savings({"anchor": points("anchor", *rows), "test": TEST}, "anchor", "test")
    assert found["psnr"] == {"clip": None, "mean": None}


def run(folder, *words):
    told = CliRunner().invoke(compare_clips.app, [*map(str, words), "--out", str(folder), "--runs", str(folder / "runs")])
    assert told.exit_code == 0, told.output
    (file,) = folder.glob("*.json")
    assert {path.suffix for path in folder.iterdir() if path.is_file()} == {".json", ".png", ".svg"}
    before = file.read_text()
    again = CliRunner().invoke(compare_clips.app, ["again", str(file)])
    assert again.exit_code == 0, again.output
    assert file.read_text() == before
    return json.loads(before)


def test_settings_are_compared_at_equal_bytes(clip_file, tmp_path):
    tried = ["trajectory.steps=4", "preset=gvcc backbone=gaussian trajectory.steps=4 codebook.k=64"]
    words = ["settings", clip_file, *SMALL, "--backbone", "gaussian", "--bpp", "1"]
    found = run(tmp_path, *words, *(word for one in tried for word in ("--try", one)))["summary"]
    assert list(found) == ["default", *tried]
    default, few, gvcc = (rows[0] for rows in found.values())
    assert 0.98 < default["bpp"] <= 1
    assert 0.98 < few["bpp"] <= 1
    assert default["psnr"] > few["psnr"] > gvcc["psnr"]


def test_the_default_takes_fewer_bits_than_the_simulated_preset(clip_file, tmp_path):
    words = ["presets", clip_file, *SMALL, "--steps", "6", "--bpp", "0.5", "--bpp", "1", "--bpp", "2"]
    found = run(tmp_path, *words)
    assert -95 < found["summary"]["bd_rate"]["psnr"]["mean"] < -20
    assert list(found["points"]) == ["gvcc", "default"]
    assert [math.ceil(row["bpp"]) for row in found["points"]["gvcc"]] == [1, 1, 2]


def test_stills_are_coded_alone(clip_file, tmp_path):
    found = run(tmp_path, "stills", clip_file, "--size", "64x48")
    sizes, quality = ([row[name] for row in found["points"]["trajectory"]] for name in ("bytes", "psnr"))
    assert sizes == sorted(sizes)
    assert quality == sorted(set(quality))
    assert all(size <= bpp * 64 * 48 / 8 for size, bpp in zip(sizes, (0.1, 0.2, 0.4, 0.8, 1.6), strict=True))


def test_the_residual_comes_on_top_of_the_budget(clip_file, tmp_path):
    words = ["tails", clip_file, "--size", "64x48", "--frames", "9", "--gop", "5"]
    rates = [word for bpp in (0.5, 0.7, 1, 1.4, 2) for word in ("--bpp", bpp)]
    found = run(tmp_path, *words, *rates)["points"]
    (residual, _), plain = found["zlib residual"], found["weight 1"][0]
    assert plain["bpp"] <= 0.5 < residual["bpp"]
