"""The protocol of executors, and what they share: outcomes, retries, order, options."""

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

from rfcodec import registry
from rfcodec.errors import ConfigError, RfcodecError, WorkerError

log = logging.getLogger(__name__)

Worker = Callable[[Any], Any]
MakeWorker = Callable[[], Worker]
RETRIES = 2


@final
@dataclass(frozen=True)
class Outcome:
    """The outcome of the task of that number: its result, or the error of its last attempt.

    `cause` is that error where it is an RfcodecError.
    """

    index: int
    result: Any = None
    error: str | None = None
    cause: RfcodecError | None = None


@runtime_checkable
class Executor(Protocol):
    """Runs tasks on workers; made by `Executor(jobs, options)`.

    `make_worker` is called once in every worker process, so that a model is loaded once; it, the tasks and the results
    travel by pickle. A task whose worker dies, or that fails with anything but an RfcodecError, is tried again.
    """

    def run(self, make_worker: MakeWorker, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Yields one Outcome for each task, in the order they finish; a free worker takes the next task."""
        ...


def open_executor(name: str, jobs: int, options: dict[str, str]) -> Executor:
    """The installed executor of that name; raises ConfigError on unknown options and on jobs < 1."""
    if jobs < 1:
        raise ConfigError(f"--jobs is {jobs}; 1 or more are legal")
    return registry.load("executors", name)(jobs, options)


@final
class OnceMade:
    """A worker that is made with its first task, so that a failure to make it is an outcome like any other."""

    def __init__(self, make_worker: MakeWorker) -> None:
        self._make = make_worker
        self._worker: Worker | None = None

    def __call__(self, task: Any) -> Any:
        """The worker's result for the task; the first call makes the worker."""
        self._worker = self._worker or self._make()
        return self._worker(task)


def attempt(worker: Worker, index: int, task: Any) -> Outcome:
    """Runs one task inside a worker; at most RETRIES times again after an error that is no RfcodecError."""
    outcome = Outcome(index)
    for tries in range(1 + RETRIES):
        try:
            return Outcome(index, worker(task))
        except RfcodecError as error:
            return Outcome(index, error=said(error), cause=error)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = Outcome(index, error=f"{said(error)} ({where.filename}:{where.lineno})")
            log.warning("task %d failed, attempt %d: %s", index, tries + 1, outcome.error)
    return outcome


def said(error: BaseException) -> str:
    """An error as "Class: message"."""
    return f"{type(error).__name__}: {error}"


def in_order(outcomes: Iterable[Outcome]) -> Iterator[Any]:
    """Results in the order of their tasks; raises the first error, as WorkerError where it is no RfcodecError."""
    waiting: dict[int, Any] = {}
    following = 0
    for outcome in outcomes:
        if outcome.cause is not None:
            raise outcome.cause
        if outcome.error is not None:
            raise WorkerError(f"task {outcome.index} failed on its worker: {outcome.error}")
        waiting[outcome.index] = outcome.result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def read_options(given: dict[str, str], legal: dict[str, str]) -> dict[str, str]:
    """The defaults in `legal`, replaced by the options given; raises ConfigError on an option without a default."""
    if unknown := set(given) - set(legal):
        raise ConfigError(f"there is no executor option {min(unknown)!r}; there are: {', '.join(legal) or 'none'}")
    return legal | given
