"""Frames per second as people and programs say them, turned into fractions."""

from fractions import Fraction

from rfcodec.errors import InputError

NTSC = Fraction(1000, 1001)
CLOSE = Fraction(1, 5000)  # 23.98 is off 24000/1001 by that much, being rounded to two decimals
LARGEST = 1001


def parse_speed(fps: Fraction | float | str) -> Fraction:
    """A speed above 0 as a fraction of small terms: 29.97 and 23.976 are 30000/1001 and 24000/1001; raises InputError.

    Fractions and text such as "2997/100" are exact and stay what they are, but for the size of their terms.
    """
    try:
        speed = Fraction(fps if isinstance(fps, Fraction | str) else float(fps))
    except (ValueError, OverflowError, TypeError, ZeroDivisionError):
        speed = Fraction(0)
    if speed <= 0:
        raise InputError(f"fps is {fps}; legal: a number above 0, in frames per second, such as 25, 29.97 or 30000/1001")
    exact = isinstance(fps, Fraction) or "/" in str(fps)
    slowed = round(speed / NTSC) * NTSC
    if not exact and speed.denominator != 1 and abs(slowed / speed - 1) < CLOSE:
        return slowed
    # of the two only the first keeps slow speeds above 0
    return 1 / (1 / speed).limit_denominator(LARGEST) if speed < 1 else speed.limit_denominator(LARGEST)
