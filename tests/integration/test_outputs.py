"""What commands write: never over their inputs, over other files only when told so, whole or not at all, into any target."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

import rfcodec
from rfcodec.cli import outputs
from rfcodec.errors import OutputError

FAST = [
    "--backbone",
    "gaussian",
    "--set",
    "trajectory.steps=4",
    "--set",
    "trajectory.ode_tail=1",
    "--gop",
    "3",
    "--bytes",
    900,
]
SMALL = {"backbone": "gaussian", "gop": 3, "trajectory__steps": 4, "trajectory__ode_tail": 1, "bytes": 900}
SHIPPED = Path(__file__).parents[2]


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def ok(outcome):
    assert outcome.status == 0, outcome.err
    return outcome


def refused(outcome, *words):
    assert outcome.status == 1, outcome
    (line,) = lines(outcome.err)
    assert all(word in line for word in words), line


@pytest.fixture(scope="module")
def source(make_clip, save, tmp_path_factory):
    """Six frames of 32 x 24, and their stream."""
    folder = tmp_path_factory.mktemp("source")
    save(folder / "a.mkv", make_clip(6, 32, 24))
    rfcodec.encode(folder / "a.mkv", folder / "a.rfv", **SMALL)
    return folder


@pytest.fixture
def here(source, tmp_path, monkeypatch):
    """A folder of one's own with both, which is where commands run; no backbone is opened until it is asked for."""
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_backbone(monkeypatch):
    def opened(*_, **__):
        raise AssertionError("a backbone was opened")

    monkeypatch.setattr("rfcodec.codec.open_backbone", opened)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


# Nothing is lost


def test_a_shell_that_names_two_clips_loses_none(here, cli, no_backbone):
    (here / "b.mkv").write_bytes((here / "a.mkv").read_bytes())
    before = contents(here)
    refused(cli("encode", "a.mkv", "b.mkv", *FAST), "b.mkv", ".rfv", "--force")
    refused(cli("encode", "a.mkv", "b.mkv", *FAST, "-y"), "b.mkv", "--force")
    refused(cli("encode", "a.mkv", "b.mkv", *FAST, "--force"), "b.mkv", "-y")
    assert contents(here) == before


@pytest.mark.parametrize("name", ["hard.rfv", "soft.rfv", "door/a.rfv", "./door/../a.mkv"])
def test_the_source_by_any_name_is_refused(name, here, cli, no_backbone):
    (here / "hard.rfv").hardlink_to("a.mkv")
    (here / "soft.rfv").symlink_to("a.mkv")
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "a.rfv").hardlink_to("a.mkv")
    (here / "door").symlink_to("elsewhere")
    before = contents(here)
    refused(cli("encode", "a.mkv", name, *FAST, "-y", "--force"), name, "a.mkv", "source")
    assert contents(here) == before


def test_decoding_onto_the_stream_is_refused(here, cli, no_backbone):
    (here / "a.rfv").rename("z.mkv")
    (here / "link.mp4").hardlink_to("z.mkv")
    before = contents(here)
    for target in ("z.mkv", "link.mp4"):
        refused(cli("decode", "z.mkv", target, "-y"), target, "lost")
    assert contents(here) == before


def test_reconstruction_and_mask_are_inputs_and_outputs_too(here, cli, no_backbone):
    before = contents(here)
    refused(cli("encode", "a.mkv", "b.rfv", "--recon", "a.mkv", *FAST, "-y"), "--recon", "a.mkv")
    refused(cli("encode", "a.mkv", "new.mkv", "--recon", "new.mkv", *FAST, "-y", "--force"), "two")
    refused(cli("encode", "a.mkv", "mask.rfv", "--roi", "mask.rfv", *FAST, "-y"), "--roi", "mask.rfv")
    assert contents(here) == before


def test_python_refuses_its_inputs_and_replaces_other_files(here, no_backbone, monkeypatch):
    before = contents(here)
    (here / "hard").hardlink_to("a.mkv")
    with pytest.raises(OutputError, match="source"):
        rfcodec.encode("a.mkv", "hard", **SMALL)
    with (here / "a.mkv").open("rb") as file, pytest.raises(OutputError, match="source"):
        rfcodec.encode(file, "a.mkv", **SMALL)
    with pytest.raises(OutputError, match="mask"):
        rfcodec.encode("a.mkv", "a.rfv", **SMALL, roi="a.rfv")
    assert contents(here) == before | {"hard": before["a.mkv"]}
    monkeypatch.undo()
    (here / "b.rfv").write_bytes(b"old")
    rfcodec.encode(here / "a.mkv", here / "b.rfv", **SMALL)
    assert (here / "b.rfv").read_bytes() == before["a.rfv"]


def test_a_file_that_is_there_is_replaced_only_when_told_so(here, cli):
    (here / "b.rfv").write_bytes(b"precious")
    (here / "b.mkv").write_bytes(b"precious")
    refused(cli("encode", "a.mkv", "b.rfv", *FAST), "b.rfv", "exists", "-y")
    refused(cli("encode", "a.mkv", "c.rfv", "--recon", "b.mkv", *FAST), "b.mkv", "-y")
    refused(cli("decode", "a.rfv", "b.mkv"), "b.mkv", "-y")
    refused(cli("encode", "a.mkv", *FAST), "a.rfv", "-y")
    assert (here / "b.rfv").read_bytes() == (here / "b.mkv").read_bytes() == b"precious"
    ok(cli("decode", "a.rfv", "b.mkv", "-y"))
    ok(cli("encode", "a.mkv", "b.rfv", *FAST, "--overwrite"))
    assert (here / "b.rfv").read_bytes() == (here / "a.rfv").read_bytes()


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_is_asked(answer, status, here, cli, monkeypatch):
    (here / "b.y4m").write_bytes(b"precious")
    asked = io.StringIO(answer)
    asked.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", asked)
    monkeypatch.setattr(outputs.err, "_force_terminal", True)
    outcome = cli("decode", "a.rfv", "b.y4m")
    assert outcome.status == status, outcome
    assert "b.y4m exists. Replace?" in outcome.err
    assert outcome.out == ""
    assert ((here / "b.y4m").read_bytes() == b"precious") is (status == 1)


def test_the_demonstration_asks_too(here, cli, no_backbone):
    (here / "demo").mkdir()
    (here / "demo" / "i2v.mp4").write_bytes(b"precious")
    refused(cli("demo", "a.mkv"), "i2v.mp4", "-y")
    refused(cli("demo", "demo/i2v.mp4", "-y"), "i2v.mp4", "lost")
    assert contents(here / "demo") == {"i2v.mp4": b"precious"}


def test_names_by_options_and_beside_the_source(here, cli):
    whole = (here / "a.rfv").read_bytes()
    (here / "a.rfv").unlink()
    ok(cli("encode", "a.mkv", *FAST))
    assert (here / "a.rfv").read_bytes() == whole
    ok(cli("encode", "-i", "a.mkv", "-o", "b.rfv", *FAST))
    ok(cli("decode", "-o", "b.mkv", "b.rfv"))
    assert (here / "b.rfv").read_bytes() == whole
    for arguments in (["encode", *FAST], ["decode", "a.rfv"], ["encode", "a.mkv", "c.rfv", "-o", "d.rfv", *FAST]):
        assert cli(*arguments).status == 2, arguments
    assert sorted(contents(here)) == ["a.mkv", "a.rfv", "b.mkv", "b.rfv"]


# Whole or not at all


def test_encodings_of_one_name_at_the_same_time_leave_a_whole_file(make_clip, tmp_path):
    clips = [make_clip(6, 32, 24)[:, :, ::-1] if odd else make_clip(6, 32, 24) for odd in (0, 1)]
    whole = [rfcodec.compress(clip, **SMALL) for clip in clips]
    begin, wrong = threading.Barrier(8), []

    def encode(clip):
        begin.wait()
        try:
            rfcodec.encode(clip, tmp_path / "a.rfv", **SMALL)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=encode, args=(clips[number % 2],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert (tmp_path / "a.rfv").read_bytes() in whole
    assert [path.name for path in tmp_path.iterdir()] == ["a.rfv"]


def test_a_signal_leaves_nothing_and_says_so(make_clip, save, tmp_path):
    clip = save(tmp_path / "a.mkv", make_clip(30, 256, 192))
    words = ["encode", clip, tmp_path / "a.rfv", "--recon", tmp_path / "r.mp4", "--backbone", "gaussian", "--bytes", 90000]
    command = [sys.executable, "-m", "rfcodec", *map(str, words), "--steps", "400", "--gop", "9"]
    running = subprocess.Popen(command, cwd=SHIPPED, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while running.poll() is None and len(list(tmp_path.iterdir())) < 3:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate()
    assert running.returncode == 128 + signal.SIGTERM, err
    assert lines(err) == ["stopped by SIGTERM; nothing unfinished was left under the final name"]
    assert out == ""
    assert list(tmp_path.iterdir()) == [clip]


def test_links_stay_and_pipes_are_written_through(here, cli, load):
    (here / "store").mkdir()
    (here / "link.mkv").symlink_to("store/real.mkv")
    ok(cli("decode", "a.rfv", "link.mkv"))
    assert (here / "link.mkv").is_symlink()
    os.mkfifo(here / "fifo.y4m")
    found = []
    reader = threading.Thread(target=lambda: found.append((here / "fifo.y4m").read_bytes()))
    reader.start()
    ok(cli("decode", "a.rfv", "fifo.y4m"))
    reader.join()
    (here / "copy.y4m").write_bytes(found[0])
    assert load(here / "copy.y4m").shape == load(here / "store" / "real.mkv").shape == (6, 24, 32, 3)
    assert stat.S_ISFIFO((here / "fifo.y4m").stat().st_mode)
    assert sorted(contents(here)) == ["a.mkv", "a.rfv", "copy.y4m", "link.mkv"]


def test_devices_are_written_through(here, cli):
    # by links: who breaks this as root loses the link, not the device
    for name in ("null", "full"):
        (here / name).symlink_to(f"/dev/{name}")
    ok(cli("decode", "a.rfv", "null"))
    ok(cli("encode", "a.mkv", "null", *FAST))
    refused(cli("decode", "a.rfv", "full"), "full", "No space left")
    refused(cli("encode", "a.mkv", "full", *FAST), "full", "No space left")
    assert (here / "null").is_symlink()
    assert (here / "full").is_symlink()
    assert sorted(contents(here)) == ["a.mkv", "a.rfv"]


# Into any target


def test_a_stream_and_a_video_on_standard_output(here, cli, load, capfdbinary):
    told = ok(cli("encode", "a.mkv", "-", *FAST, "--json"))
    assert capfdbinary.readouterr().out == (here / "a.rfv").read_bytes()
    assert json.loads(told.err)["file"] == "-"
    assert told.out == ""
    assert ok(cli("decode", "a.rfv", "-")).out == ""
    video = capfdbinary.readouterr().out
    assert video.startswith(b"YUV4MPEG2 W32 H24 F25:1 Ip A1:1 C444 XYSCSS=444 XCOLORRANGE=LIMITED\nFRAME\n")
    ok(cli("decode", "a.rfv", "direct.y4m"))
    assert video == (here / "direct.y4m").read_bytes()


def test_another_program_reads_what_is_decoded(here, load):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SHIPPED)}
    command = [sys.executable, "-m", "rfcodec", "decode", "a.rfv", "-"]
    decoded = subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "-", "-c:v", "ffv1", "piped.mkv"]
    subprocess.run(ffmpeg, stdin=decoded.stdout, check=True, cwd=here)
    assert decoded.wait() == 0
    assert load(here / "piped.mkv").shape == (6, 24, 32, 3)


@contextmanager
def closed_output():
    """Standard output is a pipe that nobody reads."""
    before, (reading, written) = os.dup(1), os.pipe()
    os.close(reading)
    os.dup2(written, 1)
    try:
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(written)


@pytest.mark.parametrize("words", [["decode", "a.rfv", "-"], ["encode", "a.mkv", "-", *FAST]])
def test_a_reader_that_goes_away_is_one_line(words, here, cli):
    with closed_output():
        outcome = cli(*words)
    assert outcome.status == 128 + signal.SIGPIPE
    assert lines(outcome.err) == ["stopped: the program that read the output has ended"]


def test_pictures_are_numbered_as_in_the_stream_and_never_mixed(here, cli):
    ok(cli("decode", "a.rfv", "out/", "--frames", "2:5"))
    assert sorted(contents(here / "out")) == ["frame_000002.png", "frame_000003.png", "frame_000004.png"]
    refused(cli("decode", "a.rfv", "out"), "frame_000002.png", "2 more", "-y")
    ok(cli("decode", "a.rfv", "out", "-y"))
    ok(cli("decode", "a.rfv", "out/%02d.png"))
    assert sorted(contents(here / "out")) == sorted(
        [f"frame_{i:06d}.png" for i in range(6)] + [f"{i:02d}.png" for i in range(6)]
    )
    assert contents(here / "out")["frame_000005.png"] == contents(here / "out")["05.png"]


def test_pictures_are_not_written_into_the_folder_they_come_from(here, cli, no_backbone):
    (here / "in").mkdir()
    (here / "in" / "frame_000000.png").write_bytes(b"precious")
    (here / "other").mkdir()
    (here / "other" / "frame_000000.png").hardlink_to("in/frame_000000.png")
    for target in ("in", "in/%03d.png", "other/"):
        refused(cli("encode", "in", "c.rfv", "--recon", target, *FAST, "-y"), "--recon", "in")
    assert contents(here / "in") == {"frame_000000.png": b"precious"}


PLAYER = """#!{python}
import pathlib, sys
pathlib.Path("played").write_bytes(sys.stdin.buffer.read({amount}))
pathlib.Path("asked").write_text(" ".join(sys.argv))
"""


@pytest.mark.parametrize(("name", "amount"), [("ffplay", -1), ("mpv", -1), ("mpv", 10)])
def test_playing_pipes_frames_into_a_player(name, amount, here, cli, load, monkeypatch):
    monkeypatch.setenv("PATH", str(here / "bin"))
    (here / "bin").mkdir()
    refused(cli("play", "a.rfv"), "ffplay", "mpv", "install")
    (here / "bin" / name).write_text(PLAYER.format(python=sys.executable, amount=amount))
    (here / "bin" / name).chmod(0o755)
    ok(cli("play", "a.rfv", "--frames", "1:6"))
    assert "a.rfv" in (here / "asked").read_text()
    if amount < 0:
        (here / "played").rename("played.y4m")
        assert load(here / "played.y4m").shape == (5, 24, 32, 3)


def test_odd_sizes_tell_what_becomes_of_them(here, cli, make_clip, caplog):
    rfcodec.encode(make_clip(3, 33, 23), here / "odd.rfv", **SMALL)
    with caplog.at_level("INFO", logger="rfcodec.video"):
        ok(cli("decode", "odd.rfv", "odd.mp4"))
        ok(cli("decode", "odd.rfv", "even.mp4", "--pad-even"))
    assert [word for line in caplog.messages for word in ("4:4:4", "34x24") if word in line] == ["4:4:4", "34x24"]
    found = []
    for name in ("odd.mp4", "even.mp4"):
        with av.open(here / name) as container:
            frame = next(container.decode(video=0))
            found.append((frame.format.name, frame.width, frame.height))
    assert found == [("yuv444p", 33, 23), ("yuv420p", 34, 24)]
