"""Raw video of many pixel formats: length of a frame, values of 8 bits, what is said of a file that does not fit."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from rfcodec.errors import ConfigError, InputError, VideoReadError
from rfcodec.support.words import parse_raw
from rfcodec.types import RawLayout
from rfcodec.video.raw import check_pixels, frame_bytes
from rfcodec.video.reader import ReadOptions, open_video

WIDTH, HEIGHT, COUNT = 34, 18, 2
YCBCR = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p12le", "yuv444p16le", "nv12", "p010le", "yuyv422")
RGB = ("rgb24", "bgr24", "rgb48le", "rgba", "gbrp10le", "gbrp16be")
GREY = ("gray", "gray10le", "gray16be")


def gradient(count=COUNT, width=WIDTH, height=HEIGHT, grey=False):
    rows, columns = np.mgrid[:height, :width]
    frames = np.empty((count, height, width, 3), np.uint8)
    for number, frame in enumerate(frames):
        level = 40 + 3 * columns + 2 * rows + 10 * number
        frame[...] = np.stack([level, level, level] if grey else [level, 220 - level, 90 + level // 3], axis=-1)
    return frames


def packed(frames, pixels, width=WIDTH, height=HEIGHT):
    """Frames as ffmpeg writes them into a raw file."""
    data = b""
    for rgb in frames:
        codec = av.CodecContext.create("rawvideo", "w")
        codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, pixels, Fraction(1, 25)
        narrow = ColorRange.MPEG if pixels in YCBCR else ColorRange.JPEG
        frame = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            format=pixels, dst_colorspace="itu601", src_color_range=ColorRange.JPEG, dst_color_range=narrow
        )
        data += b"".join(bytes(packet) for packet in codec.encode(frame))
    return data


@pytest.mark.parametrize("pixels", [*YCBCR, *RGB, *GREY])
@pytest.mark.parametrize(("width", "height"), [(34, 18), (17, 9)])
def test_frames_are_as_long_as_ffmpeg_writes_them(pixels, width, height):
    data = packed(gradient(1, width, height), pixels, width, height)
    assert frame_bytes(RawLayout(width, height, Fraction(25), pixels)) == len(data)


@pytest.mark.parametrize("pixels", [*YCBCR, *RGB, *GREY])
def test_every_depth_is_scaled_to_eight_bits(tmp_path, pixels):
    frames = gradient(grey=pixels in GREY)
    (tmp_path / "a.yuv").write_bytes(packed(frames, pixels))
    reading = ReadOptions(parse_raw(f"{WIDTH}x{HEIGHT}@30:{pixels}"))
    with open_video(tmp_path / "a.yuv", reading=reading) as video:
        assert (video.format.num_frames, video.format.fps) == (COUNT, 30)
        error = np.abs(video.read(0, COUNT).astype(int) - frames)
    assert error.mean() < (2.5 if pixels in YCBCR else 1)


def test_the_order_of_bytes_may_be_left_out():
    assert check_pixels("yuv420p10") in ("yuv420p10le", "yuv420p10be")


@pytest.mark.parametrize("pixels", ["pal8", "monow", "rgb565le", "x2rgb10le", "gray32le", "vaapi", "bayer_bggr8", "yuv420"])
def test_what_has_no_plain_samples_is_refused_with_what_is_legal(tmp_path, pixels):
    (tmp_path / "a.yuv").write_bytes(bytes(100))
    with pytest.raises(InputError, match=rf"'{pixels}' cannot be read .* legal: yuv420p, yuv422p"):
        open_video(tmp_path / "a.yuv", reading=ReadOptions(RawLayout(8, 8, Fraction(25), pixels)))


@pytest.mark.parametrize(
    ("length", "layout", "words"),
    [
        (352 * 288 * 2, "352x288:yuv420p10le", "yuv420p10le frames of 352x288 .* would fit: 352x288:yuv"),
        (2 * 176 * 144 * 3, "176x146:yuv420p10le", "would fit: 176x146|would fit: 176x144:yuv420p10le"),
        (2 * 176 * 144 * 3 // 2, "352x288", "176x144:yuv420p"),
        (7, "352x288", "no common size or pixel format would fit"),
        (0, "352x288", "0 bytes are no whole number"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_would(tmp_path, length, layout, words):
    (tmp_path / "a.yuv").write_bytes(bytes(length))
    with pytest.raises(VideoReadError, match=words):
        open_video(tmp_path / "a.yuv", reading=ReadOptions(parse_raw(layout)))


@pytest.mark.parametrize("text", ["352", "352x", "axb@25:nv12", ""])
def test_words_that_are_no_layout(text):
    with pytest.raises(ConfigError, match="WxH@FPS:PIXELS"):
        parse_raw(text)
