"""Rotation and mirroring that a container asks of a player, as the ffmpeg program applies them."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from av.video.frame import VideoFrame

Filters = list[tuple[str, str]]  # names and arguments


@final
@dataclass(frozen=True, slots=True)
class Orientation:
    """FFmpeg's filters that set a picture upright, what they do in words, and whether they exchange width and height."""

    filters: Filters
    words: str = ""
    turned: bool = False


def orientation(frame: VideoFrame) -> Orientation:
    """What the display matrix of a frame asks for; none is no change."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation([])
    # rows (a, b, u), (c, d, v), (x, y, w): a picture's (x, y) is shown at (a x + c y, b x + d y)
    a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(data), np.int32)[:5])
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down:
        return Orientation([])
    angle = round(math.degrees(math.atan2(b / down, a / across))) % 360
    if angle == 90:
        mirrored = c > 0
        turn = ("transpose", "cclock_flip" if mirrored else "clock")
        return Orientation([turn], _words("clockwise", mirrored), turned=True)
    if angle == 270:
        mirrored = c < 0
        turn = ("transpose", "clock_flip" if mirrored else "cclock")
        return Orientation([turn], _words("counterclockwise", mirrored), turned=True)
    if angle == 180:
        flips = [(name, "") for name, wanted in (("hflip", a < 0), ("vflip", d < 0)) if wanted]
        return Orientation(flips, "rotated by 180 degrees" if len(flips) == 2 else "mirrored left to right")
    if angle == 0:
        return Orientation([("vflip", "")], "mirrored top to bottom") if d < 0 else Orientation([])
    return Orientation([("rotate", f"{angle}*PI/180")], f"rotated by {angle} degrees within its own size")


def _words(direction: str, mirrored: bool) -> str:
    return f"rotated by 90 degrees {direction}{' and mirrored' if mirrored else ''}"
