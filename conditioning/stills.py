"""Still coders, which code reference frames: avif, png, trajectory (docs/bitstream.md, section 5)."""

import io
import zlib
from collections.abc import Callable, Iterator
from typing import ClassVar, final

import numpy as np
from PIL import Image

from conditioning.avif import check_size
from rfcodec.errors import InvalidField
from rfcodec.protocols import Frame, IntraCoder

# AVIF files begin with nearly the same 280 bytes; deflate with this dictionary makes about 70 of them.
AVIF_DICTIONARY = bytes.fromhex(
    "00000020667479706176696600000000617669666d6966316d6961664d413142000000eb6d657461000000000000002168646c720000000000000000"
    "7069637400000000000000000000000000000000"
    + "0e7069746d0000000000010000001e696c6f63000000004400000100010000000100000113000004"
    "010000002869696e660000000000010000001a696e6665020000000001000061763031436f6c6f72000000006a697072700000004b6970636f000000"
    "146973706500000000000001ac000000f0000000107069786900000000030808080000000c6176314381000c0000000013636f6c726e636c78000100"
    "0d0006800000001769706d61000000000000000100010401028304000004096d64617412000a0a18"
)
QUALITIES = 101
# errors of Pillow and zlib for damaged data
STILL_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    MemoryError,
    RuntimeError,
    zlib.error,
    Image.DecompressionBombError,
)
SCALES = 4
ASTRAY = 31  # the quality that fast files suggest may be wrong by so much
QUICK, CAREFUL = 9, 4  # speeds of AOM: files at speed 4 are a seventh smaller than at 9, and take ten times as long


@final
class AvifStill:
    """AVIF in 4:2:0 at 2^-n of the size: the first byte is n, 0 to 3, the rest is deflated AVIF."""

    ID: ClassVar[int] = 1

    def __init__(self, width: int, height: int, intra: IntraCoder) -> None:
        self._size = (width, height)

    def encode(self, frame: Frame, max_bytes: int) -> bytes:
        """The candidate with the least squared error that fits in max_bytes; the smallest of all where none fits."""
        candidates = [*self._candidates(frame, max_bytes)]
        fitting = [data for data in candidates if len(data) <= max_bytes]
        if not fitting:
            return min(candidates, key=len)
        return min(fitting, key=lambda data: float(np.mean((self.decode(data).astype(np.float32) - frame) ** 2)))

    def decode(self, data: bytes) -> Frame:
        """The frame, scaled up where it was coded at a smaller size; raises InvalidField on damaged data."""
        if not data or data[0] >= SCALES:
            raise InvalidField("an AVIF still does not say its scale")
        size = _scaled(self._size, data[0])
        inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=AVIF_DICTIONARY)
        try:
            picture = inflate.decompress(data[1:], max_length=4096 + 8 * size[0] * size[1])
        except zlib.error as error:
            raise InvalidField(f"an AVIF still is damaged: {error}") from error
        check_size(picture, size)  # Pillow believes another field, and decodes whatever size there is
        image = _open(picture, "AVIF", size)
        return np.asarray(image if size == self._size else image.resize(self._size, Image.Resampling.BICUBIC))

    def _candidates(self, frame: Frame, max_bytes: int) -> Iterator[bytes]:
        for scale in range(SCALES):
            size = _scaled(self._size, scale)
            image = Image.fromarray(frame)
            image = image if size == self._size else image.resize(size, Image.Resampling.LANCZOS)
            best = _largest_fitting(
                lambda quality, quick, image=image, scale=scale: self._pack(image, scale, quality, quick), max_bytes
            )
            yield best
            if scale and len(best) <= max_bytes:
                return

    def _pack(self, image: Image.Image, scale: int, quality: int, quick: bool) -> bytes:
        buffer = io.BytesIO()
        speed = QUICK if quick else CAREFUL
        image.save(
            buffer,
            "AVIF",
            quality=quality,
            subsampling="4:2:0",
            codec="aom",
            speed=speed,
            max_threads=1,
            advanced={"tune": "psnr"},
        )
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=AVIF_DICTIONARY)
        return bytes([scale]) + deflate.compress(buffer.getvalue()) + deflate.flush()


@final
class PngStill:
    """Lossless PNG, for tests; max_bytes is ignored."""

    ID: ClassVar[int] = 2

    def __init__(self, width: int, height: int, intra: IntraCoder) -> None:
        self._size = (width, height)

    def encode(self, frame: Frame, max_bytes: int) -> bytes:
        """The frame without loss, also where that takes more than max_bytes."""
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Frame:
        """The frame without loss; raises InvalidField on damaged data."""
        return np.asarray(_open(data, "PNG", self._size))


@final
class TrajectoryStill:
    """The backbone codes the frame as a GOP of one frame: no second codec is needed."""

    ID: ClassVar[int] = 3

    def __init__(self, width: int, height: int, intra: IntraCoder) -> None:
        self._intra = intra

    def encode(self, frame: Frame, max_bytes: int) -> bytes:
        """A still header and the symbols of a trajectory of one frame, from the IntraCoder."""
        return self._intra.encode(frame, max_bytes)

    def decode(self, data: bytes) -> Frame:
        """The frame from the replayed trajectory; raises BitstreamError on damaged data."""
        return self._intra.decode(data)


def _scaled(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return -(-size[0] // (1 << scale)), -(-size[1] // (1 << scale))


def _largest_fitting(pack: Callable[[int, bool], bytes], max_bytes: int) -> bytes:
    """The best quality that fits: files at speed 9 give a range, files at speed 4, which are smaller, the quality in it."""
    low, high = 0, QUALITIES - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(pack(middle, True)) <= max_bytes else (low, middle - 1)
    low, high = max(low - ASTRAY, 0), min(low + ASTRAY, QUALITIES - 1)
    best = pack(low, False)
    if len(best) > max_bytes:
        return pack(0, False)
    while low < high:
        middle = (low + high + 1) // 2
        data = pack(middle, False)
        if len(data) <= max_bytes:
            low, best = middle, data
        else:
            high = middle - 1
    return best


def _open(data: bytes, kind: str, size: tuple[int, int]) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
        if image.size != size:
            raise InvalidField(f"a still has size {image.size}, not {size}")
        return image.convert("RGB")
    except STILL_FAULTS as error:
        raise InvalidField(f"a {kind} still is damaged: {error}") from error
