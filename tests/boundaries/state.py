"""Part D, 22: the caller's state, and standard streams that are not what one hopes."""

import os
import threading
from pathlib import Path

from kit import SMALL, Bench, case, wrong_unless

STATE = """
import contextlib, hashlib, sys
import numpy as np, torch
from rfcodec import api
backbone, state = sys.argv[1:]
grid = np.stack(np.meshgrid(np.arange(5), np.arange(32), np.arange(48), indexing="ij"), -1)
frames = (120 + 70 * np.sin(grid / 3 + grid[..., ::-1] / 5)).astype(np.uint8)
still = "trajectory" if backbone == "gaussian" else "avif"
settings = dict(backbone=backbone, bytes=900, gop=5, steps=4, mode="i2v", still=still, measure=False)
def run():
    data = api.compress(frames, **settings)
    return hashlib.sha256(data).hexdigest()[:12], hashlib.sha256(api.decompress(data).tobytes()).hexdigest()[:12]
plain = run()
around = contextlib.nullcontext()
if state == "float64": torch.set_default_dtype(torch.float64)
if state == "float16": torch.set_default_dtype(torch.float16)
if state == "autocast": around = torch.autocast("cpu", torch.bfloat16)
if state == "deterministic": torch.use_deterministic_algorithms(True)
if state == "inference": around = torch.inference_mode()
if state == "precision": torch.set_float32_matmul_precision("medium")
if state == "threads": torch.set_num_threads(2)
before = torch.get_default_dtype()
with around: found = run()
assert torch.get_default_dtype() is before
print("same" if found == plain else f"differs: {plain} {found}")
"""


def _state_case(backbone: str, state: str) -> None:
    @case("D22", f"{backbone} under {state}", "the same bytes and frames")
    def _(bench):
        run = bench.python(STATE, backbone, state)
        said = run.out.decode().strip() or run.said
        return wrong_unless(run.status == 0 and said == "same", said)


for _backbone in ("gaussian", "tiny"):
    for _name in ("float64", "autocast", "deterministic", "inference"):
        _state_case(_backbone, _name)


def _plain(bench: Bench, *words: str) -> str:
    run = bench.rfcodec(*words, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"})
    return "" if run.status == 0 else f"{' '.join(words[:2])}: {run.outcome} {run.said}"


@case("D22", "ASCII as standard output: info, backbones, codebooks, modes, --help, encode", "printed")
def _(bench):
    stream = bench.stream()
    verbs = (
        ("info", str(stream)),
        ("backbones",),
        ("codebooks",),
        ("modes",),
        ("--help",),
        ("encode", "of-stream.mkv", "b.rfv", *SMALL),
    )
    bad = [said for words in verbs if (said := _plain(bench, *words))]
    return wrong_unless(not bad, "; ".join(bad) or "all printed")


@case("D22", "a prompt of other letters, ASCII as standard output: info", "printed")
def _(bench):
    stream = bench.stream("s.rfv", "--prompt", "ein Hündchen 小狗 🐕")
    said = _plain(bench, "info", str(stream))
    return wrong_unless(not said, said or "printed")


for _words in (("info", "s.rfv"), ("info", "s.rfv", "--json"), ("backbones",), ("--help",), ("codebooks", "--json")):

    @case("D22", f"{' '.join(_words)} > /dev/full", "one line, status not 0")
    def _(bench, words=_words):
        if "s.rfv" in words:
            bench.stream()
        with Path("/dev/full").open("wb") as full:
            run = bench.rfcodec(*words, stdout=full)
        lines = [line for line in run.err.splitlines() if line.strip()]
        fine = run.status not in (0, None) and run.outcome != "traceback" and 1 <= len(lines) <= 2
        return wrong_unless(
            fine and "Exception ignored" not in run.err, f"status {run.status}, {len(lines)} lines: {run.said}"
        )


@case("D22", "encode --json > /dev/full", "one line, status not 0")
def _(bench):
    bench.clip("a.mkv", "-c:v", "ffv1")
    with Path("/dev/full").open("wb") as full:
        run = bench.rfcodec("encode", "a.mkv", "a.rfv", *SMALL, "--json", stdout=full)
    return wrong_unless(run.status not in (0, None) and run.outcome == "error line", f"status {run.status}: {run.said}")


@case("D22", "info of a named pipe that somebody writes", "read")
def _(bench):
    stream, fifo = bench.stream(), bench.path("pipe")
    os.mkfifo(fifo)
    threading.Thread(target=lambda: fifo.write_bytes(stream.read_bytes()), daemon=True).start()
    run = bench.rfcodec("info", fifo, seconds=20)
    return wrong_unless(run.status == 0, f"{run.outcome}: {run.said}")


def _silent_case(*words: str) -> None:
    @case("D22", f"{words[0]} of a named pipe that nobody writes", "an error line, or a line that says what is waited for")
    def _(bench):
        os.mkfifo(bench.path("pipe"))
        run = bench.rfcodec(*words, seconds=20)
        said = bool(run.err.strip()) and run.outcome != "traceback"
        return wrong_unless(said, f"{run.outcome}: {run.said}")


_silent_case("info", "pipe")
_silent_case("decode", "pipe", "a.mkv")
_silent_case("encode", "pipe", "a.rfv", *SMALL)


@case("D22", "a closed standard output: info >&-", "one line or none, no traceback")
def _(bench):
    bench.stream()
    words = " ".join(f"'{word}'" for word in bench.command("info", "s.rfv"))
    run = bench.child([f"{words} >&-"], shell=True)
    return wrong_unless(run.outcome != "traceback" and run.status is not None, f"{run.outcome}: {run.said}")


@case("D22", "info | head -n 1", "no traceback")
def _(bench):
    bench.stream()
    words = " ".join(f"'{word}'" for word in bench.command("info", "s.rfv"))
    run = bench.child([f"{words} | head -n 1"], shell=True)
    return wrong_unless(
        run.outcome not in ("traceback", "hang") and "BrokenPipe" not in run.err, f"{run.outcome}: {run.said}"
    )
