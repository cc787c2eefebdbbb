"""What the Python interface takes and gives: arrays, tensors, pictures, bytes, files; accounts of an encoding; names."""

import io
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import rfcodec
from rfcodec.errors import (
    ConfigError,
    FrameRangeError,
    FrameSizeError,
    InputError,
    NotAStream,
    OutputError,
    UnknownPlugin,
)

SMALL = {"backbone": "gaussian", "gop": 5, "steps": 6, "bytes": 3000}


@pytest.fixture(scope="module")
def stream(clip):
    return rfcodec.compress(clip, mode="i2v", **SMALL)


def test_bytes_in_memory_are_those_of_a_file(clip, stream, tmp_path):
    rfcodec.encode(clip, tmp_path / "a.rfv", mode="i2v", **SMALL)
    assert (tmp_path / "a.rfv").read_bytes() == stream
    assert isinstance(stream, bytes)


def test_arrays_tensors_and_pictures_are_one_video(clip, stream):
    pictures = [Image.fromarray(frame) for frame in clip]
    for given in (torch.from_numpy(clip), pictures, tuple(pictures), np.asfortranarray(clip)):
        assert rfcodec.compress(given, mode="i2v", **SMALL) == stream


def test_videos_may_be_bytes_and_files(clip_file, tmp_path):
    expected = rfcodec.compress(clip_file, **SMALL)
    assert rfcodec.compress(clip_file.read_bytes(), **SMALL) == expected
    with clip_file.open("rb") as file:
        assert rfcodec.compress(file, **SMALL) == expected


def test_streams_may_be_bytes_and_files(stream, tmp_path):
    (tmp_path / "a.rfv").write_bytes(stream)
    frames = [rfcodec.decompress(given) for given in (stream, bytearray(stream), io.BytesIO(stream), tmp_path / "a.rfv")]
    assert all(np.array_equal(found, frames[0]) for found in frames)
    assert frames[0].shape == (13, 48, 64, 3)
    assert rfcodec.info(stream).size == rfcodec.info(tmp_path / "a.rfv").size == len(stream)
    with pytest.raises(NotAStream):
        rfcodec.info(b"no stream")


def test_plain_arguments_are_settings(clip):
    found = rfcodec.info(rfcodec.compress(clip, frames=(2, 9), size=(32, 24), fps=50, threads=1, device="cpu", **SMALL))
    assert (found.header.num_frames, found.header.width, found.header.height) == (7, 32, 24)
    assert found.header.format.fps == Fraction(50)
    assert found.header.trajectory.steps == 6


def test_an_encoding_keeps_its_accounts(clip, tmp_path):
    done = rfcodec.encode(clip, tmp_path / "a.rfv", mode="flf2v", **SMALL)
    told = rfcodec.info(tmp_path / "a.rfv")
    assert done.bytes_by_purpose == told.bytes_by_purpose
    assert sum(done.bytes_by_purpose.values()) == done.size == told.size
    assert [sum(bits) for bits in done.bits_per_step] == [gop.header.symbol_bits for gop in told.gops]
    error = (rfcodec.decompress(tmp_path / "a.rfv").astype(float) - clip) ** 2
    assert done.psnr == pytest.approx(np.mean(10 * np.log10(255**2 / error.mean((1, 2, 3)))), abs=0.1)
    assert rfcodec.encode(clip, io.BytesIO(), measure=False, **SMALL).psnr is None


def test_accounts_of_shared_work_are_those_of_work_alone(clip):
    shared = rfcodec.RuntimeConfig(jobs=2, executor="serial")
    one, two = (rfcodec.encode(clip, io.BytesIO(), runtime=runtime, **SMALL) for runtime in (None, shared))
    assert one == two


def test_a_function_may_watch(clip):
    seen = []
    done = rfcodec.encode(clip, io.BytesIO(), watcher=seen.append, **SMALL)
    assert [report.bits for report in seen] == [bits for gop in done.bits_per_step for bits in gop]
    assert [(report.span.index, report.k, report.n) for report in seen[:5]] == [(0, k, 4) for k in range(4)] + [(1, 0, 4)]
    assert all(report.x0_hat.shape == (3, 5, 48, 64) for report in seen[:4])
    assert seen[3].mse < seen[0].mse


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (3, InputError, "int"),
        ([], InputError, "list"),
        (np.zeros((2, 8, 8), np.uint8), FrameSizeError, "uint8 of shape"),
        (torch.zeros(2, 3, 8, 8), FrameSizeError, "uint8 of shape"),
        ([Image.new("RGB", (8, 8)), Image.new("RGB", (9, 8))], FrameSizeError, r"\(8, 8\) to \(9, 8\)"),
    ],
)
def test_what_is_no_video_is_refused_with_what_is(given, error, words):
    with pytest.raises(error, match=words):
        rfcodec.compress(given, **SMALL)


def test_frames_that_are_not_there_are_refused(clip):
    with pytest.raises(FrameRangeError):
        rfcodec.compress(clip, frames=(5, 99), **SMALL)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"bbp": 0.1}, ConfigError, r"no setting 'bbp' \(did you mean 'bpp'\?\); there are: backbone, "),
        ({"trajectory__step": 8}, ConfigError, "did you mean 'trajectory.steps'"),
        ({"steps": 1}, ConfigError, "trajectory.steps is 1; legal: a whole number from 2 to 500"),
        ({"information_share": 0}, ConfigError, "information_share is 0; legal: a number above 0 to 1"),
        ({"profile": "none"}, ConfigError, "profile is 'none'; legal: pilot, backbone"),
        ({"threads": 0}, ConfigError, "threads is 0; legal: a whole number from 1"),
        ({"preset": "fats"}, UnknownPlugin, r"did you mean 'fast'\?"),
    ],
)
def test_a_wrong_name_or_value_is_told_what_is_legal(clip, settings, error, words):
    with pytest.raises(error, match=words) as raised:
        rfcodec.compress(clip, **SMALL | settings)
    assert "pydantic" not in str(raised.value)
    assert "Input should" not in str(raised.value)


def test_public_names_are_listed_and_there():
    assert {"encode", "decode", "compress", "decompress", "info", "Watcher", "Encoded", "DecodedFrames"} <= set(dir(rfcodec))
    assert all(getattr(rfcodec, name) is not None for name in dir(rfcodec))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rfcodec.nothing  # noqa: B018


def test_a_type_checker_knows_the_interface(tmp_path):
    """What an editor completes: no result is of an unknown type."""
    script = tmp_path / "use.py"
    script.write_text(
        "import numpy as np\nimport rfcodec\n"
        "data = rfcodec.compress(np.zeros((2, 8, 8, 3), np.uint8), bpp=0.5)\n"
        "done = rfcodec.encode('a.mp4', 'a.rfv', watcher=lambda at: print(at.k, at.n, at.bits))\n"
        "reveal_type(data)\nreveal_type(done.bits_per_step)\nreveal_type(done.psnr)\nreveal_type(rfcodec.info(data).bpp)\n"
        "for piece in rfcodec.decode(data):\n    reveal_type(piece.start)\n"
    )
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(Path(rfcodec.__file__).parents[1])]}))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    types = [line.partition(' is "')[2].rstrip('"') for line in done.stdout.splitlines() if "Type of" in line]
    assert types == ["bytes", "tuple[tuple[int, ...], ...]", "float | None", "float", "int"]


class ShortSink(io.RawIOBase):
    """Takes forty bytes of each write."""

    def writable(self):
        return True

    def write(self, data):
        return min(len(data), 40)


class FullSink(ShortSink):
    """Has no room."""

    def write(self, data):
        raise OSError(28, "No space left on device")


def test_a_file_that_does_not_take_all_is_an_error(clip):
    for sink in (ShortSink(), FullSink(), io.StringIO()):
        with pytest.raises(OutputError, match="binary file"):
            rfcodec.encode(clip, sink, **SMALL)


@pytest.mark.parametrize("fps", [0, -3, float("nan"), float("inf"), "x"])
def test_a_speed_that_is_none_is_refused(clip, fps):
    with pytest.raises(InputError, match="fps is"):
        rfcodec.compress(clip, fps=fps, **SMALL)


def test_a_video_that_has_a_speed_takes_no_other(clip):
    with pytest.raises(InputError, match="fps is for arrays"):
        rfcodec.compress(rfcodec.ArrayVideo(clip, 30), fps=60, **SMALL)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"codebook__memory": 99}, "memory is 99"),
        ({"steps": 4, "trajectory__ode_tail": 9}, "ode_tail is 9 of 4 steps"),
        ({"trajectory__eta": 0.12345}, "steps of 0.001"),
        ({"trajectory__solver": "euler_maruyama"}, "is infinite"),
        ({"codebook__memory": 1.5}, "codebook.parameters.memory is 1.5; legal: a whole number"),
        ({"codebook": "trellis"}, "set its parts: name, parameters"),
        ({"seed": -1}, f"from 0 below {2**62}"),
    ],
)
def test_settings_that_a_stream_cannot_hold_are_settings_refused(clip, settings, words):
    with pytest.raises(ConfigError, match=words):
        rfcodec.compress(clip, **SMALL | settings)


@pytest.mark.parametrize("shift", [0.001, 0.059, 0.061, 0.107, 0.5])
def test_grids_begin_at_one_whatever_their_shift(clip, shift):
    data = rfcodec.compress(clip[:3], trajectory__shift=shift, **SMALL | {"gop": 3})
    assert [piece.digest_ok for piece in rfcodec.decode(data)] == [True]
