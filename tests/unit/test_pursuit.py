import numpy as np
import pytest
import torch
from alignment import efficiency, white

from codebooks import pursuit
from codebooks.atoms import Atoms
from codebooks.pursuit import Choice, PursuitCodebook, Search, blend, weights
from rfcodec.noise import normals
from rfcodec.types import NoiseAddress

ADDRESS = NoiseAddress(9, 8, 7)


@pytest.mark.parametrize(("m", "least", "most"), [(1, 0.6, 0.9), (6, 0.4, 0.7)])
def test_pursuit_reaches_its_efficiency(m, least, most):
    codebook = PursuitCodebook(k=2048, m=m)
    shape = (1, 2, 40, 40)
    assert least < efficiency(codebook, shape, codebook.least_bits(shape), 8) < most


def test_published_bits():
    assert [PursuitCodebook(m=m).least_bits((4, 1, 64, 64)) for m in (2, 8, 17)] == [29, 125, 269]
    assert PursuitCodebook(k=5, c=2).usable_bits((1, 1, 8, 8), 12) == 8
    assert PursuitCodebook(k=5, c=2).usable_bits((1, 1, 8, 8), 13) == 13


def test_no_more_atoms_than_help_unless_told():
    shape = (1, 1, 8, 8)
    assert PursuitCodebook(c=3).usable_bits(shape, 10**6) == 32 * 13 + 31 * 3
    assert PursuitCodebook(c=3, m=100).usable_bits(shape, 10**6) == 100 * 13 + 99 * 3


def test_weights_are_those_of_the_paper():
    np.testing.assert_allclose(weights(3), np.arange(1, 8) / 7)


@pytest.mark.parametrize("seed", range(3))
def test_every_atom_and_weight_is_the_best_of_all(seed):
    shape, k, c, m = (1, 1, 12, 12), 40, 3, 5  # fewer atoms than the shortlist: the search is exhaustive
    wanted = white(shape, seed)
    direction = wanted.numpy().ravel().astype(np.float64)
    codebook = PursuitCodebook(k=k, c=c, m=m)
    symbols, z = codebook.choose(ADDRESS, wanted, codebook.least_bits(shape))
    atoms = [normals(NoiseAddress(9, 8, 7, j + 1), 144).astype(np.float64) for j in range(k)]
    noise = max((a / np.sqrt((a**2).mean()) for a in atoms), key=lambda a: a @ direction)
    labels = [int(np.argmax([a @ direction / np.linalg.norm(a) for a in atoms]))]
    for _ in range(m - 1):
        mixed = {
            (j, code): np.sqrt(code / 7) * noise + np.sqrt(1 - code / 7) * a
            for j, a in enumerate(atoms)
            for code in range(1, 8)
        }
        mixed = {name: a / np.sqrt((a**2).mean()) for name, a in mixed.items()}
        (atom, code), best = max(mixed.items(), key=lambda item: item[1] @ direction)
        if best @ direction <= noise @ direction:
            labels += [0] * (m - len(labels))
            break
        noise = best
        labels.append(code << 6 | atom)
    assert [symbols >> 9 * (m - 1 - i) & 511 for i in range(m)] == labels
    np.testing.assert_allclose(z.numpy().ravel(), noise, atol=2e-3)


def test_a_short_list_finds_what_a_long_one_does(monkeypatch):
    shape = (1, 2, 30, 30)
    codebook = PursuitCodebook(k=400, m=8)
    bits = codebook.least_bits(shape)
    short = [codebook.choose(ADDRESS, white(shape, seed), bits)[0] for seed in range(3)]
    monkeypatch.setattr(pursuit, "SHORTLIST", 400)
    assert short == [codebook.choose(ADDRESS, white(shape, seed), bits)[0] for seed in range(3)]


def test_blocks_of_the_search_do_not_change_the_choice(monkeypatch):
    shape, codebook = (1, 2, 12, 12), PursuitCodebook(k=100, m=4)
    whole = codebook.choose(ADDRESS, white(shape, 1), codebook.least_bits(shape))
    monkeypatch.setattr("codebooks.atoms.BLOCK_VALUES", 7 * 288)
    pieces = codebook.choose(ADDRESS, white(shape, 1), codebook.least_bits(shape))
    assert whole[0] == pieces[0]
    assert torch.equal(whole[1], pieces[1])


def test_what_helps_no_more_is_left_out():
    shape = (1, 1, 12, 12)
    codebook = PursuitCodebook(k=4, m=40)
    symbols, z = codebook.choose(ADDRESS, white(shape, 2), codebook.least_bits(shape))
    assert symbols & ((1 << 5 * 30) - 1) == 0
    first = symbols >> 5 * 20
    assert torch.equal(z, PursuitCodebook(k=4, m=20).noise(ADDRESS, shape, 20 * 5 - 3, first))


def test_every_blend_has_unit_energy():
    atoms = Atoms(ADDRESS, 1, 8, 500)
    noise = atoms.signed_sum([3], [False])
    for code in range(1, 8):
        noise = blend(noise, atoms, Choice(code, code), weights(3))
        assert float((noise.astype(np.float64) ** 2).mean()) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(blend(noise, atoms, Choice(5, 0), weights(3)), noise)


def test_the_search_knows_products_and_energies():
    atoms, wanted = Atoms(ADDRESS, 1, 9, 300), white((1, 1, 1, 300), 3).numpy().ravel()
    search = Search.begin(atoms, wanted, weights(3))
    dense = np.stack([atoms.atom(j) for j in range(9)]).astype(np.float64)
    np.testing.assert_allclose(search.products, dense @ wanted / np.linalg.norm(wanted) / np.sqrt(300), atol=1e-5)
    np.testing.assert_allclose(search.energies, (dense**2).mean(1), rtol=1e-5)
