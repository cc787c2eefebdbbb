"""Runs what is missing of a sweep on an executor, and keeps every point as it comes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from rfcodec.config import RuntimeConfig
from rfcodec.evaluation.datasets.clips import Clip
from rfcodec.evaluation.datasets.protocol import PROTOCOLS
from rfcodec.evaluation.report.pictures import picture
from rfcodec.evaluation.store import Point, Store, read_json
from rfcodec.evaluation.sweep.description import Sweep
from rfcodec.evaluation.sweep.jobs import Job, all_jobs, circumstances, find_clips
from rfcodec.evaluation.sweep.worker import PointWorker, describe
from rfcodec.executors.base import Executor

Watch = Callable[[Job, str | None], None]


@final
@dataclass(frozen=True)
class Plan:
    """The jobs of a sweep, and which of them are not done yet."""

    sweep: Sweep
    clips: tuple[Clip, ...]
    jobs: tuple[Job, ...]
    missing: tuple[Job, ...]


def plan_sweep(sweep: Sweep, store: Store, weights: Path | None = None, device: str = "cpu") -> Plan:
    """Looks for clips and for points that are done; raises ConfigError and InputError, computes nothing."""
    clips = find_clips(sweep)
    jobs = all_jobs(sweep, clips, circumstances(device, weights))
    return Plan(sweep, tuple(clips), tuple(jobs), tuple(job for job in jobs if not store.has(job.key)))


def run_sweep(
    plan: Plan, store: Store, executor: Executor, runtime: RuntimeConfig, weights: Path | None, watch: Watch
) -> None:
    """Runs the missing jobs. A point that fails leaves a failure, and the others go on; `watch` is told of each.

    Workers send streams and pictures back, so only clips and weights must lie where all of them can read.
    """
    store.write_json("sweep.json", plan.sweep.model_dump(mode="json") | {"keys": [job.key for job in plan.jobs]})
    _keep_sources(plan, store)
    make = partial(PointWorker, runtime, weights.absolute() if weights else None)
    for outcome in executor.run(make, plan.missing):
        job = plan.missing[outcome.index]
        if outcome.error is None:
            store.keep(outcome.result.point, outcome.result.files)
        else:
            store.fail({"key": job.key, "clip": job.clip.name, "curve": job.curve.name, "error": outcome.error})
        watch(job, outcome.error)


def make_point(job: Job, store: Store, worker: PointWorker) -> Point:
    """One point: read where it is done, else made and kept; raises RfcodecError on what cannot be done."""
    if not store.has(job.key):
        made = worker(job)
        store.keep(made.point, made.files)
    return store.point(job.key)


def _keep_sources(plan: Plan, store: Store) -> None:
    """Pictures of the sources, for reports to show beside; those that are there are kept."""
    file = store.folder / "clips.json"
    known = read_json(file) if file.is_file() else {}
    told: dict[str, Any] = {}
    for clip in plan.clips:
        asked = {"sha256": clip.sha256, "frames": list(clip.frames or ()), "size": clip.size and list(clip.size)}
        asked["protocol"] = plan.sweep.protocol
        if known.get(clip.name, {}).get("asked") == asked:
            told[clip.name] = known[clip.name]
            continue
        video = PROTOCOLS[plan.sweep.protocol].open(clip)
        names = picture(video, store.folder, f"source-{clip.name}")
        told[clip.name] = {"video": describe(video.format), "pictures": names, "sha256": clip.sha256, "asked": asked}
        getattr(video, "close", lambda: None)()
    store.write_json("clips.json", known | told)


def done_points(plan: Plan, store: Store) -> list[Point]:
    """The points of this sweep, not those of others that share its folder."""
    keys = {job.key for job in plan.jobs}
    return [point for point in store.points() if point["key"] in keys]
