"""The GOP structure of modes with reference frames, and the coding of references in side information."""

import math
from collections.abc import Collection, Iterator

import numpy as np

from rfcodec.bitstream.fields import ByteReader, varint
from rfcodec.errors import InvalidField
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
    """Root mean square error over all RGB samples in grey levels, rounded up to a quarter."""
    error = math.sqrt(float(np.mean((source.astype(np.float32) - coded) ** 2)))
    return math.ceil(error * RMSE_STEPS) / RMSE_STEPS


def write_rmse(value: float) -> bytes:
    """A varint of quarters of a grey level."""
    return varint(round(value * RMSE_STEPS))


def read_rmse(reader: ByteReader) -> float:
    """Inverse of `write_rmse`; raises BitstreamError."""
    return reader.varint() / RMSE_STEPS


def write_reference(still: StillCoder, position: int, frame: Frame, max_bytes: int) -> bytes:
    """Position in the GOP, size, error and still of a reference frame; in about max_bytes where the still coder can."""
    data = still.encode(frame, max(max_bytes - 5, 1))
    coded = still.decode(data)
    return varint(position) + varint(len(data)) + write_rmse(rmse(frame, coded)) + data


def read_references(
    still: StillCoder, reader: ByteReader, span: GopSpan, needed: Collection[int] = ()
) -> tuple[Reference, ...]:
    """All references up to the end, by rising positions within the GOP.

    Raises InvalidField where they are not, or where one of the positions that are `needed` is missing.
    """
    found: list[Reference] = []
    while not reader.exhausted:
        position, size, error = reader.varint(), reader.varint(), read_rmse(reader)
        if position >= span.num_frames or (found and position <= found[-1].position):
            raise InvalidField(f"GOP {span.index} has a reference at frame {position} of {span.num_frames}, out of order")
        found.append(Reference(still.decode(reader.take(size)), error, position))
    if missing := set(needed) - {reference.position for reference in found}:
        raise InvalidField(f"GOP {span.index} has no reference at frame {min(missing)}, which its mode needs")
    return tuple(found)
