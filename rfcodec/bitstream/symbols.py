"""Symbols as integers: bit packing, and the ranking of subsets."""

from collections.abc import Sequence
from functools import lru_cache
from math import comb, lgamma, log, perm


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


@lru_cache(maxsize=1 << 14)
def subset_bits(universe: int, size: int) -> int:
    """Bits of the rank of a subset: ceil(log2 C(universe, size))."""
    return (comb(universe, size) - 1).bit_length()


def rank_subset(members: Sequence[int]) -> int:
    """Rank of an increasing subset in colexicographic order: sum of C(c_i, i + 1). O(size) big multiplications."""
    rank = ways = 0
    above = members[-1] + 1 if members else 0
    for size, member in zip(range(len(members), 0, -1), reversed(members), strict=True):
        ways = _binomial_below(ways, above, size, above - member)
        rank, above = rank + ways, member
    return rank


def unrank_subset(rank: int, universe: int, size: int) -> list[int]:
    """Inverse of `rank_subset`, a binary search and O(1) big multiplications a member; too large a rank is the last one."""
    members: list[int] = []
    ways, above = 0, universe
    for count in range(size, 0, -1):
        guess = _guess_member(rank, above, count)
        ways = _binomial_below(ways, above, count, above - guess)
        member, ways = _largest_member(rank, above, count, guess, ways)
        members.append(member)
        rank, above = rank - ways, member
    return members[::-1]


def _binomial_below(ways: int, top: int, size: int, gap: int) -> int:
    """C(top - gap, size) out of ways = C(top, size + 1), or out of nothing where that is cheaper or ways is 0.

    C(n, k) = C(n, k + 1) (k + 1) / (n - k);  C(n - g, k) = C(n, k) (n - k)_g / (n)_g with falling factorials.
    """
    if ways == 0 or gap >= size:
        return comb(top - gap, size)
    beside = ways * (size + 1) // (top - size)
    return beside * perm(top - size, gap) // perm(top, gap)


def _guess_member(rank: int, above: int, count: int) -> int:
    """About the largest c < above with C(c, count) <= rank, by floats; `_largest_member` corrects it by integers."""
    if rank == 0:
        return count - 1
    wanted = log(rank) + lgamma(count + 1)
    low, high = count - 1, above - 1
    while low < high:
        middle = (low + high + 1) // 2
        fits = lgamma(middle + 1) - lgamma(middle - count + 1) <= wanted
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _largest_member(rank: int, above: int, count: int, member: int, ways: int) -> tuple[int, int]:
    """The largest c < above with C(c, count) <= rank, and that binomial, from a c nearby and its binomial `ways`."""
    while ways > rank:
        ways = ways * (member - count) // member
        member -= 1
    while member + 1 < above:
        more = ways * (member + 1) // (member + 1 - count) if ways else comb(member + 1, count)
        if more > rank:
            break
        member, ways = member + 1, more
    return member, ways
