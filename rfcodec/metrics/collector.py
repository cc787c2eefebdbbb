"""Measures of quality by name, and `Measurer`, which takes them all in one pass over a clip."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, final

from rfcodec.errors import ConfigError, FrameRangeError, FrameSizeError, InputError, MissingWeights, RfcodecError
from rfcodec.metrics.dists import dists_metric
from rfcodec.metrics.ffmpeg import vmaf, xpsnr
from rfcodec.metrics.fidelity import check_pair, ms_ssim_metric, psnr_metric, psnr_yuv_metric
from rfcodec.metrics.lpips import lpips_metric
from rfcodec.metrics.metric import Metric, Setup
from rfcodec.metrics.planes import PlaneFiles
from rfcodec.metrics.realism import Fvd, KernelDistance
from rfcodec.metrics.spectra import Spectrum, TemporalSpectrum
from rfcodec.metrics.temporal import Seam, WarpingError
from rfcodec.types import Frames, VideoFormat

__all__ = ["DEFAULT_METRICS", "METRICS", "Measurement", "Measurer", "Said"]

_log = logging.getLogger(__name__)

_Maker = Callable[[Setup], Metric]


@final
@dataclass(frozen=True, slots=True)
class Said:
    """How a metric is shown: `better` says which values are, `digits` stand after the point in tables.

    One that does not rank says something of a clip, but no method is called better by it: a picture that is smoothed or
    stands still can have a lower warping error than the source.
    """

    name: str
    label: str
    unit: str
    better: Literal["higher", "lower"]
    digits: int
    ranks: bool = True


METRICS: dict[str, Said] = {
    said.name: said
    for said in (
        Said("psnr", "PSNR", "dB", "higher", 2),
        Said("psnr_yuv", "PSNR-YUV", "dB", "higher", 2),
        Said("ms_ssim", "MS-SSIM", "", "higher", 4),
        Said("lpips", "LPIPS", "", "lower", 4),
        Said("dists", "DISTS", "", "lower", 4),
        Said("vmaf", "VMAF", "", "higher", 2),
        Said("xpsnr", "XPSNR", "dB", "higher", 2),
        Said("e_warp", "Warping error", "", "lower", 6, ranks=False),
        Said("e_warp_source", "Warping error of the source", "", "lower", 6, ranks=False),
        Said("seam", "Seam ratio", "", "lower", 2),
        Said("kernel_distance", "Kernel distance", "", "lower", 4),
        Said("spectrum", "Spectrum", "dB", "lower", 2),
        Said("temporal_spectrum", "Temporal spectrum", "dB", "lower", 2),
        Said("fvd", "FVD", "", "lower", 1),
    )
}
DEFAULT_METRICS: tuple[str, ...] = tuple(METRICS)

_MAKERS: dict[str, _Maker] = {
    "psnr": psnr_metric,
    "psnr_yuv": psnr_yuv_metric,
    "ms_ssim": ms_ssim_metric,
    "lpips": lpips_metric,
    "dists": dists_metric,
    "vmaf": vmaf,
    "xpsnr": xpsnr,
    "e_warp": WarpingError,
    "e_warp_source": WarpingError,
    "seam": Seam,
    "kernel_distance": KernelDistance,
    "spectrum": Spectrum,
    "temporal_spectrum": TemporalSpectrum,
    "fvd": Fvd,
}


@final
@dataclass(frozen=True, slots=True)
class Measurement:
    """Values of a clip, values of its frames, and why a metric has none; each by name of the metric."""

    values: dict[str, float]
    series: dict[str, list[float]]
    blank: dict[str, str]


@final
class Measurer:
    """Measures a decoded clip against its source, frame by frame; a context manager, which removes temporary files.

    `video` is the format of both, `seams` are the first frames of every GOP but the first, `weights` is the folder of
    weights files. A metric that needs a package, a file or frames that are not there is left blank, with the reason, and
    so is one that fails in any other way: what was coded for hours is not lost for it.
    VMAF and XPSNR keep 3 bytes a pixel of every frame in a temporary folder (TMPDIR); nothing else grows with the clip.
    Raises ConfigError for an unknown name, FrameRangeError for a seam outside 1..num_frames - 1.
    """

    def __init__(
        self,
        names: Sequence[str],
        video: VideoFormat,
        seams: Sequence[int] = (),
        weights: Path | None = None,
        device: str = "cpu",
    ) -> None:
        _check(names, video, seams)
        self._names = [name for name in METRICS if name in names]
        self._video, self._count = video, 0
        self._folder = TemporaryDirectory(prefix="rfcodec-metrics-", ignore_cleanup_errors=True)
        self._reasons: dict[_Maker, str] = {}
        self._metrics: dict[_Maker, Metric] = {}
        setup = Setup(video, tuple(sorted(set(seams))), weights, device, PlaneFiles(Path(self._folder.name), video))
        for maker in dict.fromkeys(_MAKERS[name] for name in self._names):
            self._try(maker, lambda maker=maker: self._metrics.update({maker: maker(setup)}))

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures the next frames; raises FrameSizeError where their shapes differ from each other or from the format."""
        check_pair(reference, test)
        if reference.shape[1:3] != (self._video.height, self._video.width):
            raise FrameSizeError(f"frames of {reference.shape[1:3]} rows, columns: the clip is {self._video}")
        for maker, metric in list(self._metrics.items()):
            self._try(maker, lambda metric=metric: metric.add(reference, test))
        self._count += len(reference)

    def result(self) -> Measurement:
        """What was found; raises FrameRangeError unless every frame of the clip was added."""
        if self._count != self._video.num_frames:
            raise FrameRangeError(f"{self._count} of {self._video.num_frames} frames were added; add every frame once")
        values: dict[str, float] = {}
        series: dict[str, list[float]] = {}
        for maker, metric in list(self._metrics.items()):
            self._try(maker, lambda metric=metric: _collect(metric, values, series))
        blank = {name: self._reasons[_MAKERS[name]] for name in self._names if _MAKERS[name] in self._reasons}
        measured = [name for name in self._names if name not in blank]
        return Measurement(
            {name: values[name] for name in measured}, {name: series[name] for name in measured if name in series}, blank
        )

    def close(self) -> None:
        """Removes temporary files."""
        self._folder.cleanup()

    def __enter__(self) -> "Measurer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try(self, maker: _Maker, action: Callable[[], None]) -> None:
        """Does the action; a metric that fails in it, in whatever way, is left out from then on."""
        try:
            action()
        except (ConfigError, InputError, MissingWeights) as error:
            self._leave_out(maker, str(error))
        except Exception as error:
            _log.warning("a metric failed and is left blank", exc_info=True)
            self._leave_out(maker, str(error) if isinstance(error, RfcodecError) else f"{type(error).__name__}: {error}")

    def _leave_out(self, maker: _Maker, reason: str) -> None:
        self._metrics.pop(maker, None)
        # the same reason at every point: reports count them
        self._reasons[maker] = reason.replace(self._folder.name, "TMPDIR")


def _check(names: Sequence[str], video: VideoFormat, seams: Sequence[int]) -> None:
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise ConfigError(f"metrics {', '.join(unknown)}: unknown; legal: {', '.join(METRICS)}")
    outside = [seam for seam in seams if not 1 <= seam < video.num_frames]
    if outside:
        raise FrameRangeError(f"seams at frames {outside}: must lie in 1..{video.num_frames - 1}")


def _collect(metric: Metric, values: dict[str, float], series: dict[str, list[float]]) -> None:
    """Adds what a metric found: all of it or nothing."""
    found, by_frame = metric.values(), metric.series()
    for name, value in found.items():
        if not math.isfinite(value):
            raise InputError(f"{name} came out as {value}")
    values |= found
    series |= by_frame
