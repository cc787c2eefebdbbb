"""Every way to fail: one line, exit status 1, nothing left behind; and damaged streams of all sorts."""

import os
import random
import resource
import sys
import warnings
import zlib
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import rfcodec
from rfcodec import api, errors
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import PREAMBLE, read_preamble
from rfcodec.bitstream.fields import ByteReader
from rfcodec.bitstream.records import UnitType, read_unit
from rfcodec.cli import app as command_line
from rfcodec.errors import (
    ArithmeticWarning,
    BackboneError,
    BitstreamError,
    BudgetTooSmall,
    ConfigError,
    CorruptRecord,
    DamageWarning,
    RfcodecError,
)
from rfcodec.metrics.lpips import Lpips

MODES = ["t2v", "i2v", "flf2v"]
FAST = ["--backbone", "gaussian", "--set", "trajectory.steps=6", "--set", "trajectory.ode_tail=2", "--gop", "5"]
SMALL = {"backbone": "gaussian", "gop": 5, "trajectory__steps": 6, "trajectory__ode_tail": 2}
OURS = (BitstreamError, ConfigError, BackboneError)
MOST_PIXELS = 1 << 17  # a damaged header may ask for more, and get it; here nobody has the time


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def fails(outcome, *words):
    """One line beginning with error:, exit status 1."""
    told = lines(outcome.err)
    assert outcome.status == 1, outcome
    assert len(told) == 1, outcome.err
    assert told[0].startswith("error: ")
    assert all(word in told[0] for word in words), told[0]
    assert outcome.out == ""
    return told[0]


def frames_of(path, **more):
    return np.concatenate([piece.frames for piece in api.decode(path, **more)])


def units_of(data):
    """(type, start, end) of every unit after the signature."""
    reader = ByteReader(data)
    reader.position = len(PREAMBLE)
    found = []
    while not reader.exhausted:
        start = reader.position
        found.append((read_unit(reader).type, start, reader.position))
    return found


def reseal(data):
    """The same units with checksums that fit; for damage that a checksum would otherwise catch."""
    data = bytearray(data)
    reader = ByteReader(bytes(data))
    reader.position = len(PREAMBLE)
    while not reader.exhausted:
        start = reader.position
        try:
            reader.take(1)
            reader.take(reader.varint())
            end = reader.position
            reader.take(4)
        except BitstreamError:
            break
        data[end : end + 4] = zlib.crc32(data[start:end]).to_bytes(4, "little")
    return bytes(data)


@pytest.fixture(scope="module")
def tiny_clip(make_clip):
    """Seven frames of 32 x 24: three GOPs of three frames at most."""
    return make_clip(7, 32, 24)


@pytest.fixture(scope="module")
def tiny(tiny_clip, tmp_path_factory):
    """A stream of some hundred bytes in each mode."""
    folder = tmp_path_factory.mktemp("tiny")
    settings = SMALL | {"gop": 3, "trajectory__steps": 4, "trajectory__ode_tail": 1, "still": "trajectory", "bytes": 420}
    for mode in MODES:
        rfcodec.encode(tiny_clip, folder / mode, mode=mode, **settings)
    return {mode: (folder / mode).read_bytes() for mode in MODES}


# A way to each class


def encoding(*options):
    return lambda clip, folder: ["encode", clip, folder / "out.rfv", "--bytes", 3000, *FAST, *options]


@cache
def stream_of(clip):
    """The bytes of the clip in 2000 bytes, coded once."""
    with TemporaryDirectory() as folder:
        rfcodec.encode(clip, Path(folder) / "a.rfv", bytes=2000, **SMALL)
        return (Path(folder) / "a.rfv").read_bytes()


def decoding(change, *options):
    """Decoding of a stream changed by `change(data)`."""

    def arguments(clip, folder):
        source = folder / "in"
        source.mkdir()
        (source / "a.rfv").write_bytes(change(stream_of(clip)))
        return ["decode", source / "a.rfv", folder / "out.mkv", *options]

    return arguments


def with_header(**changes):
    """The stream with another sequence header."""

    def change(data):
        reader = ByteReader(data)
        header = read_preamble(reader)
        payload = fields.write(replace(header, **changes))
        unit = bytes([UnitType.SEQUENCE]) + fields.varint(len(payload)) + payload
        return PREAMBLE + unit + zlib.crc32(unit).to_bytes(4, "little") + data[reader.position :]

    return change


def flipped_symbol(data):
    start = next(start for kind, start, _ in units_of(data) if kind == UnitType.SYMBOLS)
    return data[: start + 5] + bytes([data[start + 5] ^ 1]) + data[start + 6 :]


def swapped_gops(data):
    starts = [start for kind, start, _ in units_of(data) if kind == UnitType.GOP]
    end = next(start for kind, start, _ in units_of(data) if kind == UnitType.INDEX)
    return data[: starts[0]] + data[starts[1] : starts[2]] + data[starts[0] : starts[1]] + data[starts[2] : end] + data[end:]


def without_last_gop(data):
    starts = [start for kind, start, _ in units_of(data) if kind == UnitType.GOP]
    index, end = ((start, stop) for kind, start, stop in units_of(data) if kind in (UnitType.INDEX, UnitType.END))
    total = starts[-1] + (end[0] - index[0]) + (end[1] - end[0])
    shorter = bytearray(data[: starts[-1]] + data[index[0] :])
    shorter[-20:-12] = total.to_bytes(8, "little")
    return reseal(shorter)


def broken_weights(clip, folder):
    """A folder whose file of LPIPS weights is none."""
    weights = folder / "weights"
    weights.mkdir()
    (weights / "alexnet_imagenet1k_v1_features.safetensors").write_bytes(b"nothing")
    (weights / "a.rfv").write_bytes(stream_of(clip))
    return ["verify", weights / "a.rfv", "--against", clip, "--lpips-weights", weights]


def raw_without_speed(clip, folder):
    raw = folder / "in.yuv"
    raw.write_bytes(bytes(64 * 48 * 3 // 2))
    return ["encode", raw, folder / "out.rfv", "--bytes", 3000, "--raw", "64x48@0"]


WAYS = [
    ("ConfigError", encoding("--bpp", 0.1), ["bpp and bytes"]),
    ("ConfigError", encoding("--device", "cuda:99"), ["cuda:99", "this machine has"]),
    ("ConfigError", encoding("--device", "toaster"), ["'toaster'", "cpu"]),
    ("ConfigError", encoding("--set", "nonsense=1"), ["nonsense", "there are"]),
    ("ConfigError", encoding("--set", "trajectory.nonsense=1"), ["trajectory.nonsense"]),
    ("ConfigError", encoding("--set", "trajectory.steps=1"), ["trajectory.steps is 1", "from 2 to 500"]),
    ("ConfigError", encoding("--set", "trajectory.steps=soon"), ["trajectory.steps", "soon"]),
    ("ConfigError", encoding("--set", "trajectory.solver=heun"), ["trajectory.solver", "posterior", "heun"]),
    ("ConfigError", encoding("--set", "trajectory"), ["field=value"]),
    ("ConfigError", encoding("--set", "seed=-1"), ["seed", "-1"]),
    ("ConfigError", encoding("--gop", "0"), ["gop", "0"]),
    ("ConfigError", encoding("--frames", "3"), ["A:B"]),
    ("ConfigError", encoding("--frames", "a:b"), ["a:b"]),
    ("ConfigError", encoding("--size", "64"), ["WxH"]),
    ("ConfigError", encoding("--raw", "64@25"), ["WxH@FPS"]),
    ("ConfigError", encoding("--set", "backbone_options=x"), ["backbone_options"]),
    ("UnknownPlugin", encoding("--codebook", "nonsense"), ["nonsense", "trellis"]),
    ("UnknownPlugin", encoding("--backbone", "nonsense"), ["nonsense", "gaussian"]),
    ("UnknownPlugin", encoding("--mode", "nonsense"), ["nonsense", "i2v"]),
    ("UnknownPlugin", encoding("--still", "nonsense"), ["nonsense", "avif"]),
    ("UnknownPlugin", encoding("--preset", "nonsense"), ["nonsense", "gvcc"]),
    ("UnknownPlugin", decoding(with_header(codebook=99)), ["99"]),
    ("UnknownPlugin", decoding(with_header(backbone="nonsense")), ["nonsense"]),
    ("UnsupportedCondition", encoding("--prompt", "soft bars"), ["no text"]),
    ("BudgetTooSmall", encoding("--set", "bytes=150"), ["smallest possible", "bpp"]),
    ("InputError", raw_without_speed, ["fps"]),
    ("InputError", encoding("--raw", "64x48@fast"), ["fps is fast"]),
    ("VideoReadError", lambda clip, folder: ["encode", folder / "no.mkv", folder / "out.rfv", "--bytes", 3000], ["no.mkv"]),
    ("VideoReadError", lambda clip, folder: ["encode", __file__, folder / "out.rfv", "--bytes", 3000], ["test_errors.py"]),
    ("VideoReadError", lambda clip, folder: ["decode", folder / "no.rfv", folder / "out.mkv"], ["no.rfv"]),
    ("FrameRangeError", encoding("--frames", "5:99"), ["13"]),
    ("FrameRangeError", encoding("--frames", "5:5"), ["5:5"]),
    ("FrameRangeError", decoding(bytes, "--frames", "9:99"), ["0:13"]),
    ("FrameSizeError", encoding("--size", "0x48"), ["0x48"]),
    ("FrameSizeError", encoding("--size", "99999x48"), ["99999x48"]),
    ("OutputError", lambda clip, folder: ["encode", clip, folder / "no" / "out.rfv", "--bytes", 3000, *FAST], ["out.rfv"]),
    ("OutputError", encoding("--recon", "recon.nonsense"), ["recon.nonsense", ".mkv"]),
    ("OutputError", lambda clip, folder: ["encode", clip, folder, "--bytes", 3000, *FAST], ["cannot write"]),
    ("MissingWeights", broken_weights, ["alexnet"]),
    ("BackboneMismatch", decoding(with_header(weights=bytes(8))), ["0000000000000000", "install"]),
    ("NotAStream", decoding(lambda data: b"RIFF" + data), ["signature"]),
    ("NotAStream", decoding(lambda data: b""), ["signature"]),
    ("UnsupportedFeature", decoding(with_header(extensions=(("Layers", b"x"),))), ["Layers", "newer"]),
    ("LimitExceeded", decoding(bytes, "--max-frames", 12), ["13 frames", "--max-frames", "RFCODEC_MAX_FRAMES"]),
    ("UnsupportedVersion", decoding(lambda data: data[:4] + b"\x63" + data[5:]), ["99"]),
    ("TruncatedStream", decoding(lambda data: data[:-300]), ["bytes wanted"]),
    ("TruncatedStream", decoding(lambda data: data[:3]), ["bytes wanted"]),
    ("CorruptRecord", decoding(flipped_symbol), ["checksum", "--partial"]),
    ("InvalidField", decoding(lambda data: data + b"\0"), ["end mark"]),
    ("InvalidField", decoding(swapped_gops), ["GOP 1", "GOP 0"]),
    ("TruncatedStream", decoding(without_last_gop), ["of 3"]),
]
ABSTRACT = {"RfcodecError", "BackboneError", "BitstreamError"}  # parents that are raised by their children alone
ELSEWHERE = {"ShadowedPackage", "AnchorError", "WorkerError"}  # need a process of their own, or an encoder that fails


@pytest.mark.parametrize(("name", "arguments", "words"), WAYS, ids=[f"{name}-{i}" for i, (name, _, _) in enumerate(WAYS)])
def test_one_line_and_nothing_left(name, arguments, words, cli, clip_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = note_classes(monkeypatch)
    call = arguments(clip_file, tmp_path)
    if "bytes=150" in call:
        call.remove("--bytes")
        call.remove(3000)
    before = sorted(tmp_path.rglob("*"))
    fails(cli(*call), *words)
    assert seen == [name]
    assert sorted(tmp_path.rglob("*")) == before


def note_classes(monkeypatch):
    """The classes of the errors that reach the command line's end, as they come."""
    seen, app = [], command_line.app

    def noting(**how):
        try:
            return app(**how)
        except RfcodecError as error:
            seen.append(type(error).__name__)
            raise

    monkeypatch.setattr(command_line, "app", noting)
    return seen


def test_every_class_has_a_way():
    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, RfcodecError)}
    assert classes == {name for name, _, _ in WAYS} | ABSTRACT | ELSEWHERE


def test_nothing_but_the_line(cli, clip_file, tmp_path):
    told = cli("encode", clip_file, tmp_path / "a.rfv", "--prompt", "soft bars", "--bytes", 3000, *FAST).err
    assert told == lines(told)[0] + "\n"


@pytest.mark.parametrize("name", ["[bold].mkv", "a[/b].mkv"])
def test_brackets_in_names_are_shown(name, cli, tmp_path):
    fails(cli("encode", tmp_path / name, tmp_path / "a.rfv", "--bytes", 3000), name)


@pytest.mark.parametrize(
    "options",
    [
        ["--bpp", "inf"],
        ["--set", "bytes=3000", "--threads", "0"],
        ["--set", "bytes=3000", "--set", "codebook.nonsense=1"],
        ["--set", "bytes=3000", "--set", "codebook=trellis"],
        ["--set", "bytes=3000", "--set", "codebook.parameters=3"],
        ["--set", "bytes=3000", "--steps", "6", "--set", "trajectory.steps.x=1"],
    ],
)
def test_odd_settings_are_one_line_too(options, cli, clip_file, tmp_path):
    fails(cli("encode", clip_file, tmp_path / "a.rfv", *FAST[4:], *options))
    assert not list(tmp_path.iterdir())


def test_a_usage_error_is_not_a_traceback(cli, clip_file, tmp_path):
    for arguments in (["encode"], ["nonsense"], ["encode", clip_file, tmp_path / "a.rfv", "--bytes", "many"]):
        outcome = cli(*arguments)
        assert outcome.status == 2
        assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("mode", "still"),
    [
        ("t2v", "avif"),
        pytest.param("i2v", "avif"),
        pytest.param("i2v", "trajectory"),
        pytest.param("flf2v", "avif"),
        ("flf2v", "trajectory"),
    ],
)
def test_the_smallest_budget_is_the_one_that_is_named(mode, still, clip, tmp_path):
    def encode(size):
        return rfcodec.encode(clip, tmp_path / "a.rfv", mode=mode, still=still, bytes=size, **SMALL)

    with pytest.raises(BudgetTooSmall, match="smallest possible") as refusal:
        encode(60)
    smallest = int(str(refusal.value).partition("about ")[2].partition(" bytes")[0])
    assert encode(smallest).size <= smallest
    assert frames_of(tmp_path / "a.rfv").shape == clip.shape
    with pytest.raises(BudgetTooSmall):
        encode(int(0.7 * smallest))


def full_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_full_disk_at_encoding(process, clip_file, tmp_path):
    call = ["encode", clip_file, tmp_path / "a.rfv", "--bytes", 3000, *FAST]
    fails(process("-B", "-m", "rfcodec", *call, preexec_fn=full_disk), "a.rfv", "File too large")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_at_decoding(process, clip, tmp_path):
    rfcodec.encode(clip, tmp_path / "a.rfv", bytes=3000, **SMALL)
    call = ["decode", tmp_path / "a.rfv", tmp_path / "b.mkv"]
    fails(process("-B", "-m", "rfcodec", *call, preexec_fn=full_disk), "b.mkv", "File too large")
    assert [path.name for path in tmp_path.iterdir()] == ["a.rfv"]


@pytest.mark.parametrize(("package", "content"), [("codebooks", ""), pytest.param("conditioning", "import nonsense_xyz")])
def test_a_foreign_package_of_the_same_name(package, content, process, clip_file, tmp_path):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(content)
    call = ["encode", clip_file, tmp_path / "a.rfv", "--bytes", 3000, *FAST]
    outcome = process("-B", "-m", "rfcodec", *call, env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])})
    fails(outcome, package, str(tmp_path), "another folder")
    assert [path.name for path in tmp_path.iterdir()] == [package]


# Damage


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_cut_anywhere(mode, tiny, tiny_clip, tmp_path):
    path = tmp_path / "a.rfv"
    for size in range(0, len(tiny[mode]), 10):
        path.write_bytes(tiny[mode][:size])
        with pytest.raises(BitstreamError):
            frames_of(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamageWarning)
            try:
                frames = frames_of(path, partial=True)
            except BitstreamError:
                assert size < units_of(tiny[mode])[1][2]  # up to the end of the first GOP unit there is nothing to decode
            else:
                assert frames.shape == tiny_clip.shape


def test_any_flipped_byte_is_noticed(tiny, tmp_path):
    path = tmp_path / "a.rfv"
    pattern = random.Random(1)
    for mode in MODES:
        for position in range(len(tiny[mode])):
            data = bytearray(tiny[mode])
            data[position] ^= pattern.randrange(1, 256)
            path.write_bytes(data)
            with pytest.raises(BitstreamError):
                api.info(path)
    for position in range(0, len(tiny["t2v"]), 7):
        data = bytearray(tiny["t2v"])
        data[position] ^= 1 << pattern.randrange(8)
        path.write_bytes(data)
        with pytest.raises(BitstreamError):
            frames_of(path)


def decode_with_care(path, **more):
    """Frames, or None on an error of ours, or where the header asks for more than anybody has the time for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        warnings.simplefilter("ignore", ArithmeticWarning)
        try:
            header = read_preamble(ByteReader(path.read_bytes()))
            if header.format.pixels > MOST_PIXELS or header.trajectory.steps > 50:
                return None
            return frames_of(path, **more)
        except OURS:
            return None


@pytest.mark.parametrize("mode", MODES)
def test_a_flipped_byte_under_a_good_checksum(mode, tiny, tmp_path):
    path = tmp_path / "a.rfv"
    pattern = random.Random(2)
    for position in range(len(tiny[mode])):
        data = bytearray(tiny[mode])
        data[position] ^= pattern.randrange(1, 256)
        path.write_bytes(reseal(data))
        with suppress(*OURS):
            api.info(path)
        if position < units_of(tiny[mode])[0][2] or position % 7 == MODES.index(mode):
            frames = decode_with_care(path)
            assert frames is None or frames.dtype == np.uint8


@pytest.mark.parametrize("mode", MODES)
def test_partial_decoding_of_a_flipped_byte(mode, tiny, tiny_clip, tmp_path):
    path = tmp_path / "a.rfv"
    pattern = random.Random(3)
    header = units_of(tiny[mode])[0][2]
    for position in range(header, len(tiny[mode]), 7):
        data = bytearray(tiny[mode])
        data[position] ^= pattern.randrange(1, 256)
        path.write_bytes(data)
        assert decode_with_care(path, partial=True).shape == tiny_clip.shape


def test_bytes_overwritten_at_random(tiny, tmp_path):
    path = tmp_path / "a.rfv"
    pattern = random.Random(4)
    for number in range(60):
        data = bytearray(tiny[MODES[number % 3]])
        length = pattern.randrange(1, 40)
        start = pattern.randrange(len(data) - length)
        for position in range(start, start + length):
            data[position] ^= pattern.randrange(1, 256)
        path.write_bytes(data)
        with pytest.raises(BitstreamError):
            frames_of(path)
        decode_with_care(path, partial=True)
        path.write_bytes(reseal(data))
        decode_with_care(path, partial=True)
        path.write_bytes(PREAMBLE + pattern.randbytes(length))
        assert decode_with_care(path, partial=True) is None


# Partial decoding


def damage(data, gop, kind, offset=6):
    """One flipped byte in the unit of that kind that belongs to that GOP."""
    units = units_of(data)
    first = [i for i, unit in enumerate(units) if unit[0] == UnitType.GOP][gop]
    start = next(start for found, start, _ in units[first:] if found == kind)
    return data[: start + offset] + bytes([data[start + offset] ^ 0x55]) + data[start + offset + 1 :]


@pytest.fixture(scope="module")
def intact(clip, tmp_path_factory):
    """The clip in T2V and FLF2V: (path, frames)."""
    folder = tmp_path_factory.mktemp("intact")
    for mode in MODES:
        rfcodec.encode(clip, folder / mode, mode=mode, bytes=3000, **SMALL)
    return {mode: (folder / mode, frames_of(folder / mode)) for mode in MODES}


@pytest.mark.parametrize(("mode", "first", "last"), [("t2v", 5, 10), ("flf2v", 5, 9)])
def test_damaged_symbols_touch_one_gop(mode, first, last, intact, tmp_path):
    path, expected = intact[mode]
    (tmp_path / "a").write_bytes(damage(path.read_bytes(), 1, UnitType.SYMBOLS))
    with pytest.warns(DamageWarning, match="GOP 1 "):
        pieces = list(api.decode(tmp_path / "a", partial=True))
    frames = np.concatenate([piece.frames for piece in pieces])
    assert frames.shape == expected.shape
    assert np.array_equal(frames[:first], expected[:first])
    assert np.array_equal(frames[last:], expected[last:])
    assert not np.array_equal(frames[first:last], expected[first:last])
    assert [piece.intact for piece in pieces] == [True, False, True]
    assert [piece.digest_ok for piece in pieces] == [True, False, True]


@pytest.mark.parametrize(("mode", "first", "last"), [("t2v", 5, 10), ("flf2v", 5, 9), ("i2v", 5, 9)])
def test_a_lost_gop_repeats_the_frame_before_it(mode, first, last, intact, tmp_path):
    path, expected = intact[mode]
    (tmp_path / "a").write_bytes(damage(path.read_bytes(), 1, UnitType.GOP, offset=2))
    with pytest.warns(DamageWarning) as told:
        pieces = list(api.decode(tmp_path / "a", partial=True))
    stale = ["GOP 2 "] if mode == "i2v" else []
    assert [str(warning.message)[:6] for warning in told] == ["GOP 1 ", *stale]
    frames = np.concatenate([piece.frames for piece in pieces])
    assert frames.shape == expected.shape
    assert np.array_equal(frames[:first], expected[:first])
    assert (frames[first:last] == expected[first - 1]).all()
    # the last GOP of T2V stands alone; that of FLF2V lacks its first boundary, that of I2V follows on a frame too old
    assert np.array_equal(frames[last:], expected[last:]) is (mode == "t2v")
    assert [piece.digest_ok for piece in pieces] == [True, None, mode == "t2v"]


def test_a_lost_first_gop_is_grey(intact, clip, tmp_path):
    path, expected = intact["t2v"]
    (tmp_path / "a").write_bytes(damage(path.read_bytes(), 0, UnitType.GOP, offset=2))
    with pytest.warns(DamageWarning, match="GOP 0 is lost"):
        frames = frames_of(tmp_path / "a", partial=True)
    assert (frames[:5] == 128).all()
    assert np.array_equal(frames[5:], expected[5:])


@pytest.mark.parametrize(("mode", "last"), [("t2v", 10), ("i2v", 9), ("flf2v", 9)])
def test_symbols_cut_short_go_on_without_them(mode, last, intact, tmp_path):
    path, expected = intact[mode]
    data = path.read_bytes()
    start, end = [unit[1:] for unit in units_of(data) if unit[0] == UnitType.SYMBOLS][-1]
    apart = []
    for share in (0.02, 0.5, 0.9):
        (tmp_path / "a").write_bytes(data[: start + int(share * (end - start))])
        with pytest.warns(DamageWarning, match="GOP 2 is decoded from"):
            pieces = list(api.decode(tmp_path / "a", partial=True))
        frames = np.concatenate([piece.frames for piece in pieces])
        assert [piece.intact for piece in pieces] == [True, True, False]
        assert np.array_equal(frames[:last], expected[:last])
        apart.append(np.square(frames[last:].astype(float) - expected[last:]).mean())
    assert apart[0] > apart[1] > apart[2] > 0


@pytest.mark.parametrize("mode", MODES)
def test_an_intact_file_loses_nothing_by_partial_decoding(mode, intact):
    path, expected = intact[mode]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(frames_of(path, partial=True), expected)


def test_partial_decoding_by_command_line(cli, load, intact, tmp_path):
    path, expected = intact["t2v"]
    (tmp_path / "a.rfv").write_bytes(damage(path.read_bytes(), 1, UnitType.SYMBOLS))
    fails(cli("decode", tmp_path / "a.rfv", tmp_path / "a.mkv"), "checksum")
    assert [found.name for found in tmp_path.iterdir()] == ["a.rfv"]
    outcome = cli("decode", tmp_path / "a.rfv", tmp_path / "a.mkv", "--partial")
    assert outcome.status == 0
    assert "warning: GOP 1 " in outcome.err
    assert np.array_equal(load(tmp_path / "a.mkv")[10:], expected[10:])


def test_missing_weights_say_where_they_go(tmp_path):
    with pytest.raises(errors.MissingWeights, match=tmp_path.name):
        Lpips(tmp_path)


def test_a_damaged_record_is_a_bitstream_error(tiny, tmp_path):
    (tmp_path / "a").write_bytes(flipped_symbol(tiny["i2v"]))
    with pytest.raises(CorruptRecord, match="type 4 at byte"):
        api.info(tmp_path / "a")
