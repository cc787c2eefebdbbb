"""One run of a sweep as a user sees it: what will be done, a bar with the time left, a table, the report."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from rfcodec.config import RuntimeConfig
from rfcodec.evaluation.report.page import build_report, table
from rfcodec.evaluation.store import Point, Store
from rfcodec.evaluation.sweep.description import Sweep
from rfcodec.evaluation.sweep.jobs import Job
from rfcodec.evaluation.sweep.runner import Plan, done_points, plan_sweep, run_sweep
from rfcodec.executors.base import open_executor
from rfcodec.presets import runtime


@final
@dataclass(frozen=True)
class Workers:
    """How many workers of which executor, where each runs its model, and the folder of weights files of metrics."""

    jobs: int
    executor: str
    options: dict[str, str]
    device: str = "cpu"
    threads: int | None = None
    offload: str = "none"
    weights: Path | None = None

    def runtime(self) -> RuntimeConfig:
        """Settings of one worker; processes of this machine have even shares of its cores by default."""
        share = max(1, (os.cpu_count() or 1) // self.jobs) if self.executor == "local" else None
        threads = self.threads or share
        return runtime(device=self.device, threads=threads, offload=self.offload)


def run(out: Console, err: Console, sweep: Sweep, folder: Path, workers: Workers, dry_run: bool) -> None:
    """Plans, runs what is missing, prints the points and writes the report."""
    if dry_run:
        plan = plan_sweep(sweep, Store(folder), workers.weights, workers.device)
        out.print(_planned(plan))
        err.print(_so_far(plan), highlight=False)
        return
    out.print(table(points_of(err, sweep, folder, workers)))
    out.print(f"report: {build_report(folder)}", highlight=False, soft_wrap=True)


def points_of(err: Console, sweep: Sweep, folder: Path, workers: Workers) -> list[Point]:
    """Runs what is missing of a sweep, with a bar, and returns all its points that there are."""
    store = Store(folder)
    plan = plan_sweep(sweep, store, workers.weights, workers.device)
    err.print(_so_far(plan), highlight=False)
    executor = open_executor(workers.executor, workers.jobs, workers.options)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task("points", total=len(plan.jobs), completed=len(plan.jobs) - len(plan.missing))

        def watch(job: Job, error: str | None) -> None:
            name = f"{job.clip.name}, {job.curve.name}, {job.curve.knob} {job.value:g}"
            if error:
                progress.console.print(Text.assemble(("failed: ", "yellow"), f"{name}: {error}"))
            progress.update(task, advance=1, description=name)

        run_sweep(plan, store, executor, workers.runtime(), workers.weights, watch)
    return done_points(plan, store)


def _so_far(plan: Plan) -> str:
    return f"{len(plan.jobs)} points, {len(plan.jobs) - len(plan.missing)} of them done already"


def _planned(plan: Plan) -> Table:
    planned = Table("clip", "curve", "knob", "value", "done")
    missing = {job.key for job in plan.missing}
    for job in plan.jobs:
        done = "" if job.key in missing else "yes"
        planned.add_row(job.clip.name, job.curve.name, job.curve.knob, f"{job.value:g}", done)
    return planned
