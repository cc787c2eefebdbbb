import math

import numpy as np
import pytest
import torch
from alignment import alignment, efficiency, white
from scipy.special import ndtri

from codebooks.gvcc import GvccCodebook
from codebooks.topm import TopMCodebook
from rfcodec.bitstream.symbols import subset_bits
from rfcodec.noise import normals
from rfcodec.types import NoiseAddress

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


@pytest.mark.parametrize(("kind", "parts"), [(TopMCodebook, 1), (GvccCodebook, 4)])
@pytest.mark.parametrize(("k", "m"), [(2048, 16), (4096, 64)])
def test_topm_is_as_aligned_as_order_statistics_say(kind, parts, k, m):
    shape = (1, 4, 30, 30)
    codebook = kind(k=k, m=m)
    bits = codebook.least_bits(shape)
    cosines = [alignment(codebook, shape, bits, seed) for seed in range(3)]
    assert np.mean(cosines) == pytest.approx(top_m_theory(k, m, math.prod(shape) // parts), rel=0.05)


def test_efficiency_at_the_published_point_of_gvcc():
    dims = 16 * 90 * 160
    cosine, bits = top_m_theory(16384, 64, dims), GvccCodebook(k=16384).atom_bits(64)
    assert bits == 960
    assert cosine == pytest.approx(0.053, abs=0.001)
    assert -dims / 2 * math.log2(1 - cosine**2) / bits == pytest.approx(GvccCodebook.efficiency, abs=0.01)


def test_gvccs_bits_of_a_step():
    codebook = GvccCodebook(m=64)
    assert codebook.usable_bits((16, 9, 90, 160), 10**6) == 8640
    assert codebook.usable_bits((16, 9, 90, 160), 8639) == 0
    ranked = 9 * TopMCodebook(k=16384, m=64).least_bits((16, 1, 90, 160))
    assert 1 - ranked / 8640 == pytest.approx(0.308, abs=0.001)


@pytest.mark.parametrize("bits", [1, 13, 14, 40, 101, 500, 1234])
def test_topm_takes_as_many_atoms_as_the_bits_pay_for(bits):
    codebook = TopMCodebook(k=300)
    m = affordable(300, bits)
    assert codebook.usable_bits((1, 1, 20, 20), bits) == subset_bits(300, m) + m


@pytest.mark.parametrize("bits", [1, 29, 30, 59, 500, 1234])
def test_gvcc_takes_as_many_atoms_a_frame_as_the_bits_pay_for(bits):
    assert GvccCodebook(k=300).usable_bits((1, 3, 20, 20), bits) == bits // 30 * 30


def test_a_single_frame_of_gvcc_is_topm_by_other_names():
    shape, address, wanted = (2, 1, 12, 12), NoiseAddress(3, 2, 1), white((2, 1, 12, 12), 8)
    for m in (1, 5, 20):
        codebooks = [TopMCodebook(k=256, m=m), GvccCodebook(k=256, m=m)]
        bits = [codebook.least_bits(shape) for codebook in codebooks]
        drawn = [codebook.choose(address, wanted, cost)[1] for codebook, cost in zip(codebooks, bits, strict=True)]
        assert torch.equal(*drawn)
        assert bits[0] < bits[1] or m == 1


def test_frames_of_gvcc_choose_among_atoms_of_their_own():
    shape, k = (1, 2, 9, 9), 16
    wanted = white(shape, 4)
    codebook = GvccCodebook(k=k, m=1)
    symbols, _ = codebook.choose(NoiseAddress(9, 8, 7), wanted, codebook.least_bits(shape))
    for frame, name in enumerate(((symbols >> 5), symbols & 31)):
        atoms = np.stack([normals(NoiseAddress(9, 8, 7, frame * k + j + 1), 81) for j in range(k)])
        products = atoms @ wanted[0, frame].numpy().ravel()
        best = int(np.argmax(np.abs(products)))
        assert (name >> 1, name & 1) == (best, int(products[best] < 0))


def test_damage_that_cancels_an_atom_leaves_it():
    shape, address = (1, 1, 9, 9), NoiseAddress(9, 8, 7)
    twice = GvccCodebook(k=16, m=2).noise(address, shape, 10, (3 << 4 | 3) << 2 | 2)
    assert torch.equal(twice, GvccCodebook(k=16, m=1).noise(address, shape, 5, 3 << 1))


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


def test_every_frame_of_gvcc_has_unit_energy_and_its_own_atoms():
    shape = (2, 3, 12, 12)
    codebook = GvccCodebook(k=128, m=4)
    same = white((2, 1, 12, 12), 5).expand(shape).contiguous()
    _, z = codebook.choose(NoiseAddress(3, 2, 1), same, codebook.least_bits(shape))
    frames = z.double().movedim(1, 0).flatten(1)
    torch.testing.assert_close(frames.square().mean(1), torch.ones(3, dtype=torch.float64), rtol=1e-6, atol=0)
    assert not torch.equal(frames[0], frames[1])


def test_blocks_of_the_search_do_not_change_the_choice(monkeypatch):
    shape, address, wanted = (1, 2, 12, 12), NoiseAddress(3, 2, 1), white((1, 2, 12, 12), 8)
    codebook = TopMCodebook(k=100, m=6)
    whole = codebook.choose(address, wanted, codebook.least_bits(shape))
    monkeypatch.setattr("codebooks.atoms.BLOCK_VALUES", 7 * 288)
    pieces = codebook.choose(address, wanted, codebook.least_bits(shape))
    assert whole[0] == pieces[0]
    assert torch.equal(whole[1], pieces[1])
