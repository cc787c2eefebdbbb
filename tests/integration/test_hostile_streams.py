"""Crafted streams: refused in one line, or decoded in bounded memory and work."""

import io
import tracemalloc
import warnings
import zlib
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import hostile_streams
import numpy as np
import pytest
from hostile_streams import ESCAPES, gop, header, make, stream

import rfcodec
from codebooks.atoms import ALWAYS, MOST_NORMALS
from conditioning import stills
from rfcodec import api, codec, registry
from rfcodec.bitstream import recovery
from rfcodec.bitstream.container import read_gops, read_preamble
from rfcodec.bitstream.fields import ByteReader
from rfcodec.bitstream.headers import GopHeader
from rfcodec.bitstream.records import Unit, UnitType
from rfcodec.coding import limits
from rfcodec.coding.header import plan_spans
from rfcodec.config import RuntimeConfig, TrajectoryConfig
from rfcodec.errors import (
    BackboneError,
    BitstreamError,
    ConfigError,
    InputError,
    InvalidField,
    LimitExceeded,
    TruncatedStream,
)
from rfcodec.flow.time_grid import shifted_grid
from rfcodec.presets import configure
from rfcodec.support import machine
from rfcodec.support.command_line import guarded
from rfcodec.support.words import parse_amount
from rfcodec.types import VideoFormat

OURS = (BitstreamError, BackboneError, ConfigError)
MEGABYTE = 1 << 20


def refused(name, error, match, partial=False):
    with pytest.raises(error, match=match) as raised:
        list(api.decode(make(name), partial=partial))
    assert str(raised.value).isprintable()


def salvaged(data):
    reader = ByteReader(data)
    read_preamble(reader)
    return list(read_gops(recovery.salvage_units(reader)))


def partly(data, **more):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        return list(api.decode(data, partial=True, **more)), [str(one.message) for one in told]


# Limits before work


@pytest.fixture
def no_backbone(monkeypatch):
    def opened(*_, **__):
        raise AssertionError("a backbone was opened")

    monkeypatch.setattr(codec, "open_backbone", opened)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("name", ["huge frames", "huge frames, length at the end"])
def test_huge_frames_are_refused_before_a_backbone_is_opened(name, partial, no_backbone):
    refused(name, LimitExceeded, "16384x16384.*limit is 67108864.*--max-pixels.*RFCODEC_MAX_PIXELS", partial)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("two billion frames", TruncatedStream, "bytes at the least"),
        ("two billion frames at the end", TruncatedStream, "bytes at the least"),
        ("two million spans", TruncatedStream, "bytes at the least"),
        ("two million spans, long", TruncatedStream, "at most 1 are readable"),
        ("a million lost", TruncatedStream, "at most 1 are readable.*--frames"),
        ("no GOP", TruncatedStream, "no GOP"),
    ],
)
def test_frames_that_nobody_can_decode_are_refused(name, error, words, no_backbone):
    refused(name, error, words, partial=True)


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("max_pixels", 64 * 48 - 1, "64x48 has 3072 pixels; the limit is 3071"),
        ("max_frames", 12, "13 frames; the limit is 12"),
        ("max_memory", 10**6, "GOP of 5 frames of 64x48 needs about .* bytes; the limit is 1000000"),
    ],
)
def test_each_limit_names_what_raises_it(name, more, words, clip, monkeypatch, no_backbone):
    video = VideoFormat(64, 48, 13, Fraction(25))
    for runtime in (RuntimeConfig(**{name: more}), RuntimeConfig()):
        with pytest.raises(LimitExceeded, match=f"{words}: --{name.replace('_', '-')}, RFCODEC_{name.upper()}"):
            limits.check_limits(video, 5, ("gaussian", {}), runtime)
        monkeypatch.setenv(f"RFCODEC_{name.upper()}", str(more))
    limits.check_limits(video, 5, ("gaussian", {}), RuntimeConfig(**{name: 10 * more}))  # the setting wins
    with pytest.raises(LimitExceeded):
        rfcodec.compress(clip, bytes=2000, backbone="gaussian", gop=5)


def test_memory_is_that_of_the_backbone_or_of_frames_where_it_is_not_known():
    size, runtime = (8, 64, 64), RuntimeConfig()
    needed = {
        name: limits.gop_bytes(size, limits.facts(size, (name, {}), runtime))
        for name in ("gaussian-latent", "gaussian", "tiny", "a/b")
    }
    assert needed["a/b"] <= needed["gaussian-latent"] < needed["gaussian"] < needed["tiny"]
    with pytest.raises(ConfigError, match="depth"):
        list(api.decode(make("illegal option")))


def test_free_memory_is_that_of_the_control_group(tmp_path, monkeypatch):
    plenty = machine.free_memory()
    group = tmp_path / "memory" / "a"
    (group / "b").mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("3000")
    (group / "memory.usage_in_bytes").write_text("1500")
    (group / "memory.stat").write_text("cache 9\ntotal_inactive_file 500\n")
    (tmp_path / "told").write_text("5:cpu:/x\n4:memory:/a/b\n0::/\n")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "told")
    assert machine.free_memory() == 2000 < plenty
    (group / "memory.limit_in_bytes").write_text("max")
    assert machine.free_memory() > 10**6


@pytest.mark.parametrize(("text", "amount"), [("7", 7), ("4G", 4 << 30), ("1.5k", 1536), ("64M", 64 << 20)])
def test_amounts(text, amount):
    assert parse_amount(text) == amount


@pytest.mark.parametrize("text", ["", "G", "4GB", "1/0", "many"])
def test_amounts_that_are_none(text):
    with pytest.raises(ConfigError, match="64M or 4G"):
        parse_amount(text)


def test_one_array_of_all_frames_is_limited(clip):
    data = rfcodec.compress(clip, bytes=2000, backbone="gaussian", gop=1, trajectory__steps=2)
    tight = RuntimeConfig(max_memory=2 * MEGABYTE)
    with pytest.raises(LimitExceeded, match="one array"):
        rfcodec.decompress(make("two million spans, long"), runtime=tight, partial=True)
    assert rfcodec.decompress(data, frames=(2, 4), runtime=tight).shape[0] == 2


def test_spans_are_planned_one_at_a_time():
    spans = plan_spans(header(num_frames=2**31 - 1))
    assert [next(spans).start for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("mode", ["t2v", "i2v", "flf2v"])
def test_a_span_by_number_is_that_of_the_list(mode):
    backbone = registry.load("backbones", "gaussian")(RuntimeConfig(), {})
    engine = codec.Engine(
        header(mode=registry.load("conditioners", mode).ID, num_frames=40, gop=5), backbone, codec.TrajectoryFrames
    )
    spans = list(engine.spans())
    for index in (0, 3, 3, 4, 1, 2, len(spans) - 1, 0):
        assert engine.span(index) == spans[index]
    with pytest.raises(InvalidField, match="does not exist"):
        engine.span(len(spans))


# Damaged streams in one pass


def test_lost_gops_come_in_small_pieces():
    roomy = RuntimeConfig(max_memory=1 << 40)
    tracemalloc.start()
    try:
        shown = 0
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            for piece in api.decode(make("a long lost GOP"), partial=True, frames=(0, 400), runtime=roomy):
                shown += len(piece.frames)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shown == 400
    assert peak < 80 * MEGABYTE  # all of them are 1.2 GB


def test_many_lost_gops_are_one_warning():
    pieces, told = partly(stream(header(num_frames=300, gop=3), [gop(0), gop(90)]))
    assert sum(len(piece.frames) for piece in pieces) == 300
    assert told == [
        "GOP 1 to 89 are lost: their frames repeat the one before",
        "GOP 91 and all after it are lost: their frames repeat the one before",
    ]


def test_warnings_are_bounded():
    _, told = partly(stream(header(num_frames=120), [gop(index) for index in range(0, 120, 2)]))
    assert len(told) == 20
    assert told[-1].endswith("is not told")


@pytest.mark.parametrize("kind", [UnitType.SYMBOLS, UnitType.SIDE_INFO, UnitType.GAP])
def test_lengths_that_span_the_rest_cost_no_more_than_the_file(kind, monkeypatch):
    count, summed = 700, []
    data = hostile_streams.nested(bytes([kind]), count)
    check = zlib.crc32
    monkeypatch.setattr("zlib.crc32", lambda piece: summed.append(len(piece)) or check(piece))
    tracemalloc.start()
    try:
        records = salvaged(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [record.header.index for record in records] == list(range(count))
    assert sum(summed) < 40 * len(data)
    assert peak < 100 * len(data)
    assert all(len(record.symbols) < 40 for record in records[:-1])


def test_a_doubtful_payload_ends_at_the_next_gop():
    long = bytes([UnitType.SYMBOLS]) + b"\xff\x7f" + b"symbols"
    first, second = salvaged(stream(header(num_frames=2), [gop(0), long, gop(1), Unit(UnitType.SYMBOLS, b"abc")]))
    assert first.symbols == b"symbols"
    assert not first.intact
    assert second.symbols == b"abc"


def test_an_embedded_stream_is_not_taken_for_gops():
    """A unit that fits its checksum is one unit, whatever it holds."""
    inner = stream(header(num_frames=2), [gop(0), gop(1)])
    outer = stream(
        header(num_frames=2), [gop(0), Unit(hostile_streams.UNKNOWN, inner), gop(1), Unit(UnitType.SYMBOLS, b"x")]
    )
    assert [(record.header.index, record.symbols) for record in salvaged(outer)] == [(0, b""), (1, b"x")]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mandatory extension of a GOP", [0, 2]),
        ("illegal GOP header", [0, 2]),
        ("unit of type 0", [0, 1]),
        ("mandatory unit", [0, 1]),
    ],
)
def test_one_bad_unit_costs_no_more_than_its_gop(name, found):
    assert [record.header.index for record in salvaged(make(name))] == found
    pieces, _ = partly(make(name))
    assert [piece.intact for piece in pieces if piece.start in found] != []
    assert sum(len(piece.frames) for piece in pieces) == max(found) + 1


def test_what_follows_a_unit_of_unknown_type_is_kept():
    units = [gop(0), Unit(UnitType.GAP, b"abc"), Unit(200, b"d"), Unit(UnitType.SYMBOLS, b"abc"), gop(1)]
    first, second = salvaged(stream(header(num_frames=2), units))
    assert (first.symbols, first.intact, second.intact) == (b"abc", False, True)


def test_the_longest_gop_unit_is_found():
    longest = GopHeader(
        2**31 - 1,
        2**40,
        tuple(np.cumsum([2**32 - 1] * 499).tolist()),
        bytes(32),
        (*((f"{a}{b}", b"") for a in "abcdefghijklmnopqrs" for b in "abcdefghijklmnopqrstuvwxyz"), ("z", bytes(35))),
    )
    unit = Unit(UnitType.GOP, rfcodec.bitstream.fields.write(longest))
    assert 4096 < len(unit.write()) <= recovery.LONGEST_GOP_UNIT
    broken = bytes([UnitType.SIDE_INFO]) + b"\xff\xff\x7f"
    found = salvaged(stream(header(num_frames=2), [gop(0), broken, unit]))
    assert [record.header.index for record in found] == [0, 2**31 - 1]


# The order of units, and what index, end mark and frames say


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two symbols", "order"),
        ("symbols before references", "order"),
        ("symbols before a GOP", "order"),
        ("second sequence header", "order"),
        ("index in between", "GOPs|order"),
        ("index of one GOP", "index"),
        ("index of other GOPs", "other GOPs"),
        ("no index", "index"),
        ("end mark without the index", "index"),
        ("fewer GOPs than frames", "2 GOPs; 3 frames have more"),
        ("more GOPs than frames", "2 GOPs; 1 frames have fewer"),
        ("GOPs in another order", "GOP 1 stands where GOP 0"),
        ("Euler-Maruyama of eta", "bounded g"),
    ],
)
def test_info_refuses_what_no_writer_writes(name, words):
    with pytest.raises(BitstreamError, match=words):
        api.info(make(name))


def test_an_index_is_an_index():
    data = make("index of other GOPs")
    assert data.count(bytes([UnitType.INDEX, 3])) == 1
    place = data.index(bytes([UnitType.INDEX, 3]))
    unit = Unit(hostile_streams.UNKNOWN, data[place + 2 : place + 5]).write()
    with pytest.raises(InvalidField, match="type 40"):
        rfcodec.bitstream.container.read_index(data[:place] + unit + data[place + len(unit) :])


# Text, numbers, stills


def test_text_of_a_stream_never_reaches_the_terminal(cli, tmp_path):
    path = tmp_path / "a.rfv"
    path.write_bytes(make("escapes in all text"))
    outcome = cli("decode", path, tmp_path / "a.mkv")
    assert outcome.status == 1
    assert all(one.isprintable() or one == "\n" for one in outcome.err)
    assert outcome.err.count("\n") == 1
    assert r"\x1b]52;c" in outcome.err
    assert ESCAPES not in outcome.out + outcome.err


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("depth"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_what_uses_up_memory_or_stack_is_one_line(error, capsys):
    def run():
        raise error

    with pytest.raises(SystemExit) as stopped:
        guarded(run)
    assert stopped.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_other_errors_of_the_program_are_not_hidden():
    with pytest.raises(RuntimeError, match="a defect"):
        guarded(lambda: (_ for _ in ()).throw(RuntimeError("a defect")))


@pytest.mark.parametrize("steps", [2, 7, 20])
def test_grids_of_every_legal_shift_fall_from_1_to_0(steps):
    shifts, before = np.arange(1, 10**6 + 1) / 1000, np.ones(10**6)
    for k in range(1, steps):
        u = (steps - k) / steps
        inner = shifts * u / (1 + (shifts - 1) * u)
        assert ((inner > 0) & (inner < before)).all()
        before = inner
    at_the_start = shifts / (1 + (shifts - 1))  # the formula at u = 1, which is not used
    for shift in shifts[at_the_start > 1].tolist():
        grid = shifted_grid(steps, shift)
        assert (grid[0], grid[-1]) == (1, 0)
        assert all(earlier > later for earlier, later in pairwise(grid))
    assert np.count_nonzero(at_the_start > 1) == 162


def test_a_shift_that_rounds_above_1_decodes():
    data = stream(header(trajectory=replace(hostile_streams.TRAJECTORY, steps=4, shift=0.059)), [gop()])
    (piece,) = api.decode(data)
    assert piece.frames.shape == (1, 16, 16, 3)


def test_an_avif_larger_than_it_says_is_refused_before_it_is_decoded(monkeypatch):
    def opened(*_, **__):
        raise AssertionError("the picture was opened")

    data = hostile_streams.huge_avif(512)
    monkeypatch.setattr("PIL.Image.open", opened)
    with pytest.raises(InvalidField, match="512x512, not 16x16"):
        list(api.decode(data))


def test_every_change_of_an_avif_still_is_read_or_refused(clip):
    coder = stills.AvifStill(64, 48, None)
    data = coder.encode(clip[0], 900)
    file = zlib.decompressobj(-zlib.MAX_WBITS, zdict=stills.AVIF_DICTIONARY).decompress(data[1:])
    size = stills._scaled((64, 48), data[0])
    stills.check_size(file, size)
    for place in range(min(len(file), 340)):
        for change in (1, 128, 255):
            other = bytearray(file)
            other[place] ^= change
            try:
                stills.check_size(bytes(other), size)
            except InvalidField:
                continue
    for length in range(len(file)):
        with pytest.raises(InvalidField):
            stills.check_size(file[:length], size)


# Codebooks of whole atoms


@pytest.mark.parametrize("name", ["topm", "gvcc", "pursuit"])
def test_atoms_of_a_step_are_bounded(name, monkeypatch):
    """However many bits and whatever m: D = 2^28 coordinates have 64 atoms a step, D = 2^22 have 1024."""
    for fixed in (0, 4096):
        codebook = registry.load("codebooks", name)(m=fixed, k=1 << 16)
        for shape, most in (((4, 1, 8192, 8192), ALWAYS), ((4, 1, 1024, 1024), MOST_NORMALS >> 22), ((4, 1, 16, 16), 4096)):
            m = codebook.atoms_for(shape, 1 << 30)
            limit = min(most, 4 << codebook.c) if name == "pursuit" and not fixed else most
            assert m == limit
            assert codebook.usable_bits(shape, 1 << 30) == codebook.atom_bits(m) * (shape[1] if name == "gvcc" else 1)
            assert codebook.least_bits(shape) == codebook.atom_bits(m if fixed else 1)


# The Python interface


@pytest.fixture(scope="module")
def small(clip):
    return rfcodec.compress(clip[:2], bytes=900, backbone="gaussian", gop=2, trajectory__steps=4, codebook__memory=4)


def test_one_file_object_serves_info_and_then_decode(small):
    file = io.BytesIO(b"front" + small)
    file.seek(5)
    assert api.info(file).header.num_frames == 2
    assert len(rfcodec.decompress(file)) == 2
    assert file.tell() == 5


@pytest.mark.parametrize("given", [None, 7, io.StringIO("text"), ["a"]])
def test_what_is_no_stream_is_an_error_of_ours(given):
    for read in (lambda: list(api.decode(given)), lambda: api.info(given)):
        with pytest.raises(InputError):
            read()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bpp": True}, "bpp is True"),
        ({"bytes": 900, "steps": 4, "trajectory__steps": 5}, "give one of them"),
        ({"bytes": 900, "out": "a.rfv"}, "leave `out` out"),
        ({"bytes": 900, "gop": True}, "gop is True"),
        ({"bytes": 900, "trajectory__solver": "euler_maruyama"}, "bounded g"),
    ],
)
def test_settings_that_contradict_are_refused(settings, words, clip):
    with pytest.raises(ConfigError, match=words):
        rfcodec.compress(clip[:2], backbone="gaussian", **settings)


def test_a_setting_that_is_true_or_false_may_be():
    assert RuntimeConfig(fetch=True).fetch


def test_euler_maruyama_of_eta_is_refused_as_a_setting():
    with pytest.raises(ConfigError, match="bounded g"):
        configure("default", {"trajectory.solver": "euler_maruyama"})
    assert TrajectoryConfig(solver="euler_maruyama", diffusion="power").eta == 1
    assert TrajectoryConfig(solver="euler_maruyama", eta=0)


MANY = {"topm, 4096 atoms", "gvcc, 4096 atoms", "pursuit, 4096 atoms", "huge AVIF"}  # these take long to decode, or to make


@pytest.mark.parametrize("name", sorted(set(hostile_streams.STREAMS) - MANY))
def test_every_crafted_stream_is_decoded_or_refused_in_our_words(name):
    data = make(name)
    for call in (api.info, lambda told: list(api.decode(told))):
        with suppress(*OURS):
            call(data)
