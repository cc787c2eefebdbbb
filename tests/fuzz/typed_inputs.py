"""Targets that read what a person or an earlier run wrote: words, descriptions in TOML, stored JSON, masks, videos."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image
from streams import mutated_bytes

from rfcodec.coding.regions import open_mask
from rfcodec.evaluation.datasets.dataset import load_dataset
from rfcodec.evaluation.store import Store
from rfcodec.evaluation.sweep.description import read_sweep
from rfcodec.presets import configure
from rfcodec.support import words
from rfcodec.types import VideoFormat
from rfcodec.video.reader import open_video

ATOMS = ("1", "0", "-1", "25", "30000/1001", "1e9", "nan", "inf", "x", "@", ":", "/", "=", ".", "yuv420p", "rgb24", "²", "")
ATOMS += ("9" * 5000, "1/0", " ", "_", "\0", "\x1b[2J", "352x288", "0x10", "trajectory.steps", "bpp", "gop", "codebook.m")
TOML = """
name = "quick"
clips = ["a.mp4"]
frames = "0:9"
size = "64x48"
backbones = ["gaussian"]
bpp = [0.1, 0.2]
set = { gop = 9 }
[[curves]]
kind = "codec"
values = [1, 2]
"""
DATASET = """
title = "d"
about = "a"
fps = 25
width = 16
files = ["{name}.mp4"]
[clips.a]
frames = [0, 9]
size = [64, 48]
"""
POINT = '{"key": "k", "clip": "a", "curve": "c", "knob": {"value": 1}, "metrics": {}}'


def _phrase(random: Random) -> bytes:
    return "".join(random.choice(ATOMS) for _ in range(random.randrange(7))).encode()


def _reading(parse: Callable[[str], Any]) -> Callable[[bytes], None]:
    return lambda data: parse(data.decode("utf-8", "replace"))


def _settings(text: str) -> None:
    configure("default", words.parse_settings(text.split()))


def _text_of(template: str) -> Callable[[Random], bytes]:
    def make(random: Random) -> bytes:
        if random.random() < 0.4:
            return mutated_bytes(random, template.encode())
        lines = template.splitlines()
        for _ in range(random.randrange(1, 4)):
            place = random.randrange(len(lines))
            name = lines[place].partition(" =")[0]
            value = random.choice(
                ('"x"', "1", "-1", "nan", "[]", "{}", "[[1]]", "true", '"1:0"', '"' + "[" * 50, "[" * 2000)
            )
            lines[place] = f"{name} = {value}"
        return "\n".join(lines).encode()

    return make


def _in_file(suffix: str, read: Callable[[Path], Any]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"input{suffix}"
            path.write_bytes(data)
            read(path)

    return run


def _read_points(path: Path) -> None:
    (path.parent / "points").mkdir()
    path.rename(path.parent / "points" / "k.json")
    Store(path.parent).points()


def _read_mask(path: Path) -> None:
    mask = open_mask(path, VideoFormat(16, 12, 4, 25))  # type: ignore[arg-type]
    assert mask is not None
    mask.read(0, 1)


def _read_video(path: Path) -> None:
    with open_video(path, frames=(0, 4)) as video:
        frames = video.read(0, min(2, video.format.num_frames))
        assert frames.shape[3] == 3


@cache
def _picture(kind: str) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=kind) as file:
        Image.fromarray(np.arange(16 * 12, dtype=np.uint8).reshape(12, 16)).save(file.name)
        return Path(file.name).read_bytes()


@cache
def _video(suffix: str, codec: str) -> bytes:
    import av

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        with av.open(str(path), "w") as file:
            stream: Any = file.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
            for shade in range(4):
                frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 60 * shade, np.uint8), format="rgb24")
                file.mux(stream.encode(frame.reformat(format="yuv420p")))
            file.mux(stream.encode())
        return path.read_bytes()


VIDEOS = ((".mkv", "ffv1"), (".mp4", "mpeg4"), (".avi", "mpeg4"))


def _make_video(random: Random) -> bytes:
    suffix, codec = random.choice(VIDEOS)
    return mutated_bytes(random, _video(suffix, codec))


WORD_TARGETS = {
    f"words {parse.__name__}": (_phrase, _reading(parse))
    for parse in (words.parse_frames, words.parse_size, words.parse_raw, _settings)
}
BYTE_TARGETS = {
    "sweep description": (_text_of(TOML), _in_file(".toml", lambda path: read_sweep(path, {}))),
    "dataset description": (_text_of(DATASET), _in_file(".toml", lambda path: load_dataset(path))),
    "stored points": (_text_of(POINT), _in_file(".json", _read_points)),
    "mask": (lambda random: mutated_bytes(random, _picture(random.choice((".png", ".bmp")))), _in_file(".png", _read_mask)),
    "video": (_make_video, _in_file(".mkv", _read_video)),
}
