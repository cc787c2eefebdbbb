"""What the command line says of a source, and what it is told of one."""

import json
from fractions import Fraction

import pytest
from source_files import H264, copy, make, shortened

import rfcodec

SMALL = ("--backbone", "gaussian", "--bpp", "1", "--steps", "4", "--gop", "5")


def ok(outcome):
    assert outcome.status == 0, outcome.err
    return outcome


@pytest.fixture(scope="module")
def variable(tmp_path_factory):
    """Six frames at 30 a second, then one in five: 11 places."""
    words = ("-c:v", "ffv1", "-fps_mode", "passthrough")
    filters = r"select='not(mod(n\,5))+lt(n\,6)'"
    return make(tmp_path_factory.mktemp("variable") / "v.mkv", *words, rate=30, count=7, filters=filters)


def test_a_damaged_source_is_a_warning_and_three_fields(cli, tmp_path):
    words = (*H264, "-g", "5", "-movflags", "faststart")
    path = shortened(make(tmp_path / "a.mp4", *words, filters="noise=c0s=40:c0f=t"), 0.7)
    told = ok(cli("encode", path, tmp_path / "a.rfv", *SMALL, "--json"))
    row = json.loads(told.out)
    assert 0 < row["source_frames_read"] <= row["frames"] < row["source_frames_expected"] == 12
    assert row["source_damaged"] is True
    assert f"{row['source_frames_read']} of 12 frames can be read" in " ".join(told.err.split())
    for command in (("encode", path, tmp_path / "b.rfv", *SMALL), ("verify", tmp_path / "a.rfv", "--against", path)):
        refused = cli(*command, "--strict")
        assert refused.status == 1
        assert "damaged: " in refused.err
    assert not (tmp_path / "b.rfv").exists()


def test_a_whole_source_says_so(cli, tmp_path, clip_file):
    row = json.loads(ok(cli("encode", clip_file, tmp_path / "a.rfv", *SMALL, "--frames", "0:5", "--json")).out)
    assert (row["source_frames_read"], row["source_frames_expected"], row["source_damaged"]) == (5, None, False)


def test_the_way_a_source_is_read_is_for_encode_and_verify_alike(cli, tmp_path, variable, caplog):
    for options, frames, fps in [((), 11, 30), (("--fps", "12.5"), 7, Fraction(25, 2)), (("--vfr", "keep-frames"), 7, 30)]:
        caplog.clear()
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.rfv"
        ok(cli("encode", variable, path, *SMALL, *options))
        assert caplog.text.count("resampled to 30 frames per second") == (not options)
        header = rfcodec.info(path).header
        assert (header.num_frames, header.format.fps) == (frames, fps)
    ok(cli("verify", path, "--against", variable, "--vfr", "keep-frames"))
    refused = cli("verify", path, "--against", variable)
    assert (refused.status, "the source 11" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--vfr", "drop"), "legal: cfr, keep-frames"),
        (("--fps", "fast"), "fps is fast"),
        (("--fps", "0"), "fps is 0"),
        (("--stream", "1"), "no video stream 1; legal: 0 to 0"),
    ],
)
def test_ways_to_read_that_are_none(cli, tmp_path, clip_file, options, words):
    for command in (("encode", clip_file, tmp_path / "a.rfv", *SMALL), ("calibrate", "gaussian", clip_file, "--gop", "5")):
        refused = cli(*command, *options)
        assert refused.status == 1
        assert words in " ".join(refused.err.split())


def test_the_aspect_of_pixels_reaches_the_file(cli, tmp_path, caplog):
    clip = make(tmp_path / "a.mp4", *H264, count=5, filters="setsar=16/11")
    path = copy(clip, tmp_path / "b.mp4", before=("-display_rotation", "90"))
    ok(cli("encode", path, tmp_path / "a.rfv", *SMALL))
    assert caplog.text.count("rotated by 90 degrees") == 1
    found = rfcodec.info(tmp_path / "a.rfv").header.format
    assert (found.width, found.height, found.sample_aspect) == (48, 64, Fraction(11, 16))
    assert "11:16" in ok(cli("info", tmp_path / "a.rfv")).out
    assert json.loads(ok(cli("info", tmp_path / "a.rfv", "--json")).out)["header"]["aspect"] == "11:16"
    assert rfcodec.decompress(tmp_path / "a.rfv").shape == (5, 64, 48, 3)


def test_files_in_python_are_read_as_told(variable):
    reading = rfcodec.ReadOptions(vfr="keep-frames")
    stream = rfcodec.compress(variable, reading=reading, backbone="gaussian", bpp=1, steps=4, gop=5)
    assert rfcodec.info(stream).header.num_frames == 7
