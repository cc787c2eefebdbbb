"""The filters of FFmpeg that make RGB of a file's decoded frames."""

from collections.abc import Generator
from itertools import islice

import numpy as np
from av.video.frame import VideoFrame

from rfcodec.types import Frame
from rfcodec.video.brightness import DEEP_RGB
from rfcodec.video.colour import to_rgb
from rfcodec.video.graph import filtered
from rfcodec.video.hdr import to_sdr
from rfcodec.video.orientation import Filters
from rfcodec.video.probe import Probe


def rgb_frames(found: Probe, size: tuple[int, int], start: int) -> Generator[Frame]:
    """Frames of (width, height) as they are shown, from number `start` on."""
    algorithm = "bicubic" if size == (found.format.width, found.format.height) else "lanczos"
    light = found.light
    filters = [("scale", to_rgb(found.colour, size, algorithm)), ("format", "rgb24" if light is None else DEEP_RGB)]
    for frame in shown_frames(found, filters, start):
        yield frame.to_ndarray() if light is None else to_sdr(frame.to_ndarray(), light)


def shown_frames(found: Probe, filters: Filters, start: int) -> Generator[VideoFrame]:
    """Frames as they are shown, upright, from number `start` on, after further filters that give a frame for a frame."""
    first = start if found.begins is None else int(np.searchsorted(found.begins, start, side="right")) - 1
    lead = min(first, 1) if found.interlaced else 0  # a deinterlacer looks at the frame before
    decoded = islice(found.source.frames(), first - lead, None)
    pictures = islice(filtered(decoded, [*_upright(found), *filters]), lead, None)
    if found.begins is None:
        yield from pictures
        return
    for picture, begin, end in zip(pictures, found.begins[first:], found.begins[first + 1 :], strict=False):
        for _ in range(max(begin, start), end):
            yield picture


def _upright(found: Probe) -> Filters:
    deinterlace = [("bwdif", "mode=send_frame:deint=interlaced")] if found.interlaced else []
    return [*deinterlace, *found.orientation.filters]
