"""Crafted streams by name: checksums that fit, and contents that ask for more than they should.

`python tests/hostile_streams.py FOLDER` writes them all.
"""

import io
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from PIL import Image

from rfcodec.bitstream import fields
from rfcodec.bitstream.container import END_BYTES, PREAMBLE, Index, closing_units
from rfcodec.bitstream.fields import varint
from rfcodec.bitstream.headers import EndMark, GopHeader, SequenceHeader, TrajectoryHeader
from rfcodec.bitstream.records import Unit, UnitType
from rfcodec.config import RuntimeConfig
from rfcodec.registry import load
from rfcodec.types import Identity

ESCAPES = "\x1b]52;c;cm0gLXJmIH4=\x07\x1b]0;title\x07\x1b[2J\x1b[31m\r\n\u202eevil\u200b\x9b"
UNKNOWN = 40  # a type of unit that a decoder skips
TRAJECTORY = TrajectoryHeader("posterior", "eta", 1.0, 3.0, 2.0, 2, 1, 1, 0, 1.0)


def header(**changes) -> SequenceHeader:
    """A stream of one frame of 16 x 16 that the Gaussian backbone decodes in two steps."""
    plain = SequenceHeader(
        width=16,
        height=16,
        num_frames=1,
        fps_numerator=25,
        fps_denominator=1,
        gop=1,
        mode=1,
        still=2,
        codebook=1,
        codebook_parameters=fields.write(load("codebooks", "trellis")()),
        trajectory=TRAJECTORY,
        seed=1,
        backbone="gaussian",
        weights=gaussian().weights,
        arithmetic=gaussian().arithmetic,
        backbone_options="",
        prompt="",
    )
    return replace(plain, **changes)


@cache
def gaussian() -> Identity:
    """What the Gaussian backbone calls itself here: a crafted stream passes the check of weights."""
    return load("backbones", "gaussian")(RuntimeConfig(), {}).identity


def gop(index: int = 0, bits: int = 0, **more) -> Unit:
    """A GOP unit."""
    return Unit(UnitType.GOP, fields.write(GopHeader(index, bits, (), b"", **more)))


def head(kind: int, length: int) -> bytes:
    """Type and length of a unit without the rest."""
    return bytes([kind]) + varint(length)


def stream(first: SequenceHeader, pieces: list[Unit | bytes], num_frames: int | None = None, closed: bool = True) -> bytes:
    """A stream of units, or of any bytes in between, with index and end mark where it is `closed`."""
    data, offsets = bytearray(PREAMBLE + Unit(UnitType.SEQUENCE, fields.write(first)).write()), []
    for piece in pieces:
        if isinstance(piece, Unit) and piece.type == UnitType.GOP:
            offsets.append(len(data))
        data += piece.write() if isinstance(piece, Unit) else piece
    return bytes(data) + (closing_units(tuple(offsets), len(data), num_frames or first.num_frames or 1) if closed else b"")


def with_end(first: SequenceHeader, pieces: list[Unit], index: bytes, told: int) -> bytes:
    """A stream that ends with those bytes as its index, of which the end mark tells `told`."""
    data = stream(first, list(pieces), closed=False) + index
    return data + Unit(UnitType.END, fields.write(EndMark(len(data) + END_BYTES, told, first.num_frames))).write()


def nested(filler: bytes, count: int = 13_000) -> bytes:
    """Many GOP units, each followed by the head of a unit whose length spans the rest of the file; 64 of them are shown."""
    pieces: list[bytes] = []
    left = 0
    for index in reversed(range(count)):
        piece = gop(index).write() + filler + varint(left + 1000)
        pieces.append(piece)
        left += len(piece)
    return stream(header(num_frames=min(count, 64)), [*reversed(pieces), bytes(2000)], closed=False)


def many_marks() -> bytes:
    """Bytes that look like the head of a long GOP unit at every third place."""
    return stream(header(), [gop(), head(UnitType.GOP, 6600) * 90_000], closed=False)


def huge_avif(side: int = 8192) -> bytes:
    """I2V whose still is an AVIF file of side x side pixels that says it has 16 x 16."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 40)).save(file, "AVIF", quality=1, speed=10, codec="aom", subsampling="4:2:0")
    data = bytearray(file.getvalue())
    place = data.index(b"ispe") + 8
    data[place : place + 8] = (16).to_bytes(4, "big") * 2
    return stream(header(mode=2, still=1), [gop(), Unit(UnitType.SIDE_INFO, reference(avif(bytes(data))))])


def avif(file: bytes) -> bytes:
    """The payload of the still coder `avif` for an AVIF file, without a preset dictionary being of use."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return b"\0" + deflate.compress(file) + deflate.flush()


def reference(still: bytes, position: int = 0) -> bytes:
    """Side information of one reference frame."""
    return varint(position) + varint(len(still)) + varint(0) + still


def atoms(name: str, parameters: dict[str, int], side: int, bits: int) -> bytes:
    """A GOP of one frame whose coded steps name as many atoms as there may be."""
    codebook = load("codebooks", name)
    steps = replace(TRAJECTORY, steps=3, bit_ramp=0)
    first = header(
        width=side,
        height=side,
        codebook=codebook.ID,
        codebook_parameters=fields.write(codebook(**parameters)),
        trajectory=steps,
    )
    return stream(first, [gop(bits=2 * bits), Unit(UnitType.SYMBOLS, bytes(-(-2 * bits // 8)))])


STREAMS: dict[str, Callable[[], bytes]] = {
    "huge frames": lambda: stream(header(width=16384, height=16384, num_frames=8, gop=8), [gop()]),
    "huge frames, length at the end": lambda: stream(header(width=16384, height=16384, num_frames=0, gop=8), [gop()], 8),
    "two billion frames": lambda: stream(header(num_frames=2**31 - 1, gop=4096), [gop()]),
    "two billion frames at the end": lambda: stream(header(num_frames=0, gop=4096), [gop()], 2**31 - 1),
    "two million spans": lambda: stream(header(num_frames=2_000_000), [gop(), Unit(UNKNOWN, bytes(20_000))]),
    "two million spans, long": lambda: stream(header(num_frames=2_000_000), [gop(), Unit(UNKNOWN, bytes(2_100_000))]),
    "a million lost": lambda: stream(header(num_frames=1_000_000), [gop(), Unit(UNKNOWN, bytes(1_100_000))]),
    "a long lost GOP": lambda: stream(header(width=1024, height=1024, num_frames=800, gop=400), [gop(1)]),
    "no GOP": lambda: stream(header(num_frames=2**20, gop=4096), [Unit(UNKNOWN, bytes(2_000))]),
    "nested symbols": lambda: nested(bytes([UnitType.SYMBOLS])),
    "nested references": lambda: nested(bytes([UnitType.SIDE_INFO])),
    "nested units of type 0": lambda: nested(b"\0"),
    "many marks": many_marks,
    "mandatory extension of a GOP": lambda: stream(
        header(num_frames=3), [gop(0), gop(1, extensions=(("Layers", b"x"),)), gop(2)]
    ),
    "illegal GOP header": lambda: stream(header(num_frames=3), [gop(0), Unit(UnitType.GOP, b"\1\0\0\xff"), gop(2)]),
    "unit of type 0": lambda: stream(header(num_frames=2), [gop(0), Unit(UnitType.GAP, b"abc"), gop(1)]),
    "mandatory unit": lambda: stream(header(num_frames=2), [gop(0), Unit(200, b"abc"), gop(1)]),
    "two symbols": lambda: stream(header(), [gop(), Unit(UnitType.SYMBOLS, b"a"), Unit(UnitType.SYMBOLS, b"b")]),
    "symbols before references": lambda: stream(
        header(), [gop(), Unit(UnitType.SYMBOLS, b"a"), Unit(UnitType.SIDE_INFO, b"b")]
    ),
    "symbols before a GOP": lambda: stream(header(), [Unit(UnitType.SYMBOLS, b"a"), gop()]),
    "second sequence header": lambda: stream(header(), [gop(), Unit(UnitType.SEQUENCE, fields.write(header(seed=2)))]),
    "index in between": lambda: stream(
        header(num_frames=2), [gop(0), Unit(UnitType.INDEX, fields.write(Index((99,)))), gop(1)]
    ),
    "index of one GOP": lambda: with_end(header(), [gop()], *_index((108,))),
    "index of other GOPs": lambda: with_end(header(num_frames=2), [gop(0), gop(1)], *_index((1, 2))),
    "no index": lambda: with_end(header(num_frames=2), [gop(0), gop(1)], b"", 0),
    "end mark without the index": lambda: with_end(header(num_frames=2), [gop(0), gop(1)], _offsets(), 0),
    "fewer GOPs than frames": lambda: stream(header(num_frames=3), [gop(0), gop(1)]),
    "more GOPs than frames": lambda: stream(header(num_frames=1), [gop(0), gop(1)]),
    "GOPs in another order": lambda: stream(header(num_frames=2), [gop(1), gop(0)]),
    "Euler-Maruyama of eta": lambda: euler_of_eta(),
    "unknown codebook": lambda: stream(header(codebook=99), [gop()]),
    "illegal option": lambda: stream(header(backbone_options="depth=9"), [gop()]),
    "escapes in all text": lambda: stream(
        header(backbone=ESCAPES, arithmetic=ESCAPES, backbone_options=f"a={ESCAPES}", prompt=ESCAPES + "x" * 60_000), [gop()]
    ),
    "huge AVIF": huge_avif,
    "topm, 4096 atoms": lambda: atoms("topm", {"k": 8192, "m": 4096}, 2048, 12_288),
    "gvcc, 4096 atoms": lambda: atoms("gvcc", {"k": 8192, "m": 4096}, 2048, 4096 * 14),
    "pursuit, 4096 atoms": lambda: atoms("pursuit", {"k": 2, "c": 2, "m": 4096}, 2048, 4096 * 3),
}


def euler_of_eta() -> bytes:
    """The header with another number in the place of its solver, which no writer makes."""
    legal = replace(TRAJECTORY, solver="euler_maruyama", diffusion="power", eta=1.0)
    plain = fields.write(header(trajectory=legal))
    place = plain.index(fields.write(legal))
    payload = plain[: place + 1] + b"\0" + plain[place + 2 :]
    data = PREAMBLE + Unit(UnitType.SEQUENCE, payload).write() + gop().write()
    return data + closing_units((0,), len(data), 1)


def _index(offsets: tuple[int, ...]) -> tuple[bytes, int]:
    unit = Unit(UnitType.INDEX, fields.write(Index(offsets))).write()
    return unit, len(unit)


def _offsets() -> bytes:
    first = len(stream(header(num_frames=2), [], closed=False))
    return _index((first, first + len(gop(0).write())))[0]


def make(name: str) -> bytes:
    """The stream of that name."""
    return STREAMS[name]()


if __name__ == "__main__":
    for number, (name, build) in enumerate(STREAMS.items()):
        path = Path(sys.argv[1]) / f"{number:02} {name.replace(' ', '_').replace(',', '')}.rfv"
        path.write_bytes(build())
        print(path.stat().st_size, path.name)
