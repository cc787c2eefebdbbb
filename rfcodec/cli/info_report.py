"""What a stream tells of itself, in a screen: where its bytes go, then what made them."""

from typing import Any

from rfcodec import api
from rfcodec.bitstream.headers import SequenceHeader
from rfcodec.errors import printable
from rfcodec.registry import name_of
from rfcodec.stream.playback import record_size
from rfcodec.support.console import make_list, make_table, out, print_json

BLOCKS = " ▏▎▍▌▋▊▉█"
LABEL, NUMBERS, LONGEST_BAR = 18, 20, 40
LONGEST = 120  # characters of a text from the file


def info_report(name: str, stream: api.StreamInfo, full: bool, as_json: bool) -> None:
    """Bytes by purpose as bars, and the header in short; with `full` every field and every GOP."""
    if as_json:
        print_json(_told(stream))
        return
    length = stream.header.num_frames / stream.header.format.fps
    rate = f"{stream.bpp:.5f} bits a pixel, {float(8 * stream.size / length / 1000):.2f} kbit/s"
    out.say(f"{printable(name, LONGEST)}: {stream.size} bytes, {rate}")
    out.print()
    _print_bars(stream)
    out.print()
    out.print(make_list((label, printable(text, LONGEST)) for label, text in _header_rows(stream)))
    if full:
        _print_full(stream)
    else:
        out.print()
        out.say("every field and every GOP: --full; as JSON: --json")


def _told(stream: api.StreamInfo) -> dict[str, Any]:
    header = {line.name: str(line.value) if isinstance(line.value, bytes) else line.value for line in stream.lines}
    gops = [{"index": g.header.index, "symbol_bits": g.header.symbol_bits, "bytes": record_size(g)} for g in stream.gops]
    purposes = {"bytes": stream.size, "bpp": stream.bpp, "bytes_by_purpose": stream.bytes_by_purpose}
    return purposes | {"header": header, "gops": gops}


def _print_bars(stream: api.StreamInfo) -> None:
    room = min(LONGEST_BAR, out.width - LABEL - NUMBERS - 1)
    found = [(name, size) for name, size in stream.bytes_by_purpose.items() if size]
    for name, size in sorted(found, key=lambda item: -item[1]):
        share = size / stream.size
        out.say(f"{name:<{LABEL}}{size:>10}{100 * share:>7.1f} %  {_bar(share * room)}".rstrip())
    out.say(f"{'whole file':<{LABEL}}{stream.size:>10}{100:>7.1f} %")


def _bar(length: float) -> str:
    if out.options.ascii_only:
        return "#" * round(length)
    eighths = round(8 * length)
    return BLOCKS[-1] * (eighths // 8) + BLOCKS[eighths % 8].strip()


def _header_rows(stream: api.StreamInfo) -> list[tuple[str, str]]:
    header = stream.header
    seconds = float(header.num_frames / header.format.fps)
    size = f"{header.width}x{header.height}, {header.num_frames} frames at {float(header.format.fps):g} fps, {seconds:.2f} s"
    if header.format.sample_aspect != 1:
        size += f", pixels {header.format.sample_aspect.numerator}:{header.format.sample_aspect.denominator}"
    plugins = f"mode {name_of('conditioners', header.mode)}, still {name_of('stills', header.still)}"
    sizes = [record_size(gop) for gop in stream.gops]
    return [
        ("video", size),
        ("coded by", f"{plugins}, codebook {name_of('codebooks', header.codebook)}, seed {header.seed}"),
        ("backbone", f"{header.backbone} (weights {header.weights.hex()}; {header.arithmetic})"),
        *([("options", ", ".join(header.backbone_options.split("\n")))] if header.backbone_options else []),
        *([("prompt", header.prompt)] if header.prompt else []),
        ("trajectory", _trajectory(header)),
        ("GOPs", f"{len(sizes)} of at most {header.gop} frames, {min(sizes, default=0)} to {max(sizes, default=0)} bytes"),
    ]


def _trajectory(header: SequenceHeader) -> str:
    taken = header.trajectory
    return f"{taken.steps} evaluations, the last {taken.ode_tail} without bits; {taken.solver}"


def _print_full(stream: api.StreamInfo) -> None:
    out.print()
    lines = [(line.name, line.value, line.size, line.meaning) for line in stream.lines]
    out.print(make_table(("field", "value", "bytes", "meaning"), lines))
    gops = [(g.header.index, record_size(g), g.header.symbol_bits, len(g.side_info), len(g.correction)) for g in stream.gops]
    out.print(make_table(("GOP", "bytes", "symbol bits", "side information", "correction"), gops))
