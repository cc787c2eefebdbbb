"""What a worker of a sweep does: one job at a time, from clip to measured point."""

import hashlib
import os
import platform
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast, final

import torch

from rfcodec.config import RuntimeConfig
from rfcodec.errors import FrameRangeError
from rfcodec.evaluation.report.pictures import PictureWriter
from rfcodec.evaluation.store import SCHEMA, Point
from rfcodec.evaluation.sweep.jobs import Job
from rfcodec.evaluation.sweep.methods import Coded, Methods
from rfcodec.metrics.collector import Measurement, Measurer
from rfcodec.support.programs import ffmpeg_version
from rfcodec.types import Frames, VideoFormat
from rfcodec.video.reader import Video

ROLES = {
    "codec": "codec",
    "anchor": "anchor",
    "external": "anchor",
    "still": "codec",
    "ceiling": "ceiling",
    "floor": "floor",
}
FRAME_MEANS = ("psnr", "psnr_yuv", "ms_ssim", "lpips", "dists")  # protocols say how these are averaged over GOPs
PACKAGES = ("rfcodec", "torch", "diffusers", "numpy", "lpips")


@final
@dataclass(frozen=True)
class Made:
    """A finished point and the files that it names, by their paths in the sweep's folder."""

    point: Point
    files: dict[str, bytes]


@final
class PointWorker:
    """Makes points; keeps its model from one to the next. `weights` is the folder of weights files of metrics."""

    def __init__(self, runtime: RuntimeConfig, weights: Path | None = None) -> None:
        if runtime.threads:
            torch.set_num_threads(runtime.threads)
        self._methods, self._weights, self._device = Methods(runtime), weights, runtime.device

    def __call__(self, job: Job) -> Made:
        """Encodes, decodes if asked to, measures and takes pictures; raises RfcodecError on what cannot be done."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rfcodec-")))
            video = job.rules.open(job.clip, getattr(job.curve, "mode", None))
            stack.callback(getattr(video, "close", lambda: None))
            coded = self._methods.code(job, video, folder)
            evaluations = _evaluations(coded)
            with Measurer(job.metrics, video.format, coded.seams, self._weights, self._device) as measurer:
                with PictureWriter(folder, job.key, video.format.fps) as pictures:
                    decode_seconds = _measure(coded, video, measurer, pictures)
                    names = pictures.finish()
                measured = measurer.result()
            cost = {
                "encode_seconds": coded.encode_seconds,
                "decode_seconds": decode_seconds if coded.decoded else None,
                "encode_evaluations": evaluations,
                "decode_evaluations": _evaluations(coded) - evaluations if coded.decoded else None,
                "peak_memory_bytes": coded.peak_memory,
            }
            files = {name: (folder / name).read_bytes() for name in names.values()}
            data = coded.stream.read_bytes() if coded.stream else b""
            files |= {f"streams/{job.key}{coded.stream.suffix}": data} if coded.stream else {}
            point = _point(job, video.format, coded, measured, data)
            point["blank"] = {name: why.replace(str(self._weights), "DIR") for name, why in measured.blank.items()}
            point["commands"] = [line.replace(f"{folder}/", "") for line in coded.commands]
            point |= {"cost": cost, "pictures": names, "hardware": _hardware(self._device)}
            return Made(cast(Point, point), files)


def _evaluations(coded: Coded) -> int:
    return coded.counter.count if coded.counter else 0


def _measure(coded: Coded, video: Video, measurer: Measurer, pictures: PictureWriter) -> float:
    """Feeds metrics and pictures; returns the seconds that decoding took."""
    seconds, start = 0.0, 0
    for frames, elapsed in _timed(coded.frames()):
        seconds += elapsed
        measurer.add(video.read(start, start + len(frames)), frames)
        pictures.add(frames)
        start += len(frames)
    if start != video.format.num_frames:
        raise FrameRangeError(f"{start} frames were decoded of {video.format.num_frames}")
    return seconds


def _timed(pieces: Iterator[Frames]) -> Iterator[tuple[Frames, float]]:
    while True:
        start = time.perf_counter()
        piece = next(pieces, None)
        if piece is None:
            return
        yield piece, time.perf_counter() - start


def _point(job: Job, video: VideoFormat, coded: Coded, measured: Measurement, data: bytes) -> dict[str, Any]:
    mode = getattr(job.curve, "mode", None)
    protocol = job.rules
    rate = protocol.rate(len(data), video, coded.bytes_by_purpose, mode)
    means = {name: protocol.clip_mean(measured.series[name], mode) for name in FRAME_MEANS if name in measured.series}
    per_dim = 8 * len(data) / coded.dims if coded.dims else None
    return {
        "schema": SCHEMA,
        "key": job.key,
        "job": job.asked,
        "clip": job.clip.name,
        "curve": job.curve.name,
        "role": ROLES[job.curve.kind],
        "method": job.asked["curve"] | coded.facts,
        "knob": {"name": job.curve.knob, "value": job.value},
        "protocol": protocol.name,
        "video": describe(video),
        "seams": list(coded.seams),
        "stream": {
            "sha256": hashlib.sha256(data).hexdigest() if data else None,
            "bytes": len(data),
            "bytes_by_purpose": coded.bytes_by_purpose,
        },
        "rate": asdict(rate) | {"bits_per_dim": per_dim},
        "metrics": measured.values | means,
        "series": measured.series,
        "versions": {name: version(name) for name in PACKAGES} | {"ffmpeg": ffmpeg_version()},
        "host": socket.gethostname(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe(video: VideoFormat) -> dict[str, Any]:
    """A format as JSON."""
    return asdict(video) | {"fps": str(video.fps), "sample_aspect": str(video.sample_aspect)}


def _hardware(device: str) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "device": name}
