"""Workers are actors of a Ray cluster, which places them, counts their GPUs and restarts those that die."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, final

from rfcodec.errors import ConfigError
from rfcodec.executors.base import RETRIES, MakeWorker, OnceMade, Outcome, attempt, read_options, said

OPTIONS = {"address": "", "cpus": "1", "gpus": "0"}


@final
class RayExecutor:
    """`jobs` actors, or as many as the cluster has room for; each has one task at a time.

    Options: address of the cluster ("" starts one on this machine), cpus and gpus of each actor (may be fractions). A task
    whose actor dies is tried again on a restarted one, where Ray finds room. rfcodec and the clips must have the same paths
    on every node.
    """

    def __init__(self, jobs: int, options: dict[str, str] | None = None) -> None:
        self._jobs = jobs
        chosen = read_options(options or {}, OPTIONS)
        try:
            self._address, self._cpus, self._gpus = chosen["address"] or None, float(chosen["cpus"]), float(chosen["gpus"])
        except ValueError as error:
            raise ConfigError(f"executor options cpus and gpus are numbers: {error}") from None

    def run(self, make_worker: MakeWorker, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Outcomes in the order they finish; raises ConfigError where the cluster does not answer or has no room."""
        ray = self._connect()
        actor = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=-1, max_task_retries=RETRIES)(_Actor)
        idle = [actor.remote(make_worker) for _ in range(self._room(ray))]
        upcoming = enumerate(tasks)
        flying: dict[Any, tuple[int, Any]] = {}
        while True:
            for index, task in islice(upcoming, len(idle)):
                worker = idle.pop()
                flying[worker.work.remote(index, task)] = index, worker
            if not flying:
                return
            for reference in ray.wait(list(flying))[0]:
                index, worker = flying.pop(reference)
                idle.append(worker)
                yield _outcome(ray, reference, index)

    def _room(self, ray: Any) -> int:
        """Actors that the cluster has room for, at most `jobs`: one that waits for room would keep its task for ever."""
        there = ray.cluster_resources()
        needs = {"CPU": self._cpus, "GPU": self._gpus}
        room = min([self._jobs, *(int(there.get(name, 0) // need) for name, need in needs.items() if need)])
        if room < 1:
            raise ConfigError(
                f"the cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, no room for {needs}"
            )
        return room

    def _connect(self) -> Any:
        try:
            import ray
        except ImportError as error:
            raise ConfigError("the executor ray needs the package ray: pip install 'rfcodec[ray]'") from error
        try:
            if not ray.is_initialized():
                ray.init(self._address, include_dashboard=None if self._address else False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(f"no Ray cluster answers at {self._address!r}: {said(error)}") from error
        return ray


class _Actor:
    def __init__(self, make_worker: MakeWorker) -> None:
        self._worker = OnceMade(make_worker)

    def work(self, index: int, task: Any) -> Outcome:
        """The outcome of one task."""
        return attempt(self._worker, index, task)


def _outcome(ray: Any, reference: Any, index: int) -> Outcome:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(index, error=f"its worker died {1 + RETRIES} times: {said(error)}")
