"""Mutated streams: fields of headers, payloads, units and the framing itself, most of them with checksums that fit."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from tokens import INTEGERS, lie, mutated

from rfcodec import registry
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import PREAMBLE, closing_units, read_units
from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.bitstream.headers import EndMark, GopHeader, SequenceHeader
from rfcodec.bitstream.records import Unit, UnitType, read_unit
from rfcodec.errors import BitstreamError

SEEDS = tuple(sorted(Path(__file__).parent.parent.joinpath("conformance").glob("*.rfv")))
CORPUS = tuple(sorted(Path(__file__).parent.parent.joinpath("corpus").glob("*.rfv")))
MOST_REPEATS = 300


@dataclass
class Draft:
    """A stream in the making: header, units as (type, payload), and how it is to be closed."""

    header: bytes
    units: list[tuple[int, bytes]]
    num_frames: int


@cache
def parsed(path: Path) -> tuple[bytes, tuple[tuple[int, bytes], ...], int]:
    """Payload of the header, units without index and end mark, and number of frames of a seed."""
    reader = ByteReader(path.read_bytes()[len(PREAMBLE) :])
    header = read_unit(reader).payload
    reader = ByteReader(path.read_bytes())
    reader.position = len(PREAMBLE) + len(Unit(UnitType.SEQUENCE, header).write())
    units = tuple((unit.type, unit.payload) for unit in read_units(reader) if unit.type != UnitType.INDEX)
    return header, units, fields.read_whole(SequenceHeader, header).num_frames


def draft(random: Random) -> Draft:
    """One of the seeds."""
    header, units, num_frames = parsed(random.choice(SEEDS))
    return Draft(header, list(units), num_frames)


def mutated_stream(random: Random) -> bytes:
    """A stream with one to three mutations of its structure, and sometimes of its bytes."""
    made = draft(random)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choices(list(STRUCTURE), weights=list(STRUCTURE.values()))[0](random, made)
    data = written(random, made)
    if random.random() < 0.2:
        data = mutated_bytes(random, data)
    return data


def mutated_bytes(random: Random, data: bytes) -> bytes:
    """Bytes flipped, cut, doubled, moved, left out or put in, without a look at what they are."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        place, size = random.randrange(len(found) + 1), random.choice((1, 1, 2, 4, 16, 64))
        kind = random.randrange(6)
        if kind == 0 and place < len(found):
            found[place] ^= random.randrange(1, 256)
        elif kind == 1:
            del found[place:]
        elif kind == 2:
            del found[place : place + size]
        elif kind == 3:
            found[place:place] = found[place : place + size] or b"\0"
        elif kind == 4:
            found[place : place + size] = random.choice((b"\0", b"\xff", random.randbytes(1))) * size
        else:
            found[place:place] = random.randbytes(size)
    return bytes(found)


def written(random: Random, made: Draft) -> bytes:
    """The draft as bytes: mostly with lengths, checksums, index and end mark that fit."""
    stream, offsets = bytearray(PREAMBLE + Unit(UnitType.SEQUENCE, made.header).write()), []
    for kind, payload in made.units:
        if kind == UnitType.GOP:
            offsets.append(len(stream))
        stream += _framed(random, kind, payload)
    if random.random() < 0.03:
        return bytes(stream)
    if random.random() < 0.06:
        offsets = sorted({random.choice((offset, offset + 1, len(stream) * 2)) for offset in offsets or [9]})
    num_frames = made.num_frames if random.random() < 0.95 else random.choice([n for n in INTEGERS if 0 < n < 1 << 31])
    closing = closing_units(tuple(offsets), len(stream), num_frames or 1)
    if random.random() < 0.05:
        end = fields.write(EndMark(len(stream) + len(closing), random.choice((0, 1, 7, (1 << 32) - 1)), num_frames or 1))
        closing = (
            closing[: -len(Unit(UnitType.END, end).write())] + Unit(UnitType.END, mutated(random, EndMark, end)).write()
        )
    return bytes(stream + closing)


def _framed(random: Random, kind: int, payload: bytes) -> bytes:
    if random.random() > 0.02:
        return Unit(kind, payload).write()
    body = bytes([kind]) + lie(random, len(payload)) + payload
    return body + (zlib.crc32(body).to_bytes(4, "little") if random.random() < 0.7 else random.randbytes(4))


def _change_header(random: Random, made: Draft) -> None:
    made.header = mutated(random, SequenceHeader, made.header)


def _change_size(random: Random, made: Draft) -> None:
    header = fields.read_whole(SequenceHeader, _sound(made.header))
    sides = (1, 2, 15, 16, 17, 240, 4096, 16384, 65535)
    more = {name: random.choice(sides) for name in random.sample(("width", "height"), random.randrange(3))}
    more |= {"num_frames": random.choice((0, 1, 2, 3, 100, 10**4, 10**6, 2**31 - 1))} if random.random() < 0.5 else {}
    more |= {"gop": random.choice((1, 2, 3, 9, 4096))} if random.random() < 0.5 else {}
    record = object.__new__(SequenceHeader)
    vars(record).update(vars(header) | more)
    made.header, made.num_frames = fields.write(record), record.num_frames or made.num_frames


def _change_codebook(random: Random, made: Draft) -> None:
    header = fields.read_whole(SequenceHeader, _sound(made.header))
    codebook = registry.load("codebooks", random.choice(sorted(registry.names("codebooks"))))
    parameters = fields.write(codebook())
    parameters = mutated(random, codebook, parameters) if random.random() < 0.7 else parameters
    record = object.__new__(SequenceHeader)
    vars(record).update(vars(header) | {"codebook": codebook.ID, "codebook_parameters": parameters[:64]})
    made.header = fields.write(record)


def _sound(header: bytes) -> bytes:
    try:
        fields.read_whole(SequenceHeader, header)
    except BitstreamError:
        return parsed(SEEDS[0])[0]
    return header


def _change_gop(random: Random, made: Draft) -> None:
    places = [i for i, (kind, _) in enumerate(made.units) if kind == UnitType.GOP]
    if places:
        place = random.choice(places)
        made.units[place] = (UnitType.GOP, mutated(random, GopHeader, made.units[place][1]))


def _change_payload(random: Random, made: Draft) -> None:
    if not made.units:
        return
    place = random.randrange(len(made.units))
    kind, payload = made.units[place]
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: mutated_bytes(random, payload),
        lambda: random.randbytes(len(payload)),
        lambda: payload[: random.randrange(len(payload) + 1)],
        lambda: payload + random.randbytes(random.choice((1, 100, 5000))),
        lambda: varint(random.choice(INTEGERS)) + payload[1:],
        lambda: b"\xff" * len(payload),
        lambda: b"",
    )
    made.units[place] = (kind, random.choice(ways)())


def _move_units(random: Random, made: Draft) -> None:
    units = made.units
    if not units:
        return
    first, second = random.randrange(len(units)), random.randrange(len(units))
    kind = random.randrange(6)
    if kind == 0:
        units[first], units[second] = units[second], units[first]
    elif kind == 1:
        del units[first]
    elif kind == 2:
        units.insert(second, units[first])
    elif kind == 3:
        units[first] = (random.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 127, 128, 255)), units[first][1])
    elif kind == 4:
        units.insert(first, (random.choice((0, 1, 6, 7, 8, 60, 127, 128, 255)), random.randbytes(random.randrange(30))))
    else:
        units[first:first] = [units[second]] * random.randrange(2, MOST_REPEATS)


def _splice(random: Random, made: Draft) -> None:
    _, units, _ = parsed(random.choice(SEEDS))
    place = random.randrange(len(made.units) + 1)
    made.units[place:] = list(units[random.randrange(len(units)) :])


def _nest(random: Random, made: Draft) -> None:
    """Heads of SYMBOLS units whose lengths span the rest, each in front of a GOP unit."""
    gops = [Unit(kind, payload).write() for kind, payload in made.units if kind == UnitType.GOP]
    if not gops:
        return
    head = bytes([random.choice((UnitType.SYMBOLS, UnitType.SIDE_INFO, 60))]) + varint(random.choice((300, 5000, 1 << 20)))
    pieces = b"".join(head + random.choice(gops) for _ in range(random.randrange(1, 60)))
    made.units.insert(random.randrange(len(made.units) + 1), (random.choice((UnitType.SYMBOLS, 60)), pieces))


STRUCTURE: dict[Callable[[Random, Draft], None], float] = {
    _change_header: 4,
    _change_size: 1.5,
    _change_codebook: 2,
    _change_gop: 3,
    _change_payload: 4,
    _move_units: 3,
    _splice: 1,
    _nest: 0.5,
}
