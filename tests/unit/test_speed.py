"""Frames per second as fractions: the speeds of NTSC, small terms, what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from rfcodec.errors import InputError
from rfcodec.support.speed import parse_speed
from rfcodec.support.words import parse_raw
from rfcodec.types import RawLayout
from rfcodec.video.inputs import as_video
from rfcodec.video.reader import ArrayVideo
from rfcodec.video.source import ReadOptions

NTSC = Fraction(30000, 1001)
FRAMES = np.zeros((2, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "speed"),
    [
        (29.97, NTSC),
        ("29.97", NTSC),
        (30000 / 1001, NTSC),
        (23.976, Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (119.88, Fraction(120000, 1001)),
        (25, Fraction(25)),
        (25.0, Fraction(25)),
        ("12.5", Fraction(25, 2)),
        (1 / 3, Fraction(1, 3)),
        (0.0001, Fraction(1, 10000)),
        ("30000/1001", NTSC),
        (Fraction(2997, 100), Fraction(2997, 100)),
        ("2997/100", Fraction(2997, 100)),
        (np.float32(23.976), Fraction(24000, 1001)),
    ],
)
def test_a_speed_is_the_fraction_that_is_meant(given, speed):
    assert parse_speed(given) == speed
    assert ArrayVideo(FRAMES, given).format.fps == speed


@pytest.mark.parametrize("given", [0, -25, "1/0", "fast", float("nan"), float("inf"), None, ""])
def test_what_is_no_speed_is_refused(given):
    with pytest.raises(InputError, match=r"legal: a number above 0"):
        parse_speed(given)


def test_arrays_without_a_speed_have_25_frames_per_second():
    assert ArrayVideo(FRAMES).format.fps == 25
    with as_video(FRAMES) as video:
        assert video.format.fps == 25
    with as_video(FRAMES, reading=ReadOptions(fps=NTSC)) as video:
        assert video.format.fps == NTSC


def test_raw_video_takes_the_same_words():
    assert parse_raw("352x288@29.97:yuv422p10le") == RawLayout(352, 288, NTSC, "yuv422p10le")
