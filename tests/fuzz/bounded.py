"""One input, read within bounds: what came of it, in how many seconds, at how much memory."""

import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfcodec.errors import RfcodecError

OK, HANG, MEMORY = "ok", "hang", "memory"
PATIENCE = 6  # a busy machine takes longer


class Hang(BaseException):
    """The alarm of an input; no `except Exception` swallows it."""


@dataclass(frozen=True)
class Outcome:
    """`kind` is "ok", the name of an error of ours, "hang", "memory" or "traceback NAME"; `detail` is the last frame."""

    kind: str
    seconds: float
    megabytes: float
    detail: str = ""
    fine: bool = True


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raises Hang in the main thread after these seconds of the processor, or PATIENCE times as many of the clock."""

    def ring(*_: object) -> None:
        raise Hang

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, seconds), signal.SIGALRM: (signal.ITIMER_REAL, PATIENCE * seconds)}
    before = {number: signal.signal(number, ring) for number in timers}
    for timer, limit in timers.values():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, _ in timers.values():
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def attempt(read: Callable[[bytes], Any], data: bytes, seconds: float, megabytes: float) -> Outcome:
    """Reads an input; only success and errors of ours, within the bounds, are fine."""
    before, start = _peak(reset=True), time.process_time()
    kind, detail, fine = OK, "", True
    try:
        with alarm(seconds), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(data)
    except RfcodecError as error:
        kind, detail = type(error).__name__, str(error)[:200]
    except Hang:
        kind, detail, fine = HANG, _place(), False
    except MemoryError:
        kind, detail, fine = MEMORY, _place(), False
    except Exception as error:
        kind, detail, fine = f"traceback {type(error).__name__}", f"{_place()}: {str(error)[:200]}", False
    used, taken = max(_peak() - before, 0.0), time.process_time() - start
    if fine and used > megabytes:
        kind, detail, fine = MEMORY, f"{used:.0f} MB after {kind}", False
    return Outcome(kind, taken, used, detail, fine)


def _place() -> str:
    frames = list(traceback.extract_tb(sys.exc_info()[2]))
    ours = [frame for frame in frames if any(part in frame.filename for part in ("rfcodec", "conditioning", "codebooks"))]
    last = (ours or frames)[-1]
    return f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno}"


def _peak(reset: bool = False) -> float:
    """The largest resident memory since the last reset, in megabytes; 0 where the system does not tell."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(found[0]) / 1024 if found else 0.0
