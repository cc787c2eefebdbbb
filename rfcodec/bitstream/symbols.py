"""Symbols as integers: bit packing, and the ranking of subsets."""

from collections.abc import Sequence
from math import comb


def pack(values: Sequence[int], widths: Sequence[int]) -> bytes:
    """Concatenates values of the given widths in bits, highest bit first, padded with zeros to whole bytes."""
    packed = 0
    for value, width in zip(values, widths, strict=True):
        packed = packed << width | value
    padding = -sum(widths) % 8
    return (packed << padding).to_bytes(-(-sum(widths) // 8), "big")


def unpack(data: bytes, widths: Sequence[int]) -> list[int]:
    """Inverse of `pack`; of data that ends early, the values that are whole."""
    values, position = [], 0
    for width in widths:
        first, last = position // 8, -(-(position + width) // 8)
        if last > len(data):
            break
        window = int.from_bytes(data[first:last], "big") >> (last * 8 - position - width)
        values.append(window & ((1 << width) - 1))
        position += width
    return values


def subset_bits(universe: int, size: int) -> int:
    """Bits of the rank of a subset: ceil(log2 C(universe, size))."""
    return (comb(universe, size) - 1).bit_length()


def rank_subset(members: Sequence[int]) -> int:
    """Rank of an increasing subset in colexicographic order: sum of C(c_i, i + 1). O(size) big multiplications."""
    return sum(comb(member, i + 1) for i, member in enumerate(members))


def unrank_subset(rank: int, universe: int, size: int) -> list[int]:
    """Inverse of `rank_subset`, one small multiplication and division for each number below `universe`."""
    members: list[int] = []
    candidate, count = universe - 1, size
    ways = comb(candidate, count)
    while count:
        if ways <= rank:
            members.append(candidate)
            rank -= ways
            ways, count = (ways * count // (candidate - count + 1) if candidate >= count else 0), count - 1
        if candidate:
            ways = ways * (candidate - count) // candidate
        candidate -= 1
    return members[::-1]
