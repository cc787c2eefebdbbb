from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from sample_sweep import moving_picture

from rfcodec.errors import ConfigError, FrameSizeError, OutputError
from rfcodec.evaluation.report import pictures
from rfcodec.evaluation.report.pictures import PictureWriter, picture
from rfcodec.video.reader import ArrayVideo

FPS = Fraction(30000, 1001)


def open_picture(folder, paths, kind):
    return np.asarray(Image.open(folder / paths[kind]).convert("RGB")).astype(int)


def grey(count, width=40, height=30):
    """Frame i has the colour 3 i."""
    return np.broadcast_to((3 * np.arange(count, dtype=np.uint8))[:, None, None, None], (count, height, width, 3))


def test_paths_are_relative_to_the_folder_and_nothing_else_is_left(tmp_path):
    paths = picture(ArrayVideo(moving_picture(9, 40, 30), FPS), tmp_path, "key")
    assert paths == {"strip": "pictures/key-strip.jpg", "slice": "pictures/key-slice.png", "player": "pictures/key.mp4"}
    assert sorted(f"pictures/{file.name}" for file in (tmp_path / "pictures").iterdir()) == sorted(paths.values())


@pytest.mark.parametrize(("count", "shown"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3]), (34, [0, 11, 22, 33])])
def test_a_strip_shows_first_and_last_frame_and_two_between(tmp_path, count, shown):
    strip = open_picture(tmp_path, picture([grey(count)], tmp_path, "key", FPS), "strip")
    assert strip.shape == (30, len(shown) * 44 - 4, 3)
    colours = [strip[:, 44 * cell + 4 : 44 * cell + 36].mean() for cell in range(len(shown))]
    assert colours == pytest.approx([3 * index for index in shown], abs=1)


def test_a_strip_of_many_frames_keeps_few_and_stays_evenly_spread(tmp_path):
    with PictureWriter(tmp_path, "key", FPS) as writer:
        for start in range(0, 300, 7):
            colours = (np.arange(start, min(start + 7, 300)) // 2).astype(np.uint8)
            writer.add(np.broadcast_to(colours[:, None, None, None], (len(colours), 16, 16, 3)))
        assert len(writer._strip._kept) <= 64
        strip = open_picture(tmp_path, writer.finish(), "strip")
    colours = [strip[4:12, 20 * cell + 4 : 20 * cell + 12].mean() for cell in range(4)]
    assert colours == pytest.approx([0, 50, 100, 149], abs=3)


def test_a_slice_is_the_middle_row_over_time(tmp_path):
    frames = moving_picture(9, 40, 30)
    assert (open_picture(tmp_path, picture([frames], tmp_path, "key", FPS), "slice") == frames[:, 15]).all()


def test_a_slice_is_cropped_and_not_scaled(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "SLICE_WIDTH", 16)
    monkeypatch.setattr(pictures, "SLICE_FRAMES", 5)
    frames = moving_picture(9, 40, 30)
    paths = picture([frames[:3], frames[3:]], tmp_path, "key", FPS)
    assert (open_picture(tmp_path, paths, "slice") == frames[:5, 15, 12:28]).all()


def test_a_player_is_h264_that_browsers_play(tmp_path, make_clip):
    frames = make_clip(9, 41, 31)
    with av.open(tmp_path / picture([frames], tmp_path, "key", FPS)["player"]) as file:
        stream = file.streams.video[0]
        shown = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", FPS)
    assert len(shown) == 9
    assert all(side % 2 == 0 for side in shown[0].shape[:2])
    assert np.abs(shown[4][:30, :40].astype(int) - frames[4][:30, :40]).mean() < 12


def test_a_player_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "PLAYER_SIDE", 64)
    monkeypatch.setattr(pictures, "PLAYER_FRAMES", 6)
    with av.open(tmp_path / picture([moving_picture(9, 128, 80)], tmp_path, "key", FPS)["player"]) as file:
        stream = file.streams.video[0]
        assert (stream.width, stream.height) == (64, 40)
        assert sum(1 for _ in file.decode(stream)) == 6


def test_noise_stays_within_the_bounds(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (10, 300, 480, 3), np.uint8)
    paths = picture([noise], tmp_path, "key", Fraction(25))
    assert (tmp_path / paths["strip"]).stat().st_size < pictures.STRIP_BYTES
    assert (tmp_path / paths["player"]).stat().st_size < pictures.PLAYER_BYTES / 4


def test_the_size_of_the_chunks_makes_no_difference(tmp_path):
    frames = moving_picture(70, 40, 30)
    whole = picture([frames], tmp_path / "whole", "key", FPS)
    parts = picture([frames[:1], frames[1:40], frames[40:]], tmp_path / "parts", "key", FPS)
    for kind in ("strip", "slice"):
        assert (tmp_path / "whole" / whole[kind]).read_bytes() == (tmp_path / "parts" / parts[kind]).read_bytes()


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(FrameSizeError, match="after ones of"):
        picture([moving_picture(3, 40, 30), moving_picture(3, 30, 40)], tmp_path, "key", FPS)
    assert not list((tmp_path / "pictures").iterdir())


def test_what_cannot_be_done_is_said(tmp_path):
    with pytest.raises(ConfigError, match="file name"):
        PictureWriter(tmp_path, "../key", FPS)
    with pytest.raises(ConfigError, match="fps"):
        picture([moving_picture(1, 40, 30)], tmp_path, "key")
    with pytest.raises(OutputError, match="no frames"):
        picture([], tmp_path, "key", FPS)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        picture([moving_picture(1, 40, 30)], tmp_path / "file", "key", FPS)
