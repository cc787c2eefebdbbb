import math

import numpy as np
import pytest
import torch
from alignment import efficiency, white

from codebooks.chunked import ChunkedCodebook
from rfcodec.noise import normals, permutation
from rfcodec.types import NoiseAddress

ADDRESS = NoiseAddress(9, 8, 7)


@pytest.mark.parametrize(("b", "share"), [(6, 0.67), (8, 0.72), (10, 0.76)])
def test_chunks_are_as_aligned_as_the_best_of_all_candidates(b, share):
    shape = (1, 4, 80, 80)
    assert efficiency(ChunkedCodebook(b=b), shape, 30 * b, 16) == pytest.approx(share, abs=0.06)


def test_bits_are_whole_chunks_of_enough_coordinates():
    codebook = ChunkedCodebook(b=10)
    assert [codebook.usable_bits((1, 1, 20, 21), bits) for bits in (9, 10, 99, 210, 10**6)] == [0, 10, 90, 210, 210]
    assert codebook.usable_bits((1, 1, 3, 3), 100) == 10


def test_the_search_finds_the_best_candidate_of_every_chunk():
    shape, b, count = (1, 2, 10, 13), 5, 6
    wanted = white(shape, 3)
    symbols, z = ChunkedCodebook(b=b).choose(ADDRESS, wanted, b * count)
    order, length = permutation(9, 260), 260 // count
    expected = []
    for p in range(count):
        places = slice(p * length, (p + 1) * length)
        products = [
            normals(NoiseAddress(9, 8, 7, j + 1), 260)[places] @ wanted.numpy().ravel()[order[places]] for j in range(16)
        ]
        best = int(np.argmax(np.abs(products)))
        expected.append(2 * best + int(products[best] < 0))
    assert [symbols >> b * (count - 1 - p) & 31 for p in range(count)] == expected
    mixed = z.numpy().ravel()[order]
    rest = normals(ADDRESS, 260)[count * length :]
    piece = normals(NoiseAddress(9, 8, 7, expected[2] // 2 + 1), 260)[2 * length : 3 * length]
    scale = mixed[-1] / rest[-1]
    np.testing.assert_allclose(mixed[count * length :], rest * scale, rtol=1e-5)
    np.testing.assert_allclose(mixed[2 * length : 3 * length], piece * scale * (-1) ** expected[2], rtol=1e-5)


def test_the_whole_has_unit_energy():
    z = ChunkedCodebook(b=6).choose(ADDRESS, white((1, 1, 30, 30), 1), 240)[1]
    assert float(z.double().square().mean()) == pytest.approx(1, abs=1e-6)


def test_the_opposite_direction_gets_the_opposite_pieces():
    wanted = white((1, 1, 20, 20), 2)  # 400 coordinates in 40 chunks of 10: nothing is left over
    one, two = (ChunkedCodebook(b=5).choose(ADDRESS, direction, 200)[1] for direction in (wanted, -wanted))
    assert torch.equal(one, -two)


def test_one_bit_is_a_sign():
    shape = (1, 1, 30, 30)
    codebook, dims = ChunkedCodebook(b=1), math.prod(shape)
    piece = torch.from_numpy(normals(NoiseAddress(9, 8, 7, 1), dims)[permutation(9, dims).argsort()])
    products = [float(codebook.noise(ADDRESS, shape, 1, symbols).flatten() @ piece) for symbols in (0, 1)]
    assert products[0] == -products[1] > 0
