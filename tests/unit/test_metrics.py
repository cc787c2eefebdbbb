import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from metric_clips import clip_format, measure
from PIL import Image

from rfcodec.errors import FrameRangeError, FrameSizeError, MissingWeights
from rfcodec.metrics.collector import Measurer
from rfcodec.metrics.fidelity import ms_ssim, ms_ssim_window, psnr
from rfcodec.metrics.lpips import ALEXNET_FILE, Lpips
from rfcodec.types import VideoFormat

LPIPS_DATA = Path(__file__).parents[3] / "shared" / "data" / "lpips"
needs_weights = pytest.mark.skipif(not LPIPS_DATA.is_dir(), reason="AlexNet's features are not beside the repository")


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def frames(rng, t=2, y=64, x=80):
    """Smooth noise, which MS-SSIM rates as structure."""
    small = rng.integers(0, 200, (t, y // 4, x // 4, 3), dtype=np.uint8)
    return small.repeat(4, 1).repeat(4, 2)


def load(name):
    return np.asarray(Image.open(LPIPS_DATA / name).convert("RGB"))[None]


@pytest.fixture(scope="module")
def lpips():
    return Lpips(LPIPS_DATA)


def test_importing_the_module_is_light():
    heavy = "{'torch', 'lpips', 'pytorch_msssim', 'torchvision'}"
    code = f"import sys, rfcodec.metrics.fidelity, rfcodec.metrics.lpips; assert not {heavy} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_psnr_of_a_constant_difference():
    black = np.zeros((3, 8, 8, 3), np.uint8)
    assert psnr(black, black + np.uint8(255)) == 0
    assert psnr(black, black + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr(black + np.uint8(5), black) == psnr(black, black + np.uint8(5))


def test_psnr_is_the_mean_of_decibels_not_of_errors():
    black = np.zeros((2, 8, 8, 3), np.uint8)
    test = black.copy()
    test[0], test[1] = 1, 16
    assert psnr(black, test) == pytest.approx(np.mean([20 * np.log10(255 / 1), 20 * np.log10(255 / 16)]))


def test_psnr_counts_every_colour_sample():
    black = np.zeros((1, 8, 8, 3), np.uint8)
    blue = black.copy()
    blue[..., 2] = 30
    assert psnr(black, blue) == pytest.approx(10 * np.log10(255**2 / (30**2 / 3)))


def test_equal_frames_count_100_db(rng):
    clip = frames(rng)
    assert psnr(clip, clip) == 100
    nearly = np.zeros((1, 512, 512, 3), np.uint8)
    other = nearly.copy()
    other[0, 0, 0, 0] = 1
    assert psnr(nearly, other) == 100


@pytest.mark.parametrize(("side", "window"), [(161, 11), (1080, 11), (160, 9), (129, 9), (128, 7), (65, 5), (33, 3)])
def test_the_largest_window_that_fits_is_taken(side, window):
    assert ms_ssim_window(side, 2000) == ms_ssim_window(2000, side) == window


def test_ms_ssim_of_small_pictures_is_none():
    clip = np.zeros((1, 32, 640, 3), np.uint8)
    assert ms_ssim(clip, clip) is None


@pytest.mark.parametrize("side", [33, 48, 97, 161])
def test_ms_ssim_falls_with_noise(rng, side):
    clip = frames(rng, 1, 4 * -(-side // 4), 4 * -(-side // 4))[:, :side, :side]
    values = [ms_ssim(clip, np.clip(clip + rng.normal(0, s, clip.shape), 0, 255).astype(np.uint8)) for s in (0.01, 8, 60)]
    assert ms_ssim(clip, clip) == pytest.approx(1)
    assert values[0] > values[1] > values[2] > 0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.zeros((1, 64, 64, 3), np.uint8), np.zeros((2, 64, 64, 3), np.uint8)),
        (np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)),
        (np.zeros((0, 64, 64, 3), np.uint8), np.zeros((0, 64, 64, 3), np.uint8)),
        (np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64, 3), np.float32)),
    ],
)
def test_what_does_not_match_is_refused(a, b):
    with Measurer(["psnr"], VideoFormat(64, 64, 1, Fraction(25))) as measurer:
        for compare in (psnr, ms_ssim, measurer.add):
            with pytest.raises(FrameSizeError):
                compare(a, b)


def test_a_clip_measured_gop_by_gop_equals_the_whole(rng):
    a, b = frames(rng, 5), frames(rng, 5)
    found = measure(["psnr", "ms_ssim"], a, b, chunk=2)
    assert found.values == {"psnr": pytest.approx(psnr(a, b)), "ms_ssim": pytest.approx(ms_ssim(a, b))}
    assert [len(series) for series in found.series.values()] == [5, 5]
    assert not found.blank


def test_there_are_no_values_before_the_last_frame(rng):
    clip = frames(rng, 2)
    with Measurer(["psnr"], clip_format(clip)) as measurer:
        with pytest.raises(FrameRangeError, match="0 of 2 frames"):
            measurer.result()
        measurer.add(clip[:1], clip[:1])
        with pytest.raises(FrameRangeError, match="1 of 2 frames"):
            measurer.result()


def test_small_pictures_have_psnr_only(rng):
    clip = frames(rng, 2, 16, 16)
    found = measure(["psnr", "ms_ssim"], clip, clip)
    assert found.values == {"psnr": 100}
    assert set(found.blank) == {"ms_ssim"}


def test_missing_weights_name_the_file_and_the_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    assert not Lpips.available(tmp_path)
    assert not Lpips.available()
    with pytest.raises(MissingWeights, match=ALEXNET_FILE) as raised:
        Lpips(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert str(tmp_path / "home") in str(raised.value)
    assert not (tmp_path / "home").exists()


def test_damaged_weights_are_refused(tmp_path):
    (tmp_path / ALEXNET_FILE).write_bytes(b"no weights at all")
    with pytest.raises(MissingWeights, match="replace"):
        Lpips(tmp_path)


def test_other_weights_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"features.0.weight": np.zeros((64, 3, 11, 11), np.float32)}, tmp_path / ALEXNET_FILE)
    with pytest.raises(MissingWeights, match="no AlexNet features"):
        Lpips(tmp_path)


@needs_weights
def test_lpips_of_the_published_pairs(lpips):
    reference = load("ex_ref.png")
    assert lpips(reference, load("ex_p0.png"))[0] == pytest.approx(0.722, abs=5e-4)
    assert lpips(reference, load("ex_p1.png"))[0] == pytest.approx(0.138, abs=5e-4)


@needs_weights
def test_a_gradient_flows_through_the_distance(lpips):
    import torch

    reference, test = (torch.tensor(load(name)).permute(0, 3, 1, 2) / 127.5 - 1 for name in ("ex_ref.png", "ex_p1.png"))
    test.requires_grad_(True)
    distance = lpips.distance(reference, test)
    assert distance.tolist() == pytest.approx([0.138], abs=5e-4)
    distance.sum().backward()
    assert 0 < float(test.grad.abs().max()) < 1


@needs_weights
def test_the_published_values_see_transposed_kernels(tmp_path):
    from safetensors.numpy import load_file, save_file

    weights = load_file(LPIPS_DATA / ALEXNET_FILE)
    swapped = {k: np.ascontiguousarray(v.swapaxes(2, 3)) if v.ndim == 4 else v for k, v in weights.items()}
    save_file(swapped, tmp_path / ALEXNET_FILE)
    assert abs(Lpips(tmp_path)(load("ex_ref.png"), load("ex_p0.png"))[0] - 0.722) > 0.02


@needs_weights
def test_weights_are_found_in_the_hub_cache(tmp_path, monkeypatch):
    import torch
    from safetensors.torch import load_file

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(load_file(LPIPS_DATA / ALEXNET_FILE), folder / "alexnet-owt-7be5be79.pth")
    assert Lpips.available()
    assert Lpips()(load("ex_ref.png"), load("ex_p1.png"))[0] == pytest.approx(0.138, abs=5e-4)


@needs_weights
def test_lpips_of_a_clip_is_per_frame():
    pair = np.concatenate([load("ex_p0.png"), load("ex_p1.png")])
    reference = np.concatenate([load("ex_ref.png")] * 2)
    found = measure("lpips", reference, pair, weights=LPIPS_DATA)
    assert found.series["lpips"] == pytest.approx([0.722, 0.138], abs=5e-4)
    assert found.values["lpips"] == pytest.approx(0.43, abs=1e-3)


@needs_weights
def test_lpips_needs_31_pixels(lpips):
    small, enough = np.zeros((1, 30, 64, 3), np.uint8), np.zeros((1, 31, 31, 3), np.uint8)
    with pytest.raises(FrameSizeError, match="31"):
        lpips(small, small)
    assert lpips(enough, enough) == [0]
    assert set(measure("lpips", small, small, weights=LPIPS_DATA).blank) == {"lpips"}


@needs_weights
def test_loading_is_quiet(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Lpips(LPIPS_DATA)
    assert capsys.readouterr() == ("", "")
