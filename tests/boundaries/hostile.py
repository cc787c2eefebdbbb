"""Part D, 20 and 21: what a stream can make a decoder load, print and compute."""

import io
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

from crafted import bounded, changed, gop, seed, stream, tidy
from kit import Bench, case, wrong_unless
from PIL import Image

from rfcodec import registry
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import PREAMBLE
from rfcodec.bitstream.fields import varint
from rfcodec.bitstream.headers import GopHeader
from rfcodec.bitstream.records import Unit, UnitType

ESCAPES = "\x1b]52;c;aGVsbG8=\x07\x1b]0;title\x07\x1b[2J\x9b31m\u202e"


@contextmanager
def _listener() -> Iterator[tuple[int, list[str]]]:
    """A server that notes who comes, and says nothing."""
    came: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            with suppress(OSError):
                peer, _ = server.accept()
                peer.settimeout(1)
                with suppress(OSError):
                    came.append(peer.recv(200).decode(errors="replace").partition("\r\n")[0])
                peer.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], came
    stop.set()
    thread.join()
    server.close()


def _loads(bench: Bench, backbone: str, options: str, *more: str) -> str:
    """Decodes a stream of that backbone: nobody is asked over the network, and an error names what the user can do."""
    with _listener() as (port, came):
        place = f"http://127.0.0.1:{port}"
        header = changed(seed("t2v")[0], backbone=backbone, backbone_options=options.replace("PLACE", place))
        bench.path("x.rfv").write_bytes(stream(header, seed("t2v")[1]))
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "HF_ENDPOINT"), place)
        more_env = {
            **proxies,
            "HF_HUB_OFFLINE": "0",
            "no_proxy": "",
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            "HF_HUB_ETAG_TIMEOUT": "2",
        }
        run = bench.rfcodec("decode", "x.rfv", "x.mkv", *more, env=more_env, seconds=50)
    named = [option for option in ("--fetch", "--backbone", "--override") if option in run.err]
    said = f"{run.outcome}, {len(came)} requests, names {', '.join(named) or 'no option'}: {run.said}"
    return wrong_unless(run.outcome == "error line" and not came and bool(named), said)


CHECKPOINT = "wan2.1-t2v-1.3b"


@case("D20", "gguf=http://... and quantization=gguf named by a stream", "refused, no request")
def _(bench):
    return _loads(bench, CHECKPOINT, "gguf=PLACE/x.gguf\nquantization=gguf")


@case("D20", "a named checkpoint without --fetch", "refused, no request, --fetch named")
def _(bench):
    return _loads(bench, CHECKPOINT, "")


@case("D20", "a hub id that nobody knows", "refused, no request")
def _(bench):
    return _loads(bench, "somebody/some-model", "")


@case("D20", "compile=true named by a stream", "refused, --override named")
def _(bench):
    return _loads(bench, CHECKPOINT, "compile=true")


def _opened(bench: Bench, make) -> tuple[bool, str, str]:
    """Whether a stream makes the decoder open a named pipe, which a file would be."""
    fifo = bench.path("models/x/model_index.json")
    fifo.parent.mkdir(parents=True)
    os.mkfifo(fifo)
    opened, stop = [], threading.Event()

    def wait() -> None:
        while not stop.is_set() and not opened:
            with suppress(OSError):
                descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
                opened.append(True)
                os.close(descriptor)
            time.sleep(0.005)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    backbone, options = make(fifo)
    header = changed(seed("t2v")[0], backbone=backbone, backbone_options=options)
    bench.path("x.rfv").write_bytes(stream(header, seed("t2v")[1]))
    run = bench.rfcodec("decode", "x.rfv", "x.mkv", seconds=40)
    stop.set()
    thread.join()
    return bool(opened), run.outcome, run.said


@case("D20", "gguf=/a/file named by a stream", "refused, not opened")
def _(bench):
    opened, outcome, said = _opened(bench, lambda fifo: (CHECKPOINT, f"gguf={fifo}\nquantization=gguf"))
    return wrong_unless(not opened and outcome == "error line" and "gguf" in said, f"{outcome}, opened: {opened}: {said}")


@case("D20", "a relative folder named by a stream", "refused, not opened, --backbone named")
def _(bench):
    opened, outcome, said = _opened(bench, lambda fifo: ("models/x", ""))
    return wrong_unless(
        not opened and outcome == "error line" and "--backbone" in said, f"{outcome}, opened: {opened}: {said}"
    )


@case("D20", "an absolute folder named by a stream", "refused, not opened, --backbone named")
def _(bench):
    opened, outcome, said = _opened(bench, lambda fifo: (str(fifo.parent), ""))
    return wrong_unless(
        not opened and outcome == "error line" and "--backbone" in said, f"{outcome}, opened: {opened}: {said}"
    )


# 21


def _escape_case(field: str, value: str) -> None:
    @case("D21", f"terminal escapes in {field}", "printable lines by info and by errors")
    def _(bench):
        header, units = seed("t2v")
        return bounded(bench, stream(changed(header, **{field: value}), units), ("info",), ("info", "--json"), ("decode",))


_escape_case("prompt", ESCAPES)
_escape_case("backbone", "x" + ESCAPES)
_escape_case("backbone_options", f"a{ESCAPES}=1")
_escape_case("arithmetic", ESCAPES)


@case("D21", "an extension named by escapes", "printable lines")
def _(bench):
    record = fields.write(seed("t2v")[0]) + varint(8) + b"A\x1b[2J\x07\x9b~"[:8].ljust(8, b"~") + varint(0)
    data = PREAMBLE + Unit(UnitType.SEQUENCE, record).write()
    return bounded(bench, data, ("info",), ("decode",), ("decode", "--partial"))


@case("D21", "1000 options that there are not", "an error line of at most 2000 characters")
def _(bench):
    options = "\n".join(f"{number:x}=1" for number in range(760))
    header, units = seed("t2v")
    bench.path("x.rfv").write_bytes(stream(changed(header, backbone_options=options[:4090].rpartition("\n")[0]), units))
    run = bench.rfcodec("decode", "x.rfv", "x.mkv")
    return wrong_unless(run.outcome == "error line" and len(run.err) <= 2000, f"{run.outcome} of {len(run.err)} characters")


@case("D21", "a prompt of 65535 characters", "info fits a screen")
def _(bench):
    header, units = seed("t2v")
    bench.path("x.rfv").write_bytes(stream(changed(header, prompt="word " * 13107), units))
    run = bench.rfcodec("info", "x.rfv")
    return wrong_unless(run.status == 0 and len(run.out) <= 20000, f"{run.outcome}, {len(run.out)} characters")


def _shift_case(shift: float) -> None:
    @case("D21", f"shift = {shift}", "decoded")
    def _(bench):
        header, units = seed("gvcc")
        bench.path("x.rfv").write_bytes(stream(changed(header, shift=shift), units))
        run = bench.rfcodec("decode", "x.rfv", "x.mkv")
        return wrong_unless(run.status == 0, f"{run.outcome}: {run.said}")


for _shift in (0.059, 0.001, 1.0, 1000):
    _shift_case(_shift)


@case("D21", "every legal shift", "a grid that begins at 1 exactly and falls to 0")
def _(bench):
    code = (
        "from rfcodec.flow.time_grid import shifted_grid\nbad = []\n"
        "for k in range(1, 20001):\n"
        "    grid = [float(t) for t in shifted_grid(5, k / 1000)]\n"
        "    if grid[0] != 1 or grid[-1] != 0 or any(a <= b for a, b in zip(grid, grid[1:])): bad.append(k)\n"
        "print(len(bad))"
    )
    run = bench.python(code)
    found = run.out.decode().strip()
    return wrong_unless(found == "0", f"{found or run.said} of 20000 are not")


def _avif(size: int) -> bytes:
    from conditioning.stills import AVIF_DICTIONARY

    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, "AVIF", quality=10, speed=10, subsampling="4:2:0", max_threads=1)
    data = bytearray(buffer.getvalue())
    place = data.index(b"ispe") + 8
    data[place : place + 8] = (48).to_bytes(4, "big") + (32).to_bytes(4, "big")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=AVIF_DICTIONARY)
    still = b"\0" + deflate.compress(bytes(data)) + deflate.flush()
    return varint(0) + varint(len(still)) + varint(8) + still


@case("D21", "AVIF whose ispe says 48x32 around 8192 x 8192", "refused, at most 10 s and 600 MB")
def _(bench):
    header, units = seed("i2v")
    units = [
        (kind, _avif(8192) if kind == UnitType.SIDE_INFO and i < 3 else payload) for i, (kind, payload) in enumerate(units)
    ]
    return bounded(bench, stream(header, units), ("decode",), right="refused")


def _book_case(name: str, **values: int) -> None:
    said = ", ".join(f"{key} = {value}" for key, value in values.items())

    @case("D21", f"codebook {name} with {said} on 320x240x33", "refused, or at most 10 s")
    def _(bench):
        codebook = registry.load("codebooks", name)
        book = codebook(**values)
        header, units = seed("t2v")
        parameters = fields.write(book)
        shape = (3, 33, 240, 320)
        header = changed(
            header, width=320, height=240, num_frames=33, gop=33, codebook=codebook.ID, codebook_parameters=parameters
        )
        bits = 3 * book.least_bits(shape)
        symbols = (UnitType.SYMBOLS, Random(7).randbytes(-(-bits // 8)))
        levels = fields.read_whole(GopHeader, next(payload for kind, payload in units if kind == UnitType.GOP)).levels
        return bounded(bench, stream(header, [gop(0, symbol_bits=bits, levels=levels), symbols]), ("decode",))


_book_case("topm", k=8192, m=4096)
_book_case("gvcc", k=8192, m=4096)
_book_case("pursuit", k=8192, m=4096)


@case("D21", "names of files with escapes in errors", "printable lines")
def _(bench):
    run = bench.rfcodec("info", f"{ESCAPES}.rfv")
    return wrong_unless(tidy(run), f"{run.outcome}: {run.said!r}"[:120])
