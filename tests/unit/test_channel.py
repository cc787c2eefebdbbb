import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from alignment import efficiency, white
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codebooks.channel import ChannelCodebook
from codebooks.chunks import Chunks
from codebooks.mixing import Mixing
from codebooks.zipf import decode_indices, encode_indices, frequencies, lengths
from rfcodec.noise import Domain, permutation, words
from rfcodec.types import NoiseAddress

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
ADDRESS = NoiseAddress(9, 8, 7)
LAWS = [(1, 1), (2, 2), (6, 4), (10, 8), (16, 14)]


@pytest.mark.parametrize(("bits", "information"), [*LAWS, (20, 18)])
def test_frequencies_follow_the_law(bits, information):
    table = frequencies(bits, information)
    assert table.sum() == 1 << 24
    assert table.min() >= 1
    assert (np.diff(table) <= 0).all()
    exponent = 1 + 1 / (information + math.log(math.e + 1) / math.e)
    law = np.arange(1, len(table) + 1) ** -exponent
    expected = law / law.sum() * (2**24 - len(table)) + 1
    np.testing.assert_allclose(table[1:], expected[1:], rtol=1e-4, atol=1.01)


def test_frequencies_of_the_default_are_what_they_were():
    assert frequencies(10, 8)[[0, 1, 2, 500, 1023]].tolist() == [3152770, 1452471, 923121, 3024, 1360]


@steady
@given(st.data(), st.sampled_from(LAWS), st.integers(1, 60))
def test_indices_come_back(data, law, count):
    indices = data.draw(st.lists(st.integers(0, (1 << law[0]) - 1), min_size=count, max_size=count))
    needed = math.ceil(lengths(*law)[indices].sum() + 1e-6)
    for width in {needed, needed + 1, 24 * count}:
        if width > 24 * count:
            continue
        value = encode_indices(indices, *law, width)
        assert value is not None
        assert 0 <= value < 1 << width
        assert decode_indices(value, count, *law, width) == indices


@steady
@given(st.data(), st.sampled_from(LAWS), st.integers(1, 30))
def test_every_integer_names_indices(data, law, count):
    width = data.draw(st.integers(1, 24 * count))
    value = data.draw(st.integers(0, (1 << width) - 1))
    indices = decode_indices(value, count, *law, width)
    assert len(indices) == count
    assert all(0 <= index < 1 << law[0] for index in indices)
    again = encode_indices(indices, *law, width)
    assert again is not None
    assert again <= value
    assert decode_indices(again, count, *law, width) == indices


def test_what_does_not_fit_is_refused():
    assert encode_indices([1023] * 4, 10, 8, 20) is None
    assert encode_indices([0] * 4, 10, 8, 20) == 0


def test_the_cheapest_indices_always_fit():
    for b, pad in product(range(2, 21), range(5)):
        codebook = ChannelCodebook(b, pad)
        most = int(frequencies(b, codebook.information)[0])
        for count in (1, 2, 30):
            width = codebook.chunk_bits(count)
            assert width <= 24 * count, (b, pad, count)
            assert most**count >= 1 << 24 * count - width, (b, pad, count)


@steady
@given(st.integers(2, 20), st.integers(0, 4), st.integers(1, 10**6), st.integers(0, 10**5))
def test_bits_and_chunks_agree(b, pad, dims, bits):
    codebook, shape = ChannelCodebook(b, pad), (1, 1, 1, dims)
    count = codebook.chunks_for(shape, bits)
    usable = codebook.usable_bits(shape, bits)
    assert usable <= bits
    assert codebook.chunks_for(shape, usable) == count
    assert codebook.chunk_bits(count + 1) > bits or count * 2 * b + 2 * b > dims or count == 4096


def scores(chunks, delta, b):
    arrival, rows = np.zeros(chunks.count), []
    for k in range(1 << b):
        uniform = (words(NoiseAddress(9, 8, 7, k + 1), chunks.count, Domain.ARRIVALS).astype(float) + 0.5) / 2**64
        arrival = arrival - np.log(uniform)
        rows.append(np.log(arrival) - (chunks.candidates(k) * delta).sum(1, dtype=np.float64))
    return np.stack(rows)


def test_the_sample_is_the_first_of_the_tilted_poisson_process():
    chunks, codebook = Chunks(ADDRESS, 600, 12, Mixing.make(ADDRESS.seed, 600)), ChannelCodebook(b=5, pad=1)
    delta = codebook.delta(chunks, white((1, 1, 1, 600), 4))
    assert float((delta.astype(np.float64) ** 2).sum()) == pytest.approx(2 * math.log(2) * 4 * 12, rel=1e-5)
    prefixes, all_scores = codebook.sample(chunks, delta), scores(chunks, delta, 5)
    assert prefixes.shape == (6, 12)
    for i in range(6):
        np.testing.assert_array_equal(prefixes[i], all_scores[: 1 << i].argmin(0))


def test_the_sampled_noise_has_mean_delta():
    shape, codebook = (1, 1, 24, 40), ChannelCodebook(b=5, pad=4)  # 32 candidates for 1 bit: nearly exact samples
    dims, wanted = 960, white(shape, 1)
    bits = codebook.usable_bits(shape, 60)
    chunks = Chunks(ADDRESS, dims, codebook.chunks_for(shape, bits), Mixing.make(ADDRESS.seed, dims))
    delta = codebook.delta(chunks, wanted)
    order, used = permutation(9, dims), chunks.count * chunks.length
    scale = math.sqrt(1 + float((delta**2).sum()) / dims)  # z is scaled to unit mean square
    seen = []
    for step in range(400):
        address = NoiseAddress(9, 8, step)
        there = replace(chunks, address=address)
        drawn = codebook.sample(there, delta)[-1]
        z = there.noise(drawn.tolist(), [False] * chunks.count)
        seen.append(z.numpy()[order][:used].astype(np.float64) * scale)
    mean, flat = np.mean(seen, 0), delta.ravel().astype(np.float64)
    slope = float(mean @ flat / (flat @ flat))
    assert slope == pytest.approx(1, abs=5 / math.sqrt(400 * float(flat @ flat)) + 0.02)
    errors = (mean - flat) * math.sqrt(len(seen))
    assert abs(float((errors**2).mean()) - 1) < 5 * math.sqrt(2 / used)


@pytest.mark.parametrize(("b", "share"), [(6, 0.51), (8, 0.58), (10, 0.64)])
def test_channel_reaches_its_efficiency(b, share):
    shape = (1, 4, 60, 60)
    codebook = ChannelCodebook(b=b)
    assert efficiency(codebook, shape, codebook.usable_bits(shape, 300), 12) == pytest.approx(share, abs=0.07)


def test_indices_that_do_not_fit_become_cheaper_ones():
    codebook, shape = ChannelCodebook(b=6), (1, 1, 30, 30)
    chunks = Chunks(ADDRESS, 900, 20, Mixing.make(ADDRESS.seed, 900))
    prefixes = codebook.sample(chunks, codebook.delta(chunks, white(shape, 2)))
    cost = lengths(6, 4)[prefixes[-1]].sum()
    kept = decode_indices(codebook.fit(prefixes, math.ceil(cost) + 1), 20, 6, 4, math.ceil(cost) + 1)
    assert kept == prefixes[-1].tolist()
    width = int(cost) - 12
    fitted = decode_indices(codebook.fit(prefixes, width), 20, 6, 4, width)
    changed = [p for p in range(20) if fitted[p] != prefixes[-1][p]]
    assert 0 < len(changed) < 10
    assert all(fitted[p] in prefixes[:, p] and fitted[p] < prefixes[-1][p] for p in changed)


def test_nothing_wanted_is_a_sample_of_plain_noise():
    shape, codebook = (1, 1, 30, 30), ChannelCodebook(b=6)
    bits = codebook.usable_bits(shape, 80)
    symbols, z = codebook.choose(ADDRESS, torch.zeros(shape), bits)
    assert symbols == 0  # the first arrival wins everywhere
    assert float(z.square().mean()) == pytest.approx(1, abs=1e-5)
