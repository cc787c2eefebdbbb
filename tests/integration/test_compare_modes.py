"""The comparison of modes: what it prints is what its points say, and native points have equal trajectories."""

import json
import sys

import numpy as np
import pytest

from benchmarks import compare_modes


@pytest.fixture(scope="module")
def compared(clip_file, clip, save, tmp_path_factory):
    """A run over two clips of nine frames in two GOPs."""
    folder = tmp_path_factory.mktemp("modes")
    other = save(folder / "other.mkv", clip[:, ::-1].copy() // 2)
    words = ["--clips", clip_file, other, "--frames", "0:9", "--gop", "5", "--bpp", "0.4", "0.8", "1.6", "--out", folder]
    words += ["--size", "48x36"]
    argv, sys.argv = (
        sys.argv,
        ["compare_modes.py", *map(str, words), "--backbone", "gaussian", "--set", "trajectory.steps=4"],
    )
    try:
        compare_modes.app(standalone_mode=False)
    finally:
        sys.argv = argv
    points = [json.loads(path.read_text()) for path in (folder / "points").iterdir()]
    return folder, points, json.loads((folder / "compare_modes.json").read_text())


def test_matched_points_have_one_budget(compared):
    _, points, told = compared
    assert len(points) == 24
    assert sorted((row["mode"], row["budget"], row["clip"]) for row in told["matched"]) == [
        (mode, bpp, clip) for mode in ("flf2v", "i2v", "t2v") for bpp in (0.4, 0.8, 1.6) for clip in ("clip", "other")
    ]
    for row in told["matched"]:
        assert 0.97 * row["budget"] <= row["bpp"] <= row["budget"]
        assert sum(row["shares"].values()) == pytest.approx(1)


@pytest.mark.parametrize("clip_name", ["clip", "other"])
def test_native_points_have_equal_trajectories(compared, clip_name):
    _, points, told = compared
    native = [p for p in points if p["curve"].startswith("native") and p["clip"] == clip_name]
    symbols = {p["method"]["mode"]: compare_modes.symbol_bytes(p) for p in native}
    assert len(native) == len(symbols) == 3
    assert max(symbols.values()) < 1.06 * min(symbols.values())
    rates = {row["mode"]: row["bpp"] for row in told["native"] if row["clip"] == clip_name}
    assert rates["t2v"] < rates["i2v"] < rates["flf2v"]


def test_gains_are_those_of_the_native_points(compared):
    _, _, told = compared
    mean = {
        mode: {
            "bpp": np.mean([row["bpp"] for row in told["native"] if row["mode"] == mode]),
            "psnr": np.mean([row["metrics"]["psnr"] for row in told["native"] if row["mode"] == mode]),
        }
        for mode in ("t2v", "i2v", "flf2v")
    }
    extra, gain = (mean["flf2v"][name] - mean["t2v"][name] for name in ("bpp", "psnr"))
    assert told["gains"]["flf2v"]["db_per_bpp"] == pytest.approx(gain / extra)
    share = (mean["i2v"]["bpp"] - mean["t2v"]["bpp"]) / extra
    assert told["gains"]["flf2v"]["extra_bpp_of_i2v"] == pytest.approx(1 / share)


def test_drift_is_the_last_gop_less_the_first(compared):
    _, points, told = compared
    point = next(p for p in points if (p["clip"], p["curve"], p["knob"]["value"]) == ("clip", "gaussian i2v", 0.8))
    row = next(r for r in told["matched"] if (r["clip"], r["mode"], r["budget"]) == ("clip", "i2v", 0.8))
    series = point["series"]["psnr"]
    assert point["seams"] == [5]
    assert row["psnr_by_gop"] == pytest.approx([np.mean(series[:5]), np.mean(series[5:])])
    assert row["drift"] == pytest.approx(np.mean(series[5:]) - np.mean(series[:5]))


def test_figure_and_table_are_there(compared):
    folder, points, _ = compared
    assert all((folder / f"compare_modes.{kind}").stat().st_size > 1000 for kind in ("png", "svg"))
    matched = [p for p in points if not p["curve"].startswith("native")]
    lines = compare_modes.tables(matched, [])[0].rows
    assert len(lines) == 18
    assert all(len(line) == 11 for line in lines)
