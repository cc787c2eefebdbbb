import os
import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from rfcodec.errors import FrameRangeError, FrameSizeError, InputError, OutputError, VideoReadError
from rfcodec.types import RawLayout, VideoFormat
from rfcodec.video.raw import frame_bytes
from rfcodec.video.reader import ArrayVideo, ReadOptions, VideoWriter, open_video

NTSC = Fraction(30000, 1001)
COLOURS = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 100, 50], [30, 180, 120]], np.uint8
)
WEIGHTS = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114)}
TAGS = {"bt709": 1, "bt601": 6, "ycgco": 8, None: 2}
RANGES = {"limited": 1, "full": 2, None: 0}
CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips" / "dev"
SIZES = {
    "intel_asl_book.mkv": (640, 480, 109, Fraction(30)),
    "mdn_flower.mp4": (960, 540, 150, NTSC),
    "oh264_pdf.264": (1024, 768, 50, Fraction(25)),
    "parkjoy_480x270_10f.y4m": (480, 270, 10, Fraction(50)),
    "sk_carphone_pristine.mp4": (176, 144, 120, NTSC),
}


def bars(height=48, count=1):
    """Vertical bars of known colours, 16 pixels each."""
    return COLOURS.repeat(16, 0)[None, None].repeat(height, 1).repeat(count, 0)


def bar_error(frames):
    """Largest difference in the middle of a bar, where chroma is not mixed with its neighbour's."""
    return int(np.abs(frames[:, :, 8::16].astype(int) - COLOURS).max())


def counting(count, width=48, height=32):
    """Frame i is grey level 8 i."""
    levels = (8 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def ycbcr(rgb, matrix, scale):
    """ITU-R BT.601/709 as in the recommendations, rounded to 8 bits; an implementation of its own on purpose."""
    r, g, b = np.moveaxis(rgb.astype(float) / 255, -1, 0)
    kr, kb = WEIGHTS[matrix]
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    planes = (
        (16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr) if scale == "limited" else (255 * y, 128 + 255 * cb, 128 + 255 * cr)
    )
    return np.clip(np.round(planes), 0, 255).astype(np.uint8)


def write_tagged(path, planes, matrix, scale):
    """One lossless 4:4:4 frame with those tags (None: no tag)."""
    _, height, width = planes.shape
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = TAGS[matrix], RANGES[scale]
        frame = VideoFrame.from_ndarray(planes, format="yuv444p")
        frame.colorspace, frame.color_range = TAGS[matrix], RANGES[scale]
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write(path, frames, fps=NTSC):
    count, height, width, _ = frames.shape
    with VideoWriter(path, VideoFormat(width, height, count, fps)) as writer:
        writer.write(frames)
    return path


def read_all(path, **options):
    with open_video(path, **options) as video:
        return video.read(0, video.format.num_frames)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Twelve countable frames, lossless."""
    return write(tmp_path_factory.mktemp("clip") / "counting.mkv", counting(12))


# Colour


@pytest.mark.parametrize("scale", ["limited", "full"])
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
def test_tagged_matrix_and_range_are_followed(tmp_path, matrix, scale):
    path = write_tagged(tmp_path / "bars.mkv", ycbcr(bars()[0], matrix, scale), matrix, scale)
    assert bar_error(read_all(path)) <= 2


@pytest.mark.parametrize("scale", ["limited", "full"])
@pytest.mark.parametrize(("matrix", "wrong"), [("bt709", "bt601"), ("bt601", "bt709")])
def test_the_colour_test_sees_a_wrong_matrix_and_a_wrong_range(tmp_path, matrix, wrong, scale):
    planes = ycbcr(bars()[0], matrix, scale)
    other = {"limited": "full", "full": "limited"}[scale]
    assert bar_error(read_all(write_tagged(tmp_path / "a.mkv", planes, wrong, scale))) > 10
    assert bar_error(read_all(write_tagged(tmp_path / "b.mkv", planes, matrix, other))) > 10


@pytest.mark.parametrize(("height", "matrix"), [(718, "bt601"), (720, "bt709")])
def test_untagged_video_is_taken_by_its_height_and_as_limited(tmp_path, height, matrix):
    path = write_tagged(tmp_path / "bars.mkv", ycbcr(bars(height)[0], matrix, "limited"), None, None)
    assert bar_error(read_all(path)) <= 2


def test_scaling_does_not_change_what_an_untagged_video_is_taken_for(tmp_path):
    path = write_tagged(tmp_path / "bars.mkv", ycbcr(bars(720)[0], "bt709", "limited"), None, None)
    assert bar_error(read_all(path, size=(112, 90))) <= 2


@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
def test_full_range_h264(tmp_path, matrix):
    path = tmp_path / "bars.mp4"
    planes = ycbcr(bars()[0], matrix, "full")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 112, 48, "yuvj420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = TAGS[matrix], RANGES["full"]
        halved = [plane[::2, ::2].reshape(-1, 112) for plane in planes[1:]]
        container.mux(stream.encode(VideoFrame.from_ndarray(np.concatenate([planes[0], *halved]), format="yuvj420p")))
        container.mux(stream.encode(None))
    assert bar_error(read_all(path)) <= 3


def test_a_matrix_that_swscale_does_not_know_is_an_error(tmp_path):
    path = write_tagged(tmp_path / "bars.mkv", ycbcr(bars()[0], "bt709", "limited"), "ycgco", "limited")
    with pytest.raises(VideoReadError, match=r"matrix number 8 .* bt2020"):
        open_video(path)


# Reading


def test_spans_that_overlap_by_one_frame(clip):
    with open_video(clip) as video:
        assert video.format == VideoFormat(48, 32, 12, NTSC)
        for start, stop in ((0, 5), (4, 9), (8, 12)):
            assert np.array_equal(video.read(start, stop), counting(12)[start:stop])


def test_spans_in_any_order(clip):
    for spans in [
        [(5, 8), (0, 3)],
        [(0, 4), (0, 4)],
        [(0, 6), (2, 4), (5, 8)],
        [(0, 2), (7, 9)],
        [(4, 8), (3, 12), (0, 12)],
    ]:
        with open_video(clip) as video:
            for start, stop in spans:
                assert np.array_equal(video.read(start, stop), counting(12)[start:stop]), spans


def test_what_is_returned_belongs_to_the_caller(clip):
    with open_video(clip) as video:
        video.read(0, 5)[...] = 0
        assert np.array_equal(video.read(4, 6), counting(12)[4:6])


def test_no_more_than_the_last_span_is_kept(clip):
    with open_video(clip) as video:
        for start in range(0, 10, 2):
            video.read(start, start + 3)
            assert len(video._kept) == 3


def test_a_closed_reader_opens_again(clip):
    video = open_video(clip)
    video.read(0, 3)
    video.close()
    assert np.array_equal(video.read(2, 4), counting(12)[2:4])
    video.close()


def test_a_range_of_the_clip(clip):
    for frames, expected in [((3, 7), (3, 7)), ((None, 4), (0, 4)), ((9, None), (9, 12)), ((0, 12), (0, 12))]:
        start, stop = expected
        assert np.array_equal(read_all(clip, frames=frames), counting(12)[start:stop]), (frames, expected)


def test_going_back_within_a_range(clip):
    with open_video(clip, frames=(3, 9)) as video:
        video.read(4, 6)
        assert np.array_equal(video.read(0, 2), counting(12)[3:5])


@pytest.mark.parametrize("frames", [(0, 13), (12, None), (12, 14), (20, 30)])
def test_frames_beyond_the_clip_say_how_many_there_are(clip, frames):
    with pytest.raises(FrameRangeError, match="there are 12"):
        open_video(clip, frames=frames)


@pytest.mark.parametrize("frames", [(-1, 3), (4, 4), (5, 2), (None, 0), (None, -1)])
def test_frames_that_are_no_range(clip, frames):
    with pytest.raises(FrameRangeError):
        open_video(clip, frames=frames)


@pytest.mark.parametrize("span", [(0, 13), (-1, 2), (3, 3), (5, 4)])
def test_spans_that_do_not_exist(clip, span):
    with pytest.raises(FrameRangeError, match="there are 12"):
        open_video(clip).read(*span)
    with pytest.raises(FrameRangeError, match="there are 12"):
        ArrayVideo(counting(12)).read(*span)


def test_scaling(clip):
    frames = read_all(clip, size=(30, 20))
    assert frames.shape == (12, 20, 30, 3)
    assert np.array_equal(frames, counting(12, 30, 20))


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (16385, 10)])
def test_sizes_that_are_none(clip, size):
    with pytest.raises(FrameSizeError, match=r"1\.\.16384"):
        open_video(clip, size=size)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.skipif(not CLIPS.is_dir(), reason="the clips are not beside the repository")
def test_real_clips(name):
    with open_video(CLIPS / name) as video:
        found = video.format
        assert (found.width, found.height, found.num_frames, found.fps) == SIZES[name]
        last = video.read(found.num_frames - 1, found.num_frames)
        assert last.std() > 5


# Raw planes


def raw_file(path, width, height, count):
    planes = np.random.default_rng(2).integers(0, 256, frame_bytes(RawLayout(width, height, NTSC)) * count, np.uint8)
    path.write_bytes(planes.tobytes())
    return path


@pytest.mark.parametrize(("width", "height"), [(48, 32), (45, 31)])
def test_raw_planes_are_counted_by_the_bytes(tmp_path, width, height):
    with open_video(
        raw_file(tmp_path / "noise.yuv", width, height, 3), reading=ReadOptions(RawLayout(width, height, NTSC))
    ) as video:
        assert video.format == VideoFormat(width, height, 3, NTSC)
        assert video.read(0, 3).shape == (3, height, width, 3)


def test_raw_planes_need_size_and_speed(tmp_path):
    with pytest.raises(VideoReadError, match="width, height and fps must be given"):
        open_video(raw_file(tmp_path / "noise.yuv", 48, 32, 1))


def test_raw_planes_of_another_size_are_refused(tmp_path):
    with pytest.raises(VideoReadError, match=r"2304 bytes .* check the size"):
        open_video(raw_file(tmp_path / "noise.yuv", 48, 32, 1), reading=ReadOptions(RawLayout(50, 32, NTSC)))


def test_raw_layouts_that_are_none(tmp_path):
    path = raw_file(tmp_path / "noise.yuv", 48, 32, 1)
    with pytest.raises(FrameSizeError):
        open_video(path, reading=ReadOptions(RawLayout(0, 32, NTSC)))
    with pytest.raises(InputError):
        open_video(path, reading=ReadOptions(RawLayout(48, 32, Fraction(0))))


# Files that are no video


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.mp4", b""),
        ("empty.mkv", b""),
        ("text.mp4", b"this is no video\n" * 200),
        ("notes.txt", b"this is no video either\n" * 200),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nother.ts\n"),
        ("header.y4m", b"YUV4MPEG2 W16 H16 F25:1\n"),
        ("zeros.264", bytes(5000)),
        ("zeros.mkv", bytes(5000)),
    ],
)
def test_files_that_are_no_video(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VideoReadError, match=name):
        open_video(tmp_path / name)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none.mp4", tmp_path, str(tmp_path / "none.yuv")):
        with pytest.raises(VideoReadError, match="no such file"):
            open_video(path)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoReadError, match="no video stream"):
        open_video(path)


def cut(path, keep):
    """Keeps that share of the file."""
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    return path


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.8])
def test_an_mp4_without_its_index(tmp_path, keep):
    with pytest.raises(VideoReadError, match="cannot be read as video"):
        open_video(cut(in_mp4(tmp_path / "o.mp4", counting(6), ""), keep))


@pytest.mark.parametrize("suffix", [".mkv", ".y4m"])
def test_truncated_files_give_their_whole_frames_or_an_error(tmp_path, suffix):
    for keep in [0.001, 0.1, 0.4, 0.6, 0.97]:
        noise = np.random.default_rng(3).integers(0, 256, (6, 48, 64, 3), np.uint8)
        path = write(tmp_path / f"o{suffix}", noise)
        whole = read_all(path)
        try:
            found = read_all(cut(path, keep))
        except VideoReadError:
            found = whole[:2]
        assert 0 < len(found) < 6, keep
        assert np.array_equal(found[:-1], whole[: len(found) - 1]), keep


def in_mp4(path, frames, flags="faststart"):
    """An mp4; with its index in front it opens whatever is cut off behind."""
    with av.open(path, "w", options={"movflags": flags} if flags else {}) as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "10"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.8])
def test_of_a_damaged_file_the_frames_named_can_be_read(tmp_path, keep):
    noise = np.random.default_rng(4).integers(0, 256, (30, 48, 64, 3), np.uint8)
    path = in_mp4(tmp_path / "noise.mp4", noise)
    whole = read_all(path)
    cut(path, keep)
    try:
        intact = open_video(path).format.num_frames
    except VideoReadError as error:
        intact = int(str(error).rpartition("0:")[2].split()[0])
    assert 0 < intact < 30
    assert np.array_equal(read_all(path, frames=(0, intact))[:-1], whole[: intact - 1])


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = write(tmp_path / "noise.y4m", np.random.default_rng(5).integers(0, 256, (8, 48, 64, 3), np.uint8))
    video = open_video(path)
    cut(path, 0.4)
    with pytest.raises(VideoReadError):
        video.read(0, 8)


# Arrays


def test_an_array_is_a_video():
    video = ArrayVideo(counting(5), NTSC)
    assert video.format == VideoFormat(48, 32, 5, NTSC)
    assert np.array_equal(video.read(1, 4), counting(5)[1:4])
    assert ArrayVideo(counting(5)).format.fps == 25


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3)),
    ],
)
def test_arrays_that_are_no_video(frames):
    with pytest.raises(FrameSizeError, match="uint8"):
        ArrayVideo(frames)


def test_an_array_needs_a_speed():
    with pytest.raises(InputError, match="fps"):
        ArrayVideo(counting(2), Fraction(0))


# Writing


@pytest.mark.parametrize("size", [(64, 48), (45, 31), (1, 1)])
def test_mkv_is_lossless(tmp_path, size):
    noise = np.random.default_rng(6).integers(0, 256, (4, size[1], size[0], 3), np.uint8)
    path = write(tmp_path / "noise.mkv", noise)
    assert np.array_equal(read_all(path), noise)
    assert open_video(path).format == VideoFormat(*size, 4, NTSC)


@pytest.mark.parametrize("suffix", [".mp4", ".y4m", ".yuv"])
def test_colour_survives_in_every_kind(tmp_path, suffix):
    for height in [48, 47, 720]:
        path = write(tmp_path / f"bars{suffix}", bars(height, 2))
        raw = RawLayout(112, height, NTSC) if suffix == ".yuv" else None
        with open_video(path, reading=ReadOptions(raw)) as video:
            assert video.format == VideoFormat(112, height, 2, NTSC), height
            assert bar_error(video.read(0, 2)) <= 2, height


def test_mp4_is_tagged_bt709_limited(tmp_path):
    with av.open(write(tmp_path / "bars.mp4", bars())) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, int(frame.colorspace), int(frame.color_range)) == ("yuv420p", 1, 1)
        context = container.streams.video[0].codec_context
        assert (int(context.color_primaries), int(context.color_trc)) == (1, 1)


@pytest.mark.parametrize("size", [(45, 32), (44, 31), (45, 31)])
def test_mp4_keeps_odd_sizes_in_444(tmp_path, size):
    path = write(tmp_path / "odd.mp4", counting(3, *size))
    assert read_all(path).shape == (3, size[1], size[0], 3)
    with av.open(path) as container:
        assert next(container.decode(video=0)).format.name == "yuv444p"


def test_frames_may_come_in_pieces(tmp_path):
    with VideoWriter(tmp_path / "o.mkv", VideoFormat(48, 32, 5, NTSC)) as writer:
        writer.write(counting(5)[:2])
        writer.write(counting(5)[2:][:, ::-1])
    assert np.array_equal(read_all(tmp_path / "o.mkv"), counting(5))


def test_unknown_suffixes_name_the_legal_ones(tmp_path):
    for name in ("o.avi", "o", "o.mp4.part"):
        with pytest.raises(OutputError, match=r"\.mkv, \.mp4, \.y4m, \.yuv"):
            VideoWriter(tmp_path / name, VideoFormat(16, 16, 1, NTSC))


def test_the_final_name_appears_when_all_is_written(tmp_path):
    path = tmp_path / "o.mkv"
    with VideoWriter(path, VideoFormat(48, 32, 5, NTSC)) as writer:
        writer.write(counting(5))
        assert not path.exists()
        assert [file.suffix for file in tmp_path.iterdir()] == [".part"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure_and_the_old_file_stays(tmp_path, error):
    path = tmp_path / "o.mp4"
    path.write_bytes(b"old")
    with pytest.raises(error), VideoWriter(path, VideoFormat(48, 32, 5, NTSC)) as writer:  # noqa: PT012
        writer.write(counting(5))
        raise error
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_frames_of_another_size_are_refused(tmp_path):
    with (
        pytest.raises(FrameSizeError, match=r"\(32, 48\)"),
        VideoWriter(tmp_path / "o.mkv", VideoFormat(48, 32, 5, NTSC)) as writer,
    ):
        writer.write(counting(5, 32, 48))
    assert not list(tmp_path.iterdir())


def test_a_video_of_no_frames_is_not_written(tmp_path):
    with pytest.raises(OutputError, match="no frames"), VideoWriter(tmp_path / "o.mp4", VideoFormat(16, 16, 1, NTSC)):
        pass
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.mkv").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none" / "o.mkv", tmp_path / "folder.mkv", tmp_path / "file" / "o.mkv"):
        with pytest.raises(OutputError, match=path.name), VideoWriter(path, VideoFormat(16, 16, 1, NTSC)):
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError), VideoWriter(tmp_path / "o.mkv", VideoFormat(16, 16, 1, NTSC)):
        pass


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".y4m", ".yuv"])
def test_a_full_disk(tmp_path, suffix):
    noise = np.random.default_rng(7).integers(0, 256, (8, 64, 64, 3), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OutputError, match=f"o{suffix}.*written"):
            write(tmp_path / f"o{suffix}", noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_name_that_cannot_be_taken(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        write(tmp_path / "o.mkv", counting(2))
    assert not list(tmp_path.iterdir())
