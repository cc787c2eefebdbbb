"""Damaged streams: every GOP that can be decoded, and a repeated frame for those that are lost."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from rfcodec.bitstream.container import GopRecord, read_gops, read_preamble, salvage_units
from rfcodec.bitstream.fields import ByteReader
from rfcodec.codec import decode as decode_records
from rfcodec.coding.decoded import DecodedGop
from rfcodec.coding.engine import Engine
from rfcodec.coding.run import Run
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BitstreamError, DamageWarning, UnsupportedCondition
from rfcodec.stream.playback import DecodedFrames, show
from rfcodec.types import Frames, GopSpan


def salvage(engine: Engine, data: bytes, runtime: RuntimeConfig) -> Iterator[DecodedFrames]:
    """All frames of a damaged stream, with a DamageWarning for each GOP that is lost or decoded from damaged symbols."""
    records = {record.header.index: record for record in _records(data)}
    previous: DecodedGop | None = None
    shown: Frames | None = None
    for span in engine.spans():
        follows = engine.conditioner.chained or (previous is not None and previous.span.index == span.index - 1)
        piece, decoded = _attempt(engine, (records.get(span.index), span, previous if follows else None), runtime)
        if piece and engine.conditioner.chained and previous and previous.span.index < span.index - 1:
            warnings.warn(f"GOP {span.index} continues an older frame than it should", DamageWarning, stacklevel=3)
            piece = replace(piece, intact=False)
        previous = decoded or previous
        piece = piece or _frozen(engine, span, shown)
        shown = piece.frames[-1:]
        yield piece


def frames_found(engine: Engine, data: bytes) -> int:
    """Frames up to the last readable GOP, counted as full, for a header with num_frames 0 and a lost end mark."""
    gop, last = engine.header.gop, max((record.header.index for record in _records(data)), default=-1)
    # the number of a GOP is not to be trusted; a file has fewer GOPs than bytes
    if last >= len(data):
        return 0
    spans = islice(engine.conditioner.plan(gop * (last + 2), gop), last + 1)
    return max((span.stop for span in spans), default=0)


def _records(data: bytes) -> Iterator[GopRecord]:
    reader = ByteReader(data)
    read_preamble(reader)
    return read_gops(salvage_units(reader))


def _attempt(
    engine: Engine, gop: tuple[GopRecord | None, GopSpan, DecodedGop | None], runtime: RuntimeConfig
) -> tuple[DecodedFrames | None, DecodedGop | None]:
    record, span, previous = gop
    if record is None:
        warnings.warn(f"GOP {span.index} is lost: its frames repeat the one before", DamageWarning, stacklevel=4)
        return None, None
    try:
        decoded = next(decode_records(engine, [record], previous))
        piece = show(decoded, record, runtime)
    except (BitstreamError, UnsupportedCondition) as error:  # a model may not do without the frames that are gone
        warnings.warn(f"GOP {span.index} is lost ({error}): its frames repeat the one before", DamageWarning, stacklevel=4)
        return None, _conditioned(engine, record, span, previous) if isinstance(error, UnsupportedCondition) else None
    if not piece.intact:
        warnings.warn(f"GOP {span.index} is decoded from damaged or missing symbols", DamageWarning, stacklevel=4)
    return piece, decoded


def _conditioned(engine: Engine, record: GopRecord, span: GopSpan, previous: DecodedGop | None) -> DecodedGop | None:
    # without latents, but with the reference frames that the next GOP shares
    if engine.conditioner.chained:
        return None
    return DecodedGop(engine, span, engine.condition(record.side_info, span, previous), Run(torch.empty(0)))


def _frozen(engine: Engine, span: GopSpan, before: Frames | None) -> DecodedFrames:
    header = engine.header
    frame = np.full((1, header.height, header.width, 3), 128, np.uint8) if before is None else before
    return DecodedFrames(span.start + span.overlap, np.repeat(frame, span.num_shown, axis=0), None, intact=False)
