"""A record as the raw bytes of its fields, so that values which no writer writes can be put in their place."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from random import Random

from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.errors import BitstreamError

INTEGERS = (0, 1, 2, 3, 127, 128, 255, 256, 4095, 4096, 65535, 65536, 1 << 20, 1 << 24)
INTEGERS += (*tuple((1 << bits) + more for bits in (31, 32, 40, 62) for more in (-1, 0)), (1 << 63) - 1)
UNENDING = (b"\xff" * 10, b"\x80\x00", b"\x80" * 9 + b"\x01", b"\xff")
TEXTS = (
    "",
    "gaussian",
    "tiny",
    "tiny-fast",
    "gaussian-latent",
    "diffusers",
    "/etc/passwd",
    "../models/x",
    "somebody/some-model",
    "https://example.invalid/x.gguf",
    "gguf=https://example.invalid/x.gguf\nquantization=gguf",
    "gguf=/etc/passwd\nquantization=gguf",
    "correlation=nan\nfps=0",
    "=\n==\nx",
    "dtype=float64",
    "\x1b]52;c;aGk=\x07\x1b[2J\x1b]0;title\x07",
    "[red]x[/red] [/] :-1 :bomb:",
    "\u202e\u0000\u0085\u2028\n\r\t",
    "é" * 2000,
    "A" * 65535,
)
BOMB = zlib.compress(b"A" * (1 << 22), 9)[2:-4]  # four megabytes of text in four kilobytes
LARGEST_LIST = 600


@dataclass(frozen=True)
class Token:
    """The bytes of one field; `maker` is the function of rfcodec.bitstream.fields that made the field."""

    name: str
    maker: str
    range: str
    raw: bytes


def tokens(record: type, data: bytes) -> list[Token]:
    """The fields of a record that was written; those of a nested record one by one."""
    return list(_tokens(record, ByteReader(data)))


def joined(found: list[Token]) -> bytes:
    """The record that has these fields."""
    return b"".join(token.raw for token in found)


def mutated(random: Random, record: type, data: bytes) -> bytes:
    """A written record with one to three fields replaced, doubled, left out or exchanged."""
    try:
        found = tokens(record, data)
    except BitstreamError:  # mutated already
        return data
    for place in random.sample(range(len(found)), min(len(found), random.choice((1, 1, 1, 2, 3)))):
        kind, raw = random.random(), found[place].raw
        other = _other(random, found[place]) if kind < 0.9 else 2 * raw if kind < 0.95 else b""
        found[place] = replace(found[place], raw=other)
    if random.random() < 0.03:
        random.shuffle(found)
    return joined(found)


def lie(random: Random, length: int) -> bytes:
    """A varint of a length that is not the true one."""
    return varint(random.choice((0, max(length - 1, 0), length + 1, 2 * length + 1, 1 << 20, 1 << 31, 1 << 62)))


def _tokens(record: type, reader: ByteReader) -> Iterator[Token]:
    for item in fields(record):
        kind = item.metadata.get("kind")
        if kind is None:
            continue
        maker = kind.legal.__qualname__.partition(".")[0]
        if maker == "nested":
            yield from _tokens(item.type, reader)
            continue
        start = reader.position
        kind.read(reader)
        yield Token(item.name, maker, kind.range, reader.data[start : reader.position])


def _other(random: Random, token: Token) -> bytes:
    make = {
        "uint": _integer,
        "milli": _integer,
        "choice": _integer,
        "octets": _octets,
        "text": _text,
        "increments": _increments,
        "fixed": lambda random, token: random.choice((b"\0", b"\xff", random.randbytes(1))) * len(token.raw),
        "extensions": _extensions,
    }[token.maker]
    return make(random, token) if random.random() < 0.95 else random.randbytes(random.randrange(12))


def _integer(random: Random, token: Token) -> bytes:
    value = ByteReader(token.raw).varint()
    bounds = [int(float(word) * (1000 if token.maker == "milli" else 1)) for word in token.range.split() if word.isdigit()]
    near = [max(bound + more, 0) for bound in bounds for more in (-1, 0, 1)]
    inside = [random.randint(min(bounds), max(bounds))] if bounds else []
    kind = random.random()
    if kind < 0.04:
        return random.choice(UNENDING)
    if kind < 0.4:
        return varint(max(0, value + random.choice((-2, -1, 1, 2, value, -value // 2))))
    return varint(random.choice([*INTEGERS, *near, *inside * 8, random.randrange(128), random.randrange(8)]))


def _octets(random: Random, token: Token) -> bytes:
    size = random.choice((0, 1, 4, 8, 31, 32, 33, 63, 64, 65, 300))
    data = random.randbytes(size)
    return (lie(random, size) if random.random() < 0.2 else varint(size)) + data


def _text(random: Random, token: Token) -> bytes:
    kind = random.random()
    if kind < 0.7:
        data = random.choice(TEXTS).encode()
        return varint(2 * len(data)) + data
    if kind < 0.85:
        data = random.choice((BOMB, random.randbytes(random.randrange(40)), b"\x03\x00"))
        return varint(2 * len(data) + 1) + data
    data = random.choice((b"\xff\xfe", b"\xed\xa0\x80", random.randbytes(20), b"ok"))
    return (lie(random, 2 * len(data)) if random.random() < 0.4 else varint(2 * len(data))) + data


def _increments(random: Random, token: Token) -> bytes:
    reader = ByteReader(token.raw)
    steps = [reader.varint() for _ in range(reader.varint())]
    kind = random.random()
    if kind < 0.3:
        steps = [random.choice(INTEGERS) for _ in range(random.randrange(8))]
    elif kind < 0.5:
        steps = [
            random.randint(1, 1 << random.randrange(1, 33)) for _ in range(random.choice((1, 2, 499, 500, LARGEST_LIST)))
        ]
    elif steps:
        steps[random.randrange(len(steps))] = random.choice(INTEGERS)
    count = lie(random, len(steps)) if random.random() < 0.15 else varint(len(steps))
    return count + b"".join(map(varint, steps))


def _extensions(random: Random, token: Token) -> bytes:
    names = random.sample(("a", "b", "Layers", "aspect", "x" * 16, "x" * 17, "", "é", "A1"), random.randrange(1, 4))
    names = sorted(names) if random.random() < 0.7 else names
    pieces = []
    for name in names:
        data = random.randbytes(random.choice((0, 1, 2, 8, 2000)))
        size = lie(random, len(data)) if random.random() < 0.1 else varint(len(data))
        pieces.append(varint(len(name.encode())) + name.encode() + size + data)
    return token.raw + b"".join(pieces)
