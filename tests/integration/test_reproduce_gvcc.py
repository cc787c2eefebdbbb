import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from benchmarks import reproduce_gvcc
from rfcodec.evaluation.datasets.dataset import load_dataset
from rfcodec.evaluation.datasets.protocol import PROTOCOLS
from rfcodec.evaluation.report.published import Figures, published
from rfcodec.evaluation.sweep.worker import PointWorker
from rfcodec.types import VideoFormat

PROGRAM = Path(reproduce_gvcc.__file__)
DATASET = """
title = "Two of 48x40"
width = 48
height = 40
fps = 25
files = ["{name}_48x40_{fps}.yuv"]
[clips]
there = {}
back = {}
"""
FEW = "--gop 5 --gops 2 --size 44x36 --set codebook.k=32 --set codebook.m=12 trajectory.steps=3 trajectory.ode_tail=1"
FEW_TOO = "--set-default trajectory.steps=3 --frames 0:7"


@pytest.fixture(scope="module")
def run(make_clip, save, tmp_path_factory):
    """run(words) reproduces tables of two made-up sequences of raw planes: one forwards, one backwards."""
    root = tmp_path_factory.mktemp("clips")
    frames = make_clip(13, 48, 40)
    for name, clip in (("there", frames), ("back", frames[::-1])):
        save(root / f"{name}_48x40_25.yuv", clip)
    (root / "two.toml").write_text(DATASET)
    words = f"--dataset {root / 'two.toml'} --backbone gaussian --out {root / 'out'} {FEW} {FEW_TOO}".split()

    def run(more):
        args = reproduce_gvcc.parse([*words, *more.split()])
        return reproduce_gvcc.reproduce(args), dict(points(args.out))

    return run


def points(folder):
    for path in (folder / "points").iterdir():
        point = json.loads(path.read_text())
        assert path.name == f"{point['key']}.json"
        curve = point["job"]["curve"]
        yield (point["clip"], curve["mode"].removesuffix("-gvcc"), point["protocol"], curve["preset"]), point


def test_the_papers_protocol_in_all_modes(run):
    grids, found = run("--protocols gvcc")
    assert [grid.title.split(",")[0] for grid in grids] == ["t2v", "i2v", "flf2v"]
    assert all([row[0] for row in grid.rows] == ["there", "back", "mean"] for grid in grids)
    for clip in ("there", "back"):
        for mode, frames in (("t2v", 10), ("i2v", 10), ("flf2v", 9)):
            preset, default = (found[clip, mode, "gvcc", method] for method in ("gvcc", "default"))
            assert preset["video"] == {"width": 44, "height": 36, "num_frames": frames, "fps": "25", "sample_aspect": "1"}
            assert len(preset["series"]["psnr"]) == frames
            purposes = preset["stream"]["bytes_by_purpose"]
            counted = preset["rate"]["paper_bpp"] * 44 * 36 * frames / 8
            left_out = {"t2v": 0, "i2v": purposes["side information"], "flf2v": 0}[mode]
            headers = purposes["sequence header"] + purposes["GOP headers"] + purposes["index and end"]
            assert counted == pytest.approx(preset["stream"]["bytes"] - headers - left_out)
            assert default["stream"]["bytes"] <= counted
            assert preset["rate"]["bpp"] == pytest.approx(8 * preset["stream"]["bytes"] / (44 * 36 * frames))


def test_the_papers_i2v_has_its_free_first_frame_and_a_residual_for_each_gop(run):
    _, found = run("--protocols gvcc --modes i2v --clips there")
    purposes = found["there", "i2v", "gvcc", "gvcc"]["stream"]["bytes_by_purpose"]
    assert purposes["correction"] > purposes["symbols"] > 0
    assert purposes["side information"] > 1000  # of a picture without loss
    assert found["there", "i2v", "gvcc", "gvcc"]["job"]["curve"]["mode"] == "i2v-gvcc"
    # a lossless first frame is what the model is told; it shows in the frame's quality
    series = found["there", "i2v", "gvcc", "gvcc"]["series"]["psnr"]
    assert series[0] > max(series[1:])


def test_the_honest_protocol_at_equal_files(run):
    (grid,), found = run("--protocols honest --modes t2v")
    preset, default = (found["back", "t2v", "honest", method] for method in ("gvcc", "default"))
    assert preset["video"]["num_frames"] == 7
    assert preset["rate"]["paper_bpp"] is None
    assert 0.9 * preset["stream"]["bytes"] < default["stream"]["bytes"] <= preset["stream"]["bytes"]
    assert grid.head == ["", "PSNR, dB", "MS-SSIM", "true bpp, all bytes", "kbps"]
    assert re.fullmatch(r"\d+\.\d\d / \d+\.\d\d", grid.rows[-1][1])


def test_what_is_there_is_not_measured_again(run, monkeypatch):
    before, _ = run("--protocols gvcc --modes t2v --clips there")
    monkeypatch.setattr(PointWorker, "__call__", None)
    again, _ = run("--protocols gvcc --modes t2v --clips there")
    assert again == before


def test_published_figures_stand_beside_ours(run):
    (grid,), _ = run("--protocols gvcc --modes t2v --clips there --table uvg-720p")
    assert grid.head[4:7] == ["bpp as the paper counts", "the same, a pixel", "true bpp, all bytes"]
    assert grid.rows[0][1].startswith("- / ")
    assert grid.rows[-1][1].startswith("29.01 / ")
    shown, counted = (cell.split(" / ") for cell in grid.rows[-1][4:6])
    assert (shown[0], counted[0]) == ("0.001610", "0.00483")
    assert float(counted[1]) == pytest.approx(3 * float(shown[1]), abs=1e-5)


def test_a_budget_that_is_too_small_leaves_a_gap(run):
    (grid,), _ = run("--protocols gvcc --modes t2v --clips there --set codebook.m=1")
    assert grid.rows[0][1].endswith(" / -")


def test_settings_are_those_of_the_paper():
    small, large = (VideoFormat(width, height, 97, Fraction(120)) for width, height in ((832, 480), (1920, 1080)))
    hd = VideoFormat(1280, 720, 97, Fraction(120))
    found = [reproduce_gvcc.preset_settings(mode, video, 33) for mode in ("t2v", "flf2v") for video in (small, hd, large)]
    assert [settings["trajectory.shift"] for settings in found] == [3, 3, 3, 3, 5, 5]
    assert [settings["codebook.m"] for settings in found] == [64, 64, 80, 64, 64, 80]


def test_boundary_frames_get_the_bytes_that_the_papers_had():
    """7.3 kB for each of Beauty's four, 36.0 kB for ShakeNDry's, over 18 360 bytes of symbols a GOP."""
    table = published()["uvg-720p"]
    sizes = [18360 * (reproduce_gvcc.boundary_weight(table, name, 33) or 0) for name in ("Beauty", "ShakeNDry")]
    assert sizes == pytest.approx([7300, 36000], abs=60)
    assert reproduce_gvcc.boundary_weight(published()["uvg-1080p"], "Beauty", 33) is None
    assert reproduce_gvcc.boundary_weight(None, "Beauty", 33) is None


@pytest.mark.parametrize(
    ("size", "backbone", "table"),
    [
        ("1280x720", "Wan-AI/Wan2.1-T2V-14B-Diffusers", "uvg-720p"),
        ("1280x720", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "uvg-720p-small"),
        ("64x48", "Wan-AI/Wan2.1-T2V-14B-Diffusers", None),
    ],
)
def test_the_table_that_fits_is_chosen(tmp_path, save, make_clip, size, backbone, table):
    save(tmp_path / "Beauty.y4m", make_clip(33, 16, 8))
    args = reproduce_gvcc.parse(f"--backbone {backbone} --size {size} --modes t2v".split())
    (clip,) = load_dataset(tmp_path)
    protocol, found = reproduce_gvcc.protocol_of("gvcc", clip, "t2v", args)
    assert found == (published()[table] if table else None)
    assert protocol.per_sample == (table == "uvg-720p")
    assert reproduce_gvcc.protocol_of("honest", clip, "t2v", args)[1] is None


def test_means_need_every_sequence():
    figures = Figures(psnr=30, lpips=0.1), Figures(psnr=32)
    lines = [reproduce_gvcc.published_line(each, PROTOCOLS["gvcc"]) for each in figures]
    assert reproduce_gvcc.mean_line(lines)["psnr"] == 31
    assert reproduce_gvcc.mean_line(lines)["lpips"] is None


def test_as_a_program_from_any_folder(tmp_path):
    words = "--dataset uvg --root nowhere --backbone gaussian"
    done = subprocess.run(
        [sys.executable, PROGRAM, *words.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: dataset uvg: nowhere: there is no such folder; UVG")
