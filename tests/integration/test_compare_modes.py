"""The comparison of modes: what it prints is what its points say, and native points have equal trajectories."""

import json
import sys

import numpy as np
import pytest

from benchmarks import compare_modes


@pytest.fixture(scope="module")
def compared(clip_file, tmp_path_factory):
    """A run over thirteen frames in three GOPs."""
    folder = tmp_path_factory.mktemp("modes")
    words = ["--clips", clip_file, "--frames", ":", "--gop", "5", "--bpp", "1", "1.5", "2", "--out", folder]
    argv, sys.argv = sys.argv, ["compare_modes.py", *map(str, words), "--set", "trajectory.steps=4"]
    try:
        compare_modes.app(standalone_mode=False)
    finally:
        sys.argv = argv
    points = [json.loads(path.read_text()) for path in (folder / "points").iterdir()]
    return folder, points, json.loads((folder / "compare_modes.json").read_text())


def test_matched_points_have_one_budget(compared):
    _, points, told = compared
    assert len(points) == 12
    assert sorted({(row["mode"], row["budget"]) for row in told["matched"]}) == [
        (mode, bpp) for mode in ("flf2v", "i2v", "t2v") for bpp in (1.0, 1.5, 2.0)
    ]
    for row in told["matched"]:
        assert 0.97 * row["budget"] <= row["bpp"] <= row["budget"]
        assert sum(row["shares"].values()) == pytest.approx(1)


def test_native_points_have_equal_trajectories(compared):
    _, points, told = compared
    symbols = {p["method"]["mode"]: compare_modes.symbol_bytes(p) for p in points if p["curve"].startswith("native")}
    assert max(symbols.values()) < 1.06 * min(symbols.values())
    rates = {row["mode"]: row["bpp"] for row in told["native"]}
    assert rates["t2v"] < rates["i2v"] < rates["flf2v"]


def test_gains_are_those_of_the_native_points(compared):
    _, _, told = compared
    rows = {row["mode"]: row for row in told["native"]}
    gains = told["gains"]["flf2v"]
    extra = rows["flf2v"]["bpp"] - rows["t2v"]["bpp"]
    gain = rows["flf2v"]["metrics"]["psnr"] - rows["t2v"]["metrics"]["psnr"]
    assert gains["db_per_bpp"] == pytest.approx(gain / extra)
    share = (rows["i2v"]["bpp"] - rows["t2v"]["bpp"]) / extra
    assert gains["extra_bpp_of_i2v"] == pytest.approx(1 / share)


def test_drift_is_the_last_gop_less_the_first(compared):
    _, points, told = compared
    point = next(p for p in points if p["curve"] == "gaussian i2v" and p["knob"]["value"] == 1.0)
    row = next(r for r in told["matched"] if (r["mode"], r["budget"]) == ("i2v", 1.0))
    series = point["series"]["psnr"]
    assert point["seams"] == [5, 9]
    assert row["psnr_by_gop"] == pytest.approx([np.mean(series[:5]), np.mean(series[5:9]), np.mean(series[9:])])
    assert row["drift"] == pytest.approx(np.mean(series[9:]) - np.mean(series[:5]))


def test_figure_and_table_are_there(compared):
    folder, points, _ = compared
    assert all((folder / f"compare_modes.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))
    matched = [p for p in points if not p["curve"].startswith("native")]
    lines = compare_modes.tables(matched, [])[0].rows
    assert len(lines) == 9
    assert all(len(line) == 11 for line in lines)
