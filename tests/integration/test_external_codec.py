import sys
import tomllib
from fractions import Fraction
from importlib.resources import as_file, files

import numpy as np
import pytest

from rfcodec.errors import AnchorError, BudgetTooSmall, ConfigError, OutputError
from rfcodec.evaluation.anchors.encoders import prepare
from rfcodec.evaluation.anchors.external import decode, encode, encode_to_rate, load_external
from rfcodec.metrics.fidelity import psnr
from rfcodec.video.reader import ArrayVideo, open_video

# Planes: the lowest bits of every sample are dropped, the rest goes through zlib. Pictures: an archive of them.
PROGRAM = """
import os, sys, zipfile, zlib
from pathlib import Path

verb, source, target, drop = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
if os.environ["CODEC_MOOD"] == "bad":
    sys.exit("the codec is in a bad mood")
coarse = bytes(i >> drop << drop for i in range(256))
if verb == "encode" and source.is_dir():
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for picture in source.iterdir():
            archive.write(picture, picture.name)
elif verb == "encode":
    head, mark, data = source.read_bytes().partition(b"FRAME\\n")
    frames = data.split(mark) if mark else [head]
    head = head + mark if mark else b""
    target.write_bytes(zlib.compress(head + mark.join(frame.translate(coarse) for frame in frames)))
elif target.is_dir():
    zipfile.ZipFile(source).extractall(target)
else:
    target.write_bytes(zlib.decompress(source.read_bytes())[: None if drop < 7 else -99])
"""
DESCRIPTION = """
name = "zlib"
knob = "drop"
values = [0, 2, 4, 6]
encode = ["{python} codec.py encode {{input}} {{stream}} {{knob}}"]
decode = ["{python} codec.py decode {{stream}} {{output}} {{knob}}"]
input = "{kind}"
output = "{kind}"
extension = "z"
[environment]
CODEC_MOOD = "{mood}"
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a name that needs care, with the program in it."""
    folder = tmp_path / "100% of it, {stream}"
    folder.mkdir()
    (folder / "codec.py").write_text(PROGRAM)
    return folder


@pytest.fixture
def describe(place):
    """describe(...) writes the TOML and loads it."""

    def make(kind="y4m", mood="good", change=("", "")):
        text = DESCRIPTION.format(python=f"'{sys.executable}'", kind=kind, mood=mood)
        (place / "zlib.toml").write_text(text.replace(*change))
        return load_external(place / "zlib.toml")

    return make


@pytest.fixture
def source(clip, place):
    video = ArrayVideo(clip, Fraction(30000, 1001))
    prepare(video, place / "clip.y4m")
    return place / "clip.y4m", video.format


def read(stream, video):
    with decode(stream, video) as decoded:
        assert decoded.format == video
        return np.concatenate(
            [decoded.read(start, min(start + 5, video.num_frames)) for start in range(0, video.num_frames, 5)]
        )


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["y4m", "yuv420p", "png"])
def test_round_trip(kind, describe, source, place):
    path, video = source
    stream = encode(describe(kind), path, video, place / "clip.z", knob=0)
    assert (stream.path, stream.size, stream.knob) == (place / "clip.z", (place / "clip.z").stat().st_size, 0)
    with open_video(path) as prepared:
        assert psnr(prepared.read(0, video.num_frames), read(stream, video)) == 100
    assert stream.encode_seconds > 0
    assert stream.commands[-1].startswith("cd ")
    assert " && env CODEC_MOOD=good " in stream.commands[-1]
    assert stream.commands[-1].endswith("stream.z' 0")
    assert len(stream.commands) == (1 if kind == "y4m" else 2)
    assert files_of(place) == ["clip.y4m", "clip.z", "codec.py", "zlib.toml"]


@pytest.mark.parametrize("kind", ["y4m", "yuv420p", "png"])
def test_odd_sizes(kind, describe, clip, place):
    frames = clip[:2, :47, :63]
    video = ArrayVideo(frames)
    prepare(video, place / "odd.y4m")
    stream = encode(describe(kind), place / "odd.y4m", video.format, place / "odd.z", knob=0)
    decoded = read(stream, video.format)
    assert decoded.shape == frames.shape
    assert psnr(frames, decoded) > 25


def test_a_rate_is_met_from_below(describe, source, place):
    path, video = source
    codec = describe()
    sizes = [encode(codec, path, video, place / "clip.z", knob=knob).size for knob in codec.values]
    assert sizes == sorted(sizes, reverse=True)
    for size, knob in zip(sizes, codec.values, strict=True):
        stream = encode_to_rate(codec, path, video, place / "rated.z", (size + 0.5) * 8 / video.pixels)
        assert (stream.path, stream.size, stream.knob) == (place / "rated.z", size, knob)
        assert len(read(stream, video)) == video.num_frames
    with pytest.raises(BudgetTooSmall, match=f"needs {sizes[-1]} .* at drop 6"):
        encode_to_rate(codec, path, video, place / "none.z", (sizes[-1] - 0.5) * 8 / video.pixels)
    assert files_of(place) == ["clip.y4m", "clip.z", "codec.py", "rated.z", "zlib.toml"]


def test_files_and_the_input_for_programs_that_cannot_decode_alone(describe, source, place):
    files_wanted = '"sub.txt" = "{width}x{height} {frames} {fps} {\\"knob\\": {knob}}"'
    codec = describe(change=("[environment]", f"decode_needs_input = true\n[files]\n{files_wanted}\n[environment]"))
    copy = f"'{sys.executable}' -c 'import shutil, sys; shutil.copy(*sys.argv[1:])'"
    codec = codec.model_copy(
        update={"encode": (f"{copy} {{work}}/sub.txt {{stream}}",), "decode": (f"{copy} {{input}} {{output}}",)}
    )
    path, video = source
    stream = encode(codec, path, video, place / "clip.z", knob=4.0)
    assert stream.path.read_text() == '64x48 13 30000/1001 {"knob": 4}'
    assert len(read(stream, video)) == 13


def test_a_program_that_fails(describe, source, place):
    with pytest.raises(AnchorError, match=r"ended with status 1: cd .*encode.*\nthe codec is in a bad mood"):
        encode(describe(mood="bad"), *source, place / "clip.z", knob=0)
    assert files_of(place) == ["clip.y4m", "codec.py", "zlib.toml"]


def test_a_program_that_is_not_there(describe, source, place):
    codec = describe(change=(f"'{sys.executable}'", "no-such-program"))
    with pytest.raises(AnchorError, match=r"cannot be started: No such file .*no-such-program codec\.py encode"):
        encode(codec, *source, place / "clip.z", knob=0)


def test_a_program_that_writes_nothing(describe, source, place):
    codec = describe().model_copy(update={"encode": (f"'{sys.executable}' -c pass {{stream}}",)})
    with pytest.raises(AnchorError, match="zlib reported success, but wrote no stream"):
        encode(codec, *source, place / "clip.z", knob=0)
    assert files_of(place) == ["clip.y4m", "codec.py", "zlib.toml"]


def test_a_program_that_loses_frames(describe, source, place):
    path, video = source
    stream = encode(describe(), path, video, place / "clip.z", knob=7)
    with pytest.raises(AnchorError, match="zlib: decoded 12 frames of 64x48, not 13 of 64x48"), decode(stream, video):
        pass
    stream = encode(describe("yuv420p"), path, video, place / "clip.z", knob=7)
    with pytest.raises(AnchorError, match="zlib reported success, but left no video"), decode(stream, video):
        pass
    assert files_of(place) == ["clip.y4m", "clip.z", "codec.py", "zlib.toml"]


def test_a_place_that_is_not_there(describe, source, place):
    with pytest.raises(OutputError, match="nowhere"):
        encode(describe(), *source, place / "nowhere" / "clip.z", knob=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("{stream} {knob}", "{other} {knob}"), r"\{other\} stands for nothing; legal: \{input\}"),
        (("{stream} {output}", "{output}"), r"no command of `decode` names \{stream\}"),
        (("{input} {stream}", "{input}"), r"no command of `encode` names \{stream\}"),
        (("codec.py encode", "codec.py encode 'x"), "cannot be split into words: No closing quotation"),
        (("encode = [", 'encode = ["", '), "a command is empty"),
        (("values = [0, 2, 4, 6]", "values = []"), "values"),
        (('"y4m"', '"avi"'), "input is 'avi'; legal: y4m, yuv420p, png"),
        (("extension =", "suffix ="), "suffix"),
        (("name =", "name"), "cannot be read as TOML"),
        (("[environment]", 'folder = "absent"\n[environment]'), "there is no folder .*absent; correct `folder`"),
    ],
)
def test_descriptions_that_are_not_legal(change, message, describe):
    with pytest.raises(ConfigError, match=message):
        describe(change=change)


def test_a_description_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_external(tmp_path / "absent.toml")


def test_the_example_is_legal_and_shows_every_key(tmp_path):
    with as_file(files("rfcodec.evaluation.anchors") / "externals" / "example.toml") as example:
        text = example.read_text()
    (tmp_path / "DCVC").mkdir()
    (tmp_path / "mine.toml").write_text(text.replace('"~/DCVC"', '"DCVC"'))
    codec = load_external(tmp_path / "mine.toml")
    assert codec.values == tuple(range(63, -1, -1))
    assert codec.folder == tmp_path / "DCVC"
    assert set(tomllib.loads(text)) == set(type(codec).model_fields)
