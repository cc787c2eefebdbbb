"""Correction of carried frames, which the next GOP continues: transform, uniform quantiser, range coder; and GVCC's."""

import math
import zlib
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, final

import constriction
import numpy as np
import scipy.fft
import torch
from jaxtyping import Float32, Int32
from torch import Tensor

from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.errors import InvalidField
from rfcodec.protocols import Shape

stream = constriction.stream

ZONES = 12
STEPS_PER_OCTAVE = 16
FINEST_STEP = 2.0**-12
STEP_COUNT = 16 * STEPS_PER_OCTAVE
DECAYS = (
    *(Fraction(1, 1 << k) for k in range(12, 6, -1)),
    *(Fraction(k, 64) for k in range(1, 64)),
    *(Fraction((1 << k) - 1, 1 << k) for k in range(7, 10)),
)
LARGEST = 1023
DEAD_ZONE = 0.2
EIGHT_BITS, LARGEST_SCALE = 127, 65536


@final
class TransformCorrector:
    """Cosine transform of each latent frame; levels x have p ~ decay^|x| in zones of frequency.

    payload: step (varint), one byte a channel and zone (0: all zero, k: the k-th of DECAYS), range-coded levels.
    """

    ID: ClassVar[int] = 1

    def encode(self, residual: Tensor, max_bytes: int) -> bytes:
        """The coding with the finest quantiser that fits in max_bytes; b"" where none fits."""
        spectrum = scipy.fft.dctn(residual.cpu().numpy(), axes=(2, 3), norm="ortho")
        zones = _zones(spectrum.shape)
        low, high, best = _finest_unclipped(spectrum), STEP_COUNT - 1, b""
        while low <= high:
            middle = (low + high) // 2
            data = _write(_quantise(spectrum, middle), zones, middle)
            if len(data) <= max_bytes:
                best, high = data, middle - 1
            else:
                low = middle + 1
        return best

    def decode(self, data: bytes, shape: Shape) -> Tensor:
        """The correction c f h w, zero for b""; raises BitstreamError on damaged data."""
        if not data:
            return torch.zeros(shape)
        levels, step = _read(ByteReader(data), _zones(shape), shape)
        spectrum = levels.astype(np.float32) * np.float32(_step(step))
        return torch.from_numpy(scipy.fft.idctn(spectrum, axes=(2, 3), norm="ortho"))


def _step(index: int) -> float:
    return FINEST_STEP * 2.0 ** (index / STEPS_PER_OCTAVE)


def _finest_unclipped(spectrum: Float32[np.ndarray, "c f h w"]) -> int:
    peak = max(float(np.abs(spectrum).max()), FINEST_STEP)
    return max(0, math.ceil(STEPS_PER_OCTAVE * math.log2(peak / FINEST_STEP / LARGEST)))


def _quantise(spectrum: Float32[np.ndarray, "c f h w"], step: int) -> Int32[np.ndarray, "c f h w"]:
    magnitude = np.floor(np.abs(spectrum) / np.float32(_step(step)) + np.float32(0.5 - DEAD_ZONE))
    return (np.sign(spectrum) * np.minimum(magnitude, LARGEST)).astype(np.int32)


def _zones(shape: tuple[int, ...]) -> Int32[np.ndarray, "c f h w"]:
    """Zone of each coefficient: channel * ZONES + ring of frequency, rings a half octave wide. Integers alone."""
    channels, _, height, width = shape
    v, u = np.arange(height, dtype=np.int64)[:, None], np.arange(width, dtype=np.int64)[None, :]
    distance = ((v * width) ** 2 + (u * height) ** 2) * 4096 // (height * width) ** 2
    edges = 2 ** np.arange(1, ZONES)
    ring = np.searchsorted(edges, distance, side="right").astype(np.int32)
    return np.broadcast_to(ring + np.arange(channels, dtype=np.int32)[:, None, None, None] * ZONES, shape)


def _write(levels: Int32[np.ndarray, "c f h w"], zones: Int32[np.ndarray, "c f h w"], step: int) -> bytes:
    encoder = stream.queue.RangeEncoder()
    decays = bytearray()
    for zone in range(levels.shape[0] * ZONES):
        values = levels[zones == zone]
        decays.append(_nearest_decay(float(np.abs(values).mean()) if values.size else 0.0))
        if decays[-1]:
            encoder.encode(values + LARGEST, _model(decays[-1]))
    return varint(step) + bytes(decays) + encoder.get_compressed().astype("<u4").tobytes()


def _read(reader: ByteReader, zones: Int32[np.ndarray, "c f h w"], shape: Shape) -> tuple[Int32[np.ndarray, "c f h w"], int]:
    step, decays = reader.varint(), reader.take(shape[0] * ZONES)
    words = np.frombuffer(reader.data[reader.position :], np.uint8)
    if step >= STEP_COUNT or words.size % 4 or max(decays) > len(DECAYS):
        raise InvalidField(f"a correction has step {step} and {words.size} coded bytes")
    decoder = stream.queue.RangeDecoder(words.view("<u4").astype(np.uint32))
    levels = np.zeros(shape, np.int32)
    for zone, decay in enumerate(decays):
        if decay:
            here = zones == zone
            levels[here] = _decode(decoder, decay, int(here.sum()))
    return levels, step


def _decode(decoder: Any, decay: int, count: int) -> Int32[np.ndarray, "count"]:
    try:
        return decoder.decode(_model(decay), count) - LARGEST
    except (AssertionError, ValueError) as error:
        raise InvalidField(f"a correction is damaged: {error}") from error


@lru_cache(maxsize=len(DECAYS))
def _model(decay: int) -> Any:
    # products only: every platform rounds these alike
    powers = np.cumprod(np.full(LARGEST, float(DECAYS[decay - 1])))
    weights = np.concatenate([powers[::-1], [1.0], powers])
    return stream.model.Categorical((weights / weights.sum()).astype(np.float32), perfect=False)


def _nearest_decay(mean_magnitude: float) -> int:
    if mean_magnitude == 0:
        return 0
    # p ~ decay^|x| has mean magnitude m = 2 decay / (1 - decay^2)
    wanted = (math.sqrt(1 + mean_magnitude**2) - 1) / mean_magnitude
    return 1 + min(range(len(DECAYS)), key=lambda k: abs(float(DECAYS[k]) - wanted))


@final
class ZlibCorrector:
    """GVCC's residual (arXiv 2603.26571): each channel over its largest magnitude in 8 bits, deflated.

    payload: one float32 a channel, lowest byte first, then the deflated signed bytes in the order c f h w. It has no
    quantiser to choose: where it does not fit, nothing is sent.
    """

    ID: ClassVar[int] = 2

    def encode(self, residual: Tensor, max_bytes: int) -> bytes:
        """The coded residual, or b"" where it takes more than max_bytes."""
        values = residual.cpu().numpy().astype(np.float32)
        scales = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
        levels = np.rint(values / np.maximum(scales, FINEST_STEP) * EIGHT_BITS).astype(np.int8)
        data = scales.astype("<f4").tobytes() + zlib.compress(levels.tobytes(), 9)
        return data if len(data) <= max_bytes else b""

    def decode(self, data: bytes, shape: Shape) -> Tensor:
        """The correction c f h w, zero for b""; raises InvalidField on damaged data."""
        if not data:
            return torch.zeros(shape)
        head, size = 4 * shape[0], math.prod(shape)
        scales = np.frombuffer(data[:head].ljust(head, b"\xff"), "<f4").astype(np.float32).reshape(-1, 1, 1, 1)
        if not bool((np.abs(scales) <= LARGEST_SCALE).all()):
            raise InvalidField(f"a correction has scales that are no numbers up to {LARGEST_SCALE}")
        inflate = zlib.decompressobj()
        try:
            levels = inflate.decompress(data[head:], max_length=size + 1)
        except zlib.error as error:
            raise InvalidField(f"a correction is damaged: {error}") from error
        if len(levels) != size or not inflate.eof or inflate.unused_data:
            raise InvalidField(f"a correction has {len(levels)} levels for {size} latents")
        steps = scales / np.float32(EIGHT_BITS)
        return torch.from_numpy(np.frombuffer(levels, np.int8).astype(np.float32).reshape(shape) * steps)
