"""The file: signature, version, units, index, end mark; reading in order, by seeking, and from a damaged file."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import IO, final

from rfcodec.bitstream import fields
from rfcodec.bitstream.fields import ByteReader, increments
from rfcodec.bitstream.headers import EndMark, GopHeader, SequenceHeader
from rfcodec.bitstream.records import Unit, UnitType, read_unit, unit_size
from rfcodec.errors import (
    BitstreamError,
    CorruptRecord,
    InvalidField,
    NotAStream,
    OutputError,
    UnsupportedFeature,
    UnsupportedVersion,
)
from rfcodec.support.files import replacing

SIGNATURE = b"RFV\x1a"
VERSION = 1
PREAMBLE = SIGNATURE + bytes([VERSION])
END_BYTES = unit_size(len(fields.write(EndMark(0, 0, 1))))


@final
@dataclass(frozen=True)
class Index:
    """The first byte of each GOP's units, so that a reader can begin at any GOP."""

    offsets: tuple[int, ...] = increments("byte of each GOP unit from the start of the file", 2**31 - 1)


@final
@dataclass(frozen=True)
class GopRecord:
    """All units of one GOP. `intact` is False where symbols are cut short or fail their checksum."""

    header: GopHeader
    side_info: bytes = b""
    symbols: bytes = b""
    correction: bytes = b""
    intact: bool = True


def closing_bytes(gop_bytes: Iterable[int]) -> int:
    """The most bytes that index and end mark take for GOPs of at most those sizes; a single GOP has no index."""
    sizes = list(gop_bytes)
    if len(sizes) < 2:
        return END_BYTES
    offsets = tuple(accumulate((max(size, 1) for size in sizes[:-1]), initial=(1 << 21) - 1))
    return unit_size(len(fields.write(Index(offsets)))) + END_BYTES


def closing_units(offsets: tuple[int, ...], position: int, num_frames: int) -> bytes:
    """Index (for two GOPs or more) and end mark of a stream of num_frames whose units so far end at `position`."""
    index = Unit(UnitType.INDEX, fields.write(Index(offsets))).write() if len(offsets) > 1 else b""
    end = EndMark(position + len(index) + END_BYTES, len(index), num_frames)
    return index + Unit(UnitType.END, fields.write(end)).write()


def write_stream(target: Path | IO[bytes], units: Iterable[Unit]) -> int:
    """Writes a whole stream to a path or a binary file and returns its size.

    Nothing stands under a path unless all went well. Raises OutputError where it cannot be written; errors of the units
    pass through.
    """
    if not isinstance(target, Path):
        return _write_units(partial(_put, target), units)
    path = target
    if not path.name or path.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: name a file, not a folder")
    with replacing(path) as part, part.open("wb") as file:
        return _write_units(file.write, units)


def _write_units(write: Callable[[bytes], int], units: Iterable[Unit]) -> int:
    position, offsets, num_frames = write(PREAMBLE), list[int](), 0
    for unit in units:
        if unit.type == UnitType.SEQUENCE:
            num_frames = fields.read_whole(SequenceHeader, unit.payload).num_frames
        if unit.type == UnitType.GOP:
            offsets.append(position)
        position += write(unit.write())
    return position + write(closing_units(tuple(offsets), position, num_frames))


def _put(file: IO[bytes], data: bytes) -> int:
    try:
        taken = file.write(data)
    except (OSError, TypeError) as error:
        raise OutputError(f"cannot write to {type(file).__name__}: {error}; give a writable binary file") from error
    if taken != len(data):
        raise OutputError("the file took a part of what was written: give a buffered binary file")
    return taken


def read_preamble(reader: ByteReader) -> SequenceHeader:
    """Reads signature, version and sequence header; raises NotAStream, UnsupportedVersion, InvalidField."""
    start = reader.data[: len(PREAMBLE)]
    if start[: len(SIGNATURE)] != SIGNATURE[: len(start)] or not start:
        raise NotAStream("the file does not begin with the signature of an .rfv stream")
    if reader.take(len(PREAMBLE))[-1] != VERSION:
        raise UnsupportedVersion(
            f"the stream has version {start[-1]}, this decoder reads version {VERSION}: use another release"
        )
    unit = read_unit(reader)
    if unit.type != UnitType.SEQUENCE:
        raise InvalidField(f"the first unit has type {unit.type}, not {UnitType.SEQUENCE}")
    return fields.read_whole(SequenceHeader, unit.payload)


def read_header(data: bytes) -> SequenceHeader:
    """The sequence header of a stream, with num_frames of the end mark where its own is 0.

    num_frames remains 0 where the end mark is missing as well. Raises BitstreamError.
    """
    header = read_preamble(ByteReader(data))
    if header.num_frames:
        return header
    try:
        return replace(header, num_frames=_read_end(data).num_frames)
    except BitstreamError:
        return header


def _read_end(data: bytes) -> EndMark:
    reader = ByteReader(data)
    reader.position = max(0, len(data) - END_BYTES)
    unit = read_unit(reader)
    if unit.type != UnitType.END:
        raise InvalidField(f"the last unit has type {unit.type}, not {UnitType.END}")
    return fields.read_whole(EndMark, unit.payload)


def read_units(reader: ByteReader) -> Iterator[Unit]:
    """All units after the header, up to the end mark; raises on any damage."""
    while True:
        unit = read_unit(reader)
        if unit.type == UnitType.END:
            _check_end(fields.read_whole(EndMark, unit.payload), reader)
            return
        yield unit


def _check_end(end: EndMark, reader: ByteReader) -> None:
    if end.total != reader.position or not reader.exhausted:
        raise InvalidField(f"the end mark counts {end.total} bytes, the file has {len(reader.data)}")
    told = read_preamble(ByteReader(reader.data)).num_frames
    if told and told != end.num_frames:
        raise InvalidField(f"the end mark counts {end.num_frames} frames, the header {told}")


def salvage_units(reader: ByteReader) -> Iterator[Unit]:
    """The readable units of a damaged stream, symbols also where their checksum fails or their end is missing.

    A GAP replaces anything else that is lost, so that the units after it are not counted to the GOP before it.
    """
    while not reader.exhausted:
        start = reader.position
        try:
            unit = read_unit(reader)
        except BitstreamError as error:
            if not isinstance(error, CorruptRecord) or not _starts_unit(reader):
                reader.position = _next_gop(reader, start + 1)
            yield _doubtful(reader.data[start : reader.position])
        else:
            if unit.type == UnitType.END:
                return
            yield unit if unit.type != UnitType.GOP or _legal_gop(unit.payload) else Unit(UnitType.GAP, b"", intact=False)
    yield Unit(UnitType.GAP, b"", intact=False)


def _legal_gop(payload: bytes) -> bool:
    try:
        fields.read_whole(GopHeader, payload)
    except UnsupportedFeature:
        raise
    except BitstreamError:
        return False
    return True


def _doubtful(data: bytes) -> Unit:
    # a wrong length must not reach into the next GOP: every copy would hold the rest of the file
    piece = ByteReader(data)
    try:
        kind, length = piece.take(1)[0], piece.varint()
    except BitstreamError:
        kind, length = UnitType.GAP, 0
    if kind != UnitType.SYMBOLS:
        return Unit(UnitType.GAP, b"", intact=False)
    return Unit(kind, data[piece.position : piece.position + length], intact=False)


def _starts_unit(reader: ByteReader) -> bool:
    piece = ByteReader(reader.data)
    piece.position = reader.position
    try:
        read_unit(piece)
    except BitstreamError:
        return False
    return True


def _next_gop(reader: ByteReader, start: int) -> int:
    # GOP units are short, so that the search stays linear in the size of the file
    for position in range(start, len(reader.data)):
        if reader.data[position] == UnitType.GOP:
            piece = ByteReader(reader.data[position : position + 4096])
            try:
                read_unit(piece)
            except BitstreamError:
                continue
            return position
    return len(reader.data)


def read_gops(units: Iterable[Unit]) -> Iterator[GopRecord]:
    """Groups units by GOP; skips unknown types, and all units between a GAP and the next GOP unit."""
    record: GopRecord | None = None
    names = {UnitType.SIDE_INFO: "side_info", UnitType.SYMBOLS: "symbols", UnitType.CORRECTION: "correction"}
    for unit in units:
        if unit.type in (UnitType.GOP, UnitType.GAP):
            if record:
                yield replace(record, intact=record.intact and unit.intact)
            record = GopRecord(fields.read_whole(GopHeader, unit.payload)) if unit.type == UnitType.GOP else None
        elif record and unit.type in names:
            part = {names[UnitType(unit.type)]: unit.payload}
            record = replace(record, **part, intact=record.intact and unit.intact)
    if record:
        yield record


def read_index(data: bytes) -> Index | None:
    """The index, found from the end of the stream; None where there is none. Raises BitstreamError."""
    size = _read_end(data).index
    if size == 0:
        return None
    reader = ByteReader(data)
    reader.position = max(0, len(data) - END_BYTES - size)
    return fields.read_whole(Index, read_unit(reader).payload)
