"""Workers for the tests of executors: what they do must be found by name in other processes."""

import os
import signal
import time
from pathlib import Path

from rfcodec.errors import ConfigError


class Squares:
    """Squares numbers; writes down that it was made, so that a test can count workers."""

    def __init__(self, folder):
        self._folder = Path(folder)
        (self._folder / f"made-{os.getpid()}").touch()

    def __call__(self, task):
        if task == "bad":
            raise ConfigError("a bad task")
        if task == "odd":
            (self._folder / f"odd-{len(list(self._folder.glob('odd-*')))}").touch()
            raise ZeroDivisionError("odd things happen")
        if task == "slow":
            time.sleep(0.5)
        if task == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "deadly once" and not (self._folder / "died").exists():
            (self._folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return task if isinstance(task, str) else task**2


class Sleeper:
    """Says that it is at work, and does nothing for long."""

    def __init__(self, folder):
        self._folder = Path(folder)

    def __call__(self, task):
        (self._folder / f"at-work.{os.getpid()}").touch()
        time.sleep(600)


class Broken:
    """Cannot be made."""

    def __init__(self):
        raise ConfigError("no weights")


class Fragile:
    """A worker of a sweep that dies once, in the middle of its first job."""

    def __init__(self, *settings):
        from rfcodec.evaluation.sweep.worker import PointWorker

        self._worker = PointWorker(*settings)

    def __call__(self, job):
        made = self._worker(job)
        mark = Path(os.environ["FRAGILE_MARK"])
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return made
