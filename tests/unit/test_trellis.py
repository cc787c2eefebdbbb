from itertools import product

import numpy as np
import pytest
import scipy.fft
import torch
from alignment import efficiency, white
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codebooks.trellis import TrellisCodebook, correlate, fast_length
from codebooks.viterbi import Register, best_path, best_path_in_windows
from rfcodec.noise import normals
from rfcodec.types import NoiseAddress

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
registers = st.builds(
    lambda bits, more, length: Register(1 << (bits + more), bits, max(length, 1 << (2 * bits - 1))),
    st.integers(1, 4), st.integers(0, 6), st.integers(4, 400),
)  # fmt: skip


def path_sum(scores, register, labels):
    signed = np.concatenate([scores, -scores], 1)
    return sum(float(row[k]) for row, k in zip(signed, register.walk(labels), strict=True))


# trellis


@pytest.mark.parametrize(
    ("shape", "bits", "least"),
    [
        ((3, 5, 64, 64), 300, 0.89),
        ((3, 5, 64, 64), 900, 0.895),
        ((16, 3, 64, 64), 300, 0.905),
        ((16, 3, 64, 64), 900, 0.90),
    ],
)
def test_trellis_reaches_its_efficiency(shape, bits, least):
    assert least < efficiency(TrellisCodebook(), shape, bits, 16) < 1


def test_more_states_are_better():
    shape = (1, 8, 50, 50)
    small, large = (efficiency(TrellisCodebook(memory=memory), shape, 400, 6) for memory in (2, 8))
    assert small + 0.05 < large


def is_fast(number):
    for prime in (2, 3, 5, 7, 11):
        while number % prime == 0:
            number //= prime
    return number == 1


@steady
@given(st.integers(1, 5000))
def test_a_fast_length_is_the_largest(limit):
    assert fast_length(limit) == max(n for n in range(1, limit + 1) if is_fast(n) or n == limit < 256)


@pytest.mark.parametrize("limit", [2_073_600, 4801, 389])
def test_fast_lengths_of_usual_sizes(limit):
    found = fast_length(limit)
    assert is_fast(found)
    assert 0.98 * limit < found <= limit


@steady
@given(st.integers(1, 6), st.integers(1, 20), st.integers(100, 300_000), st.integers(1, 4000))
def test_layouts_are_legal(branch_bits, memory, dims, bits):
    codebook = TrellisCodebook(branch_bits, memory)
    usable = codebook.usable_bits((1, 1, 1, dims), bits)
    if usable == 0:
        return
    layout = codebook.layout(dims, usable)
    assert layout.stages * branch_bits == usable
    assert layout.stages * layout.length <= dims
    assert layout.states & (layout.states - 1) == 0
    assert 1 << branch_bits <= layout.states <= 1 << max(memory, branch_bits)
    assert layout.states <= 16 * layout.length


def test_the_scores_are_the_inner_products_with_circular_shifts():
    generator = np.random.default_rng(0)
    rows, base = generator.standard_normal((2, 4, 30), dtype=np.float32)
    scores = correlate(rows, np.conj(scipy.fft.rfft(base, axis=1)))
    expected = [[rows[i] @ np.roll(base[i], shift) for shift in range(30)] for i in range(4)]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@steady
@given(registers)
def test_branches_that_part_or_meet_have_atoms_of_their_own(register):
    b, states = register.branches, range(0, register.states, max(1, register.states // 50))
    for state in states:
        assert len({register.signed_shift(state, label) for label in range(b)}) == b
        first = state & -b  # the states that share their heads meet
        assert len({register.signed_shift(first + low, 0) for low in range(b)}) == b
        assert len({register.next_state(first + low, 0) for low in range(b)}) == 1


@steady
@given(registers)
def test_a_register_forgets_and_reaches_everything(register):
    b, depth = register.branches, -(-register.states.bit_length() // register.branch_bits)
    assert {register.next_state(s, u) for s in range(register.states) for u in range(b)} == set(range(register.states))
    one, two = 0, register.states - 1
    for _ in range(depth):
        one, two = register.next_state(one, 1), register.next_state(two, 1)
    assert one == two


@pytest.mark.parametrize(
    ("states", "branch_bits", "length", "stages"),
    [(2, 1, 5, 8), (4, 1, 2, 7), (4, 2, 17, 4), (8, 1, 3, 6), (16, 2, 9, 4), (64, 2, 4, 4), (8, 3, 30, 3)],
)
def test_the_best_of_all_paths_is_found(states, branch_bits, length, stages):
    generator, register = np.random.default_rng(states * 10 + branch_bits), Register(states, branch_bits, length)
    for _ in range(5):
        scores = generator.standard_normal((stages, length), dtype=np.float32)
        paths = [np.array(path, np.uint8) for path in product(range(1 << branch_bits), repeat=stages)]
        best = max(path_sum(scores, register, path) for path in paths)
        for found in (best_path(scores, register), best_path_in_windows(torch.from_numpy(scores), register)):
            assert path_sum(scores, register, found) == pytest.approx(best, rel=1e-5)


@steady
@given(registers, st.integers(1, 90), st.integers(0, 9))
def test_one_window_is_the_whole_search(register, stages, seed):
    scores = np.random.default_rng(seed).standard_normal((stages, register.length), dtype=np.float32)
    found = best_path_in_windows(torch.from_numpy(scores), register, window=stages)
    assert path_sum(scores, register, found) == pytest.approx(
        path_sum(scores, register, best_path(scores, register)), rel=1e-5
    )


def test_windows_lose_next_to_nothing():
    scores, register = np.random.default_rng(3).standard_normal((900, 300), dtype=np.float32), Register(1024, 2, 300)
    whole, windows = best_path(scores, register), best_path_in_windows(torch.from_numpy(scores), register)
    assert path_sum(scores, register, windows) > 0.998 * path_sum(scores, register, whole)
    short = best_path_in_windows(torch.from_numpy(scores), register, window=8, overlap=0)
    assert path_sum(scores, register, short) < 0.95 * path_sum(scores, register, whole)


def test_trellis_noise_is_a_rearrangement_of_its_carrier():
    shape, address = (2, 3, 10, 11), NoiseAddress(4, 3, 2)
    codebook = TrellisCodebook()
    z = codebook.choose(address, white(shape, 1), 60)[1]
    carrier = normals(address, z.numel())
    np.testing.assert_array_equal(np.sort(np.abs(z.numpy().ravel())), np.sort(np.abs(carrier)))


@steady
@given(st.data(), st.integers(1, 6), st.integers(1, 40))
def test_every_symbol_names_other_noise(data, branch_bits, stages):
    codebook, shape = TrellisCodebook(branch_bits, 6), (1, 1, 40, 70)
    bits = codebook.usable_bits(shape, stages * branch_bits)
    if bits == 0:
        return
    symbols = st.integers(0, (1 << bits) - 1)
    one, two = data.draw(symbols), data.draw(symbols)
    same = torch.equal(*(codebook.noise(NoiseAddress(1, 2, 3), shape, bits, s) for s in (one, two)))
    assert same == (one == two)
