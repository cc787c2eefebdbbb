"""Part C: every kind of output, pipes, and what the command line shows."""

import json
import os
import subprocess
import time
from fractions import Fraction

import numpy as np
from kit import FFMPEG, SMALL, Bench, Wrong, case, difference, shape_of, wrong_unless


def _exact(bench: Bench, stream: str = "s.rfv") -> np.ndarray:
    bench.rfcodec("decode", stream, "exact.mkv")
    return bench.decoded("exact.mkv")


def _output_case(target: str, least: float, *more: str, shown: str = "") -> None:
    @case("C16", f"decode to {' '.join((target, *more))}", "9 frames of 64x48 at 25, close to the lossless ones")
    def _(bench):
        import av

        bench.stream()
        run = bench.rfcodec("decode", "s.rfv", target, *more)
        if run.status != 0:
            raise Wrong(f"{run.outcome}: {run.said}")
        raw = ("-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", "64x48") if target.endswith(".yuv") else ()
        pictures = sorted(path for path in bench.folder.rglob("*.png") if path.is_file())
        name = shown or (str(pictures[0].parent / "%*.png") if pictures else target)
        frames = np.concatenate([bench.decoded(path) for path in pictures]) if pictures else bench.decoded(name, *raw)
        rate = Fraction(25)
        if not raw and not pictures:
            with av.open(str(bench.path(name))) as file:
                rate = file.streams.video[0].average_rate or Fraction(0)
        exact = _exact(bench)
        error = difference(frames, exact)
        said = f"{shape_of(frames)} at {rate}, mean error {error:.1f}"
        return wrong_unless(error <= least and abs(rate - 25) < Fraction(1, 2), said)


_output_case("a.mp4", 8)
_output_case("a.mkv", 0)
_output_case("a.mov", 8)
_output_case("a.webm", 10)
_output_case("a.gif", 16)
_output_case("a.y4m", 8)
_output_case("a.yuv", 8)
_output_case("pictures/", 0)
_output_case("p%05d.png", 0)


@case("C16", "decode to .mp4: moov before mdat", "faststart")
def _(bench):
    bench.stream()
    bench.rfcodec("decode", "s.rfv", "a.mp4")
    data = bench.path("a.mp4").read_bytes()
    return wrong_unless(
        0 < data.find(b"moov") < data.find(b"mdat"), f"moov at {data.find(b'moov')}, mdat at {data.find(b'mdat')}"
    )


def _odd(bench: Bench) -> None:
    clip = bench.clip("odd.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv444p", size="63x47")
    bench.rfcodec("encode", clip, "odd.rfv", *SMALL)


@case("C16", "decode 63x47 to .mp4", "63x47, a line on 4:4:4")
def _(bench):
    _odd(bench)
    run = bench.rfcodec("decode", "odd.rfv", "odd.mp4")
    return wrong_unless(run.status == 0 and "4:4:4" in run.err, f"{run.outcome}; line: {'4:4:4' in run.err}")


@case("C16", "decode 63x47 to .mp4 --pad-even", "64x48 in 4:2:0")
def _(bench):
    import av

    _odd(bench)
    run = bench.rfcodec("decode", "odd.rfv", "odd.mp4", "--pad-even")
    if run.status != 0:
        raise Wrong(f"{run.outcome}: {run.said}")
    with av.open(str(bench.path("odd.mp4"))) as file:
        found = file.streams.video[0]
        said = f"{found.width}x{found.height} in {found.pix_fmt}"
    return wrong_unless(said == "64x48 in yuv420p", said)


@case("C16", "decode s.rfv - | ffmpeg -i - out.mkv", "9 frames as in the lossless file")
def _(bench):
    bench.stream()
    run = bench.rfcodec("decode", "s.rfv", "-")
    if run.status != 0 or not run.out:
        raise Wrong(f"{run.outcome}: {run.said}")
    done = subprocess.run(
        [FFMPEG, "-v", "error", "-i", "-", "-c:v", "ffv1", "out.mkv"], input=run.out, cwd=bench.folder, check=False
    )
    error = difference(bench.decoded("out.mkv"), _exact(bench))
    return wrong_unless(done.returncode == 0 and error <= 8, f"{run.out[:9]!r}, mean error {error:.1f}")


@case("C16", "cat clip.mp4 | rfcodec encode - clip.rfv --bpp 0.05", "a stream of 9 frames")
def _(bench):
    clip = bench.clip("a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", size="160x120")
    words = [*SMALL]
    words[words.index("--bpp") + 1] = "0.05"
    run = bench.rfcodec("encode", "-", "clip.rfv", *words, stdin=clip.read_bytes())
    if run.status != 0:
        raise Wrong(f"{run.outcome}: {run.said}")
    size = bench.path("clip.rfv").stat().st_size
    return wrong_unless(8 * size <= 0.05 * 160 * 120 * 9, f"{size} bytes")


@case("C16", "decode a long stream to -", "the first frame long before the last")
def _(bench):
    bench.stream("s.rfv", "--steps", "40", "--gop", "3", "--frames", "0:60", frames=60)
    start = time.monotonic()
    child = subprocess.Popen(
        bench.command("decode", "s.rfv", "-"),
        cwd=bench.folder,
        env=bench.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout
    got, first = 0, 0.0
    while piece := os.read(child.stdout.fileno(), 1 << 14):
        got += len(piece)
        if got > 64 * 48 and not first:
            first = time.monotonic() - start
    status, last = child.wait(), time.monotonic() - start
    return wrong_unless(
        status == 0 and got > 60 * 64 * 48 and first < 0.9 * last - 0.1,
        f"status {status}, {got} bytes, first frame after {first:.1f} s of {last:.1f}",
    )


@case("C16", "decode to - into head -c 100", "one line or none, no traceback")
def _(bench):
    bench.stream()
    words = " ".join(f"'{word}'" for word in bench.command("decode", "s.rfv", "-"))
    run = bench.child([f"set -o pipefail; {words} | head -c 100 > /dev/null"], shell=True)
    return wrong_unless(
        run.outcome not in ("traceback", "hang", "usage") and "legal suffixes" not in run.err, f"{run.outcome}: {run.said}"
    )


@case("C16", "play s.rfv where there is no player", "one line that names ffplay or mpv")
def _(bench):
    bench.stream()
    run = bench.rfcodec("play", "s.rfv", env={"PATH": "/nonexistent"})
    return wrong_unless(run.refused and ("ffplay" in run.err or "mpv" in run.err), f"{run.outcome}: {run.said}")


@case("C16", "decode to a kind that there is not (.xyz)", "refused before any work, naming the kinds")
def _(bench):
    bench.stream()
    run = bench.rfcodec("decode", "s.rfv", "a.xyz")
    return wrong_unless(run.outcome == "error line" and ".mkv" in run.err, f"{run.outcome}: {run.said}")


@case("C16", "decode into a folder that there is not", "refused or made")
def _(bench):
    bench.stream()
    run = bench.rfcodec("decode", "s.rfv", "no/such/a.mkv")
    return wrong_unless(run.outcome in ("error line", "ok"), f"{run.outcome}: {run.said}")


# 17


@case("C17", "encode a.mp4 alone", "a.rfv, with a budget that is stated")
def _(bench):
    bench.clip("a.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", frames=5, size="128x96")
    run = bench.rfcodec("encode", "a.mp4", "--backbone", "gaussian", "--steps", "4")
    return wrong_unless(
        run.status == 0 and bench.path("a.rfv").is_file() and "bpp" in (run.err + run.out.decode()),
        f"{run.outcome}: {run.said}",
    )


@case("C17", "-h for every verb", "help")
def _(bench):
    bad = [
        verb
        for verb in ("", "encode", "decode", "info", "verify")
        if bench.rfcodec(*([verb] if verb else []), "-h").status != 0
    ]
    return wrong_unless(not bad, f"refused: {', '.join(verb or 'rfcodec' for verb in bad) or 'none'}")


@case("C17", "--json for encode, decode, info, verify, backbones, codebooks, modes", "one JSON object on standard output")
def _(bench):
    stream = bench.stream()
    again = ("-y",) if "--overwrite" in bench.rfcodec("decode", "--help").out.decode() else ()
    calls = {
        "encode": ("of-stream.mkv", "j.rfv", *SMALL),
        "decode": (stream, "j.mkv", *again),
        "info": (stream,),
        "verify": (stream, "--against", "of-stream.mkv"),
        **dict.fromkeys(("backbones", "codebooks", "modes"), ()),
    }
    bad = []
    for verb, words in calls.items():
        try:
            json.loads(bench.rfcodec(verb, *words, "--json").out)
        except ValueError:
            bad.append(verb)
    return wrong_unless(not bad, f"not: {', '.join(bad) or 'none'}")


@case("C17", "mode I2V", "understood")
def _(bench):
    bench.clip("a.mkv", "-c:v", "ffv1")
    run = bench.rfcodec("encode", "a.mkv", "a.rfv", *SMALL, "--mode", "I2V", "--still", "avif")
    return wrong_unless(run.outcome in ("ok",) or "smallest" in run.err, f"{run.outcome}: {run.said}")


@case("C17", "--frames :-1", "the words as typed, no picture of a thumb")
def _(bench):
    bench.clip("a.mkv", "-c:v", "ffv1")
    run = bench.rfcodec("encode", "a.mkv", "a.rfv", *SMALL, "--frames", ":-1:")
    return wrong_unless(
        run.outcome == "error line" and ":-1" in run.err and "\U0001f44e" not in run.err, f"{run.outcome}: {run.said}"
    )


@case("C17", "--device cuda without CUDA", "refused for gaussian and tiny")
def _(bench):
    bench.clip("a.mkv", "-c:v", "ffv1")
    found = []
    for backbone in ("gaussian", "tiny"):
        words = [*SMALL]
        words[words.index("--backbone") + 1] = backbone
        found.append(bench.rfcodec("encode", "a.mkv", f"{backbone}.rfv", *words, "--device", "cuda"))
    return wrong_unless(all(run.outcome == "error line" for run in found), " and ".join(run.outcome for run in found))
