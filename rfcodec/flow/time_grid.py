"""Time grids (docs/maths.md, section 4).

Grids that the encoder computes are written as levels: integers at uniform distances in ln A(t), one byte a step.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from rfcodec.errors import InvalidField
from rfcodec.flow.path import amplitude_snr, time_of_snr
from rfcodec.types import InformationProfile

LEVELS_PER_NEPER = 32
LEVEL_ORIGIN = 8 * LEVELS_PER_NEPER
TIME_RESOLUTION = 1 << 20
LAST_LEVEL = 576  # t = 4.5e-5; beyond it neighbouring levels would round to one time


def shifted_grid(steps: int, shift: float) -> tuple[float, ...]:
    """t' = s t / (1 + (s - 1) t) on t = 1, 1 - 1/steps, ..., 0, s = shift > 0 (maths.md, 4.1); its ends are exact."""
    inner = [(steps - k) / steps for k in range(1, steps)]
    return (1.0, *(shift * t / (1 + (shift - 1) * t) for t in inner), 0.0)


def level_to_time(level: int) -> float:
    """t = 1 / (1 + A) with ln A = (level - 256) / 32, rounded to 2^-20 so that every platform agrees on it."""
    exact = time_of_snr(math.exp((level - LEVEL_ORIGIN) / LEVELS_PER_NEPER))
    return round(exact * TIME_RESOLUTION) / TIME_RESOLUTION


def time_to_level(t: float) -> int:
    """The level >= 1 whose time is nearest to a time in (0, 1] by ln A; 1 for t = 1."""
    return 1 if t >= 1 else max(1, round(LEVELS_PER_NEPER * math.log(amplitude_snr(t))) + LEVEL_ORIGIN)


def levels_to_grid(levels: Sequence[int]) -> tuple[float, ...]:
    """The grid 1, t(level) ..., 0; raises InvalidField unless the levels increase from 1 to at most LAST_LEVEL."""
    if any(b <= a for a, b in pairwise((0, *levels))) or (levels and levels[-1] > LAST_LEVEL):
        raise InvalidField(f"levels {tuple(levels)} of a time grid; legal: increasing, 1 to {LAST_LEVEL}")
    return (1.0, *map(level_to_time, levels), 0.0)


def information_levels(profile: InformationProfile, nats: Sequence[float]) -> tuple[int, ...]:
    """Levels after each coded step, step k carrying nats[k] per dimension at eta = 1.

    From t = 1 on, A(s)^2 = A(t)^2 + 2 nats[k] / mmse(t). Levels increase by at least one.
    """
    power, t, levels = 0.0, 1.0, [0]
    for kappa in nats:
        power += 2 * kappa / profile.at(t)
        t = time_of_snr(math.sqrt(power))
        levels.append(max(levels[-1] + 1, time_to_level(t)))
    return tuple(levels[1:])


def tail_levels(first: int, end: float, steps: int) -> tuple[int, ...]:
    """Interior levels of an ODE tail of `steps` >= 1 steps from level `first`, whose last step goes from time `end` to 0.

    Uniform in ln A, and at least a quarter of a neper apart, also where that passes `end`.
    """
    last = max(time_to_level(end), first + (steps - 1) * LEVELS_PER_NEPER // 4)
    interior = steps - 1
    return tuple(first + round((last - first) * (k + 1) / interior) for k in range(interior))


def within_range(levels: Sequence[int]) -> tuple[int, ...]:
    """The same levels, the last ones lowered where they would be above LAST_LEVEL; they stay distinct."""
    return tuple(min(level, LAST_LEVEL - k) for level, k in zip(levels, reversed(range(len(levels))), strict=True))
