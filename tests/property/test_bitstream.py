"""Whatever is written comes back, counted sizes are written sizes, and no damage goes unseen."""

import io
from dataclasses import MISSING, replace
from dataclasses import fields as dataclass_fields
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rfcodec import codec, registry
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import (
    END_BYTES,
    PREAMBLE,
    Index,
    closing_bytes,
    closing_units,
    read_gops,
    read_index,
    read_preamble,
    read_units,
    write_stream,
)
from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.bitstream.headers import DIFFUSIONS, MOST_PIXELS, SOLVERS, EndMark, GopHeader, SequenceHeader, TrajectoryHeader
from rfcodec.bitstream.records import MANDATORY, Unit, UnitType, largest_payload, read_unit, unit_size
from rfcodec.bitstream.recovery import salvage_units
from rfcodec.config import EncoderConfig, RuntimeConfig
from rfcodec.errors import BitstreamError, CorruptRecord, InvalidField, TruncatedStream, UnsupportedFeature
from rfcodec.presets import configure
from rfcodec.video.reader import ArrayVideo

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

# Writing and reading


def thousandths(low, high):
    return st.integers(low * 1000, high * 1000).map(lambda v: v / 1000)


@st.composite
def trajectory_headers(draw):
    steps = draw(st.integers(2, 500))
    solver, diffusion = draw(st.sampled_from(sorted(SOLVERS))), draw(st.sampled_from(sorted(DIFFUSIONS)))
    return TrajectoryHeader(
        solver=solver,
        diffusion=diffusion,
        eta=0.0 if (solver, diffusion) == ("euler_maruyama", "eta") else draw(thousandths(0, 100)),
        gain=draw(thousandths(0, 100)),
        power=draw(thousandths(0, 100)),
        steps=steps,
        ode_tail=draw(st.integers(1, steps - 1)),
        bit_ramp=draw(st.integers(0, 4)),
        tail_order=draw(st.integers(1, 2)),
        shift=draw(thousandths(0, 1000)),
    )


@st.composite
def sequence_headers(draw):
    width, height = draw(st.integers(1, 65535)), draw(st.integers(1, 65535))
    most = max(1, MOST_PIXELS // (width * height))
    num_frames = draw(st.integers(0, 2**31 - 1))
    gop = draw(st.integers(1, min(4096, most)))
    assume(width * height * min(gop, num_frames or gop) <= MOST_PIXELS)
    return SequenceHeader(
        width=width,
        height=height,
        num_frames=num_frames,
        fps_numerator=draw(st.integers(1, 2**31 - 1)),
        fps_denominator=draw(st.integers(1, 2**31 - 1)),
        gop=gop,
        mode=draw(st.integers(0, 127)),
        still=draw(st.integers(0, 127)),
        codebook=draw(st.integers(0, 127)),
        codebook_parameters=draw(st.binary(max_size=64)),
        trajectory=draw(trajectory_headers()),
        seed=draw(st.integers(0, 2**62 - 1)),
        backbone=draw(st.text(max_size=60)),
        weights=draw(st.binary(max_size=8)),
        arithmetic=draw(st.text(max_size=60)),
        backbone_options=draw(st.text(max_size=200)),
        prompt=draw(st.text(max_size=200)),
    )


INCREMENTS = st.lists(st.integers(1, 2**32 - 1), max_size=60).map(lambda steps: tuple(np.cumsum(steps).tolist()))
GOP_HEADERS = st.builds(GopHeader, st.integers(0, 2**31 - 1), st.integers(0, 2**40), INCREMENTS, st.binary(max_size=32))
END_MARKS = st.builds(EndMark, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
HEADERS = st.one_of(sequence_headers(), GOP_HEADERS, END_MARKS, st.builds(Index, INCREMENTS))
UNITS = st.builds(Unit, st.integers(1, MANDATORY - 1), st.binary(max_size=300))
NAMES = st.text(st.sampled_from("abcXYZ"), min_size=1, max_size=16).filter(lambda name: name[0].islower())
SKIPPABLE = st.dictionaries(NAMES, st.binary(max_size=40), max_size=4).map(lambda found: tuple(sorted(found.items())))


@steady
@given(st.integers(0, 2**63 - 1))
def test_varints(value):
    assert ByteReader(varint(value)).varint() == value


@steady
@given(HEADERS)
def test_headers(header):
    written = fields.write(header)
    assert fields.read_whole(type(header), written) == header
    lines = fields.describe(header)
    assert sum(line.size for line in lines) == len(written)
    assert {line.name: line.value for line in lines} == flat(header)


def flat(header):
    values = dict(vars(header))
    nested = vars(values.pop("trajectory")) if "trajectory" in values else {}
    return values | {f"trajectory.{name}": value for name, value in nested.items()}


@steady
@given(st.one_of(sequence_headers(), GOP_HEADERS), SKIPPABLE)
def test_extensions_follow_the_known_fields(header, found):
    """An old decoder reads the fields that it knows and keeps the rest; without extensions nothing is written."""
    plain, extended = fields.write(header), fields.write(replace(header, extensions=found))
    assert extended[: len(plain)] == plain
    assert fields.read_whole(type(header), extended) == replace(header, extensions=found)
    assert (extended == plain) == (not found)


@steady
@given(st.one_of(sequence_headers(), GOP_HEADERS), st.binary(max_size=40))
def test_a_mandatory_extension_is_refused_by_name(header, payload):
    extended = fields.write(replace(header, extensions=(("Layers", payload), ("skipped", b"x"))))
    with pytest.raises(UnsupportedFeature, match="'Layers'"):
        fields.read_whole(type(header), extended)


def test_a_unit_of_type_zero_is_refused():
    with pytest.raises(InvalidField, match="never written"):
        read_unit(ByteReader(Unit(UnitType.GAP, b"abc").write()))


@pytest.mark.parametrize("kind", [MANDATORY, 255])
def test_a_mandatory_unit_is_refused_by_number(kind):
    with pytest.raises(UnsupportedFeature, match=f"type {kind}"):
        read_unit(ByteReader(Unit(kind, b"abc").write()))


@steady
@given(HEADERS, st.data())
def test_cut_headers_are_refused(header, data):
    written = fields.write(header)
    with pytest.raises(BitstreamError):
        fields.read_whole(type(header), written[: data.draw(st.integers(0, len(written) - 1))])


@steady
@given(st.sampled_from([SequenceHeader, GopHeader, EndMark, Index]), st.binary(max_size=120))
def test_any_bytes_are_a_header_or_an_error_of_the_stream(cls, data):
    try:
        header = fields.read_whole(cls, data)
    except BitstreamError:
        return
    assert fields.write(header) == data


@steady
@given(HEADERS, st.data())
def test_a_changed_header_is_another_header_or_an_error_of_the_stream(header, data):
    written = bytearray(fields.write(header))
    written[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = fields.read_whole(type(header), bytes(written))
    except BitstreamError:
        return
    assert other != header


@pytest.mark.parametrize("name", sorted(registry.names("codebooks")))
@steady
@given(data=st.data())
def test_settings_of_codebooks(name, data):
    codebook = registry.load("codebooks", name)
    values = {}
    for item in dataclass_fields(codebook):
        assert item.default is not MISSING
        low, high = map(int, item.metadata["kind"].range.split(" to "))
        values[item.name] = data.draw(st.integers(low, high))
    one = codebook(**values)
    assert fields.read_whole(codebook, fields.write(one)) == one


@steady
@given(UNITS, st.binary(max_size=20))
def test_units(unit, rest):
    written = unit.write()
    assert len(written) == unit_size(len(unit.payload))
    reader = ByteReader(written + rest)
    assert read_unit(reader) == unit
    assert reader.position == len(written)


@steady
@given(st.integers(0, 2**24))
def test_the_largest_payload_fits_and_one_more_does_not(room):
    payload = largest_payload(room)
    assert unit_size(max(payload + 1, 0)) > room
    assert payload < 0 or unit_size(payload) <= room


@steady
@given(UNITS, st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_of_a_unit_is_seen(unit, place, change):
    written = bytearray(unit.write())
    written[place % len(written)] ^= change
    with pytest.raises(BitstreamError):
        read_unit(ByteReader(bytes(written)))


# Containers


@steady
@given(st.lists(st.integers(1, 1 << 20), max_size=200), st.integers(len(PREAMBLE), (1 << 21) - 1), st.data())
def test_closing_bytes_are_the_most_that_closing_units_take(most, position, data):
    sizes = [data.draw(st.integers(1, size)) if i < 5 else size for i, size in enumerate(most)]
    offsets = tuple(position + sum(sizes[:i]) for i in range(len(sizes)))
    written = closing_units(offsets, position + sum(sizes), 97)
    assert len(written) <= closing_bytes(most)
    reader = ByteReader(written)
    if len(sizes) > 1:
        assert fields.read_whole(Index, read_unit(reader).payload) == Index(offsets)
    end = fields.read_whole(EndMark, read_unit(reader).payload)
    assert reader.exhausted
    assert end == EndMark(position + sum(sizes) + len(written), len(written) - END_BYTES, 97)


def test_closing_bytes_of_empty_gops():
    assert closing_bytes([0, 0, 0]) >= closing_bytes([0])


def bytes_of(units, num_frames=7):
    stream, offsets = bytearray(PREAMBLE), []
    for unit in units:
        if unit.type == UnitType.GOP:
            offsets.append(len(stream))
        stream += unit.write()
    return bytes(stream + closing_units(tuple(offsets), len(stream), num_frames))


def read(data):
    reader = ByteReader(data)
    header = read_preamble(reader)
    return header, list(read_gops(read_units(reader)))


def small_video(num_frames, width, height):
    grid = np.stack(np.meshgrid(np.arange(num_frames), np.arange(height), np.arange(width), indexing="ij"), -1)
    return (120 + 70 * np.sin(grid / 3 + grid[..., ::-1] / 5)).astype(np.uint8)


@pytest.fixture(scope="module")
def units():
    """A chain of three GOPs with references, symbols and corrections."""
    video = ArrayVideo(small_video(7, 12, 10), Fraction(25))
    few_steps = {"mode": "i2v", "gop": 3, "trajectory.steps": 4, "trajectory.ode_tail": 1, "still": "trajectory"}
    few_steps["backbone"] = "gaussian"
    stream, _ = configure("default", few_steps)
    effort = EncoderConfig(bytes=1500, correction_share=0.4)
    return list(codec.encode(video, stream, effort, RuntimeConfig()))


@pytest.fixture(scope="module")
def stream(units):
    return bytes_of(units)


def test_the_stream_under_test_has_units_of_every_type(units, stream):
    assert {unit.type for unit in units} | {UnitType.GAP, UnitType.INDEX, UnitType.END} == set(UnitType)
    header, records = read(stream)
    assert (header.width, header.height, header.num_frames) == (12, 10, 7)
    assert [record.header.index for record in records] == [0, 1, 2]
    assert all(record.intact and record.symbols for record in records)
    assert records[0].correction


def test_the_writer_writes_those_bytes(units, stream, tmp_path):
    path = tmp_path / "small.rfv"
    assert write_stream(path, units) == len(stream)
    assert path.read_bytes() == stream
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_writer_leaves_nothing(units, tmp_path):
    def failing():
        yield from units[:3]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_stream(tmp_path / "small.rfv", failing())
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_units_pass_through_a_file_object(units):
    """What an encoder raises is not an error of the file."""

    def failing():
        yield from units[:3]
        raise TypeError("of the encoder")

    with pytest.raises(TypeError, match="of the encoder"):
        write_stream(io.BytesIO(), failing())


def test_the_index_points_at_the_gops(stream):
    for offset in read_index(stream).offsets:
        reader = ByteReader(stream)
        reader.position = offset
        assert read_unit(reader).type == UnitType.GOP


def test_salvaging_a_sound_stream_is_reading_it(stream):
    reader, again = ByteReader(stream), ByteReader(stream)
    read_preamble(reader)
    read_preamble(again)
    assert list(salvage_units(reader)) == list(read_units(again))


def test_every_cut_is_seen(stream):
    for length in range(len(stream)):
        with pytest.raises(BitstreamError):
            read(stream[:length])


def test_every_changed_byte_is_seen(stream):
    for place in range(len(stream)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(stream)
            damaged[place] ^= change
            with pytest.raises(BitstreamError):
                read(bytes(damaged))


def test_added_bytes_are_seen(stream):
    for more in (b"\0", stream, bytes([UnitType.END])):
        with pytest.raises(BitstreamError):
            read(stream + more)


DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    st.tuples(st.just("overwrite"), st.floats(0, 1), st.binary(min_size=1, max_size=60)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=60)),
    st.tuples(st.just("delete"), st.floats(0, 1), st.binary(min_size=1, max_size=60)),
)


def damage(data, kind, share, piece):
    place = int(share * len(data))
    if kind == "cut":
        return data[:place]
    keep = {"overwrite": place + len(piece), "insert": place, "delete": place + len(piece)}[kind]
    return data[:place] + (b"" if kind == "delete" else piece) + data[keep:]


@settings(steady, max_examples=300)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
def test_any_damage_is_seen(stream, damages):
    damaged = stream
    for one in damages:
        damaged = damage(damaged, *one)
    assume(damaged != stream)
    with pytest.raises(BitstreamError):
        read(damaged)


def salvage(data):
    reader = ByteReader(data)
    reader.position = min(len(PREAMBLE), len(data))
    found = []
    for unit in salvage_units(reader):
        found.append(unit)
        assert len(found) <= len(data) + 1  # the last one says that the end is missing
    return found


@settings(steady, max_examples=300)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
def test_salvage_ends_and_raises_errors_of_the_stream_alone(stream, damages):
    damaged = stream
    for one in damages:
        damaged = damage(damaged, *one)
    try:
        list(read_gops(salvage(damaged)))
    except BitstreamError:
        return


@steady
@given(st.binary(max_size=400))
def test_salvage_of_noise_ends(data):
    salvage(data)


UNIT_LIKE = [bytes([kind]) for kind in UnitType] + [b"\2\0", b"\4\xff\x7f", b"\2\x05"]


@steady
@given(st.lists(st.sampled_from(UNIT_LIKE), max_size=200))
def test_salvage_of_what_looks_like_units_ends(pieces):
    salvage(b"".join(pieces))


def test_salvage_keeps_symbols_whose_checksum_fails(units):
    start = len(bytes_of(units[:0])) - END_BYTES
    for i, unit in enumerate(units):
        damaged = bytearray(bytes_of(units))
        end = start + len(unit.write())
        damaged[end - 1] ^= 1
        if i:
            found = salvage(bytes(damaged))
            kept = Unit(unit.type, unit.payload, intact=False)
            assert (kept in found) == (unit.type == UnitType.SYMBOLS)
            assert [u for u in found if u.intact and u.type != UnitType.INDEX] == units[:i] + units[i + 1 :]
        start = end


def test_a_stream_cut_in_its_symbols_keeps_what_came(units):
    last = next(i for i, unit in reversed(list(enumerate(units))) if unit.type == UnitType.SYMBOLS)
    before, symbols = bytes_of(units[:last]), units[last]
    head = len(PREAMBLE) + sum(len(unit.write()) for unit in units[:last])
    cut = before[:head] + symbols.write()[: 2 + len(symbols.payload) // 2]
    record = list(read_gops(salvage(cut)))[-1]
    assert not record.intact
    assert symbols.payload.startswith(record.symbols)
    assert len(record.symbols) >= len(symbols.payload) // 2 - 1


def test_gops_after_a_broken_length_are_found(units):
    # the length of the first GOP's symbols says too much: the next GOPs are found by their mark
    first = next(i for i, unit in enumerate(units) if unit.type == UnitType.SYMBOLS)
    head = len(PREAMBLE) + sum(len(unit.write()) for unit in units[:first])
    damaged = bytearray(bytes_of(units))
    damaged[head + 1 : head + 3] = b"\xff\x7f"
    indices = [record.header.index for record in read_gops(salvage(bytes(damaged)))]
    assert indices == [0, 1, 2]


def test_units_of_unknown_types_are_skipped(units):
    more = [unit for known in units for unit in (known, Unit(40, b"later"))]
    assert read(bytes_of(more))[1] == read(bytes_of(units))[1]


def test_errors_say_what_is_wrong(stream):
    with pytest.raises(TruncatedStream):
        read(stream[:-1])
    flipped = bytearray(stream)
    flipped[-20 - END_BYTES] ^= 1
    with pytest.raises(CorruptRecord, match="checksum"):
        read(bytes(flipped))
