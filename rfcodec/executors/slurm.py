"""Tasks as a job array of SLURM, through submitit."""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, final

from rfcodec.errors import ConfigError
from rfcodec.executors.base import RETRIES, MakeWorker, OnceMade, Outcome, attempt, said

POLL_SECONDS = 2
Chunk = list[tuple[int, Any]]
OWN = {"folder": "slurm", "cluster": "slurm", "chunk": "4"}


@final
class SlurmExecutor:
    """An array of which `jobs` elements run at once, each with `chunk` tasks of one worker.

    Options: folder of submitit's logs; cluster ("slurm", or "local" for processes of this machine); chunk; all others go to
    SLURM under submitit's names (timeout_min, slurm_partition, gpus_per_node, mem_gb ...). Clips must be on shared disks.
    """

    def __init__(self, jobs: int, options: dict[str, str] | None = None) -> None:
        chosen = OWN | (options or {})
        self._jobs, self._folder, self._cluster = jobs, Path(chosen["folder"]), chosen["cluster"]
        self._parameters = {name: _number(value) for name, value in chosen.items() if name not in OWN}
        if not chosen["chunk"].isdigit() or int(chosen["chunk"]) < 1:
            raise ConfigError(f"executor option chunk is {chosen['chunk']!r}; a whole number from 1 on is legal")
        self._chunk = int(chosen["chunk"])

    def run(self, make_worker: MakeWorker, tasks: Iterable[Any]) -> Iterator[Outcome]:
        """Outcomes a chunk at a time; tasks of a job that died are submitted again, each in a job of its own."""
        chunks = _chunks(list(enumerate(tasks)), self._chunk)
        for last in (*(False,) * RETRIES, True):
            if not chunks:
                return
            lost = yield from self._submit(make_worker, chunks, last)
            chunks = _chunks(lost, 1)

    def _submit(self, make_worker: MakeWorker, chunks: list[Chunk], last: bool) -> Generator[Outcome, None, Chunk]:
        submitit, executor = self._executor()
        jobs = executor.map_array(_work, [make_worker] * len(chunks), chunks)
        waiting = dict(zip(jobs, chunks, strict=True))
        lost: Chunk = []
        try:
            for job in submitit.helpers.as_completed(jobs, poll_frequency=POLL_SECONDS):
                chunk = waiting.pop(job)
                try:
                    yield from job.result()
                except Exception as error:  # submitit raises whatever ended the job: time, memory, a node
                    reason = said(error).strip().splitlines()[-1]
                    lost += chunk
                    if last:
                        yield from (Outcome(index, error=f"job {job.job_id}: {reason}") for index, _ in chunk)
        finally:
            for job in waiting:
                job.cancel()
        return lost

    def _executor(self) -> tuple[Any, Any]:
        try:
            import submitit
        except ImportError as error:
            raise ConfigError("the executor slurm needs the package submitit: pip install 'rfcodec[slurm]'") from error
        try:
            executor = submitit.AutoExecutor(self._folder, cluster=self._cluster)
            executor.update_parameters(slurm_array_parallelism=self._jobs, **self._parameters)
        except (RuntimeError, NameError, ValueError, TypeError) as error:
            raise ConfigError(f"SLURM cannot be used so: {said(error)}") from error
        return submitit, executor


def _chunks(tasks: Chunk, size: int) -> list[Chunk]:
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def _work(make_worker: MakeWorker, chunk: Chunk) -> list[Outcome]:
    worker = OnceMade(make_worker)
    return [attempt(worker, index, task) for index, task in chunk]


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text
