"""Part D, 18 and 19: what a few bytes can ask for, and damaged streams in bounded time."""

from crafted import Units, bounded, changed, gop, seed, stream
from kit import Bench, case, wrong_unless

from rfcodec.bitstream import fields
from rfcodec.bitstream.container import PREAMBLE
from rfcodec.bitstream.fields import varint
from rfcodec.bitstream.headers import GopHeader
from rfcodec.bitstream.records import Unit, UnitType

BOUNDS = "an error line or a result, at most 10 s and 600 MB"


@case("D18", "128 bytes that say 16384 x 16384 x 8", "refused before any work, at most 10 s and 600 MB")
def _(bench):
    header = changed(seed("t2v")[0], width=16384, height=16384, num_frames=8, gop=8)
    return bounded(
        bench, stream(header, [gop(0, levels=(1, 2, 3, 4))]), ("decode",), ("decode", "--partial"), right="refused"
    )


@case("D18", "info of 16384 x 16384 x 8", BOUNDS)
def _(bench):
    header = changed(seed("t2v")[0], width=16384, height=16384, num_frames=8, gop=8)
    return bounded(bench, stream(header, [gop(0, levels=(1, 2, 3, 4))]), ("info",))


@case("D18", "16384 x 16384 x 8, not one GOP", BOUNDS)
def _(bench):
    return bounded(bench, stream(changed(seed("t2v")[0], width=16384, height=16384, num_frames=8, gop=8), []))


@case("D18", "20 KB, gop 1, 2 000 000 frames", BOUNDS)
def _(bench):
    header = changed(seed("t2v")[0], num_frames=2_000_000, gop=1)
    return bounded(bench, stream(header, [gop(index) for index in range(1800)]))


@case("D18", "a 16384 x 16384 still of the tiny backbone", BOUNDS)
def _(bench):
    header = changed(seed("tiny")[0], width=16384, height=16384, num_frames=1, gop=1)
    return bounded(bench, stream(header, [gop(0)]))


@case("D18", "200 frames of 4096 x 2160, lost but for a header", BOUNDS)
def _(bench):
    header = changed(seed("t2v")[0], width=4096, height=2160, num_frames=200, gop=200)
    return bounded(bench, stream(header, []), ("decode", "--partial"))


@case("D18", "33 frames of 1920 x 1080 with RFCODEC_MAX_MEMORY=500M", "refused, at most 10 s and 600 MB")
def _(bench):
    header = changed(seed("t2v")[0], width=1920, height=1080, num_frames=33, gop=33)
    data = stream(header, [gop(0, levels=(1, 2, 3, 4))])
    verbs = (("decode",), ("decode", "--partial"))
    return bounded(bench, data, *verbs, right="refused", env={"RFCODEC_MAX_MEMORY": "500M"})


@case("D18", "20 KB, gop 1, 18 000 frames, no end mark", BOUNDS)
def _(bench):
    header = changed(seed("t2v")[0], num_frames=18_000, gop=1)
    return bounded(bench, stream(header, [gop(index) for index in range(1700)], closed=False))


def _limit_case(option: str, value: str) -> None:
    @case("D18", f"decode {option} {value} of a sound stream", "refused, naming the limit")
    def _(bench):
        header, units = seed("t2v")
        bench.path("x.rfv").write_bytes(stream(header, units))
        run = bench.rfcodec("decode", "x.rfv", "x.mkv", option, value)
        return wrong_unless(
            run.outcome == "error line" and option.strip("-").replace("-", "_")[4:] in run.err, f"{run.outcome}: {run.said}"
        )


_limit_case("--max-pixels", "100")
_limit_case("--max-frames", "3")
_limit_case("--max-memory", "1000000")


@case("D18", "--partial of a header alone", "an error: no GOP was found")
def _(bench):
    bench.path("x.rfv").write_bytes(stream(seed("t2v")[0], [], closed=False))
    run = bench.rfcodec("decode", "x.rfv", "x.mkv", "--partial")
    return wrong_unless(run.outcome == "error line" and not bench.path("x.mkv").exists(), f"{run.outcome}: {run.said}")


# 19


def _nested(count: int) -> bytes:
    header, _units = seed("t2v")
    head = PREAMBLE + Unit(UnitType.SEQUENCE, fields.write(changed(header, num_frames=3 * count))).write()
    pieces = []
    for index in range(count):
        pieces.append(Unit(*gop(index)).write())
    rest = sum(len(piece) for piece in pieces) + 4 * count
    out = bytearray(head)
    for piece in pieces:
        out += piece
        rest -= len(piece) + 4
        out += bytes([UnitType.SYMBOLS]) + varint(max(rest - 16, 1))
    return bytes(out)


@case("D19", "GOP units, each followed by a SYMBOLS head that spans the rest, 267 KB", BOUNDS)
def _(bench):
    count = 1000
    while len(_nested(count)) < 267_000:
        count += 1000
    return bounded(bench, _nested(count), ("info",), ("decode", "--partial"))


@case("D19", "the same, doubled", BOUNDS)
def _(bench):
    count = 2000
    while len(_nested(count)) < 534_000:
        count += 2000
    return bounded(bench, _nested(count), ("decode", "--partial"))


@case("D19", "1 MB of bytes that all look like GOP units", BOUNDS)
def _(bench):
    header, _ = seed("t2v")
    head = PREAMBLE + Unit(UnitType.SEQUENCE, fields.write(header)).write()
    return bounded(bench, head + bytes([UnitType.GOP]) * 1_000_000, ("decode", "--partial"))


@case("D19", "1 MB of long heads that all fail their checksums", BOUNDS)
def _(bench):
    header, _ = seed("t2v")
    head = PREAMBLE + Unit(UnitType.SEQUENCE, fields.write(header)).write()
    return bounded(bench, head + (bytes([UnitType.GOP]) + varint(4000)) * 333_000, ("decode", "--partial"))


def _frames(bench: Bench, data: bytes, name: str, *more: str):
    bench.path(f"{name}.rfv").write_bytes(data)
    run = bench.rfcodec("decode", f"{name}.rfv", f"{name}.mkv", *more)
    wrong_unless(run.status == 0, f"{name}: {run.outcome}: {run.said}")
    return bench.decoded(f"{name}.mkv")


def _same_but(bench: Bench, units: Units, lost: range, *more: str) -> str:
    header, sound = seed("t2v")
    good = _frames(bench, stream(header, sound), "good")
    found = _frames(bench, stream(header, units), "bad", *more)
    wrong_unless(found.shape == good.shape, f"{len(found)} frames of {len(good)}")
    differ = [k for k in range(len(good)) if (good[k] != found[k]).any()]
    return wrong_unless(set(differ) <= set(lost), f"of {len(good)} frames {len(differ)} differ: {differ}")


@case("D19", "one illegal GOP header under a good checksum, --partial", "that GOP alone is lost (frames 0 to 2)")
def _(bench):
    _, units = seed("t2v")
    place = next(i for i, (kind, _) in enumerate(units) if kind == UnitType.GOP)
    units[place] = (UnitType.GOP, varint(0) + b"\xff" * 9)
    return _same_but(bench, units, range(3), "--partial")


@case("D19", "one GOP header with a mandatory extension, --partial", "that GOP alone is lost, or a clear refusal")
def _(bench):
    _, units = seed("t2v")
    place = next(i for i, (kind, _) in enumerate(units) if kind == UnitType.GOP)
    old = fields.read_whole(GopHeader, units[place][1])
    units[place] = (UnitType.GOP, fields.write(old) + b"\x06Layers\x00")
    return _same_but(bench, units, range(3), "--partial")


@case("D19", "an unknown unit between GOP and its symbols", "skipped, all frames as they are")
def _(bench):
    _, units = seed("t2v")
    place = next(i for i, (kind, _) in enumerate(units) if kind == UnitType.SYMBOLS)
    return _same_but(bench, [*units[:place], (77, b"later"), *units[place:]], range(0))


@case("D19", "an unknown unit between GOP and its symbols, --partial", "skipped, all frames as they are")
def _(bench):
    _, units = seed("t2v")
    place = next(i for i, (kind, _) in enumerate(units) if kind == UnitType.SYMBOLS)
    return _same_but(bench, [*units[:place], (77, b"later"), *units[place:]], range(0), "--partial")


@case("D19", "a unit of type 0 between two GOPs, --partial", "skipped, what follows is kept")
def _(bench):
    _, units = seed("t2v")
    place = [i for i, (kind, _) in enumerate(units) if kind == UnitType.GOP][1]
    return _same_but(bench, [*units[:place], (0, b""), *units[place:]], range(0), "--partial")


@case("D19", "a unit of type 0 between GOP and its symbols, --partial", "skipped, all frames as they are")
def _(bench):
    _, units = seed("t2v")
    place = next(i for i, (kind, _) in enumerate(units) if kind == UnitType.SYMBOLS)
    return _same_but(bench, [*units[:place], (0, b"x"), *units[place:]], range(0), "--partial")


@case("D19", "a mandatory unknown unit between two GOPs, --partial", "what follows is kept, or a clear refusal")
def _(bench):
    header, units = seed("t2v")
    place = [i for i, (kind, _) in enumerate(units) if kind == UnitType.GOP][1]
    bench.path("x.rfv").write_bytes(stream(header, [*units[:place], (200, b"x"), *units[place:]]))
    run = bench.rfcodec("decode", "x.rfv", "x.mkv", "--partial")
    return wrong_unless(run.outcome in ("ok", "error line"), f"{run.outcome}: {run.said}")
