"""Framed records: type, length, payload, CRC-32 (docs/bitstream.md, section 2)."""

import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import final

from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.errors import CorruptRecord, InvalidField, UnsupportedFeature

CRC_BYTES = 4
MANDATORY = 128


class UnitType(IntEnum):
    """Types of units (bitstream.md, section 2). GOP begins the units of a GOP; GAP marks a loss and is never written.

    A decoder skips unknown types below MANDATORY and refuses those from it on.
    """

    GAP = 0
    SEQUENCE = 1
    GOP = 2
    SIDE_INFO = 3
    SYMBOLS = 4
    CORRECTION = 5
    INDEX = 6
    END = 7


@final
@dataclass(frozen=True, slots=True)
class Unit:
    """One framed part of a stream. `intact` is False where a decoder kept a payload whose checksum fails."""

    type: int
    payload: bytes
    intact: bool = True

    def write(self) -> bytes:
        """Type (1 byte), length (varint), payload, CRC-32 of all before it (4 bytes, lowest first)."""
        body = bytes([self.type]) + varint(len(self.payload)) + self.payload
        return body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")


def unit_size(payload_bytes: int) -> int:
    """Bytes of a unit with a payload of that length: type, length, payload, CRC."""
    return 1 + len(varint(payload_bytes)) + payload_bytes + CRC_BYTES


def largest_payload(unit_bytes: int) -> int:
    """The longest payload whose unit has at most unit_bytes; negative if there is none."""
    payload = unit_bytes - CRC_BYTES - 2
    while payload > 0 and unit_size(payload) > unit_bytes:
        payload -= 1
    return payload


def read_frame(reader: ByteReader) -> Unit:
    """The next unit, of any type; raises TruncatedStream, InvalidField or, on a failed checksum, CorruptRecord."""
    start = reader.position
    kind, length = read_head(reader)
    payload = reader.take(length)
    body = memoryview(reader.data)[start : reader.position]
    if int.from_bytes(reader.take(CRC_BYTES), "little") != zlib.crc32(body):
        raise CorruptRecord(
            f"the unit of type {kind} at byte {start} is damaged (checksum); `--partial` decodes what is intact"
        )
    return Unit(kind, payload)


def read_head(reader: ByteReader) -> tuple[int, int]:
    """Type of the next unit and length of its payload; raises BitstreamError."""
    return reader.take(1)[0], reader.varint()


def read_unit(reader: ByteReader) -> Unit:
    """The next unit; raises what `read_frame` does, and UnsupportedFeature on a mandatory type that is not known."""
    start = reader.position
    unit = read_frame(reader)
    if unit.type == UnitType.GAP:
        raise InvalidField(f"the unit at byte {start} has type {unit.type}, which is never written")
    if unit.type >= MANDATORY:
        raise UnsupportedFeature(
            f"the stream needs units of type {unit.type}, which this release does not know: use a newer one"
        )
    return unit
