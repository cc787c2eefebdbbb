import random
from itertools import combinations
from math import ceil, comb, log2

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rfcodec.bitstream import symbols
from rfcodec.bitstream.symbols import pack, rank_subset, subset_bits, unpack, unrank_subset

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

VALUES = st.lists(st.integers(0, 90).flatmap(lambda width: st.tuples(st.integers(0, (1 << width) - 1), st.just(width))))


@steady
@given(VALUES)
def test_packed_values_come_back(pairs):
    values, widths = [v for v, _ in pairs], [w for _, w in pairs]
    data = pack(values, widths)
    assert len(data) == ceil(sum(widths) / 8)
    assert unpack(data, widths) == values


def test_highest_bit_first_and_zeros_at_the_end():
    assert pack([0b1, 0b01, 0b11111], [1, 2, 5]) == bytes([0b10111111])
    assert pack([0b101], [3]) == bytes([0b10100000])
    assert pack([0xABCDE], [20]) == bytes([0xAB, 0xCD, 0xE0])
    assert pack([], []) == b""
    assert pack([0, 0], [0, 0]) == b""


def test_as_many_widths_as_values():
    with pytest.raises(ValueError, match="argument"):
        pack([1, 2], [8])


@steady
@given(VALUES, st.data())
def test_of_data_cut_short_the_whole_values_come_back(pairs, data):
    values, widths = [v for v, _ in pairs], [w for _, w in pairs]
    whole = pack(values, widths)
    kept = data.draw(st.integers(0, len(whole)))
    got = unpack(whole[:kept], widths)
    assert got == values[: len(got)]
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    assert len(got) == sum(end <= 8 * kept for end in ends)


@steady
@given(st.binary(max_size=40), st.lists(st.integers(0, 60)))
def test_any_bytes_unpack_to_values_in_range(data, widths):
    assert all(0 <= value < 1 << width for value, width in zip(unpack(data, widths), widths, strict=False))


def test_every_small_subset_has_a_rank_of_its_own():
    for universe in range(1, 10):
        for size in range(universe + 1):
            subsets = list(combinations(range(universe), size))
            ranks = [rank_subset(subset) for subset in subsets]
            assert sorted(ranks) == list(range(comb(universe, size))), universe
            assert [tuple(unrank_subset(rank, universe, size)) for rank in ranks] == subsets, universe


def test_ranks_are_colexicographic():
    subsets = sorted(combinations(range(7), 3), key=lambda subset: subset[::-1])
    assert [rank_subset(subset) for subset in subsets] == list(range(35))


@steady
@given(st.data(), st.integers(1, 5000))
def test_large_subsets_come_back(data, universe):
    size = data.draw(st.integers(0, min(universe, 300)))
    members = sorted(random.Random(data.draw(st.integers(0, 2**32))).sample(range(universe), size))
    rank = rank_subset(members)
    assert 0 <= rank < comb(universe, size)
    assert unrank_subset(rank, universe, size) == members


@steady
@given(st.data(), st.integers(1, 1 << 21))
def test_sparse_subsets_of_large_universes_come_back(data, universe):
    members = sorted(data.draw(st.sets(st.integers(0, universe - 1), max_size=40)))
    rank = rank_subset(members)
    assert rank == sum(comb(member, i + 1) for i, member in enumerate(members))
    assert unrank_subset(rank, universe, len(members)) == members


@steady
@given(st.data(), st.integers(1, 300))
def test_dense_subsets_come_back(data, universe):
    members = sorted(set(range(universe)) - data.draw(st.sets(st.integers(0, universe - 1), max_size=8)))
    rank = rank_subset(members)
    assert rank == sum(comb(member, i + 1) for i, member in enumerate(members))
    assert unrank_subset(rank, universe, len(members)) == members


@pytest.mark.parametrize("wrong", [-3, -1, 1, 5])
def test_floats_only_guess(monkeypatch, wrong):
    exact = symbols._guess_member
    monkeypatch.setattr(symbols, "_guess_member", lambda r, above, i: min(max(exact(r, above, i) + wrong, i - 1), above - 1))
    members = sorted(random.Random(wrong).sample(range(5000), 60))
    assert unrank_subset(rank_subset(members), 5000, 60) == members


def test_too_large_a_rank_is_the_last_one():
    assert unrank_subset(comb(900, 7) + 12345, 900, 7) == list(range(893, 900))


def test_ranks_over_a_whole_latent_come_back():
    members = sorted(random.Random(3).sample(range(1 << 21), 610))
    assert unrank_subset(rank_subset(members), 1 << 21, 610) == members


@pytest.mark.parametrize(("universe", "size"), [(16384, 64), (4096, 2048), (1 << 20, 80), (1 << 21, 600), (70, 70), (5, 0)])
def test_subsets_of_usual_sizes(universe, size):
    first, last = list(range(size)), list(range(universe - size, universe))
    assert rank_subset(first) == 0
    assert rank_subset(last) == comb(universe, size) - 1
    assert unrank_subset(0, universe, size) == first
    assert unrank_subset(comb(universe, size) - 1, universe, size) == last


def test_subset_bits_hold_every_rank_and_no_more():
    for universe in range(1, 40):
        for size in range(universe + 1):
            bits = subset_bits(universe, size)
            assert 2**bits >= comb(universe, size), universe
            assert bits == 0 or 2 ** (bits - 1) < comb(universe, size), universe


def test_subset_bits_of_a_usual_size():
    assert subset_bits(16384, 64) == ceil(log2(comb(16384, 64)))
