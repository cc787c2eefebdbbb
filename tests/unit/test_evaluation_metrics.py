import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from metric_clips import blurred, clip_format, measure, moving, noisy

from rfcodec.errors import ConfigError, FrameRangeError, FrameSizeError, OutputError
from rfcodec.metrics import collector as metrics
from rfcodec.metrics import planes
from rfcodec.metrics.collector import DEFAULT_METRICS, METRICS, Measurer
from rfcodec.metrics.fidelity import ms_ssim, psnr
from rfcodec.metrics.metric import PerFrame
from rfcodec.metrics.planes import PlaneFiles, ycbcr
from rfcodec.video.colour import plane_shapes

NEED_WEIGHTS = {"lpips", "dists", "kernel_distance", "fvd"}
NEED_NOTHING = [name for name in METRICS if name not in NEED_WEIGHTS and not name.startswith("e_warp")]


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub of nobody"))


def test_importing_the_metrics_is_light():
    heavy = "{'torch', 'cv2', 'piq', 'lpips', 'torchvision', 'imageio_ffmpeg'}"
    code = f"import sys, rfcodec.metrics.collector; assert not {heavy} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_metric_is_said_and_measured_or_blank(no_hub, tmp_path):
    assert tuple(METRICS) == DEFAULT_METRICS == tuple(said.name for said in METRICS.values())
    clip = moving(24)
    found = measure(DEFAULT_METRICS, clip, noisy(clip), [8], tmp_path)
    assert [name for name in METRICS if name in found.values or name in found.blank] == list(METRICS)
    assert not set(found.values) & set(found.blank)
    assert set(found.blank) >= NEED_WEIGHTS
    assert {name: len(series) for name, series in found.series.items()} == dict.fromkeys(found.series, 24)
    assert {"psnr", "psnr_yuv", "ms_ssim", "vmaf", "xpsnr"} <= set(found.series) <= set(found.values)


def test_blank_metrics_say_which_file_goes_where(no_hub, tmp_path):
    pytest.importorskip("piq")
    clip = moving(24)
    blank = measure(sorted(NEED_WEIGHTS), clip, clip, weights=tmp_path).blank
    files = {
        "lpips": ["alexnet_imagenet1k_v1_features.safetensors"],
        "kernel_distance": ["alexnet_imagenet1k_v1_features.safetensors"],
        "dists": ["vgg16-397923af.pth", "dists_weights.pt"],
        "fvd": ["i3d_torchscript.pt"],
    }
    assert set(blank) == set(files)
    for name, words in files.items():
        assert all(word in blank[name] for word in [*words, str(tmp_path), "nothing is downloaded"])


@pytest.mark.parametrize("name", [name for name in NEED_NOTHING if name != "seam"])
@pytest.mark.parametrize("worsen", [noisy, blurred])
def test_worse_clips_have_worse_values(name, worsen):
    clip = moving(16)
    steps = [clip, worsen(clip, 0.8), worsen(clip, 4)]
    values = [measure(name, clip, step).values[name] for step in steps]
    assert values == sorted(values, reverse=METRICS[name].better == "higher")
    assert len(set(values)) == 3


@pytest.mark.parametrize("chunk", [1, 5])
def test_it_does_not_matter_how_frames_come(chunk):
    clip = moving(20)
    whole, parts = (measure(NEED_NOTHING, clip, noisy(clip), [7], chunk=size) for size in (20, chunk))
    assert parts.blank == whole.blank == {}
    assert parts.series == whole.series
    assert parts.values == pytest.approx(whole.values, rel=1e-9)


def test_odd_sizes_are_measured():
    clip = moving(17, 45, 51)
    found = measure(NEED_NOTHING, clip, noisy(clip), [8])
    assert found.blank == {}
    assert set(found.values) == set(NEED_NOTHING)


def test_values_come_in_the_order_of_the_table_and_once():
    clip = moving(4)
    found = measure(["psnr_yuv", "psnr", "psnr"], clip, noisy(clip))
    assert list(found.values) == list(found.series) == ["psnr", "psnr_yuv"]


def test_small_pictures_are_blank_with_the_reason():
    clip = moving(16, 20, 20)
    found = measure(["psnr", "ms_ssim", "vmaf", "xpsnr"], clip, noisy(clip))
    assert set(found.values) == {"psnr", "xpsnr"}
    assert "32 pixels" in found.blank["ms_ssim"]
    assert "32 pixels" in found.blank["vmaf"]


def test_what_cannot_be_asked_is_refused():
    video = clip_format(moving(4))
    with pytest.raises(ConfigError, match=r"ssimm.*legal: psnr, "):
        Measurer(["psnr", "ssimm"], video)
    for seam in (0, 4):
        with pytest.raises(FrameRangeError, match=r"1\.\.3"):
            Measurer(["seam"], video, [seam])


def test_frames_must_fit_the_clip():
    clip = moving(4)
    with Measurer(["psnr"], clip_format(clip)) as measurer:
        with pytest.raises(FrameSizeError):
            measurer.add(clip, clip[:, :-2])
        with pytest.raises(FrameSizeError, match="width=80"):
            measurer.add(clip[:, :-2], clip[:, :-2])
        measurer.add(clip[:3], clip[:3])
        with pytest.raises(FrameRangeError, match="3 of 4"):
            measurer.result()
        measurer.add(clip[3:], clip[3:])
        assert measurer.result().values == {"psnr": 100}


def break_off(measurer, clip):
    with measurer:
        measurer.add(clip, clip)
        assert [file.stat().st_size for file in Path(tempfile.gettempdir()).rglob("*.yuv")] == [4 * 80 * 64 * 3 // 2] * 2
        raise KeyboardInterrupt


def test_temporary_files_go_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    clip = moving(4)
    measurer = Measurer(["xpsnr", "vmaf"], clip_format(clip))
    with pytest.raises(KeyboardInterrupt):
        break_off(measurer, clip)
    assert not list(tmp_path.iterdir())


def test_what_is_no_number_is_blank(monkeypatch):
    monkeypatch.setitem(metrics._MAKERS, "psnr", lambda _: PerFrame("psnr", lambda *_: [np.inf]))
    clip = moving(2)
    found = measure(["psnr", "psnr_yuv"], clip, clip)
    assert found.values == {"psnr_yuv": 100}
    assert list(found.series) == ["psnr_yuv"]
    assert found.blank == {"psnr": "psnr came out as inf"}


class Fails:
    """A metric that fails where it is told to."""

    def __init__(self, where, error):
        self.where, self.error = where, error

    def __getattr__(self, name):
        def act(*_):
            if name == self.where:
                raise self.error
            return {"psnr": 1.0} if name == "values" else {"psnr": [1.0, 1.0]}

        return act


@pytest.mark.parametrize("where", ["add", "values", "series"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA out of memory"), "RuntimeError: CUDA out of memory"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (OutputError("frames cannot be written"), "frames cannot be written"),
    ],
)
def test_a_metric_that_fails_is_blank_and_the_others_are_measured(monkeypatch, where, error, reason):
    monkeypatch.setitem(metrics._MAKERS, "psnr", lambda _: Fails(where, error))
    clip = moving(2)
    found = measure(["psnr", "psnr_yuv"], clip, clip, chunk=1)
    assert (found.values, found.series) == ({"psnr_yuv": 100}, {"psnr_yuv": [100, 100]})
    assert found.blank == {"psnr": reason}


def test_what_ends_the_program_is_not_held_up(monkeypatch):
    monkeypatch.setitem(metrics._MAKERS, "psnr", lambda _: Fails("add", KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        measure("psnr", moving(2), moving(2))


def test_frames_are_converted_once_for_all_metrics(monkeypatch):
    converted = []
    monkeypatch.setattr(planes, "ycbcr", lambda frames: converted.append(len(frames)) or ycbcr(frames))
    clip = moving(5)
    found = measure(["psnr_yuv", "xpsnr"], clip, noisy(clip), chunk=3)
    assert set(found.values) == {"psnr_yuv", "xpsnr"}
    assert converted == [3, 3, 2, 2]


def test_metrics_of_ffmpeg_share_their_files(tmp_path):
    clip = moving(6)
    files = PlaneFiles(tmp_path, clip_format(clip))
    for start in (0, 0, 3, 3):
        files.extend(start, clip[start : start + 3], noisy(clip)[start : start + 3])
    assert files.num_frames == 6
    assert np.array_equal(np.fromfile(tmp_path / "reference.yuv", np.uint8), ycbcr(clip).ravel())
    assert np.array_equal(np.fromfile(tmp_path / "test.yuv", np.uint8), ycbcr(noisy(clip)).ravel())


def test_planes_are_limited_range_and_round_chroma_up():
    assert plane_shapes(5, 3) == ((3, 5), (2, 3), (2, 3))
    white = np.full((2, 3, 5, 3), 255, np.uint8)
    assert np.array_equal(ycbcr(white), [[235] * 15 + [128] * 12] * 2)


def test_psnr_and_ms_ssim_are_those_of_the_library():
    clip = moving(4)
    found = measure(["psnr", "ms_ssim"], clip, noisy(clip)).values
    assert found == pytest.approx({"psnr": psnr(clip, noisy(clip)), "ms_ssim": ms_ssim(clip, noisy(clip))})


def test_psnr_yuv_of_gray_is_that_of_luma_six_times():
    a, b = (np.full((1, 4, 4, 3), level, np.uint8) for level in (100, 110))
    luma = [16 + 219 / 255 * level for level in (100, 110)]
    change = round(luma[1]) - round(luma[0])
    assert measure("psnr_yuv", a, b).series["psnr_yuv"] == pytest.approx([(6 * 20 * np.log10(255 / change) + 100 + 100) / 8])


def test_psnr_yuv_of_colour_is_an_eighth_for_each_plane():
    a, b = np.zeros((2, 1, 4, 4, 3), np.uint8)
    a[:], b[:] = (0, 0, 0), (0, 0, 9)  # 1 of luma, 4 of Cb, -1 of Cr by BT.601
    assert ycbcr(b)[0, [0, 16, 20]].tolist() == [17, 132, 127]
    decibels = [20 * np.log10(255 / change) for change in (1, 4, 1)]
    assert measure("psnr_yuv", a, b).series["psnr_yuv"] == pytest.approx([np.dot([6, 1, 1], decibels) / 8])


def test_the_folder_of_weights_may_be_missing(no_hub):
    clip = moving(24)
    found = measure(["lpips", "fvd"], clip, clip, weights=Path("nowhere"))
    assert found.values == {}
    assert set(found.blank) == {"lpips", "fvd"}
