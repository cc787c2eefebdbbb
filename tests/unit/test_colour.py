"""One conversion between RGB and YCbCr, whoever asks for it."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import rfcodec
from rfcodec.metrics.planes import ycbcr
from rfcodec.types import VideoFormat
from rfcodec.video.colour import ToYcbcr, default_matrix, plane_shapes, planes_of, split_planes
from rfcodec.video.planes import prepare
from rfcodec.video.reader import ArrayVideo, VideoWriter, open_video

FPS = Fraction(25)
SIZES = [(64, 48), (63, 47), (1, 1), (90, 720)]


@pytest.mark.parametrize("size", SIZES)
def test_files_and_metrics_have_the_same_planes(make_clip, tmp_path, size):
    clip = make_clip(2, *size)
    with VideoWriter(tmp_path / "clip.yuv", VideoFormat(*size, 2, FPS)) as writer:
        writer.write(clip)
    assert np.array_equal(np.fromfile(tmp_path / "clip.yuv", np.uint8), ycbcr(clip).ravel())


@pytest.mark.parametrize("size", [size for size in SIZES if not any(side % 2 for side in size)])
def test_anchors_are_given_the_same_planes(make_clip, tmp_path, size):
    clip = make_clip(2, *size)
    prepare(ArrayVideo(clip), tmp_path / "clip.y4m")
    found = (tmp_path / "clip.y4m").read_bytes().partition(b"\n")[2]
    assert found == b"".join(b"FRAME\n" + row.tobytes() for row in ycbcr(clip))


@pytest.mark.parametrize("size", SIZES)
def test_planes_lie_one_after_the_other(make_clip, size):
    (frame,) = make_clip(1, *size)
    convert = ToYcbcr(default_matrix(size[1]))
    planes = planes_of(convert.frame(frame))
    assert tuple(plane.shape for plane in planes) == plane_shapes(*size)
    again = split_planes(convert.samples(frame), *size)
    assert all(np.array_equal(*pair) for pair in zip(planes, again, strict=True))


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_grey_is_limited_range_by_either_matrix(matrix):
    y, u, v = planes_of(ToYcbcr(matrix).frame(np.full((4, 6, 3), 255, np.uint8)))
    assert (y.min(), y.max()) == (235, 235)
    assert set(np.concatenate([u, v]).ravel()) == {128}


def test_scaling_and_conversion_are_one_step(make_clip):
    picture = ToYcbcr("bt709").frame(make_clip(1, 64, 48)[0], (32, 24))
    assert (picture.width, picture.height, picture.format.name) == (32, 24, "yuv420p")


def test_there_and_back_is_close(make_clip, tmp_path):
    clip = make_clip(2, 64, 48)
    with VideoWriter(tmp_path / "clip.y4m", VideoFormat(64, 48, 2, FPS)) as writer:
        writer.write(clip)
    with open_video(tmp_path / "clip.y4m") as video:
        assert np.abs(video.read(0, 2).astype(int) - clip).max() <= 2


def test_no_other_module_names_matrices_to_swscale():
    package = Path(rfcodec.__file__).parent
    found = [path.name for path in package.rglob("*.py") if re.search("dst_colorspace|full_chroma_int", path.read_text())]
    assert found == ["colour.py"]
