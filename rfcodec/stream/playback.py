"""From the bytes of a stream to the frames it shows, beginning at any GOP."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, final

from rfcodec.bitstream import fields
from rfcodec.bitstream.container import GopRecord, read_gops, read_index, read_preamble, read_units
from rfcodec.bitstream.fields import ByteReader
from rfcodec.bitstream.records import unit_size
from rfcodec.codec import decode as decode_records
from rfcodec.coding.decoded import Boundary, DecodedGop
from rfcodec.coding.engine import Engine
from rfcodec.coding.watcher import Watcher
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ArithmeticWarning, BitstreamError, InvalidField, TruncatedStream
from rfcodec.stream import display
from rfcodec.types import Frames

log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class DecodedFrames:
    """Frames that one GOP adds to the output; `start` is the number of the first one.

    digest_ok: whether the latents are the encoder's bit for bit, None where the GOP has no digest. intact is False where
    frames repeat a lost GOP's last one, or are decoded from damaged bytes or after a GOP that is not the one before.
    """

    start: int
    frames: Frames = field(repr=False)
    digest_ok: bool | None
    intact: bool = True


def seek(engine: Engine, data: bytes, start: int, watcher: Watcher, runtime: RuntimeConfig) -> Iterator[DecodedFrames]:
    """The GOPs from the one that holds frame `start` on; a chain is decoded from its beginning. Raises BitstreamError."""
    wanted = next(span.index for span in engine.spans() if span.stop > start)
    first = 0 if engine.conditioner.chained else max(wanted - 1, 0)
    records = records_from(data, first)
    previous: Any = None
    if first < wanted and not engine.conditioner.chained:
        record = next(records, None)
        if record is None or record.header.index != first:
            raise InvalidField(f"the index leads to no GOP {first}")
        previous = Boundary(engine.condition(record.side_info, engine.span(first), None))
    done = wanted if previous else first
    for number, record in enumerate(records, done):
        if record.header.index != number:
            raise InvalidField(f"GOP {record.header.index} stands where GOP {number} should")
        decoded = next(decode_records(engine, [record], previous))
        watcher.gop(decoded, None, record_size(record))
        if decoded.span.stop > start:
            yield show(decoded, record, runtime)
        previous, done = decoded, number + 1
    if (count := sum(1 for _ in engine.spans())) > done:
        raise TruncatedStream(f"the stream ends before its last GOP: it has {done} of {count}")


def records_from(data: bytes, gop: int) -> Iterator[GopRecord]:
    """The records from that GOP on, found by the index of the stream; raises BitstreamError where the index lacks it."""
    reader = ByteReader(data)
    read_preamble(reader)
    if gop:
        index = read_index(data)
        if index is None or gop >= len(index.offsets):
            raise BitstreamError(f"the index does not know GOP {gop}")
        reader.position = index.offsets[gop]
    return read_gops(read_units(reader, skipped=gop))


def show(decoded: DecodedGop, record: GopRecord, runtime: RuntimeConfig) -> DecodedFrames:
    """The frames that a decoded GOP adds to the output, and whether its digest agrees with the header's."""
    digest = record.header.digest
    agrees = decoded.digest(len(digest)) == digest if digest else None
    frames = display.shown(decoded, runtime)
    return DecodedFrames(decoded.span.start + decoded.span.overlap, frames, agrees, record.intact or agrees is True)


def compared(engine: Engine, pieces: Iterable[DecodedFrames]) -> Iterator[DecodedFrames]:
    """Yields the pieces; where the arithmetic differs from the encoder's, reports once whether the latents differ too.

    The report is an ArithmeticWarning at the first GOP whose digest differs or is missing, a line in the log where all
    agree.
    """
    there, here = engine.header.arithmetic, engine.backbone.identity.arithmetic
    asked, agreed = here != there, 0
    both = f"encoded with {there!r}, decoded with {here!r}"
    try:
        for piece in pieces:
            if asked and piece.intact and not piece.digest_ok:
                found = "has no digest" if piece.digest_ok is None else "has other latents than the encoder's"
                warnings.warn(
                    f"{both}: frame {piece.start} {found}, small drift is possible", ArithmeticWarning, stacklevel=3
                )
                asked = False
            agreed += bool(piece.digest_ok)
            yield piece
    finally:
        if asked and agreed:
            log.info("%s: the latents of all %d GOPs agree", both, agreed)


def record_size(record: GopRecord) -> int:
    """Bytes of the units of a GOP in the file, framing included."""
    parts = (fields.write(record.header), record.side_info, record.symbols, record.correction)
    return sum(unit_size(len(part)) for part in parts if part)
