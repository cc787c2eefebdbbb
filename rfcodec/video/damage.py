"""How much of a source can be read: frames found, and frames that the container claims to hold."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from av import time_base
from av.container import InputContainer
from av.video.stream import VideoStream

from rfcodec.video.source import Decoding

# Frames that a container's duration must go beyond what is there: it may be rounded, and an avi of reordered frames counts
# packets that only make room for them.
_MISSED, _MISSED_REORDERED = Fraction(9, 10), 3


@final
@dataclass(frozen=True, slots=True)
class SourceReport:
    """Frames of a source that were decoded, those of them that are corrupt, and how many there should be.

    `expected` is None where the file does not say it, or where no more frames than asked for were looked at.
    """

    read: int
    corrupt: int = 0
    expected: int | None = None

    @property
    def damaged(self) -> bool:
        """Whether frames are corrupt or missing."""
        return self.corrupt > 0 or (self.expected or 0) > self.read

    def __str__(self) -> str:
        told = (
            f"{self.read} frames can be read"
            if self.expected is None
            else f"{self.read} of {self.expected} frames can be read"
        )
        return f"{told}, {self.corrupt} of them damaged" if self.corrupt else told


def report(decoding: Decoding, missing: int | None = None) -> SourceReport:
    """What came of a decoding; `missing` packets were not there, None where nothing says how many should be."""
    lost = decoding.errors + (missing or 0)
    known = missing is not None or lost > 0
    return SourceReport(decoding.frames, decoding.corrupt, decoding.frames + lost if known else None)


def missing_packets(
    container: InputContainer, stream: VideoStream, decoding: Decoding, covered: Fraction, rate: Fraction
) -> int | None:
    """How many packets a file that was read to its end lacks; None where it does not say how many it has.

    `covered` is the time in seconds at which the last frame ends.
    """
    kind = container.format.name
    if "mp4" in kind:
        # entries that an edit list leaves out are no frames
        return max(0, sum(not entry.is_discard for entry in stream.index_entries) - decoding.packets)
    if kind == "yuv4mpegpipe":
        return int(decoding.end < container.size)
    duration = _duration(container, stream)
    if duration is None:
        return None
    missing = (duration - covered) * rate
    least = _MISSED_REORDERED if kind == "avi" and stream.codec_context.has_b_frames else _MISSED
    return round(missing) if missing >= least else 0


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds of the stream by what was written into its header, not by what is there."""
    if container.format.name == "avi" and stream.frames and stream.time_base:
        return stream.frames * stream.time_base
    if "matroska" not in container.format.name:
        return None
    said = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if said:
        return 3600 * int(said[1]) + 60 * int(said[2]) + Fraction(said[3])
    alone = len(container.streams) == 1  # else that of the longest stream
    return Fraction(container.duration, time_base) if alone and container.duration else None
