import math
from itertools import product

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from codebooks.philox import normals
from codebooks.topm import TopMCodebook
from alignment import alignment, efficiency, white

from rfcodec.bitstream.symbols import subset_bits
from rfcodec.types import NoiseAddress

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


# top M


def affordable(k, bits):
    return max(m for m in range(k // 2 + 1) if subset_bits(k, m) + m <= bits)


@pytest.mark.parametrize("m", [16, 32, 64])
def test_topm_reaches_its_efficiency(m):
    codebook = TopMCodebook(k=4096)
    assert 0.6 < efficiency(codebook, (1, 2, 60, 100), codebook.atom_bits(m), 4) < 0.75


def top_m_theory(k, m, dims):
    # the sum of the m largest |g| of k normals; atoms share the direction, which adds to the length of their sum
    largest = -ndtri((np.arange(m) + 0.5) / (2 * k))
    total, energy = largest.sum(), (largest**2).sum()
    return total / math.sqrt(m * dims + total**2 - energy)


@pytest.mark.parametrize("settings", [{}, {"per_frame": 1, "plain": 1}])
@pytest.mark.parametrize(("k", "m"), [(2048, 16), (4096, 64)])
def test_topm_is_as_aligned_as_order_statistics_say(settings, k, m):
    shape = (1, 4, 30, 30)
    codebook = TopMCodebook(k=k, m=m, **settings)
    parts = 4 if settings else 1
    bits = codebook.least_bits(shape)
    cosines = [alignment(codebook, shape, bits, seed) for seed in range(3)]
    assert np.mean(cosines) == pytest.approx(top_m_theory(k, m, math.prod(shape) // parts), rel=0.05)


def test_efficiency_at_the_published_point_of_gvcc():
    dims = 16 * 90 * 160
    cosine, bits = top_m_theory(16384, 64, dims), TopMCodebook(k=16384, plain=1).atom_bits(64)
    assert bits == 960
    assert cosine == pytest.approx(0.053, abs=0.001)
    assert -dims / 2 * math.log2(1 - cosine**2) / bits == pytest.approx(TopMCodebook.efficiency, abs=0.01)


def test_gvccs_bits_of_a_step():
    codebook = TopMCodebook(k=16384, per_frame=1, plain=1, m=64)
    assert codebook.usable_bits((16, 9, 90, 160), 10**6) == 8640
    assert codebook.usable_bits((16, 9, 90, 160), 8639) == 0
    ranked = TopMCodebook(k=16384, per_frame=1, m=64).least_bits((16, 9, 90, 160))
    assert 1 - ranked / 8640 == pytest.approx(0.308, abs=0.001)


@pytest.mark.parametrize("bits", [1, 13, 14, 40, 101, 500, 1234])
def test_topm_takes_as_many_atoms_as_the_bits_pay_for(bits):
    codebook = TopMCodebook(k=300)
    m = affordable(300, bits)
    assert codebook.usable_bits((1, 1, 20, 20), bits) == subset_bits(300, m) + m


@pytest.mark.parametrize("per_frame", [0, 1])
def test_plain_and_ranked_indices_name_the_same_noise(per_frame):
    shape, address, wanted = (2, 3, 12, 12), NoiseAddress(3, 2, 1), white((2, 3, 12, 12), 8)
    for m in (1, 5, 20):
        codebooks = [TopMCodebook(k=256, m=m, per_frame=per_frame, plain=plain) for plain in (0, 1)]
        bits = [codebook.least_bits(shape) for codebook in codebooks]
        drawn = [codebook.choose(address, wanted, cost)[1] for codebook, cost in zip(codebooks, bits, strict=True)]
        assert torch.equal(*drawn)
        assert bits[0] < bits[1] or m == 1


def test_a_fixed_m_names_the_same_noise_as_its_bits_do():
    shape, address, wanted = (1, 2, 12, 12), NoiseAddress(3, 2, 1), white((1, 2, 12, 12), 8)
    fixed = TopMCodebook(k=128, m=7)
    bits = fixed.least_bits(shape)
    assert fixed.choose(address, wanted, bits)[0] == TopMCodebook(k=128).choose(address, wanted, bits)[0]
    assert torch.equal(fixed.choose(address, wanted, bits)[1], TopMCodebook(k=128).choose(address, wanted, bits)[1])


def test_topm_keeps_the_atoms_with_the_largest_products_and_their_signs():
    shape, k, m = (1, 1, 16, 16), 64, 5
    wanted = white(shape, 3).numpy().ravel()
    atoms = np.stack([normals(NoiseAddress(9, 8, 7, j + 1), wanted.size) for j in range(k)])
    products = atoms @ wanted
    kept = np.argsort(-np.abs(products))[:m]
    total = (np.sign(products[kept])[:, None] * atoms[kept]).sum(0, dtype=np.float64)
    codebook = TopMCodebook(k=k, m=m)
    _, z = codebook.choose(NoiseAddress(9, 8, 7), torch.from_numpy(wanted).reshape(shape), codebook.least_bits(shape))
    np.testing.assert_allclose(z.numpy().ravel(), total / np.sqrt((total**2).mean()), atol=1e-6)


def test_the_opposite_direction_gets_the_opposite_noise():
    shape, address, wanted = (1, 2, 12, 12), NoiseAddress(3, 2, 1), white((1, 2, 12, 12), 8)
    codebook = TopMCodebook(k=128, m=4)
    bits = codebook.least_bits(shape)
    assert torch.equal(codebook.choose(address, wanted, bits)[1], -codebook.choose(address, -wanted, bits)[1])


def test_per_frame_every_frame_has_unit_energy_and_its_own_atoms():
    shape = (2, 3, 12, 12)
    codebook = TopMCodebook(k=128, per_frame=1, m=4)
    same = white((2, 1, 12, 12), 5).expand(shape).contiguous()
    _, z = codebook.choose(NoiseAddress(3, 2, 1), same, codebook.least_bits(shape))
    frames = z.double().movedim(1, 0).flatten(1)
    torch.testing.assert_close(frames.square().mean(1), torch.ones(3, dtype=torch.float64), rtol=1e-6, atol=0)
    assert not torch.equal(frames[0], frames[1])


def test_blocks_of_the_search_do_not_change_the_choice(monkeypatch):
    shape, address, wanted = (1, 2, 12, 12), NoiseAddress(3, 2, 1), white((1, 2, 12, 12), 8)
    codebook = TopMCodebook(k=100, m=6)
    whole = codebook.choose(address, wanted, codebook.least_bits(shape))
    monkeypatch.setattr("codebooks.topm.BLOCK_VALUES", 7 * 288)
    pieces = codebook.choose(address, wanted, codebook.least_bits(shape))
    assert whole[0] == pieces[0]
    assert torch.equal(whole[1], pieces[1])
