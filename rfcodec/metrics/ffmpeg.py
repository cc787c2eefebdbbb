"""What filters of FFmpeg measure: VMAF and XPSNR of 4:2:0 planes in temporary files."""

import json
import math
import re
from collections.abc import Callable
from functools import cached_property
from typing import final

import numpy as np

from rfcodec.errors import FrameSizeError, InputError
from rfcodec.metrics.fidelity import PSNR_CAP
from rfcodec.metrics.metric import Metric, Setup
from rfcodec.metrics.planes import PlaneFiles
from rfcodec.support.programs import ffmpeg, run
from rfcodec.types import Frames

VMAF_MIN_SIDE = 32
_LOG = "log.txt"


def vmaf(setup: Setup) -> Metric:
    """VMAF v0.6.1 (Netflix), 0..100: mean over frames, of 4:2:0 planes at the clip's own size.

    Frames without motion, such as the first, count about 97 at most: that is VMAF. Raises FrameSizeError below 32 pixels,
    where libvmaf has no room for its scales.
    """
    if setup.short_side < VMAF_MIN_SIDE:
        size = f"{setup.video.width}x{setup.video.height}"
        raise FrameSizeError(f"needs {VMAF_MIN_SIDE} pixels in each direction, not {size}")
    # Its main input is the decoded clip.
    return FilterMetric("vmaf", setup.planes, f"[1:v][0:v]libvmaf=log_fmt=json:n_threads=1:log_path={_LOG}", read_vmaf)


def xpsnr(setup: Setup) -> Metric:
    """XPSNR (Helmrich et al., ICASSP 2020) in dB: the least of Y, Cb and Cr, as FFmpeg sums up a clip; at most 100."""
    # Its weights come from its first input, which must be the source.
    return FilterMetric("xpsnr", setup.planes, f"[0:v][1:v]xpsnr=stats_file={_LOG}", read_xpsnr)


@final
class FilterMetric:
    """Runs a filter of FFmpeg over the planes once all frames are there; inputs 0 and 1 are source and decoded clip."""

    def __init__(self, name: str, planes: PlaneFiles, graph: str, read: Callable[[str], tuple[float, list[float]]]) -> None:
        self._name, self._planes, self._graph, self._read = name, planes, graph, read
        self._count = 0

    def add(self, reference: Frames, test: Frames) -> None:
        """Writes the planes of the next frames."""
        self._planes.extend(self._count, reference, test)
        self._count += len(reference)

    def series(self) -> dict[str, list[float]]:
        """What the filter says of each frame; raises as `values`."""
        return {self._name: self._outcome[1]}

    def values(self) -> dict[str, float]:
        """What the filter says of the clip; raises AnchorError where it fails, InputError where it leaves frames out."""
        return {self._name: self._outcome[0]}

    @cached_property
    def _outcome(self) -> tuple[float, list[float]]:
        value, series = self._read(run_filter(self._planes, self._graph))
        if len(series) != self._count:
            raise InputError(f"FFmpeg measured {len(series)} of {self._count} frames")
        return value, series


def run_filter(planes: PlaneFiles, graph: str) -> str:
    """Text that a filter writes to its log; raises AnchorError with FFmpeg's own words where it fails."""
    video = planes.format
    layout = ["-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", f"{video.width}x{video.height}"]
    layout += ["-framerate", f"{video.fps.numerator}/{video.fps.denominator}"]
    inputs = [word for name in ("reference.yuv", "test.yuv") for word in (*layout, "-i", name)]
    log = planes.folder / _LOG
    log.unlink(missing_ok=True)
    # Names are relative to the folder, since a path would have to be escaped within the graph.
    run(ffmpeg(*inputs, "-lavfi", graph, "-f", "null", "-"), planes.folder)
    if not log.is_file():
        raise InputError(f"FFmpeg wrote nothing: {graph}")
    return log.read_text()


def read_vmaf(log: str) -> tuple[float, list[float]]:
    """Mean and values of the frames from the JSON of libvmaf."""
    series = [float(frame["metrics"]["vmaf"]) for frame in json.loads(log)["frames"]]
    return float(np.mean(series)), series


def read_xpsnr(log: str) -> tuple[float, list[float]]:
    """Least of the three planes, of the clip and of each frame; equal planes count 100 dB.

    The clip's is no mean of decibels: FFmpeg averages the square roots of the weighted errors.
    """
    frames = [line for line in log.splitlines() if line.startswith("n:")]
    series = [min(map(_decibels, re.findall(r"XPSNR [yuv]: *(\S+)", line))) for line in frames]
    return _decibels(re.findall(r"minimum: *([^)]+)", log)[-1]), series


def _decibels(word: str) -> float:
    value = float(word)
    return min(value, PSNR_CAP) if math.isfinite(value) else PSNR_CAP
