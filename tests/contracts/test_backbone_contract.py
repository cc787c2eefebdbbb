"""What every backbone owes, run over those that need neither weights nor a GPU."""

import hashlib
import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from rfcodec import registry
from rfcodec.backbones.gaussian.transforms import BlockTransform
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ConfigError, UnknownPlugin, UnsupportedCondition
from rfcodec.protocols import Condition, Reference, State
from rfcodec.types import InformationProfile

NAMES = ["gaussian", "gaussian-latent", "tiny"]


@pytest.fixture(params=NAMES)
def backbone(request):
    return registry.load("backbones", request.param)(RuntimeConfig(), {})


def smooth_frames(count, width, height):
    grid = np.stack(np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij"), -1)
    return np.rint(128 + 60 * np.sin(grid / 4 + grid.sum(-1, keepdims=True) / 9)).astype(np.uint8)


def legal(backbone, groups=2, across=3, down=2):
    geometry = backbone.geometry
    return 1 + groups * geometry.temporal, across * geometry.multiple * 4, down * geometry.multiple * 4


def noisy_frames(count, width, height):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


class Recorder:
    """A step that writes down how it is driven and does nothing."""

    def __init__(self, grid, seed=0):
        self.time_grid, self.seed, self.calls = grid, seed, []

    def start(self, shape):
        self.calls.append(("start", shape))
        return State(torch.randn(shape, generator=torch.Generator().manual_seed(self.seed)))

    def __call__(self, k, state, v):
        self.calls.append((k, state.x, v))
        return State(state.x + (self.time_grid[k + 1] - self.time_grid[k]) * v)


# Geometry


def test_every_count_of_frames_has_a_legal_one_above_it(backbone):
    geometry = backbone.geometry
    for count in range(1, 40):
        padded = geometry.padded_frames(count)
        assert count <= padded < count + geometry.temporal
        assert (padded - 1) % geometry.temporal == 0
        assert geometry.padded_frames(padded) == padded


def test_every_size_has_a_legal_one_around_it(backbone):
    geometry = backbone.geometry
    for width, height in [(1, 1), (17, 11), (1280, 720), (854, 480), (1920, 1080), (8, 64)]:
        padded = geometry.padded_size(width, height)
        for side, legal_side in zip((width, height), padded, strict=True):
            assert side <= legal_side < side + geometry.multiple
            assert legal_side % geometry.multiple == 0
        assert geometry.padded_size(*padded) == padded


def test_latents_have_the_shape_that_geometry_says(backbone):
    for groups in (0, 1, 3):
        count, width, height = legal(backbone, groups)
        latents = backbone.encode(smooth_frames(count, width, height))
        shape = backbone.geometry.latent_shape(count, width, height)
        assert tuple(latents.shape) == shape
        assert shape[1] == groups + 1
        assert math.prod(shape[2:]) * backbone.geometry.spatial**2 == width * height


# Encoding and decoding


def test_frames_and_latents_have_their_types(backbone):
    frames = smooth_frames(*legal(backbone))
    before = frames.copy()
    latents = backbone.encode(frames)
    assert latents.dtype == torch.float32
    assert bool(torch.isfinite(latents).all())
    np.testing.assert_array_equal(frames, before)
    decoded = backbone.decode(latents)
    assert decoded.dtype == np.uint8
    assert decoded.shape == frames.shape


def test_encoding_is_deterministic(backbone):
    frames = noisy_frames(*legal(backbone))
    assert torch.equal(backbone.encode(frames), backbone.encode(frames.copy()))


def test_smooth_frames_survive_the_round_trip(backbone):
    frames = smooth_frames(*legal(backbone))
    decoded = backbone.decode(backbone.encode(frames))
    error = np.mean((decoded.astype(float) - frames) ** 2)
    assert error < 0.25 * np.var(frames.astype(float), axis=(0, 1, 2)).mean()


def test_pixels_survive_exactly():
    backbone = registry.load("backbones", "gaussian")(RuntimeConfig(), {})
    for size in [(1, 1, 1), (3, 17, 11), (5, 32, 24)]:
        frames = noisy_frames(*size)
        np.testing.assert_array_equal(backbone.decode(backbone.encode(frames)), frames)
    extremes = np.array([[[[0, 0, 0], [255, 255, 255], [255, 0, 255], [0, 255, 0]]]], np.uint8)
    np.testing.assert_array_equal(backbone.decode(backbone.encode(extremes)), extremes)


def test_the_error_of_pixel_latents_is_that_of_the_frames():
    backbone = registry.load("backbones", "gaussian")(RuntimeConfig(), {})
    one, two = noisy_frames(2, 9, 7), smooth_frames(2, 9, 7)
    apart = (backbone.encode(one) - backbone.encode(two)).double().square().sum()
    expected = (((one.astype(float) - two) / 127.5) ** 2).sum()
    assert float(apart) == pytest.approx(expected, rel=1e-5)


def test_latents_outside_their_range_decode_to_legal_frames(backbone):
    shape = backbone.geometry.latent_shape(*legal(backbone))
    for scale in (0.0, 3.0, 1e4):
        frames = backbone.decode(scale * torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        assert frames.dtype == np.uint8


def test_kept_coefficients_survive_in_latents():
    # whatever can be decoded without clipping comes back but for the rounding of frames
    backbone = registry.load("backbones", "gaussian-latent")(RuntimeConfig(), {})
    shape = (16, 3, 4, 5)
    latents = 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    latents[[t > 0 for _, t, *_ in BlockTransform.KEPT], 0] = 0  # the first group is one frame: nothing moves in it
    again = backbone.encode(backbone.decode(latents))
    assert float((again - latents).abs().max()) < 0.08


# Conditions


def reference(width, height, rmse=0.0, shade=0):
    frame = smooth_frames(1, width, height)[0]
    return Reference(np.clip(frame.astype(int) + shade, 0, 255).astype(np.uint8), rmse)


def test_what_cannot_be_conditioned_on_is_refused(backbone):
    with pytest.raises(UnsupportedCondition, match="text"):
        backbone.prepare(Condition(*legal(backbone), text="a cat"))


def test_an_empty_text_is_no_text(backbone):
    backbone.prepare(Condition(*legal(backbone), text=""))


def estimate(backbone, condition, t=0.999):
    recorder = Recorder((1.0, 1 - t, 0.0))
    backbone.run(backbone.prepare(condition), recorder)
    _, x, v = recorder.calls[1]
    return backbone.decode(x - v).astype(float)


def test_references_reach_the_model(backbone):
    count, width, height = legal(backbone)
    first, last = reference(width, height), reference(width, height, shade=-50)
    free = estimate(backbone, Condition(count, width, height))
    one = estimate(backbone, Condition.between((count, width, height), first=first))
    both = estimate(backbone, Condition.between((count, width, height), first=first, last=last))

    def error(frames, place, still):
        return np.mean((frames[place] - still.frame) ** 2)

    assert error(one, 0, first) < 0.3 * error(free, 0, first)
    assert error(both, -1, last) < 0.3 * error(one, -1, last)
    assert error(both, 0, first) < 0.3 * error(free, 0, first)


def test_a_bad_reference_counts_less(backbone):
    count, width, height = legal(backbone)
    free, bad, good = (
        Condition.between((count, width, height), first=first)
        for first in (None, reference(width, height, 60.0), reference(width, height, 0.5))
    )
    profiles = [backbone.profile(backbone.prepare(condition)) for condition in (free, bad, good)]
    if None not in profiles:
        mmse = [profile.at(1.0) for profile in profiles]
        assert mmse[0] > mmse[1] > mmse[2]
    # whatever is known of its information, a good reference changes the picture
    assert np.abs(estimate(backbone, good) - estimate(backbone, free)).mean() > 1


def test_one_frame_takes_a_first_reference_alone(backbone):
    _, width, height = legal(backbone)
    still = reference(width, height)
    for condition in (
        Condition.between((1, width, height), first=still),
        Condition.between((1, width, height), first=still, last=still),
    ):
        prepared = backbone.prepare(condition)
        shape = backbone.geometry.latent_shape(1, width, height)
        assert tuple(backbone.run(prepared, Recorder((1.0, 0.5, 0.0))).shape) == shape


def test_a_profile_falls_with_the_snr(backbone):
    profile = backbone.profile(backbone.prepare(Condition(*legal(backbone))))
    assert profile is None or isinstance(profile, InformationProfile)
    if profile:
        mmse = [profile.at(t) for t in (1.0, 0.9, 0.5, 0.2, 0.05)]
        assert all(a > b > 0 for a, b in pairwise(mmse))


# Running


@pytest.mark.parametrize("grid", [(1.0, 0.0), (1.0, 0.9, 0.4, 0.1, 0.0)])
def test_run_calls_the_step_once_for_each_evaluation_and_in_order(backbone, grid):
    count, width, height = legal(backbone)
    recorder = Recorder(grid)
    final = backbone.run(backbone.prepare(Condition(count, width, height)), recorder)
    shape = backbone.geometry.latent_shape(count, width, height)
    assert recorder.calls[0] == ("start", shape)
    assert [call[0] for call in recorder.calls[1:]] == list(range(len(grid) - 1))
    for _, x, v in recorder.calls[1:]:
        assert x.dtype == v.dtype == torch.float32
        assert tuple(x.shape) == tuple(v.shape) == shape
        assert bool(torch.isfinite(v).all())
    assert tuple(final.shape) == shape


def test_run_hands_each_state_back_and_returns_the_last(backbone):
    class Counter(Recorder):
        def __call__(self, k, state, v):
            super().__call__(k, state, v)
            return State(torch.full_like(state.x, float(k + 1)))

    counter = Counter((1.0, 0.7, 0.3, 0.0))
    final = backbone.run(backbone.prepare(Condition(*legal(backbone))), counter)
    assert [float(x.unique()) for _, x, _ in counter.calls[2:]] == [1.0, 2.0]
    assert float(final.unique()) == 3.0


def test_run_is_deterministic(backbone):
    condition = Condition.between(legal(backbone), first=reference(*legal(backbone)[1:]))
    one, two = (backbone.run(backbone.prepare(condition), Recorder((1.0, 0.6, 0.2, 0.0))) for _ in range(2))
    assert torch.equal(one, two)


REPORT = """
import sys
sys.path.insert(0, sys.argv[1])
import test_backbone_contract
for name in test_backbone_contract.NAMES:
    print(test_backbone_contract.fingerprint(name))
"""


def fingerprint(name):
    torch.set_num_threads(1)
    backbone = registry.load("backbones", name)(RuntimeConfig(threads=1), {})
    count, width, height = legal(backbone)
    condition = Condition.between((count, width, height), first=reference(width, height, 2.0))
    state = backbone.run(backbone.prepare(condition), Recorder((1.0, 0.6, 0.2, 0.0)))
    digest = hashlib.sha256(state.numpy().tobytes())
    digest.update(backbone.encode(noisy_frames(count, width, height)).numpy().tobytes())
    digest.update(backbone.decode(state).tobytes())
    return digest.hexdigest(), backbone.identity.weights.hex()


def test_another_process_computes_the_same():
    threads = torch.get_num_threads()
    try:
        here = [str(fingerprint(name)) for name in NAMES]
    finally:
        torch.set_num_threads(threads)
    folder = __file__.rpartition("/")[0]
    run = subprocess.run([sys.executable, "-c", REPORT, folder], capture_output=True, text=True, check=True)
    assert dict(zip(NAMES, run.stdout.splitlines(), strict=True)) == dict(zip(NAMES, here, strict=True))


# Identity


def test_identities_fit_the_header(backbone):
    identity = backbone.identity
    assert identity.name in NAMES
    assert len(identity.weights) == 8
    assert 0 < backbone.tail_end < 1
    assert 0 < backbone.tail_share < 1
    assert 0 < len(identity.arithmetic.encode()) <= 255


def test_backbones_have_weights_of_their_own():
    identities = [registry.load("backbones", name)(RuntimeConfig(), {}).identity for name in NAMES]
    assert len({identity.weights for identity in identities}) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "said"), [("gaussian", "no options"), ("gaussian-latent", "no options"), ("tiny", "legal names: dtype$")]
)
def test_unknown_options_are_refused(name, said):
    with pytest.raises(ConfigError, match=said):
        registry.load("backbones", name)(RuntimeConfig(), {"x": "1"})


def test_unknown_backbones_are_refused():
    with pytest.raises(UnknownPlugin, match="gaussian"):
        registry.load("backbones", "no-such-model")
