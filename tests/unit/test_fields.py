import zlib
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rfcodec.bitstream import fields
from rfcodec.bitstream.fields import ByteReader, choice, increments, milli, octets, text, uint, varint
from rfcodec.errors import InvalidField, TruncatedStream

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Record:
    count: int = uint("a count", 1, 300)
    share: float = milli("a share", 0, 2)
    colour: str = choice("a colour", {"red": 0, "blue": 5})
    key: bytes = octets("a key", 4)
    name: str = text("a name", 5)
    places: tuple[int, ...] = increments("places", 3)


@dataclass(frozen=True)
class Settings:
    depth: int = uint("depth", 2, 9, default=4)
    slack: float = milli("slack", 0, 1, default=0.5)
    kind: str = choice("kind", {"a": 1, "b": 2}, default="b")
    tag: bytes = octets("tag", 2, default=b"x")
    word: str = text("word", 9, default="")
    cached: int = 7


@dataclass(frozen=True)
class Words:
    words: str = text("words", 1000)


@dataclass(frozen=True)
class Word:
    words: str = text("words", 100)


GOOD = Record(200, 1.25, "blue", b"\0\xff", "aé", (1, 5, 300))
BYTES = bytes([0xC8, 0x01, 0xE2, 0x09, 5, 2, 0, 0xFF, 6, 0x61, 0xC3, 0xA9, 3, 1, 4, 0xA7, 0x02])


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (2**63 - 1, b"\xff" * 8 + b"\x7f")],
)
def test_varints_are_leb128(value, written):
    assert varint(value) == written
    assert ByteReader(written).varint() == value


@steady
@given(st.integers(0, 2**63 - 1))
def test_varints_come_back_and_are_shortest(value):
    written = varint(value)
    reader = ByteReader(written + b"rest")
    assert reader.varint() == value
    assert reader.position == len(written) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize("written", [b"\x80\0", b"\xff\x80\0", b"\x81\x80\x80\0"])
def test_longer_forms_of_an_integer_are_refused(written):
    with pytest.raises(InvalidField, match="shortest"):
        ByteReader(written).varint()


def test_integers_longer_than_nine_bytes_are_refused():
    with pytest.raises(InvalidField, match="nine"):
        ByteReader(b"\xff" * 9 + b"\1").varint()


@pytest.mark.parametrize("written", [b"", b"\x80", b"\xff\xff"])
def test_cut_integers_are_refused(written):
    with pytest.raises(TruncatedStream):
        ByteReader(written).varint()


def test_a_reader_never_goes_beyond_the_end():
    reader = ByteReader(b"abc")
    assert reader.take(2) == b"ab"
    assert not reader.exhausted
    with pytest.raises(TruncatedStream):
        reader.take(2)
    assert reader.take(1) == b"c"
    assert reader.exhausted
    assert reader.take(0) == b""


def test_a_record_is_its_fields_in_order():
    assert fields.write(GOOD) == BYTES
    assert fields.read_whole(Record, BYTES) == GOOD


def test_a_record_may_stand_before_others():
    reader = ByteReader(BYTES + b"more")
    assert fields.read(Record, reader) == GOOD
    assert reader.position == len(BYTES)


def test_left_over_bytes_are_refused():
    with pytest.raises(InvalidField, match="1 bytes too many"):
        fields.read_whole(Record, BYTES + b"\0")


def test_a_cut_record_is_refused():
    for length in range(len(BYTES)):
        with pytest.raises(TruncatedStream):
            fields.read_whole(Record, BYTES[:length])


@pytest.mark.parametrize(
    "change",
    [
        {"count": 0},
        {"count": 301},
        {"count": "7"},
        {"share": -0.001},
        {"share": 2.001},
        {"share": 0.0005},
        {"colour": "green"},
        {"key": b"12345"},
        {"name": "abcdef"},
        {"name": "ééé"},
        {"places": (1, 2, 3, 4)},
        {"places": (0,)},
        {"places": (3, 3)},
        {"places": (3, 2)},
        {"places": (2**33,)},
    ],
)
def test_illegal_values_are_not_written(change):
    name = next(iter(change))
    with pytest.raises(InvalidField, match=name):
        fields.write(Record(**(vars(GOOD) | change)))


SHORT = zlib.compress(b"ab", wbits=-15)  # longer than the text
BOMB = zlib.compress(b"a" * 6, wbits=-15)


def test_a_text_is_deflated_where_that_is_shorter():
    words = Words("the same words, " * 20)
    written = fields.write(words)
    assert len(written) < 40
    assert written[0] % 2 == 1
    assert fields.read_whole(Words, written) == words
    with pytest.raises(InvalidField, match="at most 100"):
        fields.read_whole(Word, written)


def record_bytes(**change):
    parts = {"count": varint(200), "share": varint(1250), "colour": varint(5), "key": b"\2ab", "name": b"\2x"}
    return b"".join((parts | {"places": b"\0"} | change).values())


@pytest.mark.parametrize(
    "change",
    [
        {"count": varint(0)},
        {"count": varint(301)},
        {"share": varint(2001)},
        {"colour": varint(1)},
        {"key": b"\x05abcde"},
        {"name": b"\x0cabcdef"},
        {"name": b"\x04\xc3\x28"},
        {"name": b"\x02\x80"},
        {"name": b"\x07" + zlib.compress(b"", wbits=-15) + b"x"},
        {"name": b"\x03x"},
        {"name": varint(2 * len(SHORT) + 1) + SHORT},
        {"name": varint(2 * len(BOMB) + 1) + BOMB},
        {"places": b"\x04\1\1\1\1"},
        {"places": b"\x01\0"},
        {"places": b"\x02\1\0"},
        {"places": b"\x01" + varint(2**32)},
    ],
)
def test_illegal_values_are_not_read(change):
    fields.read_whole(Record, record_bytes())
    with pytest.raises(InvalidField):
        fields.read_whole(Record, record_bytes(**change))


@pytest.mark.parametrize(
    "change",
    [{"key": varint(2**60)}, {"name": varint(2**60)}, {"places": varint(2**60)}, {"places": varint(2**40) + b"\1"}],
)
def test_announced_lengths_are_not_believed(change):
    with pytest.raises(TruncatedStream):
        fields.read_whole(Record, record_bytes(**change))


def test_messages_name_field_value_and_range():
    with pytest.raises(InvalidField, match=r"count is 301; legal: 1 to 300"):
        fields.write(Record(**(vars(GOOD) | {"count": 301})))


def test_defaults_are_written_and_other_attributes_are_not():
    assert Settings() == Settings(4, 0.5, "b", b"x", "")
    assert fields.write(Settings()) == bytes([4]) + varint(500) + bytes([2, 1]) + b"x\0"
    assert fields.read_whole(Settings, fields.write(Settings(cached=9))) == Settings()


def test_describe_prints_and_counts():
    lines = fields.describe(GOOD)
    assert [line.name for line in lines] == ["count", "share", "colour", "key", "name", "places"]
    assert [line.size for line in lines] == [2, 2, 1, 3, 4, 5]
    assert lines[2].value == "blue"
    assert lines[0].meaning == "a count"


@steady
@given(st.binary(max_size=40))
def test_any_bytes_are_a_record_or_an_error_of_the_stream(data):
    try:
        record = fields.read_whole(Record, data)
    except (InvalidField, TruncatedStream):
        return
    assert fields.write(record) == data
