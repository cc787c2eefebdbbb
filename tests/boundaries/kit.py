"""What a case is, and what it works with: a folder, the command line of a checkout as a child with limits, and ffmpeg."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
HERE = Path(__file__).resolve().parent
SECONDS, MEGABYTES = 60.0, 3000  # what a child may take before it is killed
SMALL = ("--backbone", "gaussian", "--bpp", "0.3", "--gop", "9", "--steps", "4")
SIZE = "64x48"


class Wrong(Exception):
    """A case does not come out as it should; the text says how it does."""


@dataclass(frozen=True)
class Run:
    """What came of a child: its status (negative for a signal), what it said, seconds, megabytes at the most."""

    status: int | None
    out: bytes
    err: str
    seconds: float
    megabytes: float
    computed: float = 0.0  # seconds of processors, which a busy machine does not lengthen

    @property
    def outcome(self) -> str:
        """In a few words."""
        if self.status is None:
            return "hang"
        if "Traceback" in self.err:
            return "traceback"
        if self.status == 0:
            return "ok"
        if "No such option" in self.err:
            return "no such option"
        return {1: "error line", 2: "usage", -9: "killed (memory)"}.get(self.status, f"status {self.status}")

    @property
    def said(self) -> str:
        """The last line of standard error, shortened."""
        lines = [line for line in self.err.strip().splitlines() if line.strip(" \u2500\u256d\u256e\u2570\u256f")]
        return lines[-1].strip()[:140] if lines else ""

    @property
    def refused(self) -> bool:
        """Whether it ended in an error line or a usage line."""
        return self.outcome in ("error line", "usage")


@dataclass
class Bench:
    """The place of one case."""

    folder: Path
    tree: Path
    runs: list[Run] = field(default_factory=list)

    def path(self, name: str) -> Path:
        """A file of the case."""
        return self.folder / name

    def environment(self, **more: str) -> dict[str, str]:
        """Variables of a child: the checkout under test, one thread, nothing of the user's, no network."""
        found = os.environ | {"PYTHONPATH": str(self.tree), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
        found |= {
            "RFCODEC_CACHE": str(self.folder / "cache"),
            "HF_HOME": str(self.folder / "hf"),
            "PYTHONWARNINGS": "default",
        }
        return {name: value for name, value in (found | more).items() if value is not None}

    def command(self, *words: object) -> list[str]:
        """`rfcodec WORDS` of the checkout."""
        return [sys.executable, "-m", "rfcodec", *map(str, words)]

    def rfcodec(self, *words: object, **more: Any) -> Run:
        """Runs `rfcodec WORDS`."""
        return self.child(self.command(*words), **more)

    def python(self, code: str, *words: object, **more: Any) -> Run:
        """Runs Python code with the checkout's package."""
        return self.child([sys.executable, "-c", code, *map(str, words)], **more)

    def child(
        self,
        command: Sequence[str],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        megabytes: int = MEGABYTES,
        stdout: Any = None,
        shell: bool = False,
    ) -> Run:
        """Runs a command with a limit of time and of resident memory, both enforced from here."""
        start = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = subprocess.Popen(
                command if not shell else ["bash", "-c", *command],
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=stdout or out,
                stderr=err,
                cwd=self.folder,
                env=self.environment(**(env or {})),
                preexec_fn=plainly,
                start_new_session=True,
            )
            if stdin is not None:
                threading.Thread(target=_feed, args=(child, stdin), daemon=True).start()
            status, peak, computed = watch(child, start + seconds, megabytes)
            out.seek(0)
            err.seek(0)
            run = Run(status, out.read(), err.read().decode(errors="replace"), time.monotonic() - start, peak, computed)
        self.runs.append(run)
        return run

    def ffmpeg(self, *words: object) -> bytes:
        """Runs ffmpeg; raises where it fails."""
        command = [FFMPEG, "-hide_banner", "-v", "error", "-y", "-nostdin", *map(str, words)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ffmpeg: {done.stderr.decode(errors='replace')[-300:]}")
        return done.stdout

    def clip(
        self, name: str, *words: object, source: str = "testsrc2", frames: int = 9, size: str = SIZE, rate: Any = 25
    ) -> Path:
        """A clip of a lavfi source; `words` are further arguments of ffmpeg."""
        # the source rounds odd sizes down, the filter does not
        made = f"{source}=size={size}:rate={rate},scale={size.replace('x', ':')}"
        self.ffmpeg("-f", "lavfi", "-i", made, "-frames:v", frames, *words, name)
        return self.path(name)

    def stream(self, name: str = "s.rfv", *words: object, frames: int = 9) -> Path:
        """A sound stream, written by the checkout."""
        clip = self.clip("of-stream.mkv", "-c:v", "ffv1", frames=frames)
        run = self.rfcodec("encode", clip, name, *SMALL, *words)
        if run.status != 0 or not self.path(name).is_file():
            raise Wrong(f"no stream could be made: {run.said}")
        return self.path(name)

    def read(self, source: object, **more: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Frames of a source as the checkout's reader gives them, and its fps, size and log."""
        return read_by(self, source, more)

    def decoded(self, name: object, *words: object, filters: str = "") -> np.ndarray:
        """RGB frames of a file as ffmpeg itself decodes it."""
        chain = ("-vf", f"{filters}{',' if filters else ''}scale=flags=accurate_rnd+full_chroma_int+bicubic")
        size = self.size(name, *words, filters=filters)
        data = self.ffmpeg(
            *words, "-i", name, *chain, "-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"
        )
        return np.frombuffer(data, np.uint8).reshape(-1, size[1], size[0], 3)

    def size(self, name: object, *words: object, filters: str = "") -> tuple[int, int]:
        """Width and height of a file as ffmpeg shows it."""
        chain = ("-vf", filters) if filters else ()
        data = self.ffmpeg(*words, "-i", name, *chain, "-frames:v", 1, "-f", "image2pipe", "-c:v", "ppm", "-")
        width, height = data.split(b"\n")[1].split()
        return int(width), int(height)


@dataclass(frozen=True)
class Case:
    """A named input and what is right for it; `run` returns words on what was measured, or raises Wrong."""

    part: str
    name: str
    expected: str
    run: Callable[[Bench], str]


CASES: list[Case] = []


def case(part: str, name: str, expected: str) -> Callable[[Callable[[Bench], str]], Callable[[Bench], str]]:
    """Registers a case."""

    def register(run: Callable[[Bench], str]) -> Callable[[Bench], str]:
        CASES.append(Case(part, name, expected, run))
        return run

    return register


def wrong_unless(right: bool, said: str) -> str:
    """`said`, as a finding unless it is right."""
    if not right:
        raise Wrong(said)
    return said


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in grey levels; 255 where the shapes differ."""
    if one.shape != other.shape:
        return 255.0
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def shape_of(frames: np.ndarray) -> str:
    """Frames and size in words."""
    return f"{len(frames)} frames of {frames.shape[2]}x{frames.shape[1]}"


def plainly() -> None:
    """In a child: no core, and signals as a terminal has them, which a shell in the background ignores."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def _feed(child: subprocess.Popen[bytes], data: bytes) -> None:
    assert child.stdin
    with contextlib.suppress(OSError):
        child.stdin.write(data)
    with contextlib.suppress(OSError):
        child.stdin.close()


def watch(child: subprocess.Popen[bytes], end: float, megabytes: int) -> tuple[int | None, float, float]:
    """Waits for a child, kills its group at the limits: (status or None for out of time, peak in MB, processor seconds)."""
    peak = 0.0
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode, max(peak, usage.ru_maxrss / 1024), usage.ru_utime + usage.ru_stime
        peak = max(peak, _resident(child.pid))
        if time.monotonic() > end or peak > megabytes:
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
            usage = os.wait4(child.pid, 0)[2]
            child.returncode = -9
            return (-9 if peak > megabytes else None), peak, usage.ru_utime + usage.ru_stime
        time.sleep(0.01)


def _resident(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    return 0.0


READER = """
import inspect, json, logging, sys, warnings
import numpy as np
lines = []
class Keep(logging.Handler):
    def emit(self, record): lines.append(record.getMessage())
log = logging.getLogger("rfcodec.video"); log.setLevel(logging.INFO); log.addHandler(Keep())
warnings.showwarning = lambda message, *_: lines.append(str(message))
from rfcodec.video.reader import open_video
from rfcodec.support.words import parse_raw
source, target, more = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
if "raw" in more:
    more["raw"] = parse_raw(more["raw"])
    if "raw" not in inspect.signature(open_video).parameters:
        from rfcodec.video.source import ReadOptions
        more["reading"] = ReadOptions(raw=more.pop("raw"))
with open_video(source, **more) as video:
    found = video.format
    frames = video.read(0, found.num_frames)
np.save(target, frames)
print(json.dumps({"fps": str(found.fps), "sar": str(found.sample_aspect), "lines": lines}))
"""


def read_by(bench: Bench, source: object, more: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """See Bench.read; raises Wrong where the reader refuses."""
    import json

    target = bench.path(f"read-{len(bench.runs)}.npy")
    run = bench.python(READER, source, target, json.dumps(more))
    if run.status != 0:
        raise Wrong(f"not read: {run.said}")
    return np.load(target), json.loads(run.out.splitlines()[-1])


@contextlib.contextmanager
def bench(tree: Path, keep: Path | None = None) -> Iterator[Bench]:
    """A fresh folder for one case."""
    folder = Path(tempfile.mkdtemp(prefix="boundary-", dir=keep))
    try:
        yield Bench(folder, tree)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
