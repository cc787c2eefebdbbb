"""The shape of a pixel in a Matroska or WebM file, which PyAV cannot set: put in when the file is written.

The elements are those of RFC 9559. Until then the name of the track, a run of blanks, holds their place, so that nothing
behind them moves.
"""

import zlib
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

ROOM = " " * 40  # bytes: more than the three elements need
HEAD_BYTES = 1 << 16
SEGMENT, TRACKS, TRACK, VIDEO, NAME = (bytes.fromhex(text) for text in ("18538067", "1654ae6b", "ae", "e0", "536e"))
CHECKSUM, VOID = b"\xbf", b"\xec"
WIDTH, HEIGHT, UNIT = b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
PIXELS, RATIO = 0, 3


class _Element(NamedTuple):
    name: bytes
    start: int
    content: int
    stop: int


def set_pixel_shape(file: Path, size: tuple[int, int], aspect: Fraction) -> None:
    """Says in a file with one track, whose name is ROOM, that pixels are `aspect` times as wide as high.

    Raises OSError, and ValueError where the file is laid out otherwise.
    """
    with file.open("r+b") as stream:
        data = stream.read(HEAD_BYTES)
        (segment,) = _children(data, 0, len(data), SEGMENT)
        (tracks,) = _children(data, segment.content, segment.stop, TRACKS)
        (track,) = _children(data, tracks.content, tracks.stop, TRACK)
        checked = data[tracks.content : tracks.content + 2] == CHECKSUM + b"\x84"
        first = tracks.content + (6 if checked else 0)
        content = data[first : track.content] + _with_shape(data, track, size, aspect) + data[track.stop : tracks.stop]
        stream.seek(first)
        stream.write(content)
        if checked:
            stream.seek(first - 4)
            stream.write(zlib.crc32(content).to_bytes(4, "little"))


def _with_shape(data: bytes, track: _Element, size: tuple[int, int], aspect: Fraction) -> bytes:
    """The content of the track with the shape instead of its name; it is no longer and no shorter."""
    (video,), (name,) = (_children(data, track.content, track.stop, wanted) for wanted in (VIDEO, NAME))
    kept = b"".join(
        data[e.start : e.stop] for e in _children(data, video.content, video.stop) if e.name not in (WIDTH, HEIGHT, UNIT)
    )
    parts = [data[e.start : e.stop] for e in _children(data, track.content, track.stop) if e not in (video, name)]
    content = b"".join([*parts, _element(VIDEO, kept + _shape(size, aspect))])
    room = track.stop - track.content - len(content)
    return content + _element(VOID, bytes(room - 2))


def _shape(size: tuple[int, int], aspect: Fraction) -> bytes:
    """Width and height as shown: in pixels, the picture enlarged, where these are whole, else their ratio."""
    width, height = size[0] * max(aspect, 1), size[1] / min(aspect, Fraction(1))
    ratio, unit = width / height, PIXELS
    if width.denominator != 1 or height.denominator != 1:
        width, height, unit = Fraction(ratio.numerator), Fraction(ratio.denominator), RATIO
    values = ((WIDTH, int(width)), (HEIGHT, int(height)), (UNIT, unit))
    return b"".join(_element(name, value.to_bytes(4, "big").lstrip(b"\0") or b"\0") for name, value in values)


def _element(name: bytes, content: bytes) -> bytes:
    length = len(content)
    return name + (bytes([0x80 | length]) if length < 0x7F else (0x4000 | length).to_bytes(2, "big")) + content


def _children(data: bytes, start: int, stop: int, wanted: bytes | None = None) -> list[_Element]:
    found = []
    while start < min(stop, len(data)):
        width = 9 - data[start].bit_length()
        name, at = data[start : start + width], start + width
        digits = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + digits], "big") & ((1 << 7 * digits) - 1)
        found.append(_Element(name, start, at + digits, at + digits + size))
        start = at + digits + size
    return [element for element in found if wanted in (None, element.name)]
