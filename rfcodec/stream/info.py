"""What a stream tells of itself: headers, GOPs, and its bytes by purpose. No model is opened."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import final

from rfcodec import registry
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import PREAMBLE, GopRecord, read_gops, read_header, read_preamble, read_units
from rfcodec.bitstream.fields import ByteReader, Line
from rfcodec.bitstream.headers import GopHeader, SequenceHeader
from rfcodec.bitstream.records import Unit, UnitType, unit_size
from rfcodec.coding.header import plan_spans
from rfcodec.errors import InvalidField, TruncatedStream, UnknownPlugin

SMALLEST_GOP = unit_size(len(fields.write(GopHeader(0, 0, (), b""))))
LARGEST_LOSS = 10  # times a damaged file may be shorter than its GOPs at the least: bounds what it can ask for
PURPOSES = {
    UnitType.SEQUENCE: "sequence header",
    UnitType.GOP: "GOP headers",
    UnitType.SIDE_INFO: "side information",
    UnitType.SYMBOLS: "symbols",
    UnitType.CORRECTION: "correction",
}
CLOSING = "index and end"
PLUGINS = {"mode": "conditioners", "still": "stills", "codebook": "codebooks"}


@final
@dataclass(frozen=True)
class StreamInfo:
    """Size in bytes, sequence header, its fields as lines, GOPs, and bytes by purpose, which add up to the size."""

    size: int
    header: SequenceHeader
    lines: list[Line]
    gops: list[GopRecord]
    bytes_by_purpose: dict[str, int]

    @property
    def bpp(self) -> float:
        """Bits of the whole stream per pixel of the frames shown."""
        return 8 * self.size / self.header.format.pixels


@final
class Account:
    """Counts bytes by the type of the units that pass."""

    def __init__(self) -> None:
        self.sizes: Counter[int] = Counter()

    def passing(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """The units, counted with their framing."""
        for unit in units:
            self.sizes[unit.type] += unit_size(len(unit.payload))
            yield unit

    def by_purpose(self, size: int) -> dict[str, int]:
        """Bytes by purpose of a stream of `size` bytes: the preamble goes to the header, what is left is index and end."""
        found = {name: self.sizes[kind] for kind, name in PURPOSES.items()}
        found[PURPOSES[UnitType.SEQUENCE]] += len(PREAMBLE)
        return found | {CLOSING: size - sum(found.values())}


def checked_header(data: bytes, partial: bool = False) -> SequenceHeader:
    """The sequence header; raises TruncatedStream where it tells of far more frames than the bytes can hold."""
    header = read_header(data)
    fewest = -(-header.num_frames // header.gop) * SMALLEST_GOP
    if fewest > len(data) * (LARGEST_LOSS if partial else 1):
        raise TruncatedStream(f"{header.num_frames} frames need {fewest} bytes at the least, the file has {len(data)}")
    return header


def describe(data: bytes) -> StreamInfo:
    """Reads the headers of a whole stream; raises BitstreamError on any damage."""
    header, reader = checked_header(data), ByteReader(data)
    read_preamble(reader)
    start = reader.position
    account = Account()
    gops = list(read_gops(account.passing(read_units(reader))))
    _check_gops(header, gops)
    account.sizes[UnitType.SEQUENCE] = start - len(PREAMBLE)
    purposes = account.by_purpose(len(data))
    return StreamInfo(len(data), header, _named(header), gops, purposes)


def _check_gops(header: SequenceHeader, gops: list[GopRecord]) -> None:
    for number, gop in enumerate(gops):
        if gop.header.index != number:
            raise InvalidField(f"GOP {gop.header.index} stands where GOP {number} should")
    try:
        planned = sum(1 for _ in islice(plan_spans(header), len(gops) + 1))
    except UnknownPlugin:  # headers are also shown where a plugin that decodes them is missing
        return
    if planned != len(gops):
        more = "more" if planned > len(gops) else "fewer"
        raise InvalidField(f"the stream has {len(gops)} GOPs; {header.num_frames} frames have {more}")


def _named(header: SequenceHeader) -> list[Line]:
    lines = [Line("signature and version", PREAMBLE.hex(), len(PREAMBLE), "RFV and the version of the stream")]
    for line in fields.describe(header):
        if line.name == "extensions":
            lines += _extensions(header, line)
            continue
        named = line._replace(value=registry.name_of(PLUGINS[line.name], line.value)) if line.name in PLUGINS else line
        lines.append(named._replace(value=named.value.hex()) if isinstance(named.value, bytes) else named)
    return lines


def _extensions(header: SequenceHeader, line: Line) -> list[Line]:
    """A line for each, or the one line where there is none."""
    aspect = header.format.sample_aspect
    known = {"aspect": (f"{aspect.numerator}:{aspect.denominator}", "width of a pixel over its height")}
    found = []
    for item in header.extensions:
        value, meaning = known.get(item[0], (item[1].hex(), line.meaning))
        size = len(fields.write(replace(header, extensions=(item,)))) - len(fields.write(replace(header, extensions=())))
        found.append(Line(item[0], value, size, meaning))
    return found or [line]
