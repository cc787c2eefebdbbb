"""The GOP structure of modes with reference frames, and how a reference stands in side information."""

import math
from collections.abc import Iterator

import numpy as np

from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.protocols import Frame, Reference, StillCoder
from rfcodec.types import GopSpan

RMSE_STEPS = 4  # root mean square errors are sent in quarters of a grey level


def shared_spans(num_frames: int, gop: int) -> Iterator[GopSpan]:
    """GOPs that share one frame with the one before: stride gop - 1; the last one may be shorter."""
    overlap = min(gop - 1, 1)
    starts = range(0, max(num_frames - overlap, 1), gop - overlap)
    for index, start in enumerate(starts):
        yield GopSpan(index, start, min(start + gop, num_frames), overlap=overlap if index else 0)


def rmse(source: Frame, coded: Frame) -> float:
    """Root mean square error in grey levels, rounded up to what can be sent."""
    error = math.sqrt(float(np.mean((source.astype(np.float32) - coded) ** 2)))
    return math.ceil(error * RMSE_STEPS) / RMSE_STEPS


def write_rmse(value: float) -> bytes:
    """A varint of quarters."""
    return varint(round(value * RMSE_STEPS))


def read_rmse(reader: ByteReader) -> float:
    """Inverse of `write_rmse`."""
    return reader.varint() / RMSE_STEPS


def write_reference(still: StillCoder, frame: Frame, max_bytes: int) -> bytes:
    """Size, error and coding of a reference frame, in about max_bytes."""
    data = still.encode(frame, max(max_bytes - 4, 1))
    coded = still.decode(data)
    return varint(len(data)) + write_rmse(rmse(frame, coded)) + data


def read_reference(still: StillCoder, reader: ByteReader) -> Reference:
    """Inverse of `write_reference`."""
    size, error = reader.varint(), read_rmse(reader)
    return Reference(still.decode(reader.take(size)), error)
