"""What every codebook owes, run over all that are installed and some of their settings."""

import hashlib
import math
import subprocess
import sys
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from rfcodec import registry
from rfcodec.bitstream import fields
from rfcodec.types import NoiseAddress

SMALL = (2, 3, 12, 14)
LARGE = (3, 5, 32, 40)
ADDRESS = NoiseAddress(42, 1, 4)
VARIANTS = {
    "trellis": [{}, {"branch_bits": 1, "memory": 3}, {"branch_bits": 4}],
    "topm": [{"k": 512}, {"k": 512, "m": 6}],
    "gvcc": [{"k": 256}, {"k": 300, "m": 2}],
    "pursuit": [{"k": 2048}, {"k": 700, "c": 4, "m": 3}],
    "chunked": [{"b": 8}, {"b": 1}, {"b": 5}],
    "hadamard": [{}, {"m": 40}],
    "channel": [{"b": 8}, {"b": 7, "pad": 0}],
}
CASES = [(name, settings) for name in sorted(registry.names("codebooks")) for settings in VARIANTS.get(name, [{}])]
IDS = [name + "".join(f" {field}={value}" for field, value in settings.items()) for name, settings in CASES]


@pytest.fixture(params=CASES, ids=IDS)
def codebook(request):
    name, settings = request.param
    return registry.load("codebooks", name)(**settings)


@pytest.fixture
def codebooks():
    """All of them, for what takes no time."""
    return [registry.load("codebooks", name)(**settings) for name, settings in CASES]


def arrays_in(prepared):
    """The arrays of a prepared value, and of what it holds."""
    if isinstance(prepared, np.ndarray):
        return [prepared]
    held = [getattr(prepared, item.name) for item in dataclass_fields(prepared)] if is_dataclass(prepared) else []
    return [array for value in held for array in arrays_in(value)]


def direction(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0.2, 2, shape[-1])  # neither white nor of unit variance
    return torch.randn(shape, generator=generator).cumsum(2) * ramp


def some_bits(codebook, shape, wanted=120):
    return codebook.usable_bits(shape, max(wanted, codebook.least_bits(shape)))


def damaged(codebook, shape, bits, count):
    generator = np.random.default_rng(5)
    octets = -(-bits // 8)
    yield from (0, (1 << bits) - 1)
    for _ in range(count):
        yield int.from_bytes(generator.bytes(octets), "little") >> (8 * octets - bits)


def test_ids_are_distinct_and_small():
    ids = [registry.load("codebooks", name).ID for name in registry.names("codebooks")]
    assert len(set(ids)) == len(ids)
    assert all(0 <= number <= 127 for number in ids)


def test_the_stream_names_it(codebooks):
    for codebook in codebooks:
        assert registry.by_id("codebooks", codebook.ID) is type(codebook)
        written = fields.write(codebook)
        assert len(written) <= 64, codebook
        assert fields.read_whole(type(codebook), written) == codebook


def test_nominal_efficiency_is_a_share(codebooks):
    assert [codebook for codebook in codebooks if not 0 < codebook.efficiency <= 1] == []


def test_choice_and_replay_are_equal_to_the_last_bit(codebook):
    for shape, wanted in product((SMALL, LARGE), (0, 37, 120, 333)):
        choice_and_replay_are_equal(codebook, shape, some_bits(codebook, shape, wanted))


def choice_and_replay_are_equal(codebook, shape, bits):
    symbols, z = codebook.choose(ADDRESS, direction(shape), bits)
    again = codebook.noise(ADDRESS, shape, bits, symbols)
    assert 0 <= symbols < 1 << bits
    assert z.dtype == again.dtype == torch.float32
    assert tuple(z.shape) == tuple(again.shape) == shape
    assert z.numpy().tobytes() == again.numpy().tobytes()


def test_choosing_leaves_the_direction_alone(codebook):
    wanted = direction(SMALL)
    before = wanted.clone()
    codebook.choose(ADDRESS, wanted, some_bits(codebook, SMALL))
    assert torch.equal(wanted, before)


def test_symbols_fit_even_for_odd_directions(codebook):
    bits = some_bits(codebook, SMALL)
    for odd in (torch.zeros(SMALL), torch.full(SMALL, -3.0), torch.full(SMALL, 1e-30), torch.full(SMALL, 1e12)):
        symbols, z = codebook.choose(ADDRESS, odd, bits)
        assert 0 <= symbols < 1 << bits
        assert torch.equal(z, codebook.noise(ADDRESS, SMALL, bits, symbols))


def test_usable_bits(codebook):
    for shape in (SMALL, LARGE, (1, 1, 9, 7)):
        usable = [codebook.usable_bits(shape, bits) for bits in range(700)]
        assert all(0 <= got <= bits for bits, got in enumerate(usable)), shape
        assert all(a <= b for a, b in pairwise(usable)), shape
        assert all(codebook.usable_bits(shape, got) == got for got in set(usable)), shape


def test_usable_bits_are_bounded(codebook):
    most = codebook.usable_bits(SMALL, 1 << 40)
    assert codebook.usable_bits(SMALL, 1 << 41) == most
    symbols, z = codebook.choose(ADDRESS, direction(SMALL), most)
    assert 0 <= symbols < 1 << most
    assert torch.equal(z, codebook.noise(ADDRESS, SMALL, most, symbols))


def test_least_bits_are_the_least_that_can_be_used(codebooks):
    for codebook, shape in product(codebooks, (SMALL, LARGE)):
        least = codebook.least_bits(shape)
        assert least > 0, (codebook, shape)
        assert codebook.usable_bits(shape, least) == least, (codebook, shape)
        assert codebook.usable_bits(shape, least - 1) == 0, (codebook, shape)


def test_no_bits_are_plain_noise_of_the_address(codebooks):
    for codebook in codebooks:
        z = codebook.noise(ADDRESS, LARGE, 0, 0)
        assert abs(float(z.double().mean())) < 5 / math.sqrt(z.numel()), codebook
        assert abs(float(z.double().square().mean()) - 1) < 5 * math.sqrt(2 / z.numel()), codebook
        assert torch.equal(codebook.noise(ADDRESS, LARGE, 0, 0), z), codebook


def lags(z):
    for axis in range(4):
        for lag in (1, 2, 3, 7):
            if lag < z.shape[axis]:
                length = z.shape[axis] - lag
                product = z.narrow(axis, 0, length).double() * z.narrow(axis, lag, length).double()
                yield (axis, lag), float(product.mean()) * math.sqrt(product.numel())


def test_chosen_noise_is_white_and_of_unit_variance(codebook):
    for wanted in (60, 600):
        chosen_noise_is_white(codebook, some_bits(codebook, LARGE, wanted))


def chosen_noise_is_white(codebook, bits):
    seen = {}
    for seed in range(4):
        target = direction(LARGE, seed).double()
        z = codebook.choose(NoiseAddress(42, seed, 4), target.float(), bits)[1].double()
        assert abs(float(z.square().mean()) - 1) < 5 * math.sqrt(2 / z.numel())
        # the direction is far from white, what is chosen beside it must be
        rest = z - (z * target).sum() / target.square().sum() * target
        assert abs(float(rest.mean())) < 5 / math.sqrt(z.numel())
        for key, score in lags(rest):
            seen.setdefault(key, []).append(score)
    assert all(abs(sum(scores)) < 5 * math.sqrt(len(scores)) for scores in seen.values())
    assert all(max(map(abs, scores)) < 5 for scores in seen.values())


def test_noise_of_symbols_that_mean_nothing_is_white(codebook):
    bits = some_bits(codebook, LARGE, 200)
    scores = {}
    for symbols in list(damaged(codebook, LARGE, bits, 6))[2:]:
        for key, score in lags(codebook.noise(ADDRESS, LARGE, bits, symbols)):
            scores.setdefault(key, []).append(score)
    assert all(abs(sum(values)) < 5 * math.sqrt(len(values)) for values in scores.values())
    assert all(max(map(abs, values)) < 5 for values in scores.values())


def test_chosen_noise_points_in_the_direction(codebook):
    wanted = direction(LARGE)
    plain = codebook.noise(ADDRESS, LARGE, 0, 0)
    few, many = some_bits(codebook, LARGE, 150), some_bits(codebook, LARGE, 1200)
    cosines = [torch.cosine_similarity(z.flatten(), wanted.flatten(), 0).item() for z in (
        plain,
        codebook.choose(ADDRESS, wanted, few)[1],
        codebook.choose(ADDRESS, wanted, many)[1],
    )]  # fmt: skip
    bound = [math.sqrt(1 - 2 ** (-2 * bits / wanted.numel())) for bits in (few, many)]
    assert abs(cosines[0]) < 5 / math.sqrt(wanted.numel())
    assert cosines[1] > 0.6 * bound[0]
    assert cosines[2] >= cosines[1] - 3 / math.sqrt(wanted.numel())
    assert all(c < b + 4 / math.sqrt(wanted.numel()) for c, b in zip(cosines[1:], bound, strict=True))


def test_a_choice_depends_on_the_direction_not_on_its_length(codebook):
    bits = some_bits(codebook, SMALL)
    one, two = (codebook.choose(ADDRESS, direction(SMALL) * scale, bits) for scale in (1, 4))
    assert one[0] == two[0]
    assert torch.equal(one[1], two[1])


def test_preparing_changes_nothing(codebook):
    shape, address = (2, 3, 8, 10), NoiseAddress(5, 1, 2)
    bits = codebook.usable_bits(shape, max(40, codebook.least_bits(shape)))
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    plain = codebook.choose(address, direction, bits)
    before = codebook.prepare(NoiseAddress(5, 1, 3), shape, bits, search=True)
    for search, earlier in product((True, False), (None, before)):
        prepared = codebook.prepare(address, shape, bits, search, earlier)
        symbols, z = codebook.choose(address, direction, bits, prepared)
        assert symbols == plain[0]
        assert torch.equal(z, plain[1])
        assert torch.equal(codebook.noise(address, shape, bits, symbols, prepared), z)


def test_what_is_prepared_for_other_sizes_or_seeds_is_not_taken(codebook):
    shape, other = (2, 3, 8, 10), (2, 3, 8, 12)
    bits = codebook.usable_bits(shape, max(40, codebook.least_bits(shape)))
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for seed, size in ((5, other), (6, shape)):
        before = codebook.prepare(NoiseAddress(seed, 1, 2), size, bits, search=True)
        prepared = codebook.prepare(NoiseAddress(5, 1, 3), shape, bits, True, before)
        found, expected = (codebook.choose(NoiseAddress(5, 1, 3), direction, bits, ready) for ready in (prepared, None))
        assert found[0] == expected[0]
        assert torch.equal(found[1], expected[1])


def test_what_is_prepared_cannot_be_written_into(codebook):
    prepared = codebook.prepare(ADDRESS, SMALL, some_bits(codebook, SMALL), search=True)
    for array in arrays_in(prepared):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_other_addresses_are_uncorrelated(codebook):
    bits = some_bits(codebook, LARGE, 200)
    symbols = next(iter(list(damaged(codebook, LARGE, bits, 1))[2:]))
    addresses = [ADDRESS, NoiseAddress(43, 1, 4), NoiseAddress(42, 2, 4), NoiseAddress(42, 1, 5)]
    for spent in (0, bits):
        drawn = [codebook.noise(address, LARGE, spent, symbols if spent else 0).double() for address in addresses]
        for other in drawn[1:]:
            assert abs(float((drawn[0] * other).mean())) < 5 / math.sqrt(other.numel())


def test_damaged_symbols_name_usable_noise(codebook):
    bits = some_bits(codebook, SMALL, 90)
    dims = math.prod(SMALL)
    for symbols in damaged(codebook, SMALL, bits, 12):
        z = codebook.noise(ADDRESS, SMALL, bits, symbols)
        assert tuple(z.shape) == SMALL
        assert bool(torch.isfinite(z).all())
        assert abs(float(z.double().square().mean()) - 1) < 6 * math.sqrt(2 / dims)


def test_instances_are_interchangeable(codebook):
    bits = some_bits(codebook, SMALL)
    fresh = fields.read_whole(type(codebook), fields.write(codebook))
    codebook.noise(NoiseAddress(9, 9, 9), LARGE, 0, 0)  # whatever was asked before leaves no trace
    symbols, z = codebook.choose(ADDRESS, direction(SMALL), bits)
    again = fresh.choose(ADDRESS, direction(SMALL), bits)
    assert symbols == again[0]
    assert torch.equal(z, again[1])


REPORT = """
import hashlib, sys, torch
from rfcodec import registry
from rfcodec.types import NoiseAddress
torch.set_num_threads(1)
for name, settings, bits, symbols in eval(sys.argv[1]):
    codebook = registry.load("codebooks", name)(**settings)
    z = codebook.noise(NoiseAddress(42, 1, 4), (2, 3, 12, 14), bits, symbols)
    print(hashlib.sha256(z.numpy().astype("<f4").tobytes()).hexdigest())
"""


def test_another_process_draws_the_same_noise():
    jobs, expected = [], []
    for name, settings in CASES:
        codebook = registry.load("codebooks", name)(**settings)
        bits = some_bits(codebook, SMALL)
        symbols, z = codebook.choose(ADDRESS, direction(SMALL), bits)
        jobs.append((name, settings, bits, symbols))
        expected.append(hashlib.sha256(z.numpy().astype("<f4").tobytes()).hexdigest())
    run = subprocess.run([sys.executable, "-c", REPORT, repr(jobs)], capture_output=True, text=True, check=True)
    assert run.stdout.split() == expected
