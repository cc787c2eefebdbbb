"""What an AVIF file will make a decoder allocate, read from its boxes and its AV1 sequence header before it is decoded.

file = ftyp meta mdat;  meta -> iloc: the place of the one item;  item = OBUs, one of which is the sequence header
"""

from collections.abc import Iterator

from rfcodec.errors import InvalidField

BOXES = {b"ftyp", b"meta", b"mdat", b"free"}  # no tracks: a reader would decode those instead of the item
META_HEAD = 4  # version and flags of a box that has them
SEQUENCE_HEADER = 1
STILL = 0b11  # still_picture and reduced_still_picture_header


def check_size(data: bytes, size: tuple[int, int]) -> None:
    """Raises InvalidField unless the file holds one still picture whose every AV1 sequence header says width x height."""
    boxes = dict(_boxes(data))
    if not boxes.keys() <= BOXES or len(boxes) != sum(1 for _ in _boxes(data)) or b"meta" not in boxes:
        raise InvalidField("an AVIF still is made of other boxes than ftyp, meta and mdat, each once")
    places = [body for name, body in _boxes(boxes[b"meta"][META_HEAD:]) if name == b"iloc"]
    if len(places) != 1:
        raise InvalidField("an AVIF still does not say where its one item is")
    found = list(_picture_sizes(_item(data, places[0])))
    if not found or any(one != size for one in found):
        sizes = ", ".join(f"{width}x{height}" for width, height in found) or "none"
        raise InvalidField(f"the size of an AVIF still is {sizes}, not {size[0]}x{size[1]}")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if size < 8 or position + size > len(data):
            raise InvalidField(f"an AVIF still has a box of {size} bytes at byte {position} of {len(data)}")
        yield data[position + 4 : position + 8], data[position + 8 : position + size]
        position += size


def _item(data: bytes, iloc: bytes) -> bytes:
    # version 0: sizes of offset, length and base offset, one item of one extent
    widths = [iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4] if len(iloc) > 8 else []
    if iloc[:4] != bytes(4) or iloc[6:8] != b"\x00\x01" or not set(widths) <= {0, 4, 8}:
        raise InvalidField("an AVIF still has more than one item, or says in another way where it is")
    position, values = 12 + widths[2], []
    base = int.from_bytes(iloc[12:position], "big")
    extents = int.from_bytes(iloc[position : position + 2], "big")
    position += 2
    for width in widths[:2]:
        values.append(int.from_bytes(iloc[position : position + width], "big"))
        position += width
    start, stop = base + values[0], base + values[0] + values[1]
    if extents != 1 or position != len(iloc) or not start < stop <= len(data):
        raise InvalidField("an AVIF still has an item that is not in the file")
    return data[start:stop]


def _picture_sizes(item: bytes) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(item):
        head = item[position]
        position += 2 if head & 4 else 1  # an extension of one byte
        if not head & 2:
            raise InvalidField("an AVIF still has an OBU without its size")
        size, position = _leb128(item, position)
        if head >> 3 & 15 == SEQUENCE_HEADER:
            yield _picture_size(item[position : position + size])
        position += size
    if position != len(item):
        raise InvalidField("an AVIF still has an OBU that ends outside of its item")


def _leb128(item: bytes, position: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(item[position : position + 8]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, position + place + 1
    raise InvalidField("an AVIF still has an OBU of no legal size")


def _picture_size(header: bytes) -> tuple[int, int]:
    """Width and height of a sequence header: profile (3 bits), STILL (2), level (5), two counts of bits, two sizes - 1."""
    bits = "".join(f"{byte:08b}" for byte in header[:8].ljust(8, b"\0"))
    if int(bits[3:5], 2) != STILL:
        raise InvalidField("an AVIF still is no reduced still picture of AV1")
    width_bits, height_bits = int(bits[10:14], 2) + 1, int(bits[14:18], 2) + 1
    width, height = bits[18 : 18 + width_bits], bits[18 + width_bits : 18 + width_bits + height_bits]
    return int(width, 2) + 1, int(height, 2) + 1
