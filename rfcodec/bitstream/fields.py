"""A field list that reads, writes, counts and prints a record.

A record is a frozen dataclass whose fields the functions below make; the order of the fields is their order in the stream.
"""

import re
import reprlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple, TypeVar

from rfcodec.errors import InvalidField, TruncatedStream, UnsupportedFeature

Record = TypeVar("Record")
_SURROGATE = re.compile("[\ud800-\udfff]")  # halves of characters, which UTF-8 has no bytes for


class ByteReader:
    """Reads bytes in order and never beyond the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes; raises TruncatedStream if there are fewer."""
        end = self.position + count
        if end > len(self.data):
            raise TruncatedStream(f"{count} bytes wanted at byte {self.position}, {len(self.data) - self.position} left")
        piece, self.position = self.data[self.position : end], end
        return piece

    def varint(self) -> int:
        """An unsigned LEB128 integer of at most nine bytes, in its shortest form."""
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise InvalidField("an integer is not in its shortest form")
                return value
        raise InvalidField("an integer is longer than nine bytes")

    @property
    def exhausted(self) -> bool:
        """Whether all bytes are read."""
        return self.position == len(self.data)

    def expect_end(self) -> None:
        """Raises InvalidField if bytes are left over."""
        if not self.exhausted:
            raise InvalidField(f"{len(self.data) - self.position} bytes too many")


def varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, lowest first, the top bit set on all bytes but the last."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(frozen=True)
class Kind:
    """How a value of one field becomes bytes and back, which values are legal, what it means, the most bytes it takes."""

    write: Callable[[Any], bytes]
    read: Callable[[ByteReader], Any]
    legal: Callable[[Any], bool]
    range: str
    meaning: str
    most: int


class Line(NamedTuple):
    """One printed field: name, value, size in bytes, meaning."""

    name: str
    value: Any
    size: int
    meaning: str


def _field(kind: Kind, default: Any) -> Any:
    metadata = {"kind": kind}
    return dataclass_field(metadata=metadata) if default is None else dataclass_field(default=default, metadata=metadata)


def uint(meaning: str, low: int = 0, high: int = 2**32 - 1, default: int | None = None) -> Any:
    """An integer in [low, high] as a varint."""
    kind = Kind(
        varint,
        ByteReader.varint,
        lambda v: isinstance(v, int) and low <= v <= high,
        f"{low} to {high}",
        meaning,
        len(varint(high)),
    )
    return _field(kind, default)


def milli(meaning: str, low: float, high: float, default: float | None = None) -> Any:
    """A real number in [low, high] in thousandths, as a varint."""
    kind = Kind(
        lambda v: varint(round(v * 1000)),
        lambda reader: reader.varint() / 1000,
        lambda v: low <= v <= high and abs(v * 1000 - round(v * 1000)) < 1e-6,
        f"{low} to {high} in steps of 0.001",
        meaning,
        len(varint(round(high * 1000))),
    )
    return _field(kind, default)


def choice(meaning: str, ids: Mapping[str, int], default: str | None = None) -> Any:
    """One of some names, each with a literal id below 128."""
    names = {number: name for name, number in ids.items()}
    kind = Kind(
        lambda v: varint(ids[v]),
        lambda reader: names.get(number := reader.varint(), number),
        lambda v: v in ids,
        ", ".join(ids),
        meaning,
        len(varint(max(ids.values()))),
    )
    return _field(kind, default)


def octets(meaning: str, high: int, default: bytes | None = None) -> Any:
    """At most `high` bytes: their number as a varint, then the bytes."""
    kind = Kind(
        lambda v: varint(len(v)) + v,
        lambda reader: reader.take(reader.varint()),
        lambda v: isinstance(v, bytes) and len(v) <= high,
        f"at most {high} bytes",
        meaning,
        len(varint(high)) + high,
    )
    return _field(kind, default)


def text(meaning: str, high: int, default: str | None = None) -> Any:
    """UTF-8 text of at most `high` bytes: a varint of 2 size + d, then size bytes, which d = 1 marks as a deflate stream."""
    kind = Kind(
        _write_text,
        lambda reader: _read_text(reader, high),
        lambda v: isinstance(v, str) and len(v.encode(errors="replace")) <= high and not _SURROGATE.search(v),
        f"at most {high} bytes of UTF-8",
        meaning,
        len(varint(2 * high + 1)) + high,
    )
    return _field(kind, default)


def increments(meaning: str, high: int) -> Any:
    """An increasing sequence of at most `high` integers: their number, then the differences, the first from 0."""
    kind = Kind(
        _write_increments,
        _read_increments,
        lambda v: len(v) <= high and all(0 < b - a < 1 << 32 for a, b in zip((0, *v), v, strict=False)),
        f"at most {high} increasing numbers above 0",
        meaning,
        len(varint(high)) + high * len(varint(2**32 - 1)),
    )
    return _field(kind, None)


def fixed(meaning: str, size: int, low: int = 0, high: int | None = None) -> Any:
    """An unsigned integer in [low, high], by default any, of `size` bytes, lowest first."""
    most = (1 << 8 * size) - 1 if high is None else high
    kind = Kind(
        lambda v: v.to_bytes(size, "little"),
        lambda reader: int.from_bytes(reader.take(size), "little"),
        lambda v: isinstance(v, int) and low <= v <= most,
        f"{low} to {most}",
        meaning,
        size,
    )
    return _field(kind, None)


def nested(meaning: str, record: type) -> Any:
    """The fields of another record, one after the other."""
    kind = Kind(
        lambda v: write(v),
        lambda reader: read(record, reader),
        lambda v: isinstance(v, record),
        f"a {record.__name__}",
        meaning,
        most_bytes(record),
    )
    return _field(kind, None)


Extensions = tuple[tuple[str, bytes], ...]


def extensions(meaning: str, high: int, known: frozenset[str] = frozenset()) -> Any:
    """Additions of later releases, up to the end of the record: name and payload, each with its length, by rising names.

    A name has 1 to 16 letters. A reader skips an unknown name with a small initial; it raises UnsupportedFeature for an
    unknown one with a capital. Without extensions no byte is written. Always the last field of a record that fills its unit.
    """
    kind = Kind(
        lambda v: b"".join(varint(len(name)) + name.encode() + varint(len(data)) + data for name, data in v),
        lambda reader: _read_extensions(reader, known),
        lambda v: _legal_extensions(v) and sum(len(name) + len(data) for name, data in v) <= high,
        f"rising names of 1 to 16 letters, each with its bytes, at most {high} in all",
        meaning,
        high + high * (len(varint(1)) + len(varint(high))),  # a name of one byte at the least, and two lengths
    )
    return _field(kind, ())


def _legal_extensions(value: Extensions) -> bool:
    names = [name for name, _ in value]
    return names == sorted(set(names)) and all(re.fullmatch("[A-Za-z]{1,16}", name) for name in names)


def _read_extensions(reader: ByteReader, known: frozenset[str]) -> Extensions:
    found: list[tuple[str, bytes]] = []
    while not reader.exhausted:
        name = reader.take(reader.varint()).decode("ascii", "replace")
        found.append((name, reader.take(reader.varint())))
        if name[:1].isupper() and name not in known:
            raise UnsupportedFeature(
                f"the stream needs the extension {name[:16]!r}, which this release does not know: use a newer one"
            )
    return tuple(found)


def _write_text(value: str) -> bytes:
    plain = value.encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(plain) + deflate.flush()
    return varint(2 * len(packed) + 1) + packed if len(packed) < len(plain) else varint(2 * len(plain)) + plain


def _read_text(reader: ByteReader, high: int) -> str:
    size, deflated = divmod(reader.varint(), 2)
    data = reader.take(size)
    try:
        return (_inflate(data, high) if deflated else data).decode()
    except (UnicodeDecodeError, zlib.error) as error:
        raise InvalidField("a text is not UTF-8") from error


def _inflate(data: bytes, high: int) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflate.decompress(data, high + 1)  # one more than is legal: a bomb is refused, not unpacked
    if not inflate.eof or inflate.unused_data or len(plain) <= len(data):
        raise InvalidField(f"{len(data)} bytes are no shorter form of a text of at most {high} bytes")
    return plain


def _write_increments(values: tuple[int, ...]) -> bytes:
    return varint(len(values)) + b"".join(varint(b - a) for a, b in zip((0, *values), values, strict=False))


def _read_increments(reader: ByteReader) -> tuple[int, ...]:
    values: list[int] = []
    count = reader.varint()
    if count > len(reader.data):
        raise TruncatedStream(f"{count} numbers announced in {len(reader.data)} bytes")
    for _ in range(count):
        values.append((values[-1] if values else 0) + reader.varint())
    return tuple(values)


def _kinds(record: Any) -> Iterator[tuple[Field, Kind]]:
    for item in fields(record):
        if "kind" in item.metadata:
            yield item, item.metadata["kind"]


def most_bytes(record: type) -> int:
    """An upper bound of the bytes that a record of that class takes."""
    return sum(kind.most for _, kind in _kinds(record))


def _checked(item: Field, kind: Kind, value: Any) -> Any:
    if not kind.legal(value):
        raise InvalidField(f"{item.name} is {reprlib.repr(value)}; legal: {kind.range}")
    return value


def write(record: Any) -> bytes:
    """The bytes of a record; raises InvalidField on a value outside its range."""
    return b"".join(kind.write(_checked(item, kind, getattr(record, item.name))) for item, kind in _kinds(record))


def read(cls: type[Record], reader: ByteReader) -> Record:
    """Reads a record; raises TruncatedStream or InvalidField."""
    return cls(**{item.name: _checked(item, kind, kind.read(reader)) for item, kind in _kinds(cls)})


def read_whole(cls: type[Record], data: bytes) -> Record:
    """Reads a record that fills `data`; raises InvalidField if bytes are left over."""
    reader = ByteReader(data)
    record = read(cls, reader)
    reader.expect_end()
    return record


def describe(record: Any) -> list[Line]:
    """A line for each field: name, value, bytes, meaning; fields of a nested record as `record.field`."""
    lines: list[Line] = []
    for item, kind in _kinds(record):
        value = getattr(record, item.name)
        if is_dataclass(value):
            lines += [line._replace(name=f"{item.name}.{line.name}") for line in describe(value)]
        else:
            lines.append(Line(item.name, value, len(kind.write(value)), kind.meaning))
    return lines
