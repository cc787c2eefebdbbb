import sys

import numpy as np
import pytest
from metric_clips import measure, moving, noisy, texture

from rfcodec.metrics import temporal
from rfcodec.metrics.temporal import inside_picture, masked_error, visible_pixels


@pytest.fixture
def warping():
    pytest.importorskip("cv2", reason="OpenCV is not installed")

    def errors(reference, test):
        return measure(["e_warp", "e_warp_source"], reference, test)

    return errors


def test_a_known_shift_is_followed(warping):
    """Without motion the frames differ by far more than after warping."""
    clip = moving(6, 96, 128, step=5)
    unwarped = np.square(np.diff(clip.astype(float), axis=0) / 255).mean()
    found = warping(clip, clip).values
    assert found["e_warp"] == found["e_warp_source"] < unwarped / 200


def test_a_frozen_picture_does_not_follow_the_source(warping):
    clip = moving(6, 96, 128, step=5)
    frozen = clip[:1].repeat(6, 0)
    found = warping(clip, frozen).values
    assert found["e_warp"] > 100 * found["e_warp_source"]


def test_flicker_adds_its_square(warping):
    clip = np.clip(moving(6, 96, 128, step=2), 20, 235)
    flicker = clip.copy()
    flicker[::2] += 10
    found = warping(clip, flicker)
    assert found.values["e_warp"] == pytest.approx((10 / 255) ** 2 + found.values["e_warp_source"], rel=0.05)
    assert found.series["e_warp"][0] == 0
    assert np.mean(found.series["e_warp"][1:]) == pytest.approx(found.values["e_warp"])


def test_what_an_object_uncovers_does_not_count(warping, monkeypatch):
    clip = texture(96, 128)[None].repeat(4, 0)
    for t in range(4):
        clip[t, 36:60, 20 + 6 * t : 44 + 6 * t] = texture(24, 24, seed=5)
    masked = warping(clip, clip).values["e_warp_source"]
    monkeypatch.setattr(temporal, "visible_pixels", lambda forward, _: np.ones(forward.shape[:2], bool))
    assert masked < warping(clip, clip).values["e_warp_source"] / 3


def test_the_backward_flow_is_compared_where_the_forward_flow_leads(warping, monkeypatch):
    seen = {}

    class Flow:
        def calc(self, before, after, _):
            """Three columns to the right, and back a number that is the column."""
            forward = before.mean() < after.mean()
            columns = np.zeros((32, 40)) + (3 if forward else np.arange(40))
            return np.stack([columns, np.zeros((32, 40))], -1).astype(np.float32)

    def visible(forward, backward):
        seen.update(forward=forward, backward=backward)
        return np.ones(forward.shape[:2], bool)

    monkeypatch.setattr("cv2.DISOpticalFlow_create", lambda _: Flow())
    monkeypatch.setattr(temporal, "visible_pixels", visible)
    clip = np.stack([np.full((32, 40, 3), level, np.uint8) for level in (10, 20)])
    warping(clip, clip)
    assert np.array_equal(seen["forward"][5, :, 0], [3] * 40)
    assert np.array_equal(seen["backward"][5, :37, 0], np.arange(3, 40))


def test_the_source_alone_may_be_asked_for(warping):
    clip = moving(3)
    assert list(measure("e_warp_source", clip, noisy(clip)).values) == ["e_warp_source"]


def test_one_frame_has_no_warping_error(warping):
    clip = moving(1)
    assert "two frames" in warping(clip, clip).blank["e_warp"]


def test_without_opencv_the_warping_error_is_blank(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    clip = moving(3)
    found = measure(["psnr", "e_warp", "e_warp_source"], clip, clip)
    assert list(found.values) == ["psnr"]
    assert "opencv-python-headless: pip install 'rfcodec[benchmarks]'" in found.blank["e_warp"]


def test_visible_pixels_are_consistent_and_off_motion_boundaries():
    forward = np.zeros((6, 8, 2), np.float32)
    forward[:, :4] = (4, 0)
    backward = -forward
    backward[0] += (0, 1)  # |f + b|^2 = 1: above 0.5 where both rest, below 0.01 (16 + 17) + 0.5 where they move
    visible = visible_pixels(forward, backward)
    expected = np.ones((6, 8), bool)
    expected[0] = False
    expected[:, 3] = False
    assert np.array_equal(visible, expected)
    assert visible_pixels(forward * 2, backward * 2)[0, :3].tolist() == [False] * 3
    assert visible_pixels(forward * 10, -forward * 10 + (0, 1))[0, :3].tolist() == [True] * 3


def test_targets_outside_the_picture_do_not_count():
    target = np.array([[[0, 0], [2.1, 0]], [[-0.1, 1], [1, 1]], [[1, 2], [1, 2.1]]], np.float32)
    assert inside_picture(target).tolist() == [[True, False], [False, True], [True, False]]


def test_the_error_is_the_mean_over_the_mask_alone():
    a, b = np.zeros((2, 2, 2, 3), np.float32)
    b[0, 0], b[1, 1] = 255, (51, 0, 0)
    mask = np.array([[True, False], [False, False]])
    assert masked_error(a, b, mask) == 1
    mask[1, 1] = True
    assert masked_error(a, b, mask) == pytest.approx((1 + 0.2**2 / 3) / 2)


def test_pairs_that_show_nothing_in_common_do_not_count(warping, monkeypatch):
    clip = np.clip(moving(6, 96, 128, step=2), 20, 235)
    flicker = clip.copy()
    flicker[::2] += 10
    whole = warping(clip, flicker)
    pairs = iter(range(5))

    def visible(forward, _):
        return np.full(forward.shape[:2], next(pairs) != 2)

    monkeypatch.setattr(temporal, "visible_pixels", visible)
    cut = warping(clip, flicker)
    assert [error > 0 for error in cut.series["e_warp"]] == [False, True, True, False, True, True]
    assert cut.values["e_warp"] == pytest.approx(sum(cut.series["e_warp"]) / 4)
    assert cut.values["e_warp"] > 0.9 * whole.values["e_warp"]
    monkeypatch.setattr(temporal, "visible_pixels", lambda forward, _: np.zeros(forward.shape[:2], bool))
    assert warping(clip, flicker).blank["e_warp"] == "no frame shows anything of the one before"


def with_errors(levels):
    clip = moving(len(levels))
    clip = np.clip(clip, 0, 200)
    return clip, clip + np.array(levels, np.uint8)[:, None, None, None]


def test_the_seam_ratio_compares_changes_of_the_error():
    pair = with_errors([0, 1, 0, 1, 5, 4, 5, 4])
    assert measure("seam", *pair, [4]).values["seam"] == pytest.approx(16)
    assert measure("seam", *pair, [3]).values["seam"] == pytest.approx(1 / ((16 + 5) / 6))
    assert measure("seam", *pair, [3, 4]).values["seam"] == pytest.approx((16 + 1) / 2)


def test_seams_put_in_raise_the_ratio():
    clip = np.clip(moving(12), 30, 220)
    even = noisy(clip, 3)
    assert measure("seam", clip, even, [4, 8]).values["seam"] == pytest.approx(1, abs=0.05)
    jumps = even.copy()
    jumps[4:8] += 6
    assert measure("seam", clip, jumps, [4, 8]).values["seam"] > 2


def test_seams_of_a_lossless_clip_are_not_visible():
    clip = moving(6)
    assert measure("seam", clip, clip, [3]).values == {"seam": 1}


def test_seams_are_blank_where_there_is_nothing_to_compare():
    clip, jump = with_errors([0, 0, 0, 7, 7, 7])
    assert measure("seam", clip, clip).blank == {"seam": "one GOP only"}
    assert measure("seam", clip, clip, range(1, 6)).blank == {"seam": "every frame begins a GOP"}
    assert "nothing to compare" in measure("seam", clip, jump, [3]).blank["seam"]
