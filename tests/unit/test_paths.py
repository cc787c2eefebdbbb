"""What a path may name: pictures in folders, patterns and animations, pipes, odd names; and what is refused."""

import io
import logging
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rfcodec.errors import FrameSizeError, VideoReadError
from rfcodec.video import spool
from rfcodec.video.inputs import as_video
from rfcodec.video.source import ReadOptions

COUNT = 6
FRAMES = [np.full((48, 64, 3), 20 * number, np.uint8) for number in range(COUNT)]


def pictures():
    return [Image.fromarray(frame) for frame in FRAMES]


def levels(path, **options):
    with as_video(path, reading=ReadOptions(**options)) as video:
        return video.format, (video.read(0, video.format.num_frames)[:, 5, 5, 1] / 20).round().astype(int).tolist()


@pytest.mark.parametrize(
    ("name", "pattern"), [("im{}.png", "im%d.png"), ("a{:04d}.bmp", "a%04d.bmp"), ("100%{}.png", "100%%%d.png")]
)
def test_folders_and_patterns_are_videos(tmp_path, name, pattern):
    for number, picture in enumerate(pictures()):
        picture.save(tmp_path / name.format(number + 8))
    for path in (tmp_path, tmp_path / pattern):
        found, shown = levels(path, fps=Fraction(10))
        assert (found.fps, found.num_frames, shown) == (10, COUNT, list(range(COUNT)))


def test_a_gap_in_a_pattern_is_said(tmp_path):
    for number in (1, 2, 4):
        pictures()[number].save(tmp_path / f"{number:03d}.png")
    with pytest.raises(VideoReadError, match="number 3 is missing between 1 and 4"):
        levels(tmp_path / "%03d.png")
    with pytest.raises(VideoReadError, match="no file has such a name"):
        levels(tmp_path / "b%03d.png")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
@pytest.mark.parametrize(
    ("shown", "expected"), [(40, list(range(COUNT))), ([40, 40, 120, 40, 40, 80], [0, 1, 2, 2, 2, 3, 4, 5, 5])]
)
def test_animations_keep_their_times(tmp_path, suffix, shown, expected):
    first, *others = pictures()
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=others, duration=shown)
    found, frames = levels(tmp_path / f"a.{suffix}")
    assert (found.fps, frames) == (25, expected)
    assert levels(tmp_path / f"a.{suffix}", fps=Fraction(10))[1] == list(range(COUNT))


def test_one_picture_is_upright_over_black_and_of_eight_bits(tmp_path):
    sideways, exif = Image.new("RGB", (64, 48)), Image.Exif()
    exif[0x0112] = 6
    sideways.save(tmp_path / "a.jpg", exif=exif)
    found, _ = levels(tmp_path / "a.jpg")
    assert (found.width, found.height, found.num_frames) == (48, 64, 1)
    Image.new("RGBA", (64, 48), (200, 200, 200, 128)).save(tmp_path / "b.png")
    assert levels(tmp_path / "b.png")[1] == [5]
    Image.fromarray(np.full((48, 64), 257 * 60, np.uint16)).save(tmp_path / "c.png")
    assert levels(tmp_path / "c.png")[1] == [3]


def test_pictures_of_two_sizes_are_refused_with_names(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "1.png")
    with pytest.raises(FrameSizeError, match=r"1\.png: has 9x8 pixels, 0\.png has 8x8"):
        levels(tmp_path)


@pytest.mark.parametrize(
    "name", [b"a:b.mkv", b"http:x.mkv", b"-x.mkv", b"100%.mkv", b"%03d.mkv", b"n\nl.mkv", b"\xff\xfe.mkv"]
)
def test_any_name_is_a_file(tmp_path, monkeypatch, clip_file, name):
    monkeypatch.chdir(tmp_path)
    path = Path(os.fsdecode(name))
    path.write_bytes(clip_file.read_bytes())
    with as_video(path, (0, 1)) as video:
        assert (video.format.width, video.read(0, 1).shape) == (64, (1, 48, 64, 3))


def test_pipes_are_read_to_their_end(tmp_path, clip_file, caplog):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(clip_file.read_bytes()))
    writer.start()
    with caplog.at_level(logging.INFO, "rfcodec.video"), as_video(tmp_path / "pipe") as video:
        assert (video.format.num_frames, video.read(5, 9).shape) == (13, (4, 48, 64, 3))
    writer.join()
    assert "waiting for a video" in caplog.text


def test_a_pipe_longer_than_the_disk_is_refused(monkeypatch):
    monkeypatch.setattr(spool, "RESERVE", 1 << 62)
    with pytest.raises(VideoReadError, match="TMPDIR"), as_video(io.BytesIO(bytes(100))):
        pass


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("http://a.b/c.mp4", r"http://a\.b/c\.mp4: is an address, .* curl"),
        ("rtsp://a.b/c", "is an address"),
        ("s3://a/b.mp4", "is an address"),
        ("/dev/null", "is a device"),
        ("none.mp4", "there is no such file"),
        (b"", "holds no bytes"),
    ],
)
def test_what_is_no_video_is_said(path, words):
    with pytest.raises(VideoReadError, match=words), as_video(path):
        pass


def test_a_coded_file_is_to_be_decoded(tmp_path):
    (tmp_path / "a.rfv").write_bytes(b"RFVC")
    with pytest.raises(VideoReadError, match="rfcodec decode"), as_video(tmp_path / "a.rfv"):
        pass


def test_standard_input_is_a_video(clip_file, tmp_path, in_a_shell):
    done = in_a_shell(f"cat {clip_file} | {{rfcodec}} encode - {tmp_path}/a.rfv --bytes 3000 --backbone gaussian --steps 4")
    assert done.returncode == 0, done.stderr
    assert "standard input: waiting for a video" in done.stderr
    assert 0 < (tmp_path / "a.rfv").stat().st_size <= 3000


@pytest.fixture
def in_a_shell():
    def run(line):
        line = line.replace("{rfcodec}", f"{sys.executable} -m rfcodec")
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=100)

    return run
