"""The tiny backbone: starts as the Gaussian one, takes any size, and refuses weights that are not its own."""

import math

import numpy as np
import pytest
import torch

from rfcodec.backbones.gaussian.backbone import pixel_backbone, slower
from rfcodec.backbones.openers import fingerprint
from rfcodec.backbones.tiny import backbone, weights
from rfcodec.backbones.tiny.backbone import TinyBackbone, TinyOptions, tiny_backbone
from rfcodec.backbones.tiny.denoiser import Denoiser, PriorBank, corrected
from rfcodec.backbones.tiny.network import EDGES, MULTIPLE, REACH, TinyNetwork, filled
from rfcodec.backbones.tiny.weights import folder, read_card, read_network, write_network
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, ConfigError, MissingWeights, UnsupportedCondition
from rfcodec.flow.path import interpolate
from rfcodec.protocols import Condition, Reference

FACTS = {"trained_on": "nothing", "licence": "none", "compute": "none", "tail_share": 0.2, "tail_end": 0.15}
WIDTHS = (4, 8, 8, 8)


@pytest.fixture(scope="module")
def bank():
    return PriorBank()


@pytest.fixture
def frames(make_clip):
    return make_clip(5, 40, 24)


def a_condition(frames, first=False, last=False):
    count, height, width, _ = frames.shape
    references = {
        "first": Reference(frames[0], 1.0) if first else None,
        "last": Reference(frames[-1], 2.0) if last else None,
    }
    return Condition.between((count, width, height), **references)


def noisy(frames, t, seed=0):
    clean = pixel_backbone(RuntimeConfig(), {}).encode(frames)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return clean, interpolate(clean, noise, t)


# The denoiser


@pytest.mark.parametrize(("first", "last"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("t", [1.0, 0.6, 0.01])
def test_an_untrained_network_leaves_the_gaussian_estimate(bank, frames, first, last, t):
    condition = a_condition(frames, first, last)
    _, x = noisy(frames, t)
    found = Denoiser(TinyNetwork(WIDTHS), bank.estimator(condition)).clean(x, t)
    assert torch.equal(found, pixel_backbone(RuntimeConfig(), {}).prepare(condition).clean(x, t))


def test_candidates_are_the_slower_priors_and_the_references(bank, frames):
    condition = a_condition(frames, first=True)
    _, x = noisy(frames, 0.4)
    estimate = bank.estimator(condition).estimate(x, 0.4)
    usual = bank.backbones[0]
    slow = slower(usual, 1 / 8).prepare(condition).clean(x, 0.4)
    assert torch.allclose(estimate.wiener + estimate.candidates[0], slow, atol=1e-6)
    first = usual.encode(frames[:1])[:, 0]
    assert torch.allclose((estimate.wiener + estimate.candidates[2])[:, 3], first, atol=1e-6)
    assert not estimate.candidates[3].any()


def test_a_slower_prior_is_right_where_nothing_moves(bank, frames):
    still = np.repeat(frames[:1], 9, axis=0)
    condition = a_condition(still)
    clean, x = noisy(still, 0.5)
    errors = [(b.prepare(condition).clean(x, 0.5) - clean).square().mean() for b in bank.backbones]
    assert errors[2] < errors[1] < 0.95 * errors[0]


def test_shares_and_correction_are_used_as_said(bank, frames):
    network = TinyNetwork(WIDTHS)
    network.leave.bias.data[0:4] = 2.0  # of four pixels that share a place
    network.leave.bias.data[12:16] = 0.25
    _, x = noisy(frames, 0.4)
    estimate = bank.estimator(a_condition(frames)).estimate(x, 0.4)
    found = corrected(network, estimate)
    wanted = estimate.wiener + 0.25 * estimate.candidates[0]
    assert torch.allclose(found[1:], wanted[1:], atol=1e-6)
    assert torch.allclose(found[0], wanted[0] + 2 * estimate.deviation[0][:, None, None], atol=1e-6)


def test_the_deviation_is_that_of_the_error(bank):
    prior = bank.estimator(Condition(5, 64, 48)).prior
    generator, errors = np.random.default_rng(0), []
    for _ in range(30):
        clean = prior.sample(generator)
        x = interpolate(clean, torch.from_numpy(generator.standard_normal(prior.shape, dtype=np.float32)), 0.5)
        errors.append((prior.clean(x, 0.5) - clean).square().mean((2, 3)).numpy())
    assert np.allclose(prior.frame_mmse(0.5), np.mean(errors, 0), rtol=0.12)
    assert math.isclose(prior.frame_mmse(0.5).mean(), prior.mmse(0.5), rel_tol=1e-9)


# The network


@pytest.mark.parametrize("size", [(1, 1), (17, 30), (64, 64), (48, 100)])
def test_any_size_and_count_of_frames(size):
    for count in [1, 2, 9]:
        network = TinyNetwork(WIDTHS)
        assert network(torch.randn(count, 18, *size), 0.3, torch.zeros(count, 6)).shape == (count, 7, *size), count


def shaken(widths=WIDTHS, seed=0):
    torch.manual_seed(seed)
    network = TinyNetwork(widths)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_frames_see_others_up_to_sixteen_apart_in_both_directions():
    network = shaken()
    features, count = torch.randn(37, 18, 32, 32), 37
    before = network(features, 0.3, torch.zeros(count, 6))
    features[18] += 1
    changed = (network(features, 0.3, torch.zeros(count, 6)) - before).abs().amax((1, 2, 3)) > 0
    assert changed.tolist() == [abs(k - 18) <= 2 * sum(REACH) for k in range(count)]


def test_time_and_known_frames_matter():
    network = shaken()
    features, signals = torch.randn(3, 18, 32, 32), torch.zeros(3, 6)
    before = network(features, 0.3, signals)
    assert not torch.allclose(network(features, 0.4, signals), before, atol=1e-4)
    assert not torch.allclose(network(features, 0.3, signals + 1), before, atol=1e-4)


@pytest.mark.parametrize("other", [1, 21])
def test_every_side_is_filled_up_by_its_mirror_image(other):
    network = TinyNetwork(WIDTHS)
    for side in range(1, 41):
        features = torch.randn(1, 18, side, other)
        more = ((0, 0), (0, 0), (0, -side % MULTIPLE), (0, -other % MULTIPLE))
        assert np.array_equal(filled(features), np.pad(features, more, mode="symmetric")), side
        assert network(features, 0.0, torch.zeros(1, 6)).shape == (1, 7, side, other)


def test_the_network_sees_what_is_filled_up():
    network, features = shaken(), torch.randn(1, 18, MULTIPLE - 3, MULTIPLE - 5)
    whole = network(filled(features), 0.0, torch.zeros(1, 6))
    assert torch.equal(network(features, 0.0, torch.zeros(1, 6)), whole[..., : MULTIPLE - 3, : MULTIPLE - 5])


@pytest.mark.parametrize("size", [(16, 16), (32, 48)])
def test_multiples_of_sixteen_are_not_copied(size):
    features = torch.randn(1, 18, *size)
    assert filled(features) is features


# Weights and backbone


@pytest.fixture
def stored(tmp_path):
    card = write_network("mine", TinyNetwork(WIDTHS), FACTS, tmp_path)
    return tmp_path, card


def test_weights_are_read_as_they_were_written(stored):
    where, card = stored
    network, read = read_network("mine", where)
    assert read == card
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert card.widths == WIDTHS


def test_a_point_of_a_sweep_is_of_its_weights(stored, monkeypatch):
    monkeypatch.setattr(weights, "folder", lambda: stored[0])
    for suffix in ("json", "safetensors"):
        (stored[0] / f"mine.{suffix}").rename(stored[0] / f"tiny.{suffix}")
    network, card = read_network("tiny", stored[0])
    identity = TinyBackbone("tiny", network, card, TinyOptions()).identity
    assert fingerprint("tiny", {}) == identity.weights.hex()
    assert fingerprint("tiny-fast", {}) == ""


def test_other_weights_than_the_card_says_are_refused(stored):
    where, _ = stored
    path = where / "mine.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(MissingWeights, match="install rfcodec again"):
        read_network("mine", where)
    path.unlink()
    with pytest.raises(MissingWeights, match=r"\(0 bytes\)"):
        read_network("mine", where)
    with pytest.raises(MissingWeights, match="is not there"):
        read_network("yours", where)
    (where / "mine.json").write_text('{"sha256": "00"')
    with pytest.raises(MissingWeights, match="is damaged"):
        read_network("mine", where)


@pytest.fixture(scope="module")
def tiny():
    return tiny_backbone(RuntimeConfig(), {})


def test_all_weights_fit_in_the_wheel():
    assert sum(path.stat().st_size for path in folder().iterdir()) < 30_000_000


def test_it_names_its_weights(tiny):
    card = read_card("tiny")
    other = TinyBackbone("tiny", TinyNetwork(), card.model_copy(update={"sha256": "00" * 32}), TinyOptions())
    assert tiny.identity.name == "tiny"
    assert tiny.identity.weights != other.identity.weights


def test_another_way_to_fill_up_sizes_is_another_model(tiny, monkeypatch):
    before = fingerprint("tiny", {})
    assert EDGES in backbone.CONSTANTS
    others = tuple("replicate" if constant == EDGES else constant for constant in backbone.CONSTANTS)
    monkeypatch.setattr(backbone, "CONSTANTS", others)
    assert tiny_backbone(RuntimeConfig(), {}).identity.weights != tiny.identity.weights
    assert fingerprint("tiny", {}) != before


def test_text_is_refused_and_so_are_unknown_options(tiny):
    with pytest.raises(UnsupportedCondition, match="tiny backbone knows no text"):
        tiny.prepare(Condition(5, 64, 64, text="a cat"))
    with pytest.raises(ConfigError, match="legal names: dtype"):
        tiny_backbone(RuntimeConfig(), {"speed": "9"})


def test_it_denoises_better_than_the_gaussian_prior(tiny, make_clip):
    frames = make_clip(9, 96, 64)
    for t, most in ((0.4, 0.95), (0.15, 0.75)):
        clean, x = noisy(frames, t)
        learned = (tiny.prepare(a_condition(frames)).clean(x, t) - clean).square().mean()
        wiener = (pixel_backbone(RuntimeConfig(), {}).prepare(a_condition(frames)).clean(x, t) - clean).square().mean()
        assert learned < most * wiener


def smooth_clip(count, width, height):
    k, y, x = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    waves = [np.sin(x / 17 + y / 11 + k / 5 + phase) for phase in (0, 0.3, 0.6)]
    return (128 + 80 * np.stack(waves, 3)).astype(np.uint8)


def test_the_last_row_and_column_gain_as_the_rest_does(tiny):
    """In error over the Wiener estimate's: it is 2.9 and 2.2 times that of the rest where the last ones are repeated."""
    frames = smooth_clip(5, 90, 66)
    clean, x = noisy(frames, 0.5)
    condition, errors = a_condition(frames), []
    for one in (tiny, pixel_backbone(RuntimeConfig(), {})):
        errors.append((one.prepare(condition).clean(x, 0.5) - clean).square().mean((0, 1)))
    row, column, inner = (
        float(errors[0][part].mean() / errors[1][part].mean()) for part in (np.s_[-1], np.s_[:, -1], np.s_[8:-8, 8:-8])
    )
    assert row < 1.6 * inner
    assert column < 1.6 * inner


def test_its_profile_is_a_share_of_the_priors(tiny, frames):
    for first in (False, True):
        condition = tiny.prepare(a_condition(frames, first))
        profile, prior = tiny.profile(condition), condition.prior
        assert all(0.3 < profile.at(t) / prior.mmse(t) < 2 for t in (0.9, 0.7, 0.5, 0.3))
        assert list(profile.mmse) == sorted(profile.mmse, reverse=True)
    assert tiny.profile(tiny.prepare(Condition.between((5, 40, 24), last=Reference(frames[-1], 1.0)))) is None


@pytest.fixture
def threads():
    """Sets the number of threads, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(5, 40, 24), (9, 160, 96)])
def test_threads_change_nothing(tiny, make_clip, threads, shape):
    clip, found = make_clip(*shape), []
    _, x = noisy(clip, 0.4)
    for count in (1, 2, 3):
        threads(count)
        found.append(tiny.prepare(a_condition(clip, first=True)).clean(x, 0.4))
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("device", ["nonsense", "cuda:77"])
def test_a_device_that_is_not_there_is_said(device):
    with pytest.raises(BackboneError, match="another device"):
        tiny_backbone(RuntimeConfig(device=device), {})


def test_less_precision_is_near_and_says_so(tiny, frames):
    rough = tiny_backbone(RuntimeConfig(), {"dtype": "bfloat16"})
    _, x = noisy(frames, 0.4)
    difference = rough.prepare(a_condition(frames)).clean(x, 0.4) - tiny.prepare(a_condition(frames)).clean(x, 0.4)
    assert 0 < difference.square().mean().sqrt() < 0.02
    assert rough.identity.arithmetic != tiny.identity.arithmetic
    assert rough.identity.weights == tiny.identity.weights
