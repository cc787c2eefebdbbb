"""Habits of the command line: help, silence, results on standard output alone, narrow terminals, pipes that fail."""

import json
import os
import subprocess
import sys
import threading

import pytest
import torch

from rfcodec import api
from rfcodec.cli import streams
from rfcodec.config import DEFAULT_BPP, RuntimeConfig
from rfcodec.errors import ConfigError
from rfcodec.support.console import PlainConsole, err, make_table, out
from rfcodec.support.devices import check_device

FAST = ["--backbone", "gaussian", "--set", "trajectory.steps=6", "--set", "trajectory.ode_tail=2", "--gop", "5"]
FEW = ["--frames", "0:3", *FAST]
SMALL = {"backbone": "gaussian", "gop": 5, "trajectory__steps": 6, "trajectory__ode_tail": 2, "measure": False}


@pytest.fixture(scope="module")
def stream(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "a.rfv"
    api.encode(clip[:3], path, bytes=1500, mode="i2v", **SMALL)
    return path


@pytest.fixture(params=[60, 80])
def width(request, monkeypatch):
    monkeypatch.setattr(out, "_width", request.param)
    return request.param


def test_every_verb_has_short_help(cli):
    for verb in (["encode"], ["decode"], ["info"], ["verify"], ["sweep"], ["demo"], ["backbones"], ["backbones", "show"]):
        told = cli(*verb, "-h")
        assert (told.status, told.err) == (0, "")
        assert f"Usage: rfcodec {' '.join(verb)}" in told.out


def test_help_comes_in_panels(cli):
    told = cli("encode", "-h").out
    places = [told.index(panel) for panel in ("─ Options", "─ How the source", "─ Model", "─ Machine", "─ Expert")]
    assert places == sorted(places)
    assert told.index("--bpp") < places[1] < told.index("--device") < places[4] < told.index("--codebook")


def test_wrong_commands_are_one_line(cli):
    for words in (["nonsense"], ["encode", "--nonsense"], ["encode"], ["encode", "a", "b", "--bpp", "soon"]):
        told = cli(*words)
        assert (told.status, told.out, told.err.count("\n")) == (2, "", 1)
        assert told.err.startswith("error: ")
        assert " -h" in told.err


def test_a_budget_by_default_is_stated(cli, clip_file, tmp_path):
    told = cli("encode", clip_file, tmp_path / "a.rfv", "--json", *FAST)
    row = json.loads(told.out)
    assert f"budget: {DEFAULT_BPP:g} bits a pixel (default; --bpp, --kbps or --bytes set it)" in told.err
    assert row["budget_bytes"] == int(DEFAULT_BPP * 64 * 48 * 13 / 8)
    assert 0.9 * row["budget_bytes"] < row["bytes"] <= row["budget_bytes"]
    assert row["seconds"] > 0
    assert row["peak_memory_bytes"] > 1 << 20
    assert "budget" not in cli("encode", clip_file, tmp_path / "b.rfv", "-q", *FAST).err


def test_names_of_plugins_in_capital_letters(cli, clip_file, tmp_path):
    words = ["--mode", "I2V", "--still", "AVIF", "--codebook", "Trellis", "--preset", "DEFAULT", "--bytes", 1500, "--json"]
    told = cli("encode", clip_file, tmp_path / "a.rfv", *words, *FEW)
    assert json.loads(told.out)["mode"] == "i2v"
    again = cli("encode", clip_file, tmp_path / "b.rfv", "--set", "mode=i2v", "--bytes", 1500, *FEW)
    assert again.status == 0
    assert (tmp_path / "a.rfv").read_bytes() == (tmp_path / "b.rfv").read_bytes()


def test_a_file_far_below_its_budget_says_why(cli, clip_file, tmp_path):
    told = cli("encode", clip_file, tmp_path / "a.rfv", "--bpp", 40, "--frames", "0:1", *FAST)
    assert "warning: the file takes" in told.err
    assert "bits a step" in told.err


def test_silence(cli, stream, tmp_path):
    assert cli("decode", stream, tmp_path / "a.mkv", "-q").err == ""
    spoken = cli("decode", stream, tmp_path / "b.mkv")
    assert "the digest of 1 of 1 GOPs is the encoder's" in spoken.err
    assert "memory up to" in spoken.err
    assert spoken.out == ""
    told = cli("decode", stream, tmp_path / "c.mkv", "-q", "--json")
    assert json.loads(told.out)["frames"] == 3
    assert "rfcodec.coding" in cli("decode", stream, tmp_path / "d.mkv", "-v").err


def test_info_fits_a_screen(cli, stream, width):
    told = cli("info", stream).out.splitlines()
    assert len(told) <= 24
    assert max(map(len, told[1:])) <= width  # the first begins with the path
    shares = [float(line.split("%")[0].split()[-1]) for line in told[2:7] if "%" in line]
    assert shares[:-1] == sorted(shares[:-1], reverse=True)
    assert "arithmetic" not in "".join(told)
    assert "arithmetic" in cli("info", stream, "--full").out


def test_lists_fit_narrow_terminals(cli, width):
    for verb in ("backbones", "codebooks", "modes"):
        assert max(map(len, cli(verb).out.splitlines())) <= width
    lines = cli("backbones").out.splitlines()
    assert len(lines) < 80
    assert any(line.split()[0] == "hunyuan-video-1.5-480p-t2v-distilled" for line in lines if line.strip())


def test_data_is_shown_as_it_is(capsys):
    table = make_table(("", ""), [("[bold]a:-1[/]", "\x1b]0;title\x07")])
    out.print(table)
    out.say("[red]:smile: :-1")
    shown = capsys.readouterr().out
    assert "[bold]a:-1[/]" in shown
    assert "\x1b" not in shown
    assert "[red]:smile: :-1" in shown
    assert PlainConsole().render_str(":smile: [b]x").plain == ":smile: [b]x"
    assert err.stderr


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "mps", "xpu", "meta", "toaster"])
def test_devices_that_are_not_there(name, monkeypatch, clip):
    for kind in (torch.cuda, torch.mps, torch.xpu):
        monkeypatch.setattr(kind, "is_available", lambda: False, raising=False)
    for backbone in ("gaussian", "tiny"):
        with pytest.raises(ConfigError, match=name):
            api.compress(clip[:1], backbone=backbone, device=name, bytes=2000)
    with pytest.raises(ConfigError, match=name):
        api.encode_with(clip[:1], "no.rfv", *_settings(), RuntimeConfig(device=name))


def _settings():
    from rfcodec.presets import configure

    return configure("default", {"backbone": "gaussian", "bytes": 2000})


def test_a_number_beyond_the_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda:1")
    with pytest.raises(ConfigError, match="cuda:0 to cuda:1"):
        check_device("cuda:7")


def test_a_pipe_is_read_and_waited_for_with_a_word(cli, stream, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "PATIENCE", 0.01)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    asked = threading.Event()
    monkeypatch.setattr(streams.log, "info", lambda *words: asked.set())

    def write():
        asked.wait(20)
        fifo.write_bytes(stream.read_bytes())

    writer = threading.Thread(target=write)
    writer.start()
    told = cli("info", fifo, "--json")
    writer.join()
    assert asked.is_set()
    assert json.loads(told.out)["bytes"] == stream.stat().st_size


def test_what_begins_as_no_stream_is_not_read_to_its_end(cli):
    told = cli("info", "/dev/zero")
    assert told.status == 1
    assert "signature" in told.err


FAILING = [
    ("$RFCODEC info {stream} > /dev/full", 1, "error: cannot write to standard output: No space left on device\n"),
    ("$RFCODEC -h > /dev/full", 1, "error: cannot write to standard output: No space left on device\n"),
    ("$RFCODEC backbones show tiny | true; exit ${{PIPESTATUS[0]}}", 141, ""),
    ("PYTHONIOENCODING=ascii $RFCODEC info {stream} > {folder}/text; LC_ALL=C tr -d '\\0-\\177' < {folder}/text", 0, ""),
    ("cat {stream} | $RFCODEC info - >&- 2>&-", 0, ""),
]


@pytest.mark.parametrize(("command", "status", "said"), FAILING)
def test_standard_streams_that_fail(command, status, said, stream, tmp_path):
    words = f'RFCODEC="{sys.executable} -m rfcodec"; ' + command.format(stream=stream, folder=tmp_path)
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", said)
