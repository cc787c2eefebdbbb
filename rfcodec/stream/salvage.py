"""Damaged streams: every GOP that can be decoded, and a repeated frame for those that are lost."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import final

import numpy as np
import torch

from rfcodec.bitstream.container import GopRecord, read_gops, read_preamble
from rfcodec.bitstream.fields import ByteReader
from rfcodec.bitstream.headers import SequenceHeader
from rfcodec.bitstream.recovery import salvage_units
from rfcodec.codec import decode as decode_records
from rfcodec.coding.decoded import DecodedGop
from rfcodec.coding.engine import Engine
from rfcodec.coding.header import plan_spans
from rfcodec.coding.run import Run
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BitstreamError, DamageWarning, TruncatedStream, UnsupportedCondition
from rfcodec.stream.playback import DecodedFrames, show
from rfcodec.types import Frames, GopSpan

LARGEST_PIECE = 1 << 24  # bytes of repeated frames that come at once
MOST_WARNINGS = 20


def survey(header: SequenceHeader, data: bytes) -> tuple[SequenceHeader, int]:
    """The header of a damaged stream with its number of frames, and the most frames that its readable GOPs can have.

    Where neither header nor end mark tells how many frames there are, the GOPs up to the last readable one are counted
    as full. Raises TruncatedStream where no GOP is readable.
    """
    found, last = 0, -1
    for record in _records(header, data):
        found, last = found + 1, record.header.index
    if not found:
        raise TruncatedStream("no GOP of the stream is readable: --partial has nothing to decode")
    if not header.num_frames:
        spans = plan_spans(replace(header, num_frames=header.gop * (last + 2)))
        header = replace(header, num_frames=next(islice(spans, last, None)).stop)
    return header, found * header.gop


def salvage(engine: Engine, data: bytes, runtime: RuntimeConfig) -> Iterator[DecodedFrames]:
    """All frames of a damaged stream, with a DamageWarning for each GOP that is lost or decoded from damaged symbols.

    Frames of lost GOPs come in pieces of at most LARGEST_PIECE bytes.
    """
    records, report = _records(engine.header, data), _Report()
    record, previous = next(records, None), None
    shown, told = _grey(engine), False
    for span in engine.spans():
        if record is None or record.header.index > span.index:
            if not told:
                report.lost(span, record, engine.header.num_frames)
            told = True
            yield from _repeated(span, shown)
            continue
        follows = engine.conditioner.chained or (previous is not None and previous.span.index == span.index - 1)
        piece, decoded = _attempt(engine, (record, span, previous if follows else None), runtime, report)
        if piece and engine.conditioner.chained and previous and previous.span.index < span.index - 1:
            report(f"GOP {span.index} continues an older frame than it should")
            piece = replace(piece, intact=False)
        previous, record, told = decoded or previous, next(records, None), False
        if piece is None:
            yield from _repeated(span, shown)
        else:
            shown = piece.frames[-1:].copy()  # a view would keep the whole GOP
            yield piece


@final
class _Report:
    """Warns of damage, at most MOST_WARNINGS times."""

    def __init__(self) -> None:
        self._warned = 0

    def __call__(self, what: str) -> None:
        self._warned += 1
        if self._warned <= MOST_WARNINGS:
            more = "; what else is damaged is not told" if self._warned == MOST_WARNINGS else ""
            warnings.warn(what + more, DamageWarning, stacklevel=5)

    def lost(self, span: GopSpan, following: GopRecord | None, num_frames: int) -> None:
        """Warns that the GOPs from that one up to the next readable one are lost."""
        if span.stop >= num_frames or (following and following.header.index == span.index + 1):
            self(f"GOP {span.index} is lost: its frames repeat the one before")
        elif following:
            self(f"GOP {span.index} to {following.header.index - 1} are lost: their frames repeat the one before")
        else:
            self(f"GOP {span.index} and all after it are lost: their frames repeat the one before")


def _records(header: SequenceHeader, data: bytes) -> Iterator[GopRecord]:
    # one after the other, so that no more than one is held; an index that does not rise is damage
    reader, before = ByteReader(data), -1
    read_preamble(reader)
    for record in read_gops(salvage_units(reader)):
        # each GOP shows a frame, and takes a byte
        if before < record.header.index < (header.num_frames or len(data)):
            before = record.header.index
            yield record


def _attempt(
    engine: Engine, gop: tuple[GopRecord, GopSpan, DecodedGop | None], runtime: RuntimeConfig, report: _Report
) -> tuple[DecodedFrames | None, DecodedGop | None]:
    record, span, previous = gop
    try:
        decoded = next(decode_records(engine, [record], previous))
        piece = show(decoded, record, runtime)
    except (BitstreamError, UnsupportedCondition) as error:  # a model may not do without the frames that are gone
        report(f"GOP {span.index} is lost ({error}): its frames repeat the one before")
        return None, _conditioned(engine, record, span, previous) if isinstance(error, UnsupportedCondition) else None
    if not piece.intact:
        report(f"GOP {span.index} is decoded from damaged or missing symbols")
    return piece, decoded


def _conditioned(engine: Engine, record: GopRecord, span: GopSpan, previous: DecodedGop | None) -> DecodedGop | None:
    # without latents, but with the reference frames that the next GOP shares
    if engine.conditioner.chained:
        return None
    return DecodedGop(engine, span, engine.condition(record.side_info, span, previous), Run(torch.empty(0)))


def _grey(engine: Engine) -> Frames:
    return np.full((1, engine.header.height, engine.header.width, 3), 128, np.uint8)


def _repeated(span: GopSpan, frame: Frames) -> Iterator[DecodedFrames]:
    most = max(1, LARGEST_PIECE // frame.nbytes)
    for start in range(span.start + span.overlap, span.stop, most):
        yield DecodedFrames(start, np.repeat(frame, min(most, span.stop - start), axis=0), None, intact=False)
