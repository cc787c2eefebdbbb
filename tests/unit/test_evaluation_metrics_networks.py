import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from metric_clips import blurred, measure, moving, noisy
from PIL import Image
from safetensors.torch import save_file

from rfcodec.metrics.dists import DISTS_FILE, VGG16_FILE, Dists
from rfcodec.metrics.lpips import ALEXNET_FILE, Lpips
from rfcodec.metrics.realism import (
    I3D_FILE,
    frechet_distance,
    polynomial_mmd,
    square_picture,
    unit_features,
)

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
LPIPS_DATA = Path(__file__).parents[3] / "shared" / "data" / "lpips"
needs_weights = pytest.mark.skipif(not LPIPS_DATA.is_dir(), reason="AlexNet's features are not beside the repository")
ALEXNET = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG16 = [(0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256)]
VGG16 += [(17, 256, 512), *((layer, 512, 512) for layer in (19, 21, 24, 26, 28))]


def random_layers(layers):
    """Random weights by torchvision's names that keep the power of what goes through: a network of the right shape."""
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for layer, (outputs, inputs, side) in layers.items():
        kernel = torch.randn(outputs, inputs, side, side, generator=generator) * (2 / (inputs * side * side)) ** 0.5
        weights |= {f"features.{layer}.weight": kernel, f"features.{layer}.bias": torch.zeros(outputs)}
    return weights


@pytest.fixture(autouse=True)
def _no_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub of nobody"))


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alexnet")
    save_file(random_layers(ALEXNET), folder / ALEXNET_FILE)
    return folder


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    pytest.importorskip("piq", reason="piq is not installed")
    folder = tmp_path_factory.mktemp("vgg16")
    weights = random_layers({layer: (outputs, inputs, 3) for layer, inputs, outputs in VGG16})
    torch.save(weights | {"classifier.0.weight": torch.zeros(2)}, folder / VGG16_FILE)
    scales = torch.rand(2, 1, 1475, 1, 1, generator=torch.Generator().manual_seed(2))
    torch.save(dict(zip(("alpha", "beta"), scales / scales.sum(), strict=True)), folder / DISTS_FILE)
    return folder


def picture(name):
    return np.asarray(Image.open(LPIPS_DATA / name).convert("RGB"))


@needs_weights
def test_lpips_of_the_published_pairs():
    reference = np.stack([picture("ex_ref.png")] * 2)
    found = measure("lpips", reference, np.stack([picture("ex_p0.png"), picture("ex_p1.png")]), weights=LPIPS_DATA)
    assert found.series["lpips"] == pytest.approx([0.722, 0.138], abs=5e-4)
    assert found.values["lpips"] == pytest.approx(0.43, abs=5e-4)


@needs_weights
@pytest.mark.parametrize("name", ["lpips", "kernel_distance"])
@pytest.mark.parametrize("worsen", [blurred, noisy])
def test_worse_clips_are_further_for_the_trained_network(name, worsen):
    clip = moving(4)
    values = [
        measure(name, clip, test, weights=LPIPS_DATA).values[name] for test in (clip, worsen(clip, 1), worsen(clip, 4))
    ]
    assert values[0] == 0
    assert values[0] < values[1] < values[2]


def test_kernel_distance_of_clips(alexnet):
    clip = moving(4)
    values = [measure("kernel_distance", clip, blurred(clip, sigma), weights=alexnet).values for sigma in (0, 1, 4)]
    assert values[0] == {"kernel_distance": 0}
    assert 0 < values[1]["kernel_distance"] < values[2]["kernel_distance"]


def test_kernel_distance_is_that_of_unit_features_of_all_patches(alexnet):
    clip = moving(2)
    network = Lpips(alexnet)

    def patches(frames):
        rows = np.concatenate([network.patch_features(frame) for frame in frames]).astype(float)
        return rows / np.sqrt(np.square(rows).mean(1, keepdims=True))

    found = measure("kernel_distance", clip, blurred(clip), weights=alexnet).values["kernel_distance"]
    assert found == pytest.approx(polynomial_mmd(patches(clip), patches(blurred(clip))), rel=1e-6)


def test_long_clips_give_some_of_their_frames(alexnet):
    clip = moving(40, 32, 36)
    odd, even = clip.copy(), clip.copy()
    odd[1::2], even[38] = 0, 0
    assert measure("kernel_distance", clip, odd, weights=alexnet).values["kernel_distance"] == 0
    assert measure("kernel_distance", clip, even, weights=alexnet).values["kernel_distance"] > 0


def test_kernel_distance_does_not_depend_on_how_frames_come(alexnet):
    clip = moving(34, 32, 36)
    whole, parts = (measure("kernel_distance", clip, noisy(clip), weights=alexnet, chunk=size).values for size in (34, 9))
    assert whole == parts


def test_small_pictures_have_no_patches(alexnet):
    clip = moving(2, 30, 64)
    found = measure(["lpips", "kernel_distance"], clip, clip, weights=alexnet)
    assert found.values == {}
    assert "31 pixels" in found.blank["lpips"]
    assert "31 pixels" in found.blank["kernel_distance"]


def test_damaged_weights_leave_blanks(tmp_path):
    (tmp_path / ALEXNET_FILE).write_bytes(b"no weights")
    (tmp_path / I3D_FILE).write_bytes(b"no network")
    clip = moving(24, 33, 35)
    found = measure(["lpips", "kernel_distance", "fvd"], clip, clip, weights=tmp_path)
    assert found.values == {}
    assert all("replace the file" in reason for reason in found.blank.values())


def test_the_kernel_distance_is_gretton_s_sum():
    x, y = np.random.default_rng(1).normal(size=(2, 5, 3))

    def kernel(a, b):
        return (a @ b / 3 + 1) ** 3

    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    terms = [kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i]) for i, j in pairs]
    assert polynomial_mmd(x, y) == pytest.approx(np.mean(terms))
    assert polynomial_mmd(x, x) == 0


def test_the_kernel_distance_of_two_points_has_a_closed_form():
    a, b = np.array([2.0, 0]), np.array([0, 4.0])
    assert polynomial_mmd(a[None].repeat(7, 0), b[None].repeat(7, 0)) == pytest.approx(
        (4 / 2 + 1) ** 3 + (16 / 2 + 1) ** 3 - 2
    )


def test_the_kernel_distance_is_unbiased():
    """Over many draws of one distribution the mean is zero, and single values lie on both sides."""
    draws = np.random.default_rng(3).normal(size=(200, 2, 20, 8))
    values = np.array([polynomial_mmd(x, y) for x, y in draws])
    assert values.min() < 0 < values.max()
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    shifted = np.array([polynomial_mmd(x, y + 0.5) for x, y in draws])
    assert shifted.mean() > 5 * values.std()


def test_features_have_a_mean_square_of_one():
    rows = unit_features(np.array([[3, 4], [0, 0], [0, 0.01]]))
    assert np.square(rows).mean(1) == pytest.approx([1, 0, 1], abs=1e-4)


def test_dists_is_that_of_piq(vgg16, monkeypatch):
    import piq
    from torchvision.models import vgg

    network = torch.nn.Module()
    network.features = vgg.make_layers(vgg.cfgs["D"])
    weights = torch.load(vgg16 / VGG16_FILE)
    network.features.load_state_dict({name[9:]: value for name, value in weights.items() if name.startswith("features.")})
    monkeypatch.setattr(piq.perceptual, "vgg16", lambda **_: network)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: torch.load(vgg16 / DISTS_FILE))
    clip = moving(2, 40, 48)
    pair = [torch.tensor(x).permute(0, 3, 1, 2) / 255 for x in (clip, blurred(clip))]
    with torch.inference_mode():
        theirs = piq.DISTS(reduction="none")(*pair).tolist()
    assert Dists(vgg16)(clip, blurred(clip)) == pytest.approx(theirs, abs=1e-5)
    assert min(theirs) > 0.01


def test_dists_of_clips(vgg16):
    clip = moving(1, 40, 48)
    same, near, far = (measure("dists", clip, blurred(clip, s), weights=vgg16).values["dists"] for s in (0, 0.6, 3))
    assert same == pytest.approx(0, abs=1e-5)
    assert 1e-3 < near < far


@pytest.mark.parametrize("name", [VGG16_FILE, DISTS_FILE])
def test_dists_is_blank_without_either_file(vgg16, tmp_path, name):
    pair = {VGG16_FILE, DISTS_FILE}
    (tmp_path / name).symlink_to(vgg16 / name)
    clip = moving(1, 40, 48)
    assert (pair - {name}).pop() in measure("dists", clip, clip, weights=tmp_path).blank["dists"]
    for other in pair - {name}:
        torch.save({"alpha": torch.zeros(3)}, tmp_path / other)
    assert "replace the file" in measure("dists", clip, clip, weights=tmp_path).blank["dists"]


def test_dists_is_blank_without_piq(monkeypatch):
    monkeypatch.setitem(sys.modules, "piq", None)
    clip = moving(1)
    assert "pip install piq" in measure("dists", clip, clip).blank["dists"]


class StandIn(torch.nn.Module):
    """Called as StyleGAN-V's I3D is; its features are the mean colours of a window."""

    def forward(self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False):
        assert [rescale, resize, return_features] == [False, False, True]
        assert x.shape == [1, 3, 16, 224, 224]
        return x.mean([2, 3, 4])


class Stranger(torch.nn.Module):
    """A network that is called in another way."""

    def forward(self, x: torch.Tensor):
        return x


@pytest.fixture
def i3d(tmp_path):
    torch.jit.script(StandIn()).save(str(tmp_path / I3D_FILE))
    return tmp_path


def coloured(levels):
    """Flat frames of 30 x 40 pixels with these levels of red."""
    clip = np.full((len(levels), 30, 40, 3), 100, np.uint8)
    clip[..., 0] = np.array(levels)[:, None, None]
    return clip


def test_fvd_of_a_shift_is_its_square(i3d):
    levels = np.arange(32) * 3 % 61 + 50
    found = measure("fvd", coloured(levels), coloured(levels + 20), weights=i3d)
    assert found.values["fvd"] == pytest.approx((20 / 127.5) ** 2, rel=1e-4)
    assert measure("fvd", coloured(levels), coloured(levels), weights=i3d).values["fvd"] == pytest.approx(0, abs=1e-9)


def test_fvd_compares_the_spread_of_windows_that_overlap_by_half(i3d):
    """Windows [0, 16), [8, 24), [16, 32): a level that rises every 8 frames gives features of one spread."""
    steps = np.arange(32) // 8
    slow, fast = (coloured(60 + rise * steps) for rise in (10, 30))
    windows = np.array([0.5, 1.5, 2.5])
    mean = (30 - 10) * windows.mean() / 127.5
    spread = (30 - 10) * windows.std(ddof=1) / 127.5
    assert measure("fvd", slow, fast, weights=i3d).values["fvd"] == pytest.approx(mean**2 + spread**2, rel=1e-4)
    assert measure("fvd", slow, fast, weights=i3d, chunk=5).values["fvd"] == pytest.approx(mean**2 + spread**2, rel=1e-4)


def test_fvd_is_blank_where_it_cannot_be_taken(i3d):
    clip = coloured(np.arange(23))
    assert "24 frames" in measure("fvd", clip, clip, weights=i3d).blank["fvd"]
    torch.jit.script(Stranger()).save(str(i3d / I3D_FILE))
    clip = coloured(np.arange(24))
    found = measure("fvd", clip, clip, weights=i3d)
    assert found.values == {}
    assert "no I3D" in found.blank["fvd"]


def test_the_frechet_distance_is_the_formula():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 4)), rng.normal(size=(30, 4)) @ np.diag([1, 2, 3, 0.5]) + 0.3
    cx, cy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(cx + cy - 2 * scipy.linalg.sqrtm(cx @ cy).real)
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert frechet_distance(x[:2], x[:2]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("size", [(224, 224), (30, 41), (301, 250)])
def test_the_square_is_the_middle(size):
    frame = np.zeros((*size, 3), np.uint8)
    side = min(size)
    top, left = ((length - side) // 2 for length in size)
    frame[top : top + side, left : left + side] = 255
    square = square_picture(frame)
    assert square.shape == (3, 224, 224)
    assert square.mean() > 0.95
