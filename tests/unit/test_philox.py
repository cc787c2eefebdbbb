import hashlib
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codebooks.mixing import Mixing
from rfcodec import noise as philox
from rfcodec.errors import RfcodecError
from rfcodec.noise import Domain, normal_table, normals, permutation, signs, signs_at, words
from rfcodec.types import NoiseAddress

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

MASK = (1 << 64) - 1
MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
WEYL = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B


def philox4x64(counter, key):
    """Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011), ten rounds."""
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(10):
        low, high = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (high >> 64) ^ b ^ k0, high & MASK, (low >> 64) ^ d ^ k1, low & MASK
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return [a, b, c, d]


def reference_words(address, count, domain):
    # the first word of the counter counts from 1: it is incremented before a block is made
    blocks = range(1, -(-count // 4) + 1)
    key = address.seed, int(domain)
    return [w for i in blocks for w in philox4x64((i, address.block, address.step, address.gop), key)][:count]


ADDRESSES = [
    NoiseAddress(0, 0, 0),
    NoiseAddress(42, 0, 0, 0),
    NoiseAddress(42, 3, 17, 0),
    NoiseAddress(42, 17, 3, 0),
    NoiseAddress(42, 0, 1, 16384),
    NoiseAddress(2**62 - 1, 2**32, 2**20, 2**33 + 5),
]


def test_the_reference_meets_the_published_vectors():
    # kat_vectors of the Random123 library
    assert philox4x64((0, 0, 0, 0), (0, 0)) == [
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    ]
    assert philox4x64((MASK,) * 4, (MASK,) * 2) == [
        0x87B092C3013FE90B,
        0x438C3C67BE8D0224,
        0x9CC7D7C69CD777B6,
        0xA09CAEBF594F0BA0,
    ]


def test_words_are_philox():
    for domain in Domain:
        for address in ADDRESSES:
            found = words(address, 11, domain)
            assert found.dtype == np.uint64, (domain, address)
            assert found.tolist() == reference_words(address, 11, domain), (domain, address)


def test_a_longer_draw_begins_with_the_shorter_one():
    address = NoiseAddress(7, 1, 2, 3)
    np.testing.assert_array_equal(words(address, 1000)[:13], words(address, 13))
    np.testing.assert_array_equal(normals(address, 4001)[:13], normals(address, 13))


@steady
@given(st.integers(0, 500), st.integers(0, 300), st.sampled_from(ADDRESSES))
def test_a_piece_is_that_of_the_whole(start, count, address):
    for domain in Domain:
        np.testing.assert_array_equal(words(address, count, domain, start), words(address, start + count, domain)[start:])
    np.testing.assert_array_equal(normals(address, count, start), normals(address, start + count)[start:])


def test_pieces_far_away_are_found_without_what_is_before():
    address, start = NoiseAddress(7, 1, 2, 3), 2**40 + 2
    key = address.seed, int(Domain.NOISE)
    expected = philox4x64((start // 4 + 1, 3, 2, 1), key)[2:] + philox4x64((start // 4 + 2, 3, 2, 1), key)[:1]
    assert words(address, 3, start=start).tolist() == expected


def test_each_word_gives_four_numbers_lowest_first():
    address, table = NoiseAddress(5, 4, 3, 2), normal_table()
    numbers = [(w >> shift) & 0xFFFF for w in words(address, 3).tolist() for shift in (0, 16, 32, 48)]
    np.testing.assert_array_equal(normals(address, 12), table[numbers])
    np.testing.assert_array_equal(normals(address, 10), table[numbers[:10]])


def test_the_table_holds_multiples_of_the_resolution_and_is_odd():
    table = normal_table()
    assert table.dtype == np.float32
    assert table.shape == (65536,)
    np.testing.assert_array_equal(table * 4096, np.rint(table * 4096))
    np.testing.assert_array_equal(table, -table[::-1])
    assert (np.diff(table) >= 0).all()
    assert table[49152] == pytest.approx(0.67449, abs=2e-4)
    assert table.astype(np.float64).var() == pytest.approx(1, abs=1e-4)


def test_the_hash_is_that_of_the_table():
    octets = (normal_table() * 4096).astype("<i2").tobytes()
    assert hashlib.sha256(octets).hexdigest() == philox.TABLE_SHA256


def test_another_table_is_refused(monkeypatch):
    normal_table.cache_clear()
    true_ndtri = philox.ndtri
    monkeypatch.setattr(philox, "ndtri", lambda p: true_ndtri(p) * (1 + 1e-5))
    with pytest.raises(RfcodecError, match="table of normals"):
        normals(NoiseAddress(1, 2, 3), 8)
    monkeypatch.undo()
    assert normals(NoiseAddress(1, 2, 3), 8).shape == (8,)


def test_a_last_digit_of_the_quantiles_does_not_change_the_table(monkeypatch):
    wanted = normal_table().copy()
    normal_table.cache_clear()
    true_ndtri = philox.ndtri
    monkeypatch.setattr(philox, "ndtri", lambda p: np.nextafter(true_ndtri(p), np.inf))
    np.testing.assert_array_equal(normal_table(), wanted)
    normal_table.cache_clear()


@pytest.mark.parametrize("address", [NoiseAddress(42, 0, 0), NoiseAddress(1, 9, 13, 77)])
def test_moments_are_those_of_a_normal(address):
    count = 400_000
    z = normals(address, count).astype(np.float64)
    assert abs(z.mean()) < 5 / math.sqrt(count)
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / count)
    assert abs((z**3).mean()) < 5 * math.sqrt(15 / count)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / count)


def test_neighbouring_addresses_are_uncorrelated():
    count, base = 100_000, NoiseAddress(42, 1, 1, 1)
    z = normals(base, count).astype(np.float64)
    neighbours = [
        NoiseAddress(43, 1, 1, 1),
        NoiseAddress(42, 2, 1, 1),
        NoiseAddress(42, 1, 2, 1),
        NoiseAddress(42, 1, 1, 2),
    ]
    for other in neighbours:
        assert abs((z * normals(other, count)).mean()) < 5 / math.sqrt(count)


@steady
@given(st.integers(0, 2**62 - 1), st.integers(1, 3000))
def test_permutations_and_their_inverses(seed, count):
    mixing = Mixing.make(seed, count)
    assert sorted(mixing.order.tolist()) == list(range(count))
    np.testing.assert_array_equal(mixing.order[mixing.inverse], np.arange(count))
    values = np.arange(count, dtype=np.float32)
    np.testing.assert_array_equal(mixing.unmix(mixing.mix(values)), values)


def test_a_permutation_sorts_the_words_of_its_domain():
    keys = reference_words(NoiseAddress(42, 0, 0), 50, Domain.PERMUTATION)
    assert permutation(42, 50).tolist() == sorted(range(50), key=lambda i: keys[i])


def test_a_permutation_mixes():
    order = permutation(42, 100_000)
    places = np.arange(order.size)
    assert abs(np.corrcoef(order, places)[0, 1]) < 5 / math.sqrt(order.size)
    assert (order == places).sum() < 12


@steady
@given(st.integers(0, 2**62 - 1), st.integers(1, 300))
def test_signs_are_the_bits_of_their_words(seed, count):
    bits = reference_words(NoiseAddress(seed, 0, 0), -(-count // 64), Domain.SIGNS)
    expected = [1 - 2 * (bits[i // 64] >> i % 64 & 1) for i in range(count)]
    found = signs(seed, count)
    assert found.dtype == np.float32
    assert found.tolist() == expected


def test_signs_at_an_address_are_its_own():
    addresses = [NoiseAddress(42, 0, 0), NoiseAddress(42, 0, 1), NoiseAddress(42, 1, 0), NoiseAddress(43, 0, 0)]
    drawn = [signs_at(address, 100_000).astype(np.float64) for address in addresses]
    np.testing.assert_array_equal(drawn[0], signs(42, 100_000))
    assert all(abs((one * two).mean()) < 5 / math.sqrt(100_000) for one, two in combinations(drawn, 2))


def test_signs_are_even():
    assert abs(signs(42, 100_000).astype(np.float64).mean()) < 5 / math.sqrt(100_000)
