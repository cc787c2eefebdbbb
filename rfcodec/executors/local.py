"""A pool of processes on this machine, on top of concurrent.futures."""

import multiprocessing
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from threading import Thread
from typing import Any, final

from rfcodec.executors.base import RETRIES, MakeWorker, OnceMade, Outcome, attempt, read_options

OPTIONS = {"gpus": ""}


@dataclass(frozen=True)
class _Try:
    index: int
    task: Any
    deaths: int = 0


@final
class LocalExecutor:
    """`jobs` fresh processes of this machine. Option gpus: numbers of the devices that the processes get in turn ("0,1").

    A process that dies ends its whole pool. The tasks that were running then run one at a time, so that only a task
    that kills its own worker is given up.
    """

    def __init__(self, jobs: int, options: dict[str, str] | None = None) -> None:
        self._jobs = jobs
        self._gpus = [gpu for gpu in read_options(options or {}, OPTIONS)["gpus"].split(",") if gpu]

    def run(self, make_worker: MakeWorker, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Outcomes in the order they finish; at most `jobs` tasks are in flight."""
        fresh = (_Try(index, task) for index, task in enumerate(tasks))
        again: deque[_Try] = deque()
        while True:
            suspects = bool(again)
            upcoming = iter([again.popleft()]) if suspects else fresh
            with self._open(make_worker) as pool:
                lost = yield from self._feed(pool, upcoming)
            if not lost and not suspects:
                return
            for item in lost:
                deaths = item.deaths + suspects
                if deaths <= RETRIES:
                    again.append(_Try(item.index, item.task, deaths))
                else:
                    yield Outcome(item.index, error=f"its worker died {deaths} times: killed, or out of memory")

    def _open(self, make_worker: MakeWorker) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # torch and CUDA do not work after a fork
        slots = context.SimpleQueue()
        for place in range(self._jobs):
            slots.put(self._gpus[place % len(self._gpus)] if self._gpus else None)
        return ProcessPoolExecutor(self._jobs, context, initializer=_start, initargs=(make_worker, slots))

    def _feed(self, pool: ProcessPoolExecutor, upcoming: Iterator[_Try]) -> Generator[Outcome, None, list[_Try]]:
        flying: dict[Future[Outcome], _Try] = {}
        lost: list[_Try] = []
        while True:
            for item in islice(upcoming, 0 if lost else self._jobs - len(flying)):
                try:
                    flying[pool.submit(_work, item.index, item.task)] = item
                except BrokenProcessPool:
                    lost.append(item)
            if not flying:
                return lost
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                item = flying.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    lost.append(item)


_workers: list[OnceMade] = []  # the one worker of this process


def _start(make_worker: MakeWorker, slots: Any) -> None:
    gpu = slots.get()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _workers.append(OnceMade(make_worker))
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Without this, processes of a pool wait for work for ever once their parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(index: int, task: Any) -> Outcome:
    return attempt(_workers[0], index, task)
