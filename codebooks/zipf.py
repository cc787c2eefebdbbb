"""Indices of a Zipf law as one integer: an integer frequency table and an exact arithmetic coder."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

TOTAL_BITS = 24  # frequencies add up to 2^24
FRACTION_BITS = 24  # of the exponent


@lru_cache(maxsize=8)
def frequencies(bits: int, information: int) -> Int64[np.ndarray, "k"]:
    """Frequencies of the indices 0 to 2^bits - 1 under p(k) ~ (k + 1)^-s, in total 2^24, none of them 0.

    s = 1 + 1 / (information + ln(e + 1) / e), the information in bits (Vonderfecht and Liu, arXiv 2501.09815). Operations
    are of integers or rounded correctly by IEEE 754, so that the table is the same on every machine.
    """
    count = 1 << bits
    weights = (_powers(count, information) * 2**32).astype(np.int64)
    result = 1 + weights * ((1 << TOTAL_BITS) - count) // int(weights.sum())
    result[0] += (1 << TOTAL_BITS) - int(result.sum())
    return result


def _powers(count: int, information: int) -> Float64[np.ndarray, "k"]:
    # k^-s = 1 / (k k^(s - 1)), the fractional power as a product of repeated square roots
    fraction = (10**5 << FRACTION_BITS) // (information * 10**5 + 48312)
    root = np.arange(1, count + 1, dtype=np.float64)
    power = root.copy()
    for place in range(FRACTION_BITS - 1, -1, -1):
        root = np.sqrt(root)
        if fraction >> place & 1:
            power *= root
    return 1 / power


@lru_cache(maxsize=8)
def _starts(bits: int, information: int) -> Int64[np.ndarray, "k"]:
    table = frequencies(bits, information)
    return np.cumsum(table) - table


@lru_cache(maxsize=8)
def lengths(bits: int, information: int) -> Float64[np.ndarray, "k"]:
    """Bits of the code of each index: 24 - log2 of its frequency."""
    return TOTAL_BITS - np.log2(frequencies(bits, information))


def encode_indices(indices: Sequence[int], bits: int, information: int, width: int) -> int | None:
    """The smallest integer v < 2^width that names the indices, or None where their interval holds none.

    The indices own an interval [low, low + size) of the integers below 2^(24 P); v 2^(24 P - width) lies in it.
    """
    table, starts = frequencies(bits, information), _starts(bits, information)
    low, size = 0, 1
    for frequency, start in zip(table[indices].tolist(), starts[indices].tolist(), strict=True):
        low, size = (low << TOTAL_BITS) + start * size, frequency * size
    shift = TOTAL_BITS * len(indices) - width
    value = -(-low >> shift)
    return value if value << shift < low + size else None


def decode_indices(value: int, count: int, bits: int, information: int, width: int) -> list[int]:
    """Inverse of `encode_indices`; every value below 2^width names legal indices, also a damaged one."""
    table, starts = frequencies(bits, information), _starts(bits, information)
    point, size = value << TOTAL_BITS * count - width, 1
    indices = []
    for rest in range(count - 1, -1, -1):
        scale = TOTAL_BITS * rest
        index = int(np.searchsorted(starts, (point >> scale) // size, side="right")) - 1
        point -= int(starts[index]) * size << scale
        size *= int(table[index])
        indices.append(index)
    return indices
