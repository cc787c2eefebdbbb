"""Files as other programs write them, against the ffmpeg program's own decoding of the same file."""

import logging
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from source_files import H264, copy, ffmpeg, make, shortened

from rfcodec.errors import ConfigError, DamageWarning, InputError, VideoReadError
from rfcodec.video.pictures import FilePlanes
from rfcodec.video.rates import Timeline, frame_rate
from rfcodec.video.reader import ReadOptions, open_video

NTSC = Fraction(30000, 1001)
EXACT = "scale=flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp:in_color_matrix=bt601:out_range=full"
SAME = 0.5  # levels: another release of FFmpeg rounds otherwise


def decoded(path, width, height, *words, filters="null"):
    """RGB frames as the ffmpeg program decodes them."""
    words = words or ("-fps_mode", "passthrough")
    data = ffmpeg("-i", path, *words, "-vf", f"{filters},{EXACT}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def read(path, frames=(None, None), size=None, **reading):
    with open_video(path, frames=frames, size=size, reading=ReadOptions(**reading)) as video:
        return video.read(0, video.format.num_frames)


def format_of(path, **reading):
    with open_video(path, reading=ReadOptions(**reading)) as video:
        return video.format


def error(found, wanted):
    assert found.shape == wanted.shape
    return float(np.abs(found.astype(int) - wanted).mean())


@pytest.fixture
def lines(caplog):
    """The lines that were logged so far, each without the path."""
    caplog.set_level(logging.INFO, "rfcodec.video")
    return lambda: [record.getMessage().partition(": ")[2] for record in caplog.records]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Twelve frames of H.264 in an mp4."""
    return make(tmp_path_factory.mktemp("sources") / "clip.mp4", *H264, rate=NTSC, filters="setsar=16/11")


# Orientation and aspect


@pytest.mark.parametrize(
    ("asked", "size", "line"),
    [
        (("-display_rotation", "90"), (48, 64), "rotated by 90 degrees counterclockwise"),
        (("-display_rotation", "180"), (64, 48), "rotated by 180 degrees"),
        (("-display_rotation", "270"), (48, 64), "rotated by 90 degrees clockwise"),
        (("-display_hflip",), (64, 48), "mirrored left to right"),
        (("-display_vflip",), (64, 48), "mirrored top to bottom"),
        (("-display_rotation", "90", "-display_hflip"), (48, 64), "rotated by 90 degrees counterclockwise and mirrored"),
        (("-display_rotation", "270", "-display_hflip"), (48, 64), "rotated by 90 degrees clockwise and mirrored"),
        (("-display_rotation", "30"), (64, 48), "rotated by 330 degrees within its own size"),
    ],
)
def test_a_display_matrix_is_applied_as_ffmpeg_does(clip, tmp_path, lines, asked, size, line):
    path = copy(clip, tmp_path / "turned.mp4", before=asked)
    assert error(read(path), decoded(path, *size)) < SAME
    assert lines()[0] == f"{line}, as its display matrix asks"


def test_a_picture_on_its_side_can_be_scaled_and_read_as_planes(clip, tmp_path):
    path = copy(clip, tmp_path / "turned.mkv", before=("-display_rotation", "90"))
    assert read(path, size=(24, 32)).shape == (12, 32, 24, 3)
    planes = FilePlanes(path)
    assert planes.planes(0)[0].shape == (planes.format.height, planes.format.width) == (64, 48)


def test_the_aspect_of_pixels_is_that_of_the_stream(clip, tmp_path, lines):
    assert format_of(clip).sample_aspect == Fraction(16, 11)
    assert lines() == ["64x48 pixels of aspect 16:11, which is kept with them"]
    assert format_of(make(tmp_path / "a.mkv", "-c:v", "ffv1", filters="setsar=16/11")).sample_aspect == Fraction(16, 11)
    assert format_of(copy(clip, tmp_path / "b.mp4", before=("-display_rotation", "90"))).sample_aspect == Fraction(11, 16)


def test_scaling_keeps_the_aspect_of_the_picture(clip):
    for size, aspect in [((64, 48), (16, 11)), ((32, 24), (16, 11)), ((32, 48), (32, 11)), ((48, 48), (64, 33))]:
        with open_video(clip, size=size) as video:
            assert video.format.sample_aspect == Fraction(*aspect), size


# Speed


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_bare_streams_have_the_rate_that_their_headers_say(tmp_path, lines, codec):
    path = make(
        tmp_path / f"bare.{codec[-3:].replace('265', 'hevc')}",
        "-c:v",
        codec,
        "-f",
        "h264" if codec[-1] == "4" else "hevc",
        rate=50,
    )
    assert (format_of(path).fps, format_of(path).num_frames) == (50, 12)
    assert lines()[0] == "50 frames per second; its container says 25"


@pytest.mark.parametrize("rate", [24, Fraction(30000, 1001)])
def test_reordered_frames_in_an_avi_are_no_600_a_second(tmp_path, rate):
    bframes = make(tmp_path / "b.mp4", *H264, "-bf", "3", rate=rate)
    path = copy(bframes, tmp_path / "b.avi", "-bsf:v", "h264_mp4toannexb")
    found = format_of(path)
    assert (found.fps, found.num_frames) == (rate, 12)
    assert error(read(path), decoded(bframes, 64, 48)) < SAME


@pytest.mark.parametrize(
    "rate", [10, Fraction(25, 2), Fraction(24000, 1001), 24, 25, 29, NTSC, 30, 50, Fraction(60000, 1001), 60]
)
def test_times_in_milliseconds_give_the_rate_that_was_meant(rate):
    milli = Fraction(1, 1000)
    times = [Fraction(round(1000 * number / rate), 1000) for number in range(60)]
    average = 59 / (times[-1] - times[0])
    for said in (average, rate, None):
        assert frame_rate(said, times, milli) == rate, said


def test_webm_of_a_usual_rate(tmp_path):
    path = make(tmp_path / "a.webm", "-c:v", "libvpx", "-deadline", "realtime", rate=Fraction(60000, 1001), count=30)
    assert format_of(path).fps == Fraction(60000, 1001)


def test_a_clock_is_no_rate():
    times = [Fraction(3 * number, 1000) for number in (0, 11, 22, 34, 44, 55)]
    assert frame_rate(Fraction(90000), times, Fraction(1, 90000)) == Fraction(1000, 33)


def test_one_frame_has_no_clock_for_its_rate():
    for times in ([], [Fraction(0)]):
        assert frame_rate(Fraction(90000), times, Fraction(1, 90000)) == 25
        assert frame_rate(Fraction(50), times, Fraction(1, 90000)) == 50


def test_a_last_frame_of_no_length_is_shown(tmp_path):
    path = make(tmp_path / "a.mkv", "-c:v", "ffv1", rate=30, filters="settb=1/1000,setpts=PTS")
    short = copy(path, tmp_path / "b.mkv", "-bsf:v", r"setts=duration=if(eq(N\,11)\,1\,DURATION)")
    assert format_of(short).num_frames == 12


def test_three_frames_in_milliseconds():
    assert frame_rate(Fraction(1000, 33), [Fraction(0), Fraction(33, 1000), Fraction(67, 1000)], Fraction(1, 1000)) == 30


def test_the_rate_can_be_told(clip, tmp_path):
    found = format_of(clip, fps=Fraction(50))
    assert (found.fps, found.num_frames) == (50, 12)
    for fps in (0, -1):
        with pytest.raises(InputError, match="fps"):
            format_of(clip, fps=Fraction(fps))


@pytest.fixture(scope="module")
def variable(tmp_path_factory):
    """Fifteen frames: six at 30 a second, then one in five."""
    words = ("-c:v", "ffv1", "-fps_mode", "passthrough")
    folder = tmp_path_factory.mktemp("variable")
    return make(folder / "v.mkv", *words, rate=30, count=15, filters=r"select='not(mod(n\,5))+lt(n\,6)'")


def test_a_variable_rate_is_resampled_as_ffmpeg_does(variable, lines):
    found = format_of(variable)
    assert (found.fps, found.num_frames) == (30, 51)
    assert error(read(variable), decoded(variable, 64, 48, "-fps_mode", "passthrough", filters="fps=30")) < SAME
    assert lines()[0] == "frames at variable intervals, resampled to 30 frames per second: 9 frames held, 0 dropped"


def test_frames_of_a_variable_rate_can_be_kept(variable, lines):
    assert error(read(variable, vfr="keep-frames"), decoded(variable, 64, 48)) < SAME
    assert error(read(variable, fps=Fraction(10)), decoded(variable, 64, 48)) < SAME
    assert not lines()
    with pytest.raises(ConfigError, match="keep-frames"):
        ReadOptions(vfr="vfr")


def test_spans_of_a_resampled_video_are_exact(variable):
    whole = read(variable)
    with open_video(variable) as video:
        for start, stop in [(0, 51), (7, 9), (8, 31), (3, 5), (50, 51), (10, 11), (11, 12), (0, 1)]:
            assert np.array_equal(video.read(start, stop), whole[start:stop]), (start, stop)
    for start, stop in [(0, 1), (0, 6), (0, 7), (5, 10), (9, 12), (12, 50), (30, None)]:
        assert np.array_equal(read(variable, frames=(start, stop)), whole[start:stop]), (start, stop)


def test_frames_that_come_too_fast_are_dropped(tmp_path):
    path = make(
        tmp_path / "fast.mkv",
        "-c:v",
        "ffv1",
        "-fps_mode",
        "passthrough",
        rate=60,
        count=20,
        filters="setpts='if(lt(N,8),N,2*N-8)/60/TB'",
    )
    found, slow = read(path), format_of(path).fps
    assert error(found, decoded(path, 64, 48, "-fps_mode", "passthrough", filters=f"fps={slow}")) < SAME


def test_a_clock_set_anew_is_no_gap(tmp_path):
    part = make(tmp_path / "a.ts", *H264)
    (tmp_path / "joined.ts").write_bytes(2 * part.read_bytes())
    found = format_of(tmp_path / "joined.ts")
    assert (found.num_frames, found.fps) == (24, 25)


def test_places_on_a_timeline():
    timeline = Timeline(Fraction(10), Fraction(5))
    times = [Fraction(number, 100) for number in (500, 510, 514, 516, 550)]
    assert [timeline.place(time) for time in times] == [0, 1, 1, 2, 5]
    # back, no time at all, and far ahead: the next frame each time
    assert [timeline.place(time) for time in (Fraction(1), None, Fraction(1), Fraction(100))] == [6, 7, 8, 9]


def test_a_packet_that_repeats_a_picture_is_no_damage(tmp_path):
    path = make(tmp_path / "a.ogv", "-c:v", "libtheora", rate=30, filters="loop=3:1:2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert format_of(path).num_frames == 12


# Damage


NOISE = "noise=c0s=40:c0f=t"
KINDS = {
    ".mp4": (*H264, "-g", "10", "-movflags", "faststart"),
    ".mkv": (*H264, "-g", "10"),
    ".avi": ("-c:v", "mpeg4"),
    ".webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime"),
    ".y4m": ("-pix_fmt", "yuv420p"),
}


@pytest.mark.parametrize("keep", [0.4, 0.97])
@pytest.mark.parametrize("suffix", KINDS)
def test_of_a_file_cut_short_all_is_read_that_ffmpeg_reads(tmp_path, suffix, keep):
    path = shortened(make(tmp_path / f"a{suffix}", *KINDS[suffix], count=20, filters=NOISE), keep)
    with pytest.warns(DamageWarning, match=rf"a{suffix}: damaged or cut short: \d+ of \d+ frames can be read"):
        video = open_video(path)
    wanted = decoded(path, 64, 48, "-fps_mode", "passthrough")
    with video:
        assert video.report.read == len(wanted)
        assert video.report.damaged
        if suffix != ".y4m":
            assert video.report.expected == 20
        assert error(video.read(0, video.format.num_frames), wanted) < SAME
    with pytest.raises(VideoReadError, match=rf"damaged: {len(wanted)} of"):
        open_video(path, reading=ReadOptions(strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".h264"])
def test_bytes_that_are_wrong_are_noticed(tmp_path, suffix):
    path = make(tmp_path / f"a{suffix}", *H264, "-g", "10", "-bf", "0", count=20, size="160x96", filters=NOISE)
    whole = read(path)
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    start, size = packets[10].pos, packets[10].size  # the second picture that depends on no other
    data = bytearray(path.read_bytes())
    data[start + size // 2 : start + size] = (size - size // 2) * b"\xff"
    path.write_bytes(data)
    with pytest.warns(DamageWarning, match="20 frames can be read, [1-9] of them damaged"):
        found = read(path)
    assert np.array_equal(found[:10], whole[:10])


def test_a_hole_in_a_file_is_filled_with_the_frame_before_it(tmp_path):
    path = make(tmp_path / "a.mp4", *H264, "-g", "10", count=20, filters=NOISE)
    data = bytearray(path.read_bytes())
    start, length = len(data) // 2, len(data) // 5
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    wanted = decoded(path, 64, 48, "-fps_mode", "passthrough", "-threads", "1")
    with pytest.warns(DamageWarning, match=f"{len(wanted)} of 20 frames can be read"):
        assert len(read(path)) == 20
    with pytest.warns(DamageWarning):
        assert len(read(path, vfr="keep-frames")) == len(wanted)


def test_frames_before_the_damage_are_read_without_a_word(tmp_path):
    path = shortened(make(tmp_path / "a.mp4", *KINDS[".mp4"], count=20, filters=NOISE), 0.6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(path, frames=(0, 5), strict=True)) == 5


@pytest.mark.parametrize("suffix", [*KINDS, ".ts"])
def test_a_file_that_is_whole_is_not_called_damaged(tmp_path, suffix):
    path = make(tmp_path / f"a{suffix}", *KINDS.get(suffix, H264))
    assert len(read(path, strict=True)) == 12


def test_frames_that_an_edit_list_leaves_out_are_not_missing(tmp_path):
    whole = make(tmp_path / "a.mp4", *H264, count=20)
    path = copy(whole, tmp_path / "b.mp4", before=("-ss", "0.3"))
    assert error(read(path, strict=True), decoded(path, 64, 48)) < SAME


def test_sound_that_goes_on_is_no_damage(tmp_path):
    clip = make(tmp_path / "a.mkv", "-c:v", "ffv1")
    path = tmp_path / "b.mkv"
    ffmpeg("-i", clip, "-f", "lavfi", "-i", "sine=d=1", "-c:v", "copy", "-c:a", "pcm_s16le", path)
    assert len(read(path, strict=True)) == 12


# Streams


def test_the_default_stream_is_read_or_the_one_named(tmp_path, lines):
    first, second = (
        make(tmp_path / "a.mkv", "-c:v", "ffv1", count=3),
        make(tmp_path / "b.mkv", "-c:v", "ffv1", count=5, size="32x32"),
    )
    both = ("-i", first, "-i", second, "-map", "0", "-map", "1", "-c", "copy")
    path = tmp_path / "both.mkv"
    ffmpeg(*both, "-disposition:v:0", "0", "-disposition:v:1", "default", path)
    assert (format_of(path).width, format_of(path).num_frames) == (32, 5)
    assert lines()[0] == "video stream 1 of 0 to 1 is read (32x32); --stream N takes another"
    assert format_of(path, stream=0).num_frames == 3
    with pytest.raises(VideoReadError, match="no video stream 2; legal: 0 to 1"):
        format_of(path, stream=2)
    ffmpeg(*both, "-disposition:v:0", "0", "-disposition:v:1", "0", path)
    assert format_of(path).width == 64


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.m4a"
    sound, cover = ("-f", "lavfi", "-i", "sine=d=0.2"), ("-f", "lavfi", "-i", "testsrc2=s=32x32:r=1:d=1")
    ffmpeg(
        *sound, *cover, "-map", "0", "-map", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic", "-frames:v", "1", path
    )
    with pytest.raises(VideoReadError, match="no video stream but a cover picture"):
        open_video(path)


# Fields, cropping, colour


@pytest.fixture(scope="module")
def interlaced(tmp_path_factory):
    """Twelve frames of two fields each."""
    words = (*H264, "-flags", "+ilme+ildct", "-x264-params", "tff=1:qp=10")
    path = tmp_path_factory.mktemp("interlaced") / "a.mp4"
    return make(path, *words, rate=50, count=12, filters="interlace=scan=tff:lowpass=0")


def test_interlaced_frames_are_made_progressive(interlaced, lines):
    found = read(interlaced)
    assert lines()[0].startswith("interlaced, so its frames are deinterlaced")
    wanted = decoded(interlaced, 64, 48, "-fps_mode", "passthrough", filters="bwdif=mode=send_frame")
    assert error(found[1:], wanted[1:]) < SAME  # releases of FFmpeg differ in the first frame
    woven = read(interlaced, deinterlace=False)
    assert error(woven, decoded(interlaced, 64, 48)) < SAME
    assert error(found, woven) > SAME


def test_spans_of_a_deinterlaced_video_are_exact(interlaced):
    whole = read(interlaced)
    with open_video(interlaced) as video:
        for start, stop in [(5, 7), (1, 3), (0, 2), (11, 12), (4, 5)]:
            assert np.array_equal(video.read(start, stop), whole[start:stop]), (start, stop)
    assert np.array_equal(read(interlaced, frames=(3, 6)), whole[3:6])


@pytest.mark.parametrize("kind", ["h264", "hevc"])
def test_a_crop_of_the_left_side_is_exact(tmp_path, kind):
    words = H264 if kind == "h264" else ("-c:v", "libx265", "-x265-params", "log-level=none")
    path = copy(make(tmp_path / "a.mp4", *words), tmp_path / "b.mp4", "-bsf:v", f"{kind}_metadata=crop_left=6:crop_top=4")
    assert error(read(path), decoded(path, 58, 44)) < SAME


def test_samples_of_ycbcr_that_are_tagged_rgb_count_as_untagged(tmp_path, lines):
    path = copy(make(tmp_path / "a.mp4", *H264), tmp_path / "b.mp4", "-bsf:v", "h264_metadata=matrix_coefficients=0")
    assert error(read(path), decoded(path, 64, 48)) < SAME
    assert lines() == ["its tags say RGB, its samples are YCbCr: taken as untagged"]
