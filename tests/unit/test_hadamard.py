import math

import numpy as np
import pytest
import scipy.linalg
import torch
from alignment import alignment, efficiency, white
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codebooks.hadamard import HadamardCodebook, walsh_hadamard
from rfcodec.bitstream.symbols import subset_bits, unrank_subset
from rfcodec.noise import signs_at
from rfcodec.types import NoiseAddress

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
ADDRESS = NoiseAddress(9, 8, 7)


def test_the_transform_is_the_matrix():
    for power in range(9):
        matrix = scipy.linalg.hadamard(1 << power)
        values = np.random.default_rng(power).integers(-9, 9, 1 << power).astype(np.int16)
        np.testing.assert_array_equal(walsh_hadamard(values), matrix @ values)


@steady
@given(st.integers(0, 12), st.integers(0, 2**32))
def test_the_transform_is_its_own_inverse(power, seed):
    values = np.random.default_rng(seed).integers(-1000, 1000, 1 << power)
    before = values.copy()
    np.testing.assert_array_equal(walsh_hadamard(walsh_hadamard(values)), values << power)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(("m", "least", "most"), [(16, 0.7, 0.85), (64, 0.7, 0.82), (256, 0.62, 0.75)])
def test_hadamard_reaches_its_efficiency(m, least, most):
    shape = (1, 4, 128, 128)
    codebook = HadamardCodebook(m=m)
    assert least < efficiency(codebook, shape, codebook.least_bits(shape), 8) < most


def test_the_cosine_is_the_sum_of_the_largest_coefficients():
    # N = D: the rows are orthogonal, so that c = sum |coefficient| / (sqrt(M) |r|)
    shape, m = (1, 1, 32, 32), 24
    codebook, wanted = HadamardCodebook(m=m), white(shape, 5)
    signs = signs_at(NoiseAddress(42, 5, 1), 1024)
    rotated = walsh_hadamard(signs * wanted.numpy().ravel()) / 32
    expected = np.sort(np.abs(rotated))[-m:].sum() / math.sqrt(m) / float(wanted.norm())
    assert alignment(codebook, shape, codebook.least_bits(shape), 5) == pytest.approx(expected, abs=1e-5)


def test_the_choice_and_its_noise_by_the_dense_matrix():
    shape, m = (1, 2, 9, 11), 20
    dims, size = 198, 256
    wanted, codebook = white(shape, 6), HadamardCodebook(m=m)
    bits = codebook.least_bits(shape)
    assert bits == subset_bits(size, m) + m
    symbols, z = codebook.choose(ADDRESS, wanted, bits)
    rows = scipy.linalg.hadamard(size)[:, :dims] * signs_at(ADDRESS, dims)
    products = rows @ wanted.numpy().ravel()
    kept = np.sort(np.argsort(-np.abs(products))[:m])
    assert unrank_subset(symbols >> m, size, m) == kept.tolist()
    assert [symbols >> i & 1 for i in range(m)] == (products[kept] < 0).astype(int).tolist()
    total = np.sign(products[kept]) @ rows[kept]
    np.testing.assert_allclose(z.numpy().ravel(), total / np.sqrt((total**2).mean()), atol=1e-6)


@pytest.mark.parametrize("bits", [0, 100, 166, 167, 400, 1000, 10**7])
def test_hadamard_takes_as_many_atoms_as_the_bits_pay_for(bits):
    shape, size = (1, 1, 40, 40), 2048
    fits = [m for m in range(16, size // 2 + 1) if subset_bits(size, m) + m <= bits]
    expected = subset_bits(size, fits[-1]) + fits[-1] if fits else 0
    assert HadamardCodebook().usable_bits(shape, bits) == expected


@pytest.mark.parametrize("dims", [1, 2, 3, 7, 33])
def test_tiny_latents_have_fewer_atoms(dims):
    codebook, shape = HadamardCodebook(), (1, 1, 1, dims)
    bits = codebook.least_bits(shape)
    assert codebook.usable_bits(shape, bits) == bits > 0
    for symbols in range(1 << min(bits, 10)):
        z = codebook.noise(ADDRESS, shape, bits, symbols)
        assert float(z.double().square().mean()) == pytest.approx(1, abs=1e-6)


def test_the_kurtosis_is_that_of_a_sum_of_signs():
    shape, m = (1, 4, 100, 100), 16
    codebook = HadamardCodebook(m=m)
    z = codebook.choose(ADDRESS, white(shape, 1), codebook.least_bits(shape))[1].double()
    assert float((z**4).mean()) == pytest.approx(3 - 2 / m, abs=5 * math.sqrt(96 / z.numel()))


def test_every_step_has_a_dictionary_of_its_own():
    shape, codebook = (1, 1, 40, 40), HadamardCodebook(m=16)
    bits = codebook.least_bits(shape)
    one, two = (codebook.noise(NoiseAddress(9, 8, step), shape, bits, 12345).flatten() for step in (1, 2))
    assert abs(float(one @ two)) / 1600 < 5 / math.sqrt(1600)
    assert torch.equal(one, codebook.noise(NoiseAddress(9, 8, 1), shape, bits, 12345).flatten())
