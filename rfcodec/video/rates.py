"""Frames per second from what a container says and from its time stamps; times are in seconds."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import final

import numpy as np

from rfcodec.video.source import DEFAULT_FPS

CLOSE = Fraction(1, 1000)
HALF = Fraction(1, 2)
MOST_USUAL = 1000  # frames per second
ROUNDING = 1e-6  # of float64, in ticks


def frame_rate(said: Fraction | None, times: Sequence[Fraction], tick: Fraction) -> Fraction:
    """The rate of frames that begin at rising `times`, which are whole multiples of `tick`, and are said to have a rate.

    A usual rate that the times agree with, to within a tick, goes before the one said: some containers know times in
    milliseconds, from which 1000/33 is guessed.
    """
    steps = sorted(b - a for a, b in pairwise(times))
    if steps and (said is None or said * max(steps[0] - tick, 0) > 1):
        said = 1 / median(steps)  # what is said is the rate of a clock, of which no two frames make use
    if said is None or (not steps and said > MOST_USUAL):
        return DEFAULT_FPS
    rates = _usual(said, tick)
    fitting = [rate for rate in (*rates, said) if len(times) > 1 and _agrees(times, rate, tick)]
    if fitting:
        return fitting[0]
    return rates[0] if rates and abs(rates[0] / said - 1) < CLOSE else said.limit_denominator(1001)


def _usual(rate: Fraction, tick: Fraction) -> list[Fraction]:
    """Whole numbers and those times 1000/1001 whose periods are that of the rate to within a tick, the nearest first."""
    period = 1 / rate
    low, high = 1 / (period + tick), 1 / max(period - tick, period / 2)
    whole = range(int(low), min(int(high * Fraction(1001, 1000)) + 1, MOST_USUAL) + 1)
    found = {Fraction(number) * scale for number in whole for scale in (1, Fraction(1000, 1001))}
    return sorted((usual for usual in found if low <= usual <= high), key=lambda usual: abs(usual - rate))


def _agrees(times: Sequence[Fraction], rate: Fraction, tick: Fraction) -> bool:
    offsets = np.array(times, np.float64) - np.arange(len(times)) / float(rate)
    return bool(np.ptp(offsets) <= tick * (1 + ROUNDING))


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
