"""PQ, HLG and BT.2020 as SDR BT.709: values of the standards, and files against the SDR that they were made from."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from rfcodec.video.hdr import (
    Light,
    hlg_scene,
    hlg_shown,
    pq_eotf,
    pq_inverse,
    rgb_to_xyz,
    to_bt709,
    to_sdr,
    tone_curve,
)
from rfcodec.video.reader import ReadOptions, open_video

TRANSFERS = {"PQ": 16, "HLG": 18, "SDR": 14}
BT2020 = 9
SOURCES = ("testsrc2=s=96x64:r=25", "mandelbrot=s=96x64:r=25", "smptehdbars=s=96x64:r=25")


# Made from the recommendations alone, apart from the product's code.


def pq_code(nits):
    m = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * m) / (1 + 18.6875 * m)) ** 78.84375


def hlg_code(nits):
    """R, G, B on a display of 1000 cd/m2 to the signal: inverse OOTF, then OETF."""
    light = nits / 1000
    luminance = light @ np.array([0.2627, 0.6780, 0.0593])
    scene = light * np.where(luminance > 0, luminance, 1)[..., None] ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene, 0.3) - 0.28466892) + 0.55991073
    )


def to_signal(rgb, transfer, white):
    """8-bit SDR BT.709, as a display shows it with that white in cd/m2, in BT.2020's primaries (BT.2087's matrix)."""
    matrix = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    light = (rgb / 255) ** 2.4 @ matrix.T
    if transfer == "SDR":
        return light ** (1 / 2.4)
    return pq_code(light * white) if transfer == "PQ" else hlg_code(light * white)


def originals(source, count=2):
    with av.open(source, format="lavfi") as file:
        return [frame.to_ndarray(format="rgb24") for frame, _ in zip(file.decode(video=0), range(count), strict=False)]


def write(path, frames, transfer, white=203, codec="ffv1", full=False, side=None):
    """4:4:4 YCbCr of 10 bits with BT.2020's matrix, tagged."""
    height, width, _ = frames[0].shape
    with av.open(path, "w") as file:
        stream = file.add_stream(
            codec, rate=25, options={"x265-params": "log-level=none:crf=16"} if codec == "libx265" else {}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = BT2020, TRANSFERS[transfer], BT2020
        context.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        for rgb in frames:
            r, g, b = np.moveaxis(to_signal(rgb, transfer, white), -1, 0)
            y = 0.2627 * r + 0.6780 * g + 0.0593 * b
            chroma = [(b - y) / 1.8814, (r - y) / 1.4746]
            planes = (
                [1023 * y, *(511.5 + 1023 * c for c in chroma)] if full else [64 + 876 * y, *(512 + 896 * c for c in chroma)]
            )
            frame = VideoFrame(width, height, "yuv444p10le")
            for plane, samples in zip(frame.planes, planes, strict=True):
                rows = np.zeros((height, plane.line_size // 2), np.uint16)
                rows[:, :width] = np.clip(np.round(samples), 0, 1023)
                plane.update(rows)
            frame.colorspace, frame.color_range = BT2020, context.color_range
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def read(path, **options):
    with open_video(path, reading=ReadOptions(**options)) as video:
        return video.read(0, video.format.num_frames).astype(int)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("transfer", "white"), [("PQ", 203), ("PQ", 100), ("HLG", 203), ("HLG", 100), ("SDR", 203)])
def test_files_made_from_sdr_come_back_as_it(tmp_path, source, transfer, white):
    frames = originals(source)
    path = write(tmp_path / "a.mkv", frames, transfer, white)
    assert np.abs(read(path) - frames).mean() < 5
    assert np.abs(read(path, tone_map=False) - frames).mean() > (25 if transfer != "SDR" else 4)


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_coded_files_come_back_too(tmp_path, transfer):
    frames = originals(SOURCES[0])
    assert np.abs(read(write(tmp_path / "a.mp4", frames, transfer, codec="libx265")) - frames).mean() < 12


def test_the_full_range_is_read_as_such(tmp_path):
    frames = originals(SOURCES[0], 1)
    assert np.abs(read(write(tmp_path / "a.mkv", frames, "PQ", full=True)) - frames).mean() < 5


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_grey_stays_grey_and_brighter_stays_brighter(tmp_path, transfer):
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 16, 0).repeat(3, 2)
    shown = read(write(tmp_path / "a.mkv", [ramp], transfer))[0, 8]
    assert np.ptp(shown, axis=1).max() <= 1
    assert (np.diff(shown[:, 1]) >= 0).all()
    assert (shown[0, 1], shown[-1, 1]) == (0, 255)


@pytest.mark.parametrize(
    ("transfer", "words"), [("PQ", "tone-mapped from PQ (BT.2020, peak "), ("SDR", "from BT.2020 to BT.709")]
)
def test_it_is_said_what_is_done(tmp_path, caplog, transfer, words):
    path = write(tmp_path / "a.mkv", originals(SOURCES[2], 1), transfer)
    with caplog.at_level(logging.INFO, "rfcodec.video"):
        read(path, tone_map=False)
        assert words not in caplog.text
        read(path)
    assert caplog.text.count(words) == 1


def test_highlights_are_compressed_not_cut():
    light = Light("PQ", "BT.2020", 1000)
    codes = (65535 * pq_code(np.array([100.0, 203, 400, 700, 1000, 4000]))).astype(np.uint16)
    shown = to_sdr(codes[None, :, None].repeat(3, 2), light)[0, :, 1].astype(int)
    assert (np.diff(shown)[:3] > 4).all()
    assert (shown[1] > 200, shown[4], shown[5]) == (True, 255, 255)


def test_hues_of_highlights_are_kept():
    """Orange at 10 times white does not turn yellow, as each channel cut on its own does."""
    code = (65535 * pq_code(np.array([2000.0, 1000, 500]))).astype(np.uint16)
    r, g, b = (to_sdr(code[None, None], Light("PQ", "BT.2020", 2000))[0, 0] / 255) ** 2.4
    assert r > 2 * g > 2.5 * b


@pytest.mark.parametrize(("nits", "code"), [(0, 0.0), (100, 0.508078), (203, 0.580689), (1000, 0.751827), (10000, 1.0)])
def test_pq_has_the_values_of_the_standard(nits, code):
    assert pq_inverse(np.array([nits], float))[0] == pytest.approx(code, abs=2e-6)
    assert pq_eotf(np.array([code]))[0] == pytest.approx(nits, abs=0.01, rel=1e-4)


@pytest.mark.parametrize(("code", "scene", "nits"), [(0, 0, 0), (0.5, 1 / 12, 50.7), (0.75, 0.26496, 203), (1, 1, 1000)])
def test_hlg_has_the_values_of_the_standard(code, scene, nits):
    """BT.2408, table 1: 75 % of HLG are 203 cd/m2 on a display of 1000 cd/m2."""
    found = hlg_scene(np.array([code], float))
    assert found[0] == pytest.approx(scene, abs=1e-4)
    assert hlg_shown(found.repeat(3)[None])[0] == pytest.approx([nits] * 3, rel=2e-3)


def test_matrices_are_those_of_the_recommendations():
    assert rgb_to_xyz("BT.2020")[1] == pytest.approx([0.2627, 0.6780, 0.0593], abs=5e-5)
    assert np.linalg.inv(to_bt709("BT.2020"))[0] == pytest.approx([0.6274, 0.3293, 0.0433], abs=5e-5)
    assert to_bt709("BT.2020").sum(1) == pytest.approx(1)
    assert to_bt709("P3").sum(1) == pytest.approx(1)


@pytest.mark.parametrize("peak", [300, 1000, 4000, 10000])
def test_the_tone_curve_rises_and_ends_in_white(peak):
    light = np.linspace(0, peak, 2000)
    shown = tone_curve(light, peak, 203)
    assert (np.diff(shown) > 0).all()
    assert (shown[0], shown[-1]) == pytest.approx((0, 1), abs=1e-6)
    assert tone_curve(np.array([20.0]), peak, 203)[0] == pytest.approx(20 / 203, rel=1e-6)


def test_a_dark_sources_white_is_that_of_sdr():
    assert [Light("PQ", "BT.2020", peak).white for peak in (10, 100, 125, 150, 1000)] == [100, 100, 100, 203, 203]


def test_speed_is_kept(tmp_path):
    with open_video(write(tmp_path / "a.mkv", originals(SOURCES[0]), "HLG")) as video:
        assert (video.format.fps, video.format.num_frames) == (Fraction(25), 2)
