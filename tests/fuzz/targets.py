"""One fuzz target a parser: what makes its inputs, and what reads them.

Every input ends in success or in an error of ours; what is read strictly is written as the same bytes.
"""

import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from streams import SEEDS, mutated_bytes, mutated_stream, parsed
from tokens import mutated, tokens
from typed_inputs import BYTE_TARGETS, WORD_TARGETS

from rfcodec import api, registry
from rfcodec.bitstream import container, fields, symbols
from rfcodec.bitstream.container import Index
from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.bitstream.headers import EndMark, GopHeader, SequenceHeader, StillHeader
from rfcodec.bitstream.records import Unit, UnitType
from rfcodec.codec import open_decoder
from rfcodec.config import RuntimeConfig
from rfcodec.errors import RfcodecError
from rfcodec.stream import salvage
from rfcodec.types import GopSpan, NoiseAddress

WIDTH, HEIGHT = 48, 32
SHAPES = ((3, 1, 8, 12), (3, 3, 8, 8), (1, 2, 4, 4))
MOST_BITS = 6000
# small enough that many inputs are read in a second; a release without such limits has none of these fields
LIMITS = {"max_pixels": 1 << 18, "max_frames": 300, "max_memory": 256 << 20}
WORK = {"tiny": 3e-5, "tiny-fast": 3e-5}  # seconds a pixel and step, on a slow machine
GAUSSIAN_WORK = 3e-6
MOST_ALLOWED = 60.0


class Target(NamedTuple):
    """A parser: `make` draws an input, `read` reads it."""

    make: Callable[[Random], bytes]
    read: Callable[[bytes], Any]


def limited() -> RuntimeConfig:
    """Settings of a decoder that accepts little, trusts nothing and reaches nothing."""
    return RuntimeConfig(**{name: value for name, value in LIMITS.items() if name in RuntimeConfig.model_fields})


def decoded(data: bytes, partial: bool) -> int:
    """Frames of a stream, decoded one GOP at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sum(len(piece.frames) for piece in api.decode(data, partial=partial, runtime=limited()))


def allowance(name: str, data: bytes) -> float:
    """Seconds that a sound stream of this header takes, where it is within the limits: its steps are honest work."""
    if not name.startswith("decode"):
        return 0.0
    try:
        header = container.read_header(data)
    except RfcodecError:
        return 0.0
    width, height = -(-header.width // 16) * 16, -(-header.height // 16) * 16
    frames = min(header.num_frames or LIMITS["max_frames"], LIMITS["max_frames"])
    pixels = min(width * height, LIMITS["max_pixels"]) * frames
    return min(pixels * header.trajectory.steps * WORK.get(header.backbone, GAUSSIAN_WORK), MOST_ALLOWED)


# Records


def _records() -> dict[str, tuple[type, list[bytes]]]:
    headers = [parsed(path)[0] for path in SEEDS]
    gops = [payload for path in SEEDS for kind, payload in parsed(path)[1] if kind == UnitType.GOP]
    found: dict[str, tuple[type, list[bytes]]] = {
        "sequence header": (SequenceHeader, headers),
        "gop header": (GopHeader, gops),
        "still header": (StillHeader, [fields.write(StillHeader(300, (1, 5, 9, 70000)))]),
        "end mark": (EndMark, [fields.write(EndMark(1000, 20, 7))]),
        "index": (Index, [fields.write(Index((200, 500, 900)))]),
    }
    for name in sorted(registry.names("codebooks")):
        codebook = registry.load("codebooks", name)
        found[f"fields of {name}"] = (codebook, [fields.write(codebook())])
    return found


def _read_record(record: type, data: bytes) -> None:
    found = fields.read_whole(record, data)
    again = fields.write(found)
    # a text has a deflated form and a plain one, and a writer takes the shorter
    kept = [[token.raw for token in tokens(record, form) if token.maker != "text"] for form in (data, again)]
    assert kept[0] == kept[1], "what was read is not written as the same bytes"
    assert fields.read_whole(record, again) == found
    fields.describe(found)


def _record_target(record: type, seeds: list[bytes]) -> Target:
    return Target(lambda random: mutated(random, record, random.choice(seeds)), partial(_read_record, record))


# Containers


def _read_strictly(data: bytes) -> None:
    found = api.info(data)
    assert found.size == len(data)
    assert sum(found.bytes_by_purpose.values()) == len(data)
    reader = ByteReader(data)
    container.read_preamble(reader)
    start = reader.position
    units = list(container.read_units(reader))
    end = Unit(UnitType.END, data[len(data) - container.END_BYTES + 2 : -4]).write()
    assert data[:start] + b"".join(unit.write() for unit in units) + end == data


def _salvage(data: bytes) -> None:
    reader = ByteReader(data)
    container.read_preamble(reader)
    kept = sum(len(unit.payload) for unit in salvage.salvage_units(reader))
    assert kept <= 2 * len(data), f"{kept} bytes were kept of {len(data)}"


# Plugins


@cache
def engine(path: Path) -> Any:
    """The decoder of a seed."""
    return open_decoder(container.read_header(path.read_bytes()), limited())


def _seed(name: str) -> Path:
    return next(path for path in SEEDS if path.stem == name)


def _side_infos(path: Path) -> list[bytes]:
    return [payload for kind, payload in parsed(path)[1] if kind == UnitType.SIDE_INFO] or [b""]


class _Before:
    """What a chain continues: a grey frame and nothing else."""

    frames = np.full((2, HEIGHT, WIDTH, 3), 128, np.uint8)
    latents = torch.zeros(3, 1, 4, 4)


def _read_side_info(path: Path, data: bytes) -> None:
    conditioner = engine(path).conditioner
    index = data[0] & 1 if data else 0
    before: Any = _Before() if index and conditioner.chained else None
    span = GopSpan(index, 3 * index, 3 * index + 4, overlap=index, references=1)
    conditioner.read(data[1:], span, before)


def _make_side_info(path: Path, random: Random) -> bytes:
    data = random.choice(_side_infos(path))
    if random.random() < 0.5:
        places = [i for i, byte in enumerate(data[:4]) if byte < 128]
        numbers = [varint(random.choice((0, 1, 3, 4, 127, 128, 1 << 20, 1 << 62))) if random.random() < 0.5 else b"\1"]
        return bytes([random.randrange(2)]) + numbers[0] + data[len(places) and places[0] + 1 :]
    return bytes([random.randrange(2)]) + mutated_bytes(random, data)


def _still(name: str) -> Any:
    return registry.load("stills", name)(WIDTH, HEIGHT, engine(_seed("flf2v")).conditioner._still._intra)


@cache
def _still_seeds(name: str) -> list[bytes]:
    picture = (np.add.outer(np.arange(HEIGHT) * 5, np.arange(WIDTH) * 3) % 256).astype(np.uint8)
    if name == "trajectory":
        data = _side_infos(_seed("flf2v"))[0]
        reader = ByteReader(data)
        size = [reader.varint() for _ in range(3)][1]
        return [reader.take(size)]
    return [_still(name).encode(np.repeat(picture[..., None], 3, 2), 10**6)]


def _make_still(name: str, random: Random) -> bytes:
    data = random.choice(_still_seeds(name))
    if name == "trajectory" and random.random() < 0.6:
        reader = ByteReader(data)
        fields.read(StillHeader, reader)
        return mutated(random, StillHeader, data[: reader.position]) + data[reader.position :]
    return mutated_bytes(random, data)


def _read_still(name: str, data: bytes) -> None:
    frame = _still(name).decode(data)
    assert frame.shape == (HEIGHT, WIDTH, 3)


def _read_symbols(name: str, data: bytes) -> None:
    """Fields of a codebook, then the bits of a step, then symbols: any symbols are noise."""
    codebook = registry.load("codebooks", name)
    reader = ByteReader(data)
    book = fields.read(codebook, reader)
    shape = SHAPES[len(data) % len(SHAPES)]
    bits = book.usable_bits(shape, reader.varint() % MOST_BITS)
    value = int.from_bytes(reader.data[reader.position :], "big") & ((1 << bits) - 1)
    noise = book.noise(NoiseAddress(7, 0, 1), shape, bits, value, book.prepare(NoiseAddress(7, 0, 1), shape, bits, False))
    assert tuple(noise.shape) == shape
    assert bool(torch.isfinite(noise).all())


def _make_symbols(name: str, random: Random) -> bytes:
    codebook = registry.load("codebooks", name)
    book = fields.write(codebook())
    book = mutated(random, codebook, book) if random.random() < 0.5 else book
    value = random.choice((b"\0" * 800, b"\xff" * 800, random.randbytes(800), random.randbytes(random.randrange(40))))
    return book + varint(random.choice((0, 1, 16, 300, 2000, random.randrange(MOST_BITS)))) + value


def _read_correction(name: str, data: bytes) -> None:
    corrector = registry.load("conditioners", name)(_still("png"), "").corrector
    shape = SHAPES[len(data) % len(SHAPES)]
    assert tuple(corrector.decode(data, shape).shape) == shape


def _make_correction(name: str, random: Random) -> bytes:
    corrector = registry.load("conditioners", name)(_still("png"), "").corrector
    shape = random.choice(SHAPES)
    residual = torch.from_numpy(np.random.default_rng(random.randrange(1 << 30)).normal(size=shape).astype(np.float32))
    return mutated_bytes(random, corrector.encode(residual, 10**5))


def _read_options(data: bytes) -> None:
    """Options of a backbone, as text in a header; the first byte picks the backbone."""
    names = ("gaussian", "tiny", "gaussian-latent", "diffusers", "somebody/model", "/etc/passwd", "wan2.1-t2v-1.3b")
    base = fields.read_whole(SequenceHeader, parsed(_seed("t2v"))[0])
    header = object.__new__(SequenceHeader)
    text = data[1:].decode("utf-8", "replace")
    vars(header).update(vars(base) | {"backbone": names[data[0] % len(names)] if data else "", "backbone_options": text})
    open_decoder(fields.read_whole(SequenceHeader, fields.write(header)), limited())


def _make_options(random: Random) -> bytes:
    words = ("gguf", "quantization", "dtype", "compile", "fps", "correlation", "revision", "custom", "guidance_scale", "x")
    values = (
        "gguf",
        "https://example.invalid/x",
        "/etc/passwd",
        "1",
        "-1",
        "nan",
        "inf",
        "1e400",
        "true",
        "",
        "\x1b[2J",
        "=",
    )
    lines = [f"{random.choice(words)}={random.choice(values)}" for _ in range(random.randrange(5))]
    return bytes([random.randrange(256)]) + "\n".join(lines).encode()


def _read_packed(data: bytes) -> None:
    widths = [byte * 7 for byte in data[:8]]
    values = symbols.unpack(data[8:], widths)
    if len(values) == len(widths):
        assert symbols.unpack(symbols.pack(values, widths), widths) == values
    universe, size = 2 + sum(data[:4]), 1 + sum(data[:2]) // 4
    if size <= universe:
        members = symbols.unrank_subset(int.from_bytes(data[8:], "big"), universe, size)
        assert members == sorted(set(members))
        assert members[-1] < universe


def _targets() -> dict[str, Target]:
    found = {name: _record_target(*parts) for name, parts in _records().items()}
    found["container"] = Target(mutated_stream, _read_strictly)
    found["salvage"] = Target(mutated_stream, _salvage)
    found["index"] = Target(mutated_stream, container.read_index)
    found["decode"] = Target(mutated_stream, partial(decoded, partial=False))
    found["decode partial"] = Target(mutated_stream, partial(decoded, partial=True))
    for name in ("t2v", "i2v", "flf2v"):
        path = _seed(name)
        found[f"side information of {name}"] = Target(partial(_make_side_info, path), partial(_read_side_info, path))
    for name in sorted(registry.names("stills")):
        found[f"still {name}"] = Target(partial(_make_still, name), partial(_read_still, name))
    for name in sorted(registry.names("codebooks")):
        found[f"symbols of {name}"] = Target(partial(_make_symbols, name), partial(_read_symbols, name))
    for name in ("i2v", "i2v-gvcc"):
        found[f"correction of {name}"] = Target(partial(_make_correction, name), partial(_read_correction, name))
    found["options"] = Target(_make_options, _read_options)
    found["packed symbols"] = Target(lambda random: random.randbytes(random.choice((8, 20, 400))), _read_packed)
    return found | {name: Target(*parts) for name, parts in (WORD_TARGETS | BYTE_TARGETS).items()}


TARGETS = _targets()
