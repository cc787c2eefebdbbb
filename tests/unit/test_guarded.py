"""Signals: what was begun is cleaned up, one line says so, and the exit status is the one that shells expect."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
from pathlib import Path
from rfcodec.support.command_line import guarded
from rfcodec.support.files import taking

def work():
    with taking(Path(sys.argv[1])) as part:
        part.write_bytes(b"half")
        print("begun", flush=True)
        time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[2]))
guarded(work)
"""


def interrupted(path, number, hangup="SIG_DFL"):
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path, hangup], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout.readline() == "begun\n"
    running.send_signal(number)
    return running


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_program_cleanly(name, tmp_path):
    running = interrupted(tmp_path / "a.rfv", getattr(signal, name))
    _, err = running.communicate()
    assert err == f"stopped by {name}; nothing unfinished was left under the final name\n"
    assert running.returncode == 128 + getattr(signal, name)
    assert not list(tmp_path.iterdir())


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    running = interrupted(tmp_path / "a.rfv", signal.SIGHUP, "SIG_IGN")
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate()
    assert "SIGTERM" in err
