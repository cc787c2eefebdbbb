"""Sweeps: every point measured and counted once, resumed where they stopped, the same on every executor."""

import hashlib
import json
import shlex
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from executor_workers import Fragile

import rfcodec
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ConfigError
from rfcodec.evaluation.anchors import encoders as anchors
from rfcodec.evaluation.datasets.clips import clip_of
from rfcodec.evaluation.datasets.protocol import PROTOCOLS
from rfcodec.evaluation.store import Store, comparable
from rfcodec.evaluation.sweep import runner as sweeps
from rfcodec.evaluation.sweep.description import BoundCurve, CodecCurve, read_sweep
from rfcodec.evaluation.sweep.jobs import Job
from rfcodec.evaluation.sweep.runner import done_points, make_point, plan_sweep, run_sweep
from rfcodec.evaluation.sweep.worker import PointWorker
from rfcodec.executors.base import open_executor
from rfcodec.metrics.fidelity import psnr
from rfcodec.video.reader import ArrayVideo, open_video

SETTINGS = {"gop": 5, "trajectory.steps": 4}
PURPOSES = {"sequence header", "GOP headers", "side information", "symbols", "correction", "index and end"}
ALONE = RuntimeConfig()


@pytest.fixture(scope="module")
def clip(make_clip):
    """Thirteen frames as small as the anchors take them."""
    return make_clip(13, 40, 32)


@pytest.fixture(scope="module")
def clip_file(clip, save, tmp_path_factory):
    return save(tmp_path_factory.mktemp("clip") / "clip.mkv", clip)


@pytest.fixture(scope="module")
def described(clip_file):
    """Two modes at two rates, an anchor, and what bounds them."""
    options = {
        "clips": [str(clip_file)],
        "backbones": ["gaussian"],
        "modes": ["t2v", "flf2v"],
        "bpp": [1.0, 2.0],
        "anchors": ["x265"],
        "metrics": ["psnr", "seam"],
        "set": SETTINGS,
    }
    return read_sweep(None, options)


def swept(described, folder, executor=None, stop_after=None):
    """Runs a sweep; returns its points, and the names of those that were made."""
    store, made = Store(folder), []

    def watch(job, error):
        made.append((job.curve.name, job.value, error))
        if stop_after == len(made):
            raise KeyboardInterrupt

    plan = plan_sweep(described, store)
    run_sweep(plan, store, executor or open_executor("serial", 1, {}), ALONE, None, watch)
    return done_points(plan, store), made


@pytest.fixture(scope="module")
def serial(described, tmp_path_factory):
    """The points of one worker, and the folder in which they are."""
    folder = tmp_path_factory.mktemp("serial")
    points, made = swept(described, folder)
    assert len(points) == len(made) == 8
    return points, folder


@pytest.fixture(scope="module")
def lean(described):
    """Four of its points."""
    return described.model_copy(update={"modes": ("t2v",), "bounds": False})


def found_in(serial, points):
    """The serial points that are also among `points`, as they compare."""
    keys = {p["key"] for p in points}
    return [comparable(p) for p in serial[0] if p["key"] in keys]


def point(points, curve, value=0.0):
    return next(p for p in points if (p["curve"], p["knob"]["value"]) == (curve, value))


def test_every_byte_is_counted_and_the_stream_is_kept(serial, clip):
    points, folder = serial
    for p in points:
        if p["role"] in ("codec", "anchor"):
            data = next((folder / "streams").glob(f"{p['key']}.*")).read_bytes()
            assert p["stream"]["bytes"] == len(data) == sum(p["stream"]["bytes_by_purpose"].values())
            assert p["stream"]["sha256"] == hashlib.sha256(data).hexdigest()
            assert p["rate"]["bpp"] == pytest.approx(8 * len(data) / clip[..., 0].size)
            assert p["rate"]["bpp"] <= p["knob"]["value"]


def test_a_point_is_what_the_codec_makes(serial, clip, clip_file, tmp_path):
    found = point(serial[0], "gaussian flf2v", 2.0)
    settings = {name.replace(".", "__"): value for name, value in SETTINGS.items()}
    with open_video(clip_file) as video:
        done = rfcodec.encode(video, tmp_path / "clip.rfv", mode="flf2v", backbone="gaussian", bpp=2.0, **settings)
    frames = np.concatenate([piece.frames for piece in rfcodec.decode(done.path)])
    assert found["stream"]["sha256"] == hashlib.sha256(done.path.read_bytes()).hexdigest()
    assert found["metrics"]["psnr"] == pytest.approx(psnr(clip, frames))
    assert len(found["series"]["psnr"]) == len(clip)
    assert found["seams"] == [5, 9]
    assert set(found["stream"]["bytes_by_purpose"]) == PURPOSES
    dims = 3 * 3 * 5 * clip.shape[1] * clip.shape[2]  # three GOPs of five frames in three colours
    assert found["rate"]["bits_per_dim"] == pytest.approx(8 * found["stream"]["bytes"] / dims)
    assert found["cost"]["decode_evaluations"] == 3 * SETTINGS["trajectory.steps"]
    assert found["cost"]["encode_evaluations"] > found["cost"]["decode_evaluations"]  # the pilot's
    assert found["cost"]["peak_memory_bytes"] > 1 << 20


def test_what_the_encoder_shows_can_be_measured_instead(lean, serial, tmp_path):
    alike, _ = swept(lean.model_copy(update={"decode": False}), tmp_path)
    for found in alike:
        expected = point(serial[0], found["curve"], found["knob"]["value"])
        assert (found["key"] != expected["key"]) == (found["role"] == "codec")
        assert all(found[part] == expected[part] for part in ("metrics", "series", "stream", "rate"))
        assert (found["cost"]["decode_seconds"] is None) == (found["role"] == "codec")


def test_the_bounds_lie_outside_all_curves(serial):
    points, _ = serial
    values = {p["curve"]: p["metrics"]["psnr"] for p in points}
    assert values["gaussian ceiling"] > max(value for name, value in values.items() if name != "gaussian ceiling") - 1e-9
    assert values["gaussian floor"] < min(value for name, value in values.items() if name != "gaussian floor")
    assert point(points, "gaussian floor")["stream"]["bytes"] == 0


def test_an_anchor_can_be_repeated_by_hand(serial, clip, tmp_path):
    points, folder = serial
    found = point(points, "x265", 2.0)
    anchors.prepare(ArrayVideo(clip), tmp_path / "source.y4m")
    for command in found["commands"]:
        subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    kept = folder / "streams" / f"{found['key']}.hevc"
    assert (tmp_path / "stream.hevc").read_bytes() == kept.read_bytes()


def test_pictures_stand_beside_points_and_sources(serial):
    points, folder = serial
    sources = json.loads((folder / "clips.json").read_text())
    for told in [*points, *sources.values()]:
        assert set(told["pictures"]) == {"strip", "slice", "player"}
        assert all((folder / name).stat().st_size for name in told["pictures"].values())


def test_it_goes_on_where_it_was_stopped(lean, serial, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        swept(lean, tmp_path, stop_after=3)
    assert len(list((tmp_path / "points").iterdir())) == 3
    points, made = swept(lean, tmp_path)
    assert (len(points), len(made)) == (4, 1)
    assert [comparable(p) for p in points] == found_in(serial, points)
    assert swept(lean, tmp_path)[1] == []


def test_a_point_that_fails_leaves_the_others(lean, tmp_path):
    low = lean.model_copy(update={"bpp": (0.005, 1.0), "anchors": ()})
    points, _ = swept(low, tmp_path)
    assert [p["knob"]["value"] for p in points] == [1.0]
    assert ["BudgetTooSmall" in failure["error"] for failure in Store(tmp_path).failures()] == [True]
    assert [value for _, value, _ in swept(low, tmp_path)[1]] == [0.005]  # tried again, the other is not


# that Ray replaces workers and brings back results is shown by the tests of executors
@pytest.mark.parametrize("name", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_two_workers_one_of_which_dies_find_the_same(name, lean, serial, tmp_path, monkeypatch):
    if name == "ray":
        ray = pytest.importorskip("ray")
        paths = ":".join(sys.path)
        environment = {"env_vars": {"PYTHONPATH": paths, "FRAGILE_MARK": str(tmp_path / "died")}}
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    monkeypatch.setenv("FRAGILE_MARK", str(tmp_path / "died"))
    monkeypatch.setattr(sweeps, "PointWorker", Fragile)
    try:
        points, made = swept(lean, tmp_path / "sweep", open_executor(name, 2, {}))
    finally:
        if name == "ray":
            ray.shutdown()
    assert (tmp_path / "died").exists()
    assert [error for _, _, error in made] == [None] * 4
    assert [comparable(p) for p in points] == found_in(serial, points)


def test_by_command_line(cli, clip_file, tmp_path):
    words = [
        "--clips",
        clip_file,
        "--backbones",
        "gaussian",
        "--bpp",
        "1",
        "2",
        "--metrics",
        "psnr",
        "--out",
        tmp_path / "s",
    ]
    words += ["--set", "gop=13", "--set", "trajectory.steps=4", "--anchors", "x265"]
    planned = cli("sweep", *words, "--dry-run")
    assert (planned.status, "6 points, 0 of them done" in planned.err) == (0, True), planned.err
    assert not (tmp_path / "s").exists()
    done = cli("sweep", *words)
    assert done.status == 0, done.err
    assert "report.html" in done.out
    assert "x265" in (tmp_path / "s" / "report.html").read_text()
    assert "6 of them done already" in cli("sweep", *words).err


def test_what_cannot_be_swept_is_said(cli, clip_file, tmp_path):
    out = ["--out", tmp_path / "s"]
    for words, said in (
        (["--clips", tmp_path / "none.mp4", "--anchors", "x265", "--bpp", "1"], "none.mp4"),
        (["--clips", clip_file, "--anchors", "x265"], "no values of bpp"),
        (["--anchors", "x265", "--bpp", "1"], "no clips"),
        (["--clips", clip_file, clip_file, "--anchors", "x265", "--bpp", "1"], "two clips"),
        (["--clips", clip_file, "--anchors", "x265", "--bpp", "1", "--metrics", "beauty"], "beauty"),
        (["--clips", clip_file, "--anchors", "x266", "--bpp", "1"], "x266"),
        (["--clips", clip_file, "--anchors", "x265", "--bpp", "1", "--weights", tmp_path / "w"], "no folder"),
    ):
        outcome = cli("sweep", *words, *out)
        assert (outcome.status, said in outcome.err) == (1, True), outcome.err
    assert not (tmp_path / "s").exists()


def test_bounds_have_the_sweeps_settings(described):
    bounds = [curve for curve in described.all_curves() if isinstance(curve, BoundCurve)]
    assert [curve.set for curve in bounds] == [SETTINGS, SETTINGS]


def test_still_coders_are_swept_alone(clip_file, tmp_path):
    curves = [{"kind": "still", "still": still, "values": [1.0, 2.0]} for still in ("avif", "trajectory")]
    told = {"clips": [str(clip_file)], "frames": "0:2", "curves": curves, "metrics": ["psnr"], "bounds": False}
    points, _ = swept(read_sweep(None, told), tmp_path)
    assert [(p["curve"], p["knob"]["value"], p["role"]) for p in points] == [
        (still, bpp, "codec") for still in ("avif", "trajectory") for bpp in (1.0, 2.0)
    ]
    for point in points:
        assert 0 < point["rate"]["bpp"] <= point["knob"]["value"]
        assert len(point["series"]["psnr"]) == 2
        assert point["stream"]["bytes_by_purpose"] == {"stills": point["stream"]["bytes"]}
    assert points[1]["metrics"]["psnr"] > points[0]["metrics"]["psnr"]


def test_still_coders_have_bpp_alone(clip_file, tmp_path):
    curve = {"kind": "still", "still": "avif", "knob": "quality", "values": [50]}
    with pytest.raises(ConfigError, match="avif has no knob 'quality'; it has bpp"):
        swept(read_sweep(None, {"clips": [str(clip_file)], "curves": [curve]}), tmp_path)


def test_a_point_of_a_protocol_of_its_own_is_made_once(clip_file, tmp_path, monkeypatch):
    curve = CodecCurve(backbone="gaussian", set={"trajectory.steps": 4, "gop": 5}, values=(1.0,))
    protocol = replace(PROTOCOLS["gvcc"], size=(32, 24), gop=5, gops=1)
    jobs = [Job(replace(clip_of(clip_file), sha256="0" * 64), curve, 1.0, p, ("psnr",)) for p in (protocol, "gvcc")]
    assert jobs[0].key != jobs[1].key
    store, worker = Store(tmp_path), PointWorker(ALONE)
    point = make_point(jobs[0], store, worker)
    shown = {"width": 32, "height": 24, "num_frames": 5, "sample_aspect": "15/16"}
    assert point["video"] == shown | {"fps": point["video"]["fps"]}
    assert point["protocol"] == "gvcc"
    assert point["rate"]["paper_bpp"] < point["rate"]["bpp"]
    monkeypatch.setattr(PointWorker, "__call__", None)
    assert make_point(jobs[0], store, worker) == point == store.point(jobs[0].key)
