from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rfcodec.errors import ConfigError, FrameRangeError, FrameSizeError, InputError, OutputError, VideoReadError
from rfcodec.evaluation.datasets.dataset import (
    Clip,
    checksum,
    clip_of,
    dataset_names,
    load_dataset,
    open_clip,
    record_checksums,
)
from rfcodec.types import RawLayout
from rfcodec.video.pictures import View, picture_folder
from rfcodec.video.reader import ArrayVideo, ReadOptions, open_video

TINY = """
title = "Tiny"
get = ["https://example.org/tiny"]
width = 16
height = 8
fps = 30
files = ["{name}_16x8_{fps}.yuv", "{name}.yuv"]

[clips]
first = {}
second = { fps = "30000/1001", frames = [1, 3], also = ["zweiter"] }
"""


def write_planes(path: Path, frames=4, size=(16, 8), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    rng = np.random.default_rng(seed)
    path.write_bytes(rng.integers(0, 256, frames * width * height * 3 // 2, np.uint8).tobytes())
    return path


def write_pictures(folder: Path, names, size=(16, 8)):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", size, (number, 2 * number, 7)).save(folder / name)
    return folder


@pytest.fixture
def tiny(tmp_path):
    """A dataset of two clips, one of them in a folder of its own under another name."""
    write_planes(tmp_path / "first_16x8_30.yuv")
    write_planes(tmp_path / "deep" / "down" / "zweiter_16x8_30000" / "zweiter.yuv", seed=1)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path / "tiny.toml"


def test_the_datasets_that_come_along(tmp_path):
    sizes = {"davis": 30, "hevc-b": 5, "mcl-jcv": 30, "uvg": 7}
    assert {*sizes} <= {*dataset_names()}
    assert {name: len(missing_clips(name, tmp_path)) for name in sizes} == sizes
    assert "gvcc_published" not in dataset_names()


def missing_clips(name, root):
    with pytest.raises(InputError, match="are not below") as caught:
        load_dataset(name, root)
    return [line.split(":")[0].strip() for line in str(caught.value).splitlines() if "looked for" in line]


def test_what_is_missing_is_said_with_file_names_and_addresses(tmp_path):
    write_planes(tmp_path / "Beauty_1920x1080_120fps_420_8bit_YUV.yuv", 1, (1920, 1080))
    with pytest.raises(InputError) as caught:
        load_dataset("uvg", tmp_path)
    said = str(caught.value)
    assert "6 of 7 clips" in said
    assert "Beauty_" not in said
    assert "ReadySteadyGo_1920x1080_120fps_420_8bit_YUV.yuv" in said
    assert "ReadySetGo_1920x1080_120fps_420_8bit_YUV.yuv" in said
    assert "https://ultravideo.fi/video/Jockey_1920x1080_120fps_420_8bit_YUV_RAW.7z" in said
    assert "https://ultravideo.fi/dataset.html" in said
    (beauty,) = load_dataset("uvg", tmp_path, ["Beauty"])
    assert beauty.raw == RawLayout(1920, 1080, Fraction(120))


def test_a_missing_folder_is_said_with_the_address():
    for root in (None, Path("no/such/folder")):
        with pytest.raises(InputError, match=r"to be had from https://mcl.usc.edu"):
            load_dataset("mcl-jcv", root)


def test_speeds_of_mcl_jcv(tmp_path):
    speeds = {"videoSRC01": 30, "videoSRC05": 25, "videoSRC17": 24, "videoSRC30": 30}
    for name, fps in speeds.items():
        write_planes(tmp_path / f"{name}_1920x1080_{fps}.yuv", 1, (1920, 1080))
    clips = load_dataset("mcl-jcv", tmp_path, list(speeds))
    assert {clip.name: clip.raw and clip.raw.fps for clip in clips} == speeds


def test_files_are_found_at_any_depth_and_under_their_other_names(tiny):
    first, second = load_dataset(tiny)
    assert (first.path, first.frames) == (tiny.parent / "first_16x8_30.yuv", None)
    assert second.path.name == "zweiter.yuv"
    assert second.raw == RawLayout(16, 8, Fraction(30000, 1001))
    assert open_clip(second).format.num_frames == 2
    assert [clip.name for clip in load_dataset(tiny, only=["second"])] == ["second"]


def test_the_first_spelling_goes_before_the_others(tiny):
    write_planes(tiny.parent / "first.yuv", seed=5)
    assert load_dataset(tiny)[0].path.name == "first_16x8_30.yuv"


def test_what_is_no_dataset_is_refused(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"there is no dataset kodak: legal are davis, "):
        load_dataset("kodak")
    with pytest.raises(ConfigError, match="no clip 'third'; it has first, second"):
        load_dataset(tiny, only=["third"])
    for text in (TINY.replace("width", "breadth"), TINY + "x = [", TINY.replace("height = 8\n", "")):
        tiny.write_text(text)
        with pytest.raises(ConfigError):
            load_dataset(tiny)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_dataset(tmp_path / "none.toml")


@pytest.mark.parametrize("line", [b'about = "\xff"', b"about = " + b"[" * 9000, b'files = ["{x}"]', b'fps = "1/0"'])
def test_what_is_no_description_is_one_line(line, tmp_path):
    path = tmp_path / "d.toml"
    path.write_bytes(b'title = "d"\n' + line + b"\n[clips.a]\n")
    with pytest.raises(ConfigError):
        load_dataset(path)


def test_checksums_are_recorded_and_verified(tiny):
    assert record_checksums(tiny, tiny.parent) == tiny
    clips = load_dataset(tiny)
    assert [clip.sha256 for clip in clips] == [checksum(clip.path) for clip in clips]
    once = tiny.read_text()
    assert once.startswith(TINY.rstrip())
    assert record_checksums(tiny, tiny.parent).read_text() == once
    write_planes(clips[0].path, seed=9)
    with pytest.raises(InputError, match=r"first_16x8_30.yuv: has SHA-256 .* get it again"):
        load_dataset(tiny)
    assert load_dataset(tiny, only=["second"])
    assert load_dataset(tiny, verify=False)
    assert {path.name for path in tiny.parent.iterdir()} == {"tiny.toml", "first_16x8_30.yuv", "deep"}


def test_checksums_that_cannot_be_written_leave_the_dataset_as_it_was(tiny, full_disk):
    before = {path.name: path.stat().st_size for path in tiny.parent.iterdir()}
    with pytest.raises(OutputError, match="No space left"):
        record_checksums(tiny, tiny.parent)
    assert {path.name: path.stat().st_size for path in tiny.parent.iterdir()} == before


def test_checksums_of_a_dataset_that_comes_along_go_to_a_copy(tmp_path):
    folders = [write_pictures(tmp_path / "480p" / name, ["00000.jpg"]) for name in missing_clips("davis", tmp_path)]
    copy = record_checksums("davis", tmp_path)
    assert copy == tmp_path / "davis.toml"
    assert len(load_dataset(copy)) == 30
    (folders[3] / "00000.jpg").rename(folders[3] / "00001.jpg")
    with pytest.raises(InputError, match=folders[3].name):
        load_dataset(copy)


def test_pictures_are_a_video_in_the_order_of_their_numbers(tmp_path):
    folder = write_pictures(tmp_path / "JPEGImages" / "480p" / "dog", ["im1.png", "im2.png", "im10.png"])
    (folder / "notes.txt").write_text("no picture")
    (dog,) = load_dataset("davis", tmp_path, ["dog"])
    video = open_clip(dog)
    assert (video.format.width, video.format.height, video.format.num_frames, video.format.fps) == (16, 8, 3, 24)
    assert video.read(0, 3)[:, 0, 0].tolist() == [[0, 0, 7], [1, 2, 7], [2, 4, 7]]
    assert video.read(1, 2).shape == (1, 8, 16, 3)
    with pytest.raises(FrameRangeError):
        video.read(2, 4)
    half = open_clip(Clip("half", folder, frames=(1, None), size=(8, 4)))
    assert (half.format.width, half.format.num_frames, half.format.fps) == (8, 2, 25)
    assert half.read(1, 2)[0, 0, 0].tolist() == [2, 4, 7]


def test_pictures_that_do_not_belong_together_are_refused(tmp_path):
    folder = write_pictures(tmp_path / "mixed", ["0.png", "1.png", "2.png"])
    Image.new("RGB", (8, 8)).save(folder / "1.png")
    (folder / "2.png").write_bytes(b"no picture")
    with pytest.raises(VideoReadError, match=r"2\.png"):
        picture_folder(folder)
    (folder / "2.png").unlink()
    with pytest.raises(FrameSizeError, match=r"1\.png: has 8x8 .* 0\.png has"):
        picture_folder(folder)
    with pytest.raises(VideoReadError, match="holds no pictures"):
        picture_folder(tmp_path)


def test_a_folder_is_all_that_can_be_read_in_it(tmp_path, make_clip, save, caplog):
    frames = make_clip(3, 32, 16)
    for name in ("walk.mkv", "walk.mp4", "bird.y4m"):
        save(tmp_path / name, frames)
    write_planes(tmp_path / "Kimono1_16x8_24.yuv")
    write_planes(tmp_path / "deep_16x8_50fps_10bit.yuv")
    write_planes(tmp_path / "chroma_16x8_420.yuv")
    write_planes(tmp_path / "plain.yuv")
    (tmp_path / "README.md").write_text("words")
    write_pictures(tmp_path / "frames", ["0.png", "1.png"])
    clips = load_dataset(tmp_path)
    assert [clip.name for clip in clips] == ["Kimono1_16x8_24", "bird", "frames", "walk.mkv", "walk.mp4"]
    assert clips[0].raw == RawLayout(16, 8, Fraction(24))
    assert [open_clip(clip).format.num_frames for clip in clips] == [4, 3, 2, 3, 3]
    assert [name for name in ("deep", "chroma", "plain", "README") if name in caplog.text] == ["deep", "chroma", "plain"]
    assert [clip.name for clip in load_dataset(tmp_path, only=["bird"])] == ["bird"]
    assert load_dataset(tmp_path / "frames")[0].name == "frames"
    assert load_dataset(tmp_path / "bird.y4m") == [clip_of(tmp_path / "bird.y4m")]


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("words")
    with pytest.raises(InputError, match="holds no video"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "fps"), [("a_16x8_30", 30), ("a_16x8_59.94fps_x", Fraction("59.94")), ("a_16x8_120fps_420_8bit_YUV", 120)]
)
def test_names_of_raw_planes_say_their_speed(tmp_path, name, fps):
    assert clip_of(write_planes(tmp_path / f"{name}.yuv")).raw == RawLayout(16, 8, Fraction(fps))


def test_raw_planes_of_another_size_are_refused(tmp_path):
    path = write_planes(tmp_path / "a_16x10_30.yuv", 1, (16, 8))
    with pytest.raises(VideoReadError, match="check the size given"):
        clip_of(path)


def test_a_clip_is_opened_as_open_video_does(tiny):
    _, second = load_dataset(tiny)
    with open_video(second.path, reading=ReadOptions(second.raw), frames=(1, 3)) as video:
        assert np.array_equal(open_clip(second).read(0, 2), video.read(0, 2))


def test_a_view_is_a_part_of_a_video(make_clip):
    frames = make_clip(6, 16, 8)
    view = View(ArrayVideo(frames), (2, 5))
    assert view.format.num_frames == 3
    assert np.array_equal(view.read(1, 3), frames[3:5])
    for span in ((0, 4), (-1, 2), (2, 2)):
        with pytest.raises(FrameRangeError):
            view.read(*span)
    with pytest.raises(FrameRangeError, match="there are 6"):
        View(ArrayVideo(frames), (2, 7))
