"""What the whole suite shares: a small moving clip, and the command line in this process and in a fresh one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is loaded; the workers of pytest share the cores

import shape_checks

# shapes and types of array code are checked while tests run, and cost nothing in production
shape_checks.install(["codebooks", "rfcodec.flow", "rfcodec.trajectory", "rfcodec.backbones"])


import gc
import json
import subprocess
import sys
from fractions import Fraction

import fresh
import numpy as np
import pytest
from fresh import Outcome

from rfcodec.types import VideoFormat
from rfcodec.video.reader import VideoWriter, open_video

FPS = Fraction(25)


os.environ.update(RAY_worker_niceness="0")  # else its workers wait for all others of a busy machine


def pytest_addoption(parser):
    parser.addoption("--regenerate", action="store_true", help="Write the conformance vectors anew.")


@pytest.fixture(scope="module", autouse=True)
def frozen_heap():
    """What is loaded by now stays: imageio collects garbage whenever it closes a video, which need not look at all of it."""
    gc.collect()
    gc.freeze()


def _wave(phase, period):
    """A triangle wave in 0..255, in whole numbers, so that every machine makes the same clip."""
    position = phase % (2 * period)
    return np.minimum(position, 2 * period - position) * 255 // period


def moving_clip(count=13, width=64, height=48):
    """uint8 frames `t y x 3` of soft bars that drift in three directions, one for each colour."""
    t, y, x = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    colours = [_wave(2 * x + 3 * t, 37), _wave(x + 2 * y - 2 * t, 29), _wave(y + t, 23)]
    return np.stack(colours, axis=-1).astype(np.uint8)


def save_clip(path, frames):
    count, height, width, _ = frames.shape
    with VideoWriter(path, VideoFormat(width, height, count, FPS)) as writer:
        writer.write(frames)
    return path


def load_frames(path):
    with open_video(path) as video:
        return video.read(0, video.format.num_frames)


@pytest.fixture(scope="session")
def make_clip():
    """moving_clip(count, width, height)."""
    return moving_clip


@pytest.fixture(scope="session")
def save():
    """save(path, frames) writes a lossless file."""
    return save_clip


@pytest.fixture(scope="session")
def load():
    """load(path) reads all frames of a file."""
    return load_frames


@pytest.fixture(scope="session")
def clip():
    """Thirteen frames of 64 x 48."""
    return moving_clip()


@pytest.fixture(scope="session")
def clip_file(clip, tmp_path_factory):
    """The same clip as a lossless file."""
    return save_clip(tmp_path_factory.mktemp("clip") / "clip.mkv", clip)


@pytest.fixture(scope="session")
def cli():
    """cli(*arguments) runs the command line in this process, which saves the start of Python and torch."""
    return fresh.call


@pytest.fixture(scope="session")
def process(tmp_path_factory):
    """process(*arguments) runs Python in a fresh process, process("-m", "rfcodec", ...) the command line in one."""
    home = tmp_path_factory.mktemp("process")

    def run(*arguments, cwd=home, env=None, **more):
        command = [sys.executable, *map(str, arguments)]
        settings = os.environ | {"OMP_NUM_THREADS": "1"} | (env or {})
        done = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, check=False, **more)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def in_a_fresh_process(process):
    """in_a_fresh_process([arguments, ...]): outcomes of calls of the command line, all in one process of their own."""

    def run(calls, **more):
        words = json.dumps([[str(word) for word in arguments] for arguments in calls])
        told = process(fresh.__file__, input=words, **more)
        assert told.status == 0, told.err
        return [Outcome(**outcome) for outcome in json.loads(told.out.rpartition("OUTCOMES ")[2])]

    return run


@pytest.fixture
def full_disk(monkeypatch):
    """Half of what is written finds room, then there is none."""

    def write(self, data):
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", write)
