"""Frames per second from what a container says and from its time stamps; times are in seconds."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import final

from rfcodec.video.source import DEFAULT_FPS

CLOSE = Fraction(1, 1000)
HALF = Fraction(1, 2)


def frame_rate(said: Fraction | None, times: Sequence[Fraction], tick: Fraction) -> Fraction:
    """The rate of frames that begin at rising `times`, which are whole multiples of `tick`, and are said to have a rate.

    A usual rate that the times agree with, to within a tick, goes before the one said: some containers know times in
    milliseconds, from which 1000/33 is guessed.
    """
    steps = sorted(b - a for a, b in pairwise(times))
    if steps and (said is None or said * max(steps[0] - tick, 0) > 1):
        said = 1 / median(steps)  # what is said is the rate of a clock, of which no two frames make use
    if said is None:
        return DEFAULT_FPS
    usual = _nearest_usual(said)
    fitting = [rate for rate in (*usual, said) if len(times) > 1 and _spread(times, rate) < tick]
    if fitting:
        return fitting[0]
    return usual[0] if abs(usual[0] / said - 1) < CLOSE else said.limit_denominator(1001)


def _nearest_usual(rate: Fraction) -> list[Fraction]:
    """Whole numbers and those times 1000/1001, the nearest first."""
    slower = Fraction(1000, 1001)
    found = [Fraction(max(round(rate), 1)), max(round(rate / slower), 1) * slower]
    return sorted(found, key=lambda near: abs(near - rate))


def _spread(times: Sequence[Fraction], rate: Fraction) -> Fraction:
    offsets = [time - number / rate for number, time in enumerate(times)]
    return max(offsets) - min(offsets)


@final
class Timeline:
    """Places of frames in a video of constant rate: each frame is held until the place nearest to the next one's time.

    Where a frame has no time, lies before the last one or more than `gap` after it, it follows the last one at once.
    """

    def __init__(self, rate: Fraction, gap: Fraction) -> None:
        self._rate, self._gap = rate, gap
        self._elapsed, self._time, self._begun = Fraction(0), Fraction(0), False

    def place(self, time: Fraction | None) -> int:
        """Where a frame that begins at `time` begins; the first at 0."""
        if self._begun:
            step = -1 if time is None or self._time is None else time - self._time
            self._elapsed += step if 0 < step <= self._gap else 1 / self._rate
        self._time, self._begun = time, True
        return int(self._elapsed * self._rate + HALF)
