import sys

import imageio_ffmpeg
import numpy as np
import pytest
from metric_clips import blurred, clip_format, measure, moving

from rfcodec.errors import OutputError
from rfcodec.metrics.ffmpeg import read_vmaf, read_xpsnr
from rfcodec.metrics.planes import PlaneFiles

LOG = """n:    1  XPSNR y: 22.9319  XPSNR u: 23.8400  XPSNR v: 22.8194
n:    2  XPSNR y: inf  XPSNR u: inf  XPSNR v: inf

XPSNR average, 2 frames  y: 21.0230  u: 21.9031  v: 20.8669  (minimum: 20.8669)
"""


def test_vmaf_of_a_clip_against_itself_is_above_99():
    clip = moving(16)
    found = measure("vmaf", clip, clip)
    assert found.values["vmaf"] > 99
    assert found.values["vmaf"] == pytest.approx(np.mean(found.series["vmaf"]))
    assert len(found.series["vmaf"]) == 16


def test_vmaf_knows_which_clip_is_the_source():
    """Detail that is lost costs quality; detail that is added costs less."""
    clip = moving(8)
    soft = blurred(clip, 0.8)
    assert measure("vmaf", clip, soft).values["vmaf"] < measure("vmaf", soft, clip).values["vmaf"] - 5


def test_xpsnr_knows_which_clip_is_the_source():
    """A flat half weighs more than a busy one, and the source says which is flat."""
    clip = moving(8)
    half_flat = clip.copy()
    half_flat[:, :, :40] = 128
    lost, added = (measure("xpsnr", *pair).values["xpsnr"] for pair in ((clip, half_flat), (half_flat, clip)))
    assert lost > added + 5


def test_xpsnr_of_equal_clips_is_100():
    clip = moving(3)
    found = measure("xpsnr", clip, clip)
    assert found.values == {"xpsnr": 100}
    assert found.series == {"xpsnr": [100, 100, 100]}


def test_xpsnr_is_the_least_plane():
    assert read_xpsnr(LOG) == (20.8669, [22.8194, 100])


def test_vmaf_is_read_by_frame():
    assert read_vmaf('{"frames": [{"metrics": {"vmaf": 90.5}}, {"metrics": {"vmaf": 80}}]}') == (85.25, [90.5, 80])


def test_without_ffmpeg_both_are_blank(monkeypatch):
    def missing():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    clip = moving(3)
    found = measure(["psnr", "vmaf", "xpsnr"], clip, clip)
    assert found.values == {"psnr": 100}
    assert found.blank["vmaf"] == found.blank["xpsnr"] == "there is no ffmpeg: No ffmpeg exe could be found."


def test_an_ffmpeg_that_fails_leaves_blanks(monkeypatch):
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: sys.executable)
    clip = moving(3)
    found, again = (measure(["psnr", "xpsnr"], clip, clip) for _ in range(2))
    assert found.values == {"psnr": 100}
    assert "ended with status 2: cd TMPDIR &&" in found.blank["xpsnr"]
    assert again.blank == found.blank


def test_files_that_lack_frames_are_not_measured(tmp_path):
    clip = moving(3)
    planes = PlaneFiles(tmp_path / "made later", clip_format(clip))
    with pytest.raises(OutputError, match="TMPDIR"):
        planes.extend(0, clip, clip)
    planes.folder.mkdir()
    with pytest.raises(OutputError, match="TMPDIR"):
        planes.extend(0, clip, clip)
    assert not list(planes.folder.iterdir())
