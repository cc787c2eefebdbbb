"""Streams that no writer writes, with checksums that fit: headers of any values, units of any kind."""

from pathlib import Path
from typing import Any

from kit import Bench, Run, wrong_unless

from rfcodec.bitstream import fields
from rfcodec.bitstream.container import PREAMBLE, closing_units, read_units
from rfcodec.bitstream.fields import ByteReader
from rfcodec.bitstream.headers import GopHeader, SequenceHeader, TrajectoryHeader
from rfcodec.bitstream.records import Unit, UnitType, read_unit

SEEDS = Path(__file__).parent.parent / "conformance"
MOST_SECONDS, MOST_MEGABYTES = 10.0, 600.0

Units = list[tuple[int, bytes]]


def seed(name: str) -> tuple[SequenceHeader, Units]:
    """Header and units of a conformance vector, without index and end mark."""
    data = (SEEDS / f"{name}.rfv").read_bytes()
    head = read_unit(ByteReader(data[len(PREAMBLE) :]))
    reader = ByteReader(data)
    reader.position = len(PREAMBLE) + len(head.write())
    units = [(unit.type, unit.payload) for unit in read_units(reader) if unit.type != UnitType.INDEX]
    return fields.read_whole(SequenceHeader, head.payload), units


def changed(header: SequenceHeader, **values: Any) -> SequenceHeader:
    """A header with other values, those of the trajectory by their names too; nothing is checked but single ranges."""
    inner = {name: values.pop(name) for name in list(values) if name in TrajectoryHeader.__dataclass_fields__}
    trajectory, whole = object.__new__(TrajectoryHeader), object.__new__(SequenceHeader)
    vars(trajectory).update(vars(header.trajectory) | inner)
    vars(whole).update(vars(header) | {"trajectory": trajectory} | values)
    return whole


def stream(header: SequenceHeader, units: Units, closed: bool = True) -> bytes:
    """The bytes of a stream; with index and end mark if it is closed."""
    data, offsets = bytearray(PREAMBLE + Unit(UnitType.SEQUENCE, fields.write(header)).write()), []
    for kind, payload in units:
        if kind == UnitType.GOP:
            offsets.append(len(data))
        data += Unit(kind, payload).write()
    return bytes(data + closing_units(tuple(offsets), len(data), header.num_frames or 1) if closed else data)


def gop(index: int, **values: Any) -> tuple[int, bytes]:
    """A GOP unit without symbols."""
    return UnitType.GOP, fields.write(GopHeader(index, **{"symbol_bits": 0, "levels": (), "digest": b"", **values}))


def bounded(
    bench: Bench, data: bytes, *verbs: tuple[str, ...], right: str = "any", env: dict[str, str] | None = None
) -> str:
    """Runs `info`, `decode` and `decode --partial` on a stream: ends in time and memory, without a traceback.

    `right`: "any" outcome of ours, or "refused".
    """
    bench.path("x.rfv").write_bytes(data)
    words, fine = [], True
    for verb in verbs or (("info",), ("decode",), ("decode", "--partial")):
        target = ["x.y4m"] if verb[0] == "decode" else []
        bench.path("x.y4m").unlink(missing_ok=True)
        run = bench.rfcodec(verb[0], "x.rfv", *target, *verb[1:], seconds=40, megabytes=4000, env=env)
        fine &= tidy(run) and (right == "any" or run.refused)
        words.append(f"{' '.join(verb)}: {run.outcome}, {run.computed:.1f} s, {run.megabytes:.0f} MB")
    return wrong_unless(fine, f"{len(data)} bytes; " + "; ".join(words))


def tidy(run: Run) -> bool:
    """Within the bounds, ended by itself, lines that can be printed and are not too long."""
    plain = all(character.isprintable() or character in "\n\r\t" for character in run.err + run.out.decode(errors="replace"))
    within = run.computed <= MOST_SECONDS and run.megabytes <= MOST_MEGABYTES
    return run.outcome in ("ok", "error line", "usage") and within and plain and len(run.err) < 20000
