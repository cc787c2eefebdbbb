"""Part A: sources and other people's files stay what they are; temporary files are nobody else's."""

import contextlib
import os
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path

from kit import SMALL, Bench, Run, case, plainly, wrong_unless

H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0")
LONG = ("--backbone", "gaussian", "--bpp", "0.3", "--gop", "3", "--steps", "20")


def _kept(bench: Bench, files: dict[Path, bytes], run: Run) -> str:
    lost = [path.name for path, data in files.items() if not path.exists() or path.read_bytes() != data]
    return wrong_unless(run.refused and not lost, f"{run.outcome}; " + (f"lost: {', '.join(lost)}" if lost else run.said))


@case("A1", "encode *.mp4 with two clips", "refused, both clips unchanged")
def _(bench):
    clips = [bench.clip(name, *H264) for name in ("a.mp4", "b.mp4")]
    kept = {clip: clip.read_bytes() for clip in clips}
    return _kept(bench, kept, bench.rfcodec("encode", *clips, *SMALL))


@case("A1", "encode a.mp4 a.mp4", "refused, source unchanged")
def _(bench):
    clip = bench.clip("a.mp4", *H264)
    return _kept(bench, {clip: clip.read_bytes()}, bench.rfcodec("encode", "a.mp4", "./a.mp4", *SMALL))


@case("A1", "encode -y --force a.mp4 a.mp4", "refused, source unchanged")
def _(bench):
    clip = bench.clip("a.mp4", *H264)
    return _kept(bench, {clip: clip.read_bytes()}, bench.rfcodec("encode", "a.mp4", "a.mp4", *SMALL, "-y", "--force"))


@case("A1", "encode to a hard link of the source", "refused, source unchanged")
def _(bench):
    clip = bench.clip("a.mp4", *H264)
    os.link(clip, bench.path("b.rfv"))
    kept = {path: clip.read_bytes() for path in (clip, bench.path("b.rfv"))}
    return _kept(bench, kept, bench.rfcodec("encode", clip, "b.rfv", *SMALL))


@case("A1", "encode to a symbolic link of the source", "refused, source and link unchanged")
def _(bench):
    clip = bench.clip("a.mp4", *H264)
    bench.path("b.rfv").symlink_to(clip)
    run = bench.rfcodec("encode", clip, "b.rfv", *SMALL)
    wrong_unless(bench.path("b.rfv").is_symlink(), f"{run.outcome}; the link is gone")
    return _kept(bench, {clip: clip.read_bytes()}, run)


@case("A1", "encode a.mkv a.rfv --recon a.mkv", "refused, source unchanged")
def _(bench):
    clip = bench.clip("a.mkv", "-c:v", "ffv1")
    return _kept(bench, {clip: clip.read_bytes()}, bench.rfcodec("encode", clip, "a.rfv", *SMALL, "--recon", "a.mkv"))


@case("A1", "--recon onto the stream's own name", "refused")
def _(bench):
    clip = bench.clip("a.mkv", "-c:v", "ffv1")
    run = bench.rfcodec("encode", clip, "a.mkv.rfv", *SMALL, "--recon", "a.mkv.rfv")
    return wrong_unless(run.refused, f"{run.outcome}; {run.said}")


@case("A1", "--recon onto the mask", "refused, mask unchanged")
def _(bench):
    clip, mask = bench.clip("a.mkv", "-c:v", "ffv1"), bench.clip("m.mkv", "-c:v", "ffv1")
    run = bench.rfcodec("encode", clip, "a.rfv", *SMALL, "--roi", "m.mkv", "--recon", "m.mkv")
    return _kept(bench, {mask: mask.read_bytes()}, run)


@case("A1", "decode z.mkv z.mkv", "refused, stream unchanged")
def _(bench):
    bench.stream().rename(bench.path("z.mkv"))
    kept = {bench.path("z.mkv"): bench.path("z.mkv").read_bytes()}
    return _kept(bench, kept, bench.rfcodec("decode", "z.mkv", "z.mkv"))


@case("A1", "encode to a name that is no .rfv", "refused without --force, nothing written")
def _(bench):
    clip = bench.clip("a.mp4", *H264)
    run = bench.rfcodec("encode", clip, "new.mkv", *SMALL)
    return wrong_unless(run.refused and not bench.path("new.mkv").exists(), f"{run.outcome}; {run.said}")


@case("A1", "encode onto an existing file in a pipe", "refused, file unchanged")
def _(bench):
    clip, old = bench.clip("a.mp4", *H264), bench.path("old.rfv")
    old.write_bytes(b"somebody's")
    return _kept(bench, {old: b"somebody's"}, bench.rfcodec("encode", clip, old, *SMALL))


@case("A1", "encode -y onto an existing file", "replaced")
def _(bench):
    clip, old = bench.clip("a.mp4", *H264), bench.path("old.rfv")
    old.write_bytes(b"somebody's")
    run = bench.rfcodec("encode", clip, old, *SMALL, "-y")
    return wrong_unless(run.status == 0 and old.read_bytes()[:3] == b"RFV", run.outcome)


@case("A1", "decode onto an existing file in a pipe", "refused, file unchanged")
def _(bench):
    stream, old = bench.stream(), bench.path("old.mkv")
    old.write_bytes(b"somebody's")
    return _kept(bench, {old: b"somebody's"}, bench.rfcodec("decode", stream, old))


@case("A1", "encode --recon onto an existing file in a pipe", "refused, file unchanged, no stream")
def _(bench):
    clip, old = bench.clip("a.mp4", *H264), bench.path("old.mkv")
    old.write_bytes(b"somebody's")
    return _kept(bench, {old: b"somebody's"}, bench.rfcodec("encode", clip, "a.rfv", *SMALL, "--recon", old))


@case("A1", "demo into a folder that holds such names", "refused, files unchanged")
def _(bench):
    clip, old = bench.clip("a.mp4", *H264), bench.path("out")
    old.mkdir()
    kept = {old / name: b"somebody's" for name in ("t2v.rfv", "t2v.mp4", "t2v.mkv", "report.json")}
    for path in kept:
        path.write_bytes(b"somebody's")
    return _kept(bench, kept, bench.rfcodec("demo", clip, "--out", old, "--preset", "fast", seconds=20))


EQUAL_PIDS = """
import os, sys
os.getpid = lambda: 7
from rfcodec.cli.app import main
sys.argv = ["rfcodec", *sys.argv[1:]]
main()
"""


@case("A2", "8 encodes at once to one name, equal process numbers", "all end well, one whole stream, nothing else left")
def _(bench):
    clip = bench.clip("a.mkv", "-c:v", "ffv1", frames=18)
    more = ("-y",) if _knows(bench, "encode", "--overwrite") else ()
    words = ("encode", clip, "one.rfv", *SMALL, *more)
    bench.runs.clear()
    threads = [threading.Thread(target=bench.python, args=(EQUAL_PIDS, *words)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = sorted(run.outcome for run in bench.runs)
    again = bench.rfcodec("decode", "one.rfv", "out.mkv")
    left = _parts(bench)
    said = f"{ended.count('ok')} of 8 ended well, then {again.outcome}; left: {len(left)}"
    return wrong_unless(again.status == 0 and not left and ended.count("ok") == 8, said)


THREADS = """
import sys, threading
from rfcodec import api
def work():
    try:
        api.encode(sys.argv[1], "one.rfv", backbone="gaussian", bpp=0.3, gop=9, steps=4)
    except Exception as error:
        print(type(error).__name__, error)
many = [threading.Thread(target=work) for _ in range(8)]
for one in many: one.start()
for one in many: one.join()
"""


@case("A2", "8 threads encode to one name", "one whole stream, no error, nothing else left")
def _(bench):
    clip = bench.clip("a.mkv", "-c:v", "ffv1")
    run = bench.python(THREADS, clip)
    failed, again, left = run.out.decode().splitlines(), bench.rfcodec("decode", "one.rfv", "out.mkv"), _parts(bench)
    said = f"{len(failed)} failed, then {again.outcome}; left: {len(left)}"
    return wrong_unless(again.status == 0 and not failed and not left, said)


def _parts(bench: Bench) -> list[str]:
    """Files that are neither the case's own nor final."""
    own = {"a.mkv", "one.rfv", "out.mkv", "of-stream.mkv", "s.rfv", "cache", "hf", "err"}
    return sorted(path.name for path in bench.folder.iterdir() if path.name not in own)


def _stopped(bench: Bench, number: int) -> tuple[int, str, list[str]]:
    clip = bench.clip("a.mkv", "-c:v", "ffv1", frames=150, size="160x120")
    with bench.path("err").open("wb") as err:
        command = bench.command("encode", clip, "one.rfv", *LONG)
        child = subprocess.Popen(
            command, cwd=bench.folder, env=bench.environment(), stderr=err, stdout=err, preexec_fn=plainly
        )
        end = time.monotonic() + 150
        while time.monotonic() < end and not _parts(bench) and child.poll() is None:
            time.sleep(0.05)
        time.sleep(0.3)
        began = bool(_parts(bench))
        child.send_signal(number)
        status = child.wait(timeout=60)
    wrong_unless(began, f"the encoding was over too soon, status {status}")
    return status, bench.path("err").read_text(errors="replace"), _parts(bench)


def _signal_case(number: signal.Signals) -> None:
    @case("A2", f"{number.name} while encoding", "nothing left, a line says so")
    def _(bench):
        status, said, left = _stopped(bench, number)
        line = "stopped" in said and "Traceback" not in said
        told = f"status {status}, left: {', '.join(left) or 'nothing'}; line: {'yes' if line else 'no'}"
        return wrong_unless(not left and line and not bench.path("one.rfv").exists(), told)


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    _signal_case(_number)


@case("A2", "kill -9 while encoding, then the same command", "what it left is removed")
def _(bench):
    _, _, left = _stopped(bench, signal.SIGKILL)
    run = bench.rfcodec("encode", bench.path("a.mkv"), "one.rfv", *SMALL, "--frames", "0:9")
    return wrong_unless(run.status == 0 and not _parts(bench), f"left {len(left)}, after the next run {len(_parts(bench))}")


@case("A2", "a device node as output", "written through or refused, still a device")
def _(bench):
    clip, node = bench.clip("a.mkv", "-c:v", "ffv1"), bench.path("null")
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    run = bench.rfcodec("encode", clip, node, *SMALL, *(("--force",) if _knows(bench, "encode", "--force") else ()))
    kept = stat.S_ISCHR(os.lstat(node).st_mode)
    return wrong_unless(kept and run.outcome in ("ok", "error line"), f"{run.outcome}; {'a device' if kept else 'a file'}")


@case("A2", "a named pipe as output", "written through or refused, still a pipe")
def _(bench):
    clip, fifo, got = bench.clip("a.mkv", "-c:v", "ffv1"), bench.path("pipe.rfv"), []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(_drain(fifo)), daemon=True)
    reader.start()
    run = bench.rfcodec("encode", clip, fifo, *SMALL, seconds=30)
    kept = stat.S_ISFIFO(os.lstat(fifo).st_mode)
    if kept:
        with contextlib.suppress(OSError):
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    reader.join(5)
    through = bool(got and got[0][:3] == b"RFV")
    said = f"{run.outcome}; {'a pipe' if kept else 'a file'}, {len(got[0]) if got else 0} bytes through"
    return wrong_unless(kept and (run.refused or (run.status == 0 and through)), said)


def _drain(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read()


@case("A2", "a symbolic link to a file as output", "written through or refused, still a link")
def _(bench):
    clip, link, real = bench.clip("a.mkv", "-c:v", "ffv1"), bench.path("link.rfv"), bench.path("real.rfv")
    real.write_bytes(b"")
    real.unlink()
    link.symlink_to(real)
    run = bench.rfcodec("encode", clip, link, *SMALL)
    kept = link.is_symlink()
    whole = run.refused or (real.is_file() and real.read_bytes()[:3] == b"RFV")
    return wrong_unless(kept and whole, f"{run.outcome}; {'still a link' if kept else 'the link is gone'}")


@case("A2", "decode to a device node", "written through or refused, still a device")
def _(bench):
    stream, node = bench.stream(), bench.path("null.y4m")
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    run = bench.rfcodec("decode", stream, node)
    kept = stat.S_ISCHR(os.lstat(node).st_mode)
    return wrong_unless(kept and run.outcome in ("ok", "error line"), f"{run.outcome}; {'a device' if kept else 'a file'}")


def _knows(bench: Bench, verb: str, option: str) -> bool:
    return option in bench.rfcodec(verb, "--help").out.decode(errors="replace")
