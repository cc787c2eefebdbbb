"""Every parser reads mutated inputs: success or an error of ours, within bounds of time and memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bounded import attempt
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from streams import CORPUS
from targets import TARGETS, allowance, decoded

from rfcodec.errors import RfcodecError

SECONDS, MEGABYTES = 20, 800
RUNNER = Path(__file__).with_name("run.py")
# what these cost is a process, a file or a transform each
SLOW = {"options": 3, "video": 4, "decode": 12, "decode partial": 12}
USUAL = 15
short = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs(name):
    """Structure-aware mutations; `make fuzz` reads as many as there is time for."""
    target = TARGETS[name]

    @settings(short, max_examples=SLOW.get(name, USUAL))
    @given(st.randoms(use_true_random=True))
    def check(random):
        data = target.make(random)
        found = attempt(target.read, data, SECONDS + allowance(name, data), MEGABYTES)
        assert found.fine, f"{found.kind} {found.detail}: {data[:400].hex()}"

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name):
    target = TARGETS[name]

    @settings(short, max_examples=5)
    @given(st.binary(max_size=200))
    @example(b"")
    def check(data):
        found = attempt(target.read, data, SECONDS, MEGABYTES)
        assert found.fine, f"{found.kind} {found.detail}: {data.hex()}"

    check()


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
@pytest.mark.parametrize("partial", [False, True], ids=["strict", "partial"])
def test_the_corpus(path, partial):
    """Streams that were read badly once."""

    def read(data):
        decoded(data, partial)

    data = path.read_bytes()
    found = attempt(read, data, SECONDS + allowance("decode", data), MEGABYTES)
    assert found.fine, f"{found.kind} {found.detail}"


@pytest.mark.slow
def test_the_runner(tmp_path):
    """Half a minute of all targets in a child with a limit of memory, and a few streams through the command line."""
    told = tmp_path / "numbers.json"
    words = ["--inputs", "3000", "--command-line", "40", "--minutes", "1", "--seed", "1", "--out", tmp_path, "--json", told]
    done = subprocess.run([sys.executable, RUNNER, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert json.loads(told.read_text())["command line"]["inputs"] == 40


def test_what_is_no_error_of_ours_is_found():
    def bad(data):
        raise KeyError(data)

    def ours(data):
        raise RfcodecError("x")

    def forever(data):
        while True:
            pass

    assert attempt(bad, b"", 1, 100).kind == "traceback KeyError"
    assert attempt(ours, b"", 1, 100).fine
    assert attempt(forever, b"", 0.05, 100).kind == "hang"
