"""One task after the other, in this process."""

from collections.abc import Iterable, Iterator
from typing import Any, final

from rfcodec.executors.base import MakeWorker, OnceMade, Outcome, attempt, read_options


@final
class SerialExecutor:
    """One worker in this process; `jobs` is ignored, and there are no options."""

    def __init__(self, jobs: int = 1, options: dict[str, str] | None = None) -> None:
        read_options(options or {}, {})

    def run(self, make_worker: MakeWorker, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Outcomes in the order of the tasks."""
        worker = OnceMade(make_worker)
        for index, task in enumerate(tasks):
            yield attempt(worker, index, task)
