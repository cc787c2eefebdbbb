"""Bytes for equal quality, between points of two methods."""

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("bjontegaard", reason="BD-rates are those of the bjontegaard package")

from benchmarks import compare_clips
from benchmarks.clip_runs import Point, bytes_at, share_for_equal


def points(*rows):
    return [Point("clip", size, size / 1000, psnr, lpips) for size, psnr, lpips in rows]


TEST = points((100, 20.0, 0.5), (400, 30.0, 0.3), (1600, 40.0, 0.1))


@pytest.mark.parametrize(("psnr", "size"), [(20, 100), (25, 200), (40, 1600), (50, 1600)])
def test_bytes_are_interpolated_in_their_logarithm(psnr, size):
    assert bytes_at(TEST, psnr) == pytest.approx(size)


def test_quality_may_fall_with_the_value():
    assert bytes_at(TEST, 0.4, "lpips") == pytest.approx(200)
    (anchor,) = points((800, 30.0, 0.2))
    assert share_for_equal(anchor, TEST, "lpips") == pytest.approx(1)
    assert share_for_equal(anchor, TEST, "psnr") == pytest.approx(0.5)


def test_nothing_is_said_beyond_the_points():
    (anchor,) = points((800, 45.0, 0.05))
    assert share_for_equal(anchor, TEST, "psnr") is None
    assert share_for_equal(anchor, TEST, "lpips") is None


def test_settings_are_compared_at_equal_bytes(clip_file, tmp_path):
    tried = ["trajectory.steps=4", "preset=gvcc backbone=gaussian trajectory.steps=4 codebook.k=64"]
    words = [
        "settings",
        str(clip_file),
        "--out",
        str(tmp_path),
        *["--backbone", "gaussian", "--size", "64x48", "--frames", "5", "--bpp", "1"],
    ]
    told = CliRunner().invoke(compare_clips.app, [*words, *(word for one in tried for word in ("--try", one))])
    assert told.exit_code == 0, told.output
    found = json.loads((tmp_path / "settings-gaussian-t2v.json").read_text())["summary"]
    assert list(found) == ["default", *tried]
    default, few, gvcc = (rows[0] for rows in found.values())
    assert 0.98 < default["bpp"] <= 1
    assert 0.98 < few["bpp"] <= 1
    assert default["psnr"] > few["psnr"] > gvcc["psnr"]
