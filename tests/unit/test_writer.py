"""What decoded frames become: every kind of file keeps size, count, speed, colour and the shape of a pixel."""

import io
import os
import subprocess
import threading
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from rfcodec.errors import OutputError
from rfcodec.types import VideoFormat
from rfcodec.video.writer import VideoWriter

NTSC = Fraction(30000, 1001)
KINDS = [".mkv", ".mp4", ".mov", ".webm", ".gif", ".y4m"]
PIXELS = {".mkv": "bgr0", ".mp4": "yuv420p", ".mov": "yuv420p", ".webm": "yuv420p", ".gif": "bgra", ".y4m": "yuv444p"}
SHAPES = [Fraction(1), Fraction(8, 9), Fraction(16, 15), Fraction(64, 45), Fraction(2), Fraction(40, 33)]


def slopes(count=5, width=64, height=48):
    """Soft colours that move."""
    t, y, x = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    return np.stack([60 + 2 * x + 3 * t, 200 - 2 * y - t, 40 + x + y], axis=-1).clip(0, 255).astype(np.uint8)


def write(target, frames, fps=NTSC, aspect=Fraction(1), **options):
    count, height, width, _ = frames.shape
    with VideoWriter(target, VideoFormat(width, height, count, fps, aspect), **options) as writer:
        writer.write(frames)
    return target


def read(path):
    """(stream, frames as stored, RGB) by FFmpeg, without our reader."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(video=0))
        return stream.average_rate, stream.sample_aspect_ratio, frames


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("size", [(64, 48), (45, 31)])
def test_every_kind_keeps_frames_and_colours(suffix, size, tmp_path):
    frames = slopes(5, *size)
    rate, _, found = read(write(tmp_path / f"a{suffix}", frames))
    assert [(frame.width, frame.height) for frame in found] == [size] * 5
    assert found[0].format.name == ("yuv444p" if suffix in (".mp4", ".mov") and size == (45, 31) else PIXELS[suffix])
    height = (
        f"scale=in_color_matrix={'bt601' if suffix == '.y4m' else 'bt709'}:in_range=limited:flags=accurate_rnd,format=rgb24"
    )
    convert = height if suffix in (".mp4", ".mov", ".webm", ".y4m") else "format=rgb24"
    assert np.abs(rgb(tmp_path / f"a{suffix}", convert, size).astype(int) - frames).mean() < 2.5
    if suffix != ".gif":
        assert rate == NTSC


def rgb(path, filters, size):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-vf", filters, "-fps_mode", "passthrough"]
    data = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, size[1], size[0], 3)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm", ".y4m"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_shape_of_a_pixel_is_kept(suffix, shape, tmp_path):
    frames = slopes(2, 72, 48)
    rate, found, pictures = read(write(tmp_path / f"a{suffix}", frames, aspect=shape))
    assert (found or 1) == shape
    assert rate == NTSC
    assert len(pictures) == 2


def test_the_header_of_matroska_keeps_its_checksum(tmp_path):
    path = write(tmp_path / "a.mkv", slopes(), aspect=Fraction(16, 15))
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "warning",
        "-err_detect",
        "crccheck+explode",
        "-i",
        path,
        "-f",
        "null",
        "-",
    ]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
    data = bytearray(path.read_bytes())
    data[data.index(b"V_FFV1")] ^= 1
    path.write_bytes(data)
    assert subprocess.run(command, capture_output=True, check=False).stderr != b""


def test_vp9_is_tagged(tmp_path):
    _, _, (frame, *_) = read(write(tmp_path / "a.webm", slopes()))
    assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_index_comes_first(suffix, tmp_path):
    data = write(tmp_path / f"a{suffix}", slopes()).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_gif_has_a_palette_for_each_frame(tmp_path):
    frames = np.concatenate([slopes(1), 255 - slopes(1)])
    write(tmp_path / "a.gif", frames, Fraction(25))
    found = rgb(tmp_path / "a.gif", "format=rgb24", (64, 48))
    assert np.abs(found.astype(int) - frames).mean() < 2.5
    with Image.open(tmp_path / "a.gif") as image:
        assert (image.n_frames, image.info["duration"]) == (2, 40)


@pytest.mark.parametrize(("pad", "expected"), [(False, ("yuv444p", 45, 31)), (True, ("yuv420p", 46, 32))])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_odd_sizes_are_kept_or_padded(suffix, pad, expected, tmp_path, caplog):
    with caplog.at_level("INFO", logger="rfcodec.video"):
        _, _, (frame, *_) = read(write(tmp_path / f"a{suffix}", slopes(2, 45, 31), pad_even=pad))
    assert (frame.format.name, frame.width, frame.height) == expected
    assert ["46x32" in line for line in caplog.messages] == [pad]
    # the edge is repeated, not black
    assert np.abs(frame.to_ndarray(format="rgb24")[30, 40:].astype(int) - slopes(1, 45, 31)[0, -1, -1]).max() < 25


def test_only_what_needs_even_sizes_is_padded(tmp_path, caplog):
    with caplog.at_level("INFO", logger="rfcodec.video"):
        for suffix in (".mkv", ".webm", ".gif", ".y4m"):
            _, _, (frame, *_) = read(write(tmp_path / f"a{suffix}", slopes(2, 45, 31), pad_even=True))
            assert (frame.width, frame.height) == (45, 31)
    assert caplog.messages == []


def test_y4m_says_speed_shape_and_range(tmp_path):
    path = write(tmp_path / "a.y4m", slopes(), aspect=Fraction(8, 9))
    assert path.read_bytes().split(b"\n")[0] == b"YUV4MPEG2 W64 H48 F30000:1001 Ip A8:9 C444 XYSCSS=444 XCOLORRANGE=LIMITED"


def test_a_file_object_has_each_frame_when_it_is_written():
    seen, file = [], io.BytesIO()
    with VideoWriter(file, VideoFormat(64, 48, 3, NTSC)) as writer:
        for frame in slopes(3):
            writer.write(frame[None])
            seen.append(file.getvalue().count(b"FRAME\n"))
    assert seen == [1, 2, 3]


def test_a_fifo_takes_what_needs_no_way_back(tmp_path):
    fifo, found = tmp_path / "a.mkv", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()))
    reader.start()
    write(fifo, slopes())
    reader.join()
    (tmp_path / "b.mkv").write_bytes(found[0])
    assert len(read(tmp_path / "b.mkv")[2]) == 5
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="needs a file"):
        write(tmp_path / "a.mp4", slopes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "a.mp4", "b.mkv"]


@pytest.mark.parametrize(
    ("target", "first", "names"),
    [
        ("out/", 0, ["frame_000000.png", "frame_000001.png"]),
        ("there", 7, ["frame_000007.png", "frame_000008.png"]),
        ("a_%03d.png", 98, ["a_098.png", "a_099.png"]),
        ("%d.PNG", 9, ["10.PNG", "9.PNG"]),
    ],
)
def test_pictures(target, first, names, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "frame_000007.png.0123456789abcdef.part").write_bytes(b"left of a killed run")
    frames = slopes(2)
    write(f"{tmp_path}/{target}", frames, first=first)
    folder = tmp_path / target if (tmp_path / target).is_dir() else tmp_path
    files = sorted(path for path in folder.iterdir() if path.is_file())
    assert [path.name for path in files] == names
    in_order = sorted(files, key=lambda path: (len(path.name), path.name))
    assert np.array_equal([np.asarray(Image.open(path)) for path in in_order], frames)


def test_pictures_appear_one_by_one_and_whole(tmp_path):
    with pytest.raises(ValueError, match="enough"), VideoWriter(f"{tmp_path}/out/", VideoFormat(64, 48, 3, NTSC)) as writer:  # noqa: PT012
        writer.write(slopes(2))
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["frame_000000.png", "frame_000001.png"]
        raise ValueError("enough")
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_no_empty_folder_is_left(tmp_path):
    with pytest.raises(OutputError, match="no frames"), VideoWriter(f"{tmp_path}/out/", VideoFormat(64, 48, 3, NTSC)):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.avi", "a", "%d%d.png", "%s.png", "%05d.jpg", "one.png"])
def test_other_targets_name_the_legal_ones(name, tmp_path):
    with pytest.raises(OutputError, match=r"\.webm, \.gif; pictures: a folder .* %05d\.png"):
        VideoWriter(tmp_path / name, VideoFormat(64, 48, 1, NTSC))


def test_names_that_ffmpeg_would_take_for_a_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pipe:1.mkv", "a:b.mp4", "file:c.mov"):
        write(name, slopes(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a:b.mp4", "file:c.mov", "pipe:1.mkv"]


@pytest.mark.parametrize("suffix", KINDS)
def test_a_failure_of_the_writer_s_user_passes_through(suffix, tmp_path):
    with pytest.raises(OSError, match="network"), VideoWriter(tmp_path / f"a{suffix}", VideoFormat(64, 48, 5, NTSC)) as w:  # noqa: PT012
        w.write(slopes(2))
        raise OSError("network")
    assert not list(tmp_path.iterdir())
