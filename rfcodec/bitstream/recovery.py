"""Units of a damaged stream. Every byte is looked at a bounded number of times, whatever lengths and checksums say."""

import zlib
from collections.abc import Iterator
from typing import final

from rfcodec.bitstream import fields
from rfcodec.bitstream.fields import ByteReader
from rfcodec.bitstream.headers import GopHeader
from rfcodec.bitstream.records import CRC_BYTES, MANDATORY, Unit, UnitType, read_frame, read_head, unit_size
from rfcodec.errors import BitstreamError

LONGEST_GOP_UNIT = unit_size(fields.most_bytes(GopHeader))
MOST_FALSE_LENGTHS = 16  # lengths that reach over a GOP unit, and whose checksum fails, until no such length is believed
GAP = Unit(UnitType.GAP, b"", intact=False)


def salvage_units(reader: ByteReader) -> Iterator[Unit]:
    """The readable units of a damaged stream, symbols also where their checksum fails or their end is missing.

    A GAP replaces anything else that is lost, so that the units after it are not counted to the GOP before it.
    """
    return _Recovery(reader.data).units(reader.position)


@final
class _Recovery:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next_gop = -1  # the first readable GOP unit after the position asked for last
        self._false_lengths = 0

    def units(self, position: int) -> Iterator[Unit]:
        """All units from a position up to the end mark; a GAP where that is missing."""
        while position < len(self._data):
            found = self._intact(position)
            if found and found[0].type == UnitType.END:
                return
            unit, position = found or self._doubtful(position)
            yield _understood(unit) if found else unit
        yield GAP

    def _intact(self, start: int) -> tuple[Unit, int] | None:
        """The unit at a position, and its end, if its checksum fits."""
        end = self._told_end(start)
        if end is None or end > len(self._data):
            return None
        if self._false_lengths >= MOST_FALSE_LENGTHS and end > self._gop_after(start):
            return None
        reader = ByteReader(self._data)
        reader.position = start
        try:
            return read_frame(reader), end
        except BitstreamError:
            self._false_lengths += end > self._gop_after(start)
            return None

    def _doubtful(self, start: int) -> tuple[Unit, int]:
        """Symbols of a unit whose checksum fails, a GAP for another one; and where to read on."""
        told, limit = self._told_end(start), self._gop_after(start)
        follows = told is not None and (told == limit or (told < limit and self._intact(told) is not None))
        end = told if follows and told is not None else limit
        if told is None or self._data[start] != UnitType.SYMBOLS:
            return GAP, end
        reader = ByteReader(self._data)
        reader.position = start
        _, length = read_head(reader)
        return Unit(UnitType.SYMBOLS, self._data[reader.position : min(reader.position + length, end)], intact=False), end

    def _told_end(self, start: int) -> int | None:
        """Where the unit at a position ends by its own length."""
        reader = ByteReader(self._data)
        reader.position = start
        try:
            _, length = read_head(reader)
        except BitstreamError:
            return None
        return reader.position + length + CRC_BYTES

    def _gop_after(self, start: int) -> int:
        """The first byte of the next readable GOP unit after a position, or the end of the data."""
        if self._next_gop <= start:
            self._next_gop = self._find_gop(start + 1)
        return self._next_gop

    def _find_gop(self, start: int) -> int:
        view, mark = memoryview(self._data), bytes([UnitType.GOP])
        position = self._data.find(mark, start)
        while position >= 0:
            end = self._told_end(position)
            if end is not None and end <= min(len(view), position + LONGEST_GOP_UNIT):
                told = int.from_bytes(view[end - CRC_BYTES : end], "little")
                if told == zlib.crc32(view[position : end - CRC_BYTES]):
                    return position
            position = self._data.find(mark, position + 1)
        return len(view)


def _understood(unit: Unit) -> Unit:
    """A GAP for a GOP unit whose header is not legal; an unknown unit for one that is never written or must be known."""
    if unit.type == UnitType.GAP or unit.type >= MANDATORY:
        return Unit(MANDATORY, b"", intact=False)
    if unit.type == UnitType.GOP:
        try:
            fields.read_whole(GopHeader, unit.payload)
        except BitstreamError:
            return GAP
    return unit
