import os
import stat
import subprocess
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
import pytest

from rfcodec.errors import (
    AnchorError,
    BudgetTooSmall,
    ConfigError,
    FrameRangeError,
    FrameSizeError,
    OutputError,
    VideoReadError,
)
from rfcodec.evaluation.anchors.encoders import (
    ANCHORS,
    decode,
    encode,
    encode_to_rate,
    ffmpeg_version,
    largest_within,
    prepare,
)
from rfcodec.metrics.fidelity import psnr
from rfcodec.support.programs import ffmpeg_executable
from rfcodec.types import VideoFormat
from rfcodec.video import planes
from rfcodec.video.reader import ArrayVideo, open_video

NTSC = Fraction(30000, 1001)
FAST = {
    name: replace(anchor, preset=preset)
    for (name, anchor), preset in zip(ANCHORS.items(), ("fast", "8", "faster"), strict=True)
}
every_anchor = pytest.mark.parametrize("anchor", FAST.values(), ids=FAST)


def nothing_but(folder, *names):
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


def frames_of(stream, video):
    with decode(stream, video) as decoded:
        return decoded.read(0, video.num_frames)


@pytest.fixture(scope="module")
def soft(make_clip):
    """Soft colours that chroma of half the size can carry."""
    t, y, x = np.meshgrid(np.arange(9), np.arange(128), np.arange(160), indexing="ij")
    waves = [np.sin((a * x + b * y + c * t) / 40) for a, b, c in ((1, 2, 3), (2, -1, 2), (-1, 1, 4))]
    return (127.5 + 127.5 * np.stack(waves, -1)).round().astype(np.uint8)


@pytest.fixture
def source(soft, tmp_path):
    folder = tmp_path / "source folder"
    folder.mkdir()
    video = ArrayVideo(soft, NTSC)
    prepare(video, folder / "soft.y4m")
    return folder / "soft.y4m", video.format


class Spy:
    """A video that notes how many frames it is asked for."""

    def __init__(self, frames):
        self.format, self.spans, self._frames = ArrayVideo(frames, NTSC).format, [], frames

    def read(self, start, stop):
        self.spans.append(stop - start)
        return self._frames[start:stop]


def test_the_source_is_prepared_span_by_span(tmp_path, soft):
    spy = Spy(soft)
    prepare(spy, tmp_path / "a.y4m")
    assert sum(spy.spans) == 9
    assert max(spy.spans) <= planes.SPAN
    with open_video(tmp_path / "a.y4m") as video:
        assert video.format == spy.format
        assert psnr(soft, video.read(0, 9)) > 45
    assert nothing_but(tmp_path, "a.y4m")


def test_the_source_is_in_limited_range(tmp_path):
    prepare(ArrayVideo(np.full((1, 16, 16, 3), 255, np.uint8)), tmp_path / "white.y4m")
    assert (tmp_path / "white.y4m").read_bytes().endswith(bytes([235]) * 256 + bytes([128]) * 128)


def test_a_source_that_cannot_be_written(tmp_path, soft):
    with pytest.raises(OutputError, match="nowhere"):
        prepare(ArrayVideo(soft), tmp_path / "nowhere" / "a.y4m")


@pytest.mark.parametrize(("scale", "size"), [(1, (100, 62)), (2, (50, 30)), (4, (24, 16))])
def test_coded_sizes_are_even(scale, size):
    assert planes.coded_size(VideoFormat(99, 61, 1, NTSC), scale) == size


@every_anchor
def test_a_fine_quantiser_gives_the_clip_back(anchor, source, soft, tmp_path):
    path, video = source
    out = tmp_path / f"clip.{anchor.extension}"
    stream = encode(anchor, path, video, out, knob=12)
    assert (stream.path, stream.size, stream.knob, stream.scale) == (out, out.stat().st_size, 12, 1)
    assert psnr(soft, frames_of(stream, video)) > 40
    assert stream.encode_seconds > 0
    assert nothing_but(tmp_path, "source folder", out.name)


@every_anchor
def test_odd_sizes_are_cut_out_again(anchor, soft, tmp_path):
    video = ArrayVideo(soft[:3, :61, :99])
    prepare(video, tmp_path / "odd.y4m")
    stream = encode(anchor, tmp_path / "odd.y4m", video.format, tmp_path / "odd", knob=12)
    assert planes.count_frames(stream.path) == (3, (100, 62))
    decoded = frames_of(stream, video.format)
    assert decoded.shape == (3, 61, 99, 3)
    assert psnr(soft[:3, :61, :99], decoded) > 40


@every_anchor
@pytest.mark.parametrize("scale", [2, 4])
def test_smaller_pictures_come_back_at_the_true_size(anchor, scale, source, soft, tmp_path):
    path, video = source
    stream = encode(anchor, path, video, tmp_path / "small", knob=12, scale=scale)
    assert planes.count_frames(stream.path) == (9, (160 // scale, 128 // scale))
    decoded = frames_of(stream, video)
    assert psnr(soft, decoded) > 30
    assert np.abs(decoded.mean((0, 1, 2)) - soft.mean((0, 1, 2))).max() < 1


def test_the_matrix_is_that_of_the_planes_at_every_scale(tmp_path):
    """720 lines are BT.709, their half would be taken for BT.601."""
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [220, 180, 60]], np.uint8)
    frames = np.broadcast_to(colours.repeat(16, 0)[None, None], (2, 720, 64, 3)).copy()
    video = ArrayVideo(frames)
    prepare(video, tmp_path / "hd.y4m")
    for scale in (1, 2):
        stream = encode(FAST["x265"], tmp_path / "hd.y4m", video.format, tmp_path / "hd.hevc", knob=0, scale=scale)
        middle = frames_of(stream, video.format)[:, :, 8::16].astype(int)
        assert np.abs(middle - colours).max() <= 3
    with open_video(tmp_path / "hd.hevc", size=(64, 720)) as wrong:
        assert np.abs(wrong.read(0, 1)[:, :, 8::16].astype(int) - colours).max() > 8


@every_anchor
def test_bytes_repeat(anchor, source, tmp_path):
    path, video = source
    made = {encode(anchor, path, video, tmp_path / "again", knob=40).path.read_bytes() for _ in range(3)}
    assert len(made) == 1


@pytest.mark.parametrize("name", ["x265", "svt-av1"])
@pytest.mark.parametrize("scale", [1, 2])
def test_the_command_makes_the_same_file_by_hand(name, scale, source, tmp_path):
    path, video = source
    stream = encode(ANCHORS[name], path, video, tmp_path / "it's a clip", knob=40, scale=scale)
    data = stream.path.read_bytes()
    stream.path.unlink()
    (command,) = stream.commands
    subprocess.run(["sh", "-c", command], check=True, capture_output=True, cwd="/")
    assert stream.path.read_bytes() == data


@every_anchor
def test_one_intra_frame_and_no_bytes_for_nothing(anchor, make_clip, tmp_path):
    video = ArrayVideo(make_clip(70, 32, 32))
    prepare(video, tmp_path / "long.y4m")
    stream = encode(anchor, tmp_path / "long.y4m", video.format, tmp_path / "long", knob=45)
    with av.open(stream.path) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) == 1
    data = stream.path.read_bytes()
    assert b"x265" not in data
    delimiter = 20 << 3 | 1  # second byte of the header of an access unit delimiter of VVC
    assert anchor.name != "vvc" or bytes([0, 0, 1, 0, delimiter]) not in data


@dataclass(frozen=True)
class Sized:
    size: int


@pytest.mark.parametrize("count", [1, 2, 7, 52])
def test_bisection_finds_the_largest_that_fits(count):
    sizes = [1000 - 7 * knob for knob in range(count)]
    for budget in range(sizes[-1] - 2, sizes[0] + 3):
        asked = []

        def attempt(knob, asked=asked):
            asked.append(knob)
            return Sized(sizes[knob])

        found = largest_within(range(count), attempt, budget).size
        assert found == max((size for size in sizes if size <= budget), default=sizes[-1])
        assert len(asked) == len(set(asked)) <= 1 + (count - 1).bit_length()


@every_anchor
def test_a_rate_is_met_from_below(anchor, source, tmp_path):
    path, video = source
    bpp = 0.08
    stream = encode_to_rate(anchor, path, video, tmp_path / "rated", bpp)
    assert stream.scale == 1
    assert stream.size == (tmp_path / "rated").stat().st_size <= bpp * video.pixels / 8
    assert shows(stream.commands, tmp_path / "rated")
    next_finer = anchor.values[anchor.values.index(stream.knob) - 1]
    finer = encode(anchor, path, video, tmp_path / "finer", knob=next_finer)
    assert finer.size > bpp * video.pixels / 8
    assert nothing_but(tmp_path, "source folder", "rated", "finer")


def shows(commands, path):
    return len(commands) == 1 and commands[0].endswith(f" {path}")


def test_the_picture_shrinks_only_where_it_must(source, tmp_path):
    path, video = source
    x265 = FAST["x265"]
    floors = [encode(x265, path, video, tmp_path / "floor", knob=51, scale=scale).size for scale in (1, 2, 4)]
    assert floors == sorted(floors, reverse=True)
    for budget, scale in ((floors[0], 1), (floors[0] - 1, 2), (floors[1] - 1, 4)):
        stream = encode_to_rate(x265, path, video, tmp_path / "rated", (budget + 0.5) * 8 / video.pixels)
        assert stream.scale == scale
        assert stream.size <= budget
    with pytest.raises(BudgetTooSmall, match=rf"needs {floors[2]} .* at crf 51 and 1/4"):
        encode_to_rate(x265, path, video, tmp_path / "none", (floors[2] - 0.5) * 8 / video.pixels)
    assert nothing_but(tmp_path, "source folder", "floor", "rated")


def test_no_scale_is_tried_that_the_encoder_refuses(make_clip, tmp_path):
    video = ArrayVideo(make_clip(2, 44, 36))
    prepare(video, tmp_path / "tiny.y4m")
    with pytest.raises(BudgetTooSmall, match="1/2 of width"):
        encode_to_rate(FAST["x265"], tmp_path / "tiny.y4m", video.format, tmp_path / "out", 1e-6)
    with pytest.raises(FrameSizeError, match="32 pixels or more each way, not 22x18, which is 44x36 at scale 2"):
        encode(FAST["vvc"], tmp_path / "tiny.y4m", video.format, tmp_path / "out", knob=40, scale=2)


@pytest.mark.parametrize(
    ("anchor", "size"),
    [(a, s) for a in FAST.values() for s in ((16, 16), (100, 60), (176, 144)) if min(s) >= a.least]
    + [(FAST["vvc"], (32, 32))],
)
@pytest.mark.parametrize("worst", [False, True])
def test_sizes_that_encoders_take(anchor, size, worst, make_clip, tmp_path):
    video = ArrayVideo(make_clip(2, *size))
    prepare(video, tmp_path / "s.y4m")
    stream = encode(anchor, tmp_path / "s.y4m", video.format, tmp_path / "s", knob=anchor.values[-1] if worst else 30)
    assert frames_of(stream, video.format).shape == (2, size[1], size[0], 3)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"knob": 51.25}, "crf 51.25: x265 takes 0 to 51 in steps of 0.25"),
        ({"knob": 30.1}, "crf 30.1: x265"),
        ({"knob": -1}, "crf -1"),
        ({"knob": 30, "scale": 3}, "scale 3: must be one of 1, 2, 4"),
    ],
)
def test_knobs_out_of_range(knobs, message, source, tmp_path):
    with pytest.raises(ConfigError, match=message):
        encode(FAST["x265"], *source, tmp_path / "out", **knobs)


def test_what_ffmpeg_says_is_passed_on(source, tmp_path):
    (tmp_path / "out").write_text("before")
    with pytest.raises(AnchorError) as raised:
        encode(replace(ANCHORS["x265"], preset="no such preset"), *source, tmp_path / "out", knob=30)
    message = str(raised.value)
    assert "ended with status" in message
    assert "-preset 'no such preset'" in message.splitlines()[0]
    assert "preset" in "".join(message.splitlines()[1:])
    assert (tmp_path / "out").read_text() == "before"
    assert nothing_but(tmp_path, "source folder", "out")


def test_a_source_of_another_video(source, tmp_path):
    path, video = source
    with pytest.raises(AnchorError, match="holds 9 frames of 160x128, not 8 of 160x128"):
        encode(FAST["x265"], path, replace(video, num_frames=8), tmp_path / "out", knob=40)
    assert nothing_but(tmp_path, "source folder")


def pretend(folder, script, monkeypatch):
    """A shell script in place of ffmpeg; its last argument is the file to write."""
    path = folder / "pretender"
    path.write_text(f"#!/bin/sh\nfor out; do :; done\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_success_without_a_stream_is_no_success(source, tmp_path, monkeypatch):
    pretend(source[0].parent, ': > "$out"', monkeypatch)
    with pytest.raises(AnchorError, match=r"vvc reported success, but its stream cannot be decoded"):
        encode(FAST["vvc"], *source, tmp_path / "out", knob=40)
    assert nothing_but(tmp_path, "source folder")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_success_without_a_file_is_no_success(source, tmp_path, monkeypatch):
    pretend(source[0].parent, ":", monkeypatch)
    with pytest.raises(AnchorError, match="reported success"):
        encode(FAST["vvc"], *source, tmp_path / "out", knob=40)


def test_no_ffmpeg(source, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "absent"))
    with pytest.raises(AnchorError, match=r"cannot be started: No such file or directory: .*absent -nostdin"):
        encode(FAST["x265"], *source, tmp_path / "out", knob=40)


def test_the_version_is_that_of_the_program():
    said = subprocess.run([ffmpeg_executable(), "-version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"ffmpeg version {ffmpeg_version()} ")


def test_spans_of_the_decoded_video(source, tmp_path):
    stream = encode(FAST["x265"], *source, tmp_path / "out", knob=20)
    everything = frames_of(stream, source[1])
    with decode(stream, source[1]) as decoded:
        for start, stop in ((0, 2), (2, 3), (5, 9), (1, 4), (8, 9)):
            assert np.array_equal(decoded.read(start, stop), everything[start:stop])
        for start, stop in ((0, 10), (3, 3), (-1, 2)):
            with pytest.raises(FrameRangeError, match="there are 9"):
                decoded.read(start, stop)


def test_a_stream_that_ends_too_early(source, tmp_path):
    stream = encode(FAST["x265"], *source, tmp_path / "out", knob=20)
    with (
        decode(stream, replace(source[1], num_frames=10)) as decoded,
        pytest.raises(VideoReadError, match="before frame 9 of 10"),
    ):
        decoded.read(0, 10)
    stream.path.write_bytes(b"no video")
    with decode(stream, source[1]) as decoded, pytest.raises(VideoReadError, match="cannot be decoded"):
        decoded.read(0, 1)
