"""Whole encodings of clips, measured on what the encoder reconstructs, which is what a decoder shows."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from bjontegaard import bd_rate

from benchmarks.simulated import Simulated
from codebooks.gvcc import GvccCodebook
from conditioning.corrections import ZlibCorrector
from rfcodec import api, registry
from rfcodec.codec import Watcher
from rfcodec.coding.decoded import DecodedGop, FinishedGop
from rfcodec.coding.engine import Engine
from rfcodec.coding.header import make_header, open_backbone
from rfcodec.coding.intra import TrajectoryFrames
from rfcodec.config import RuntimeConfig
from rfcodec.metrics.quality import Lpips, Quality
from rfcodec.presets import configure
from rfcodec.types import Frames
from rfcodec.video.reader import ArrayVideo, open_video

ANY_SIZE = 1 << 40


@dataclass(frozen=True)
class Point:
    """Bytes of the whole file, bits a pixel, mean PSNR in dB and mean LPIPS (None without weights) over the frames."""

    clip: str
    bytes: int
    bpp: float
    psnr: float
    lpips: float | None

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class _Measure(Watcher):
    def __init__(self, lpips: Lpips | None) -> None:
        self.quality = Quality(lpips)

    def gop(self, decoded: DecodedGop | FinishedGop, source: Frames | None, size: int) -> None:
        """Compares the frames that the GOP adds."""
        assert source is not None
        self.quality.add(source[decoded.span.overlap :], decoded.shown)


def read_clip(path: Path, size: tuple[int, int], num_frames: int) -> ArrayVideo:
    """The first frames of a clip, scaled."""
    with closing(open_video(path, frames=(0, num_frames), size=size)) as video:
        return ArrayVideo(video.read(0, num_frames), video.format.fps)


@contextmanager
def simulated_gvcc() -> Iterator[None]:
    """GVCC's search replaced by one that is equal in distribution; files made meanwhile cannot be decoded."""

    def choose(self: GvccCodebook, address: Any, direction: Any, bits: int) -> Any:
        return Simulated(self).choose(address, direction, bits)

    with patch.object(GvccCodebook, "choose", choose):
        yield


@contextmanager
def residuals_on_top() -> Iterator[None]:
    """GVCC's residuals, which have one size only, come on top of the budget, as its own files count them."""
    encode = ZlibCorrector.encode
    with patch.object(ZlibCorrector, "encode", lambda self, residual, max_bytes: encode(self, residual, ANY_SIZE)):
        yield


def encode_clip(name: str, video: ArrayVideo, lpips: Lpips | None = None, **settings: Any) -> Point:
    """Encodes with settings as `rfcodec.encode` takes them."""
    measure = _Measure(lpips)
    with tempfile.TemporaryDirectory() as folder:
        done = api.encode(video, Path(folder) / "clip.rfv", watcher=measure, **settings)
    assert measure.quality.psnr is not None
    return Point(name, done.size, done.bpp, measure.quality.psnr, measure.quality.lpips)


def encode_still(name: str, video: ArrayVideo, still: str, backbone: str, max_bytes: int, lpips: Lpips | None) -> Point:
    """The first frame by a still coder alone, in at most max_bytes."""
    stream, _ = configure("default", {"backbone": backbone, "still": still, "gop": 1})
    opened = open_backbone(backbone, "", RuntimeConfig())
    engine = Engine(make_header(video.format, stream, opened), opened, TrajectoryFrames)
    coder = registry.load("stills", still)(video.format.width, video.format.height, TrajectoryFrames(engine))
    frame = video.read(0, 1)
    data = coder.encode(frame[0], max_bytes)
    quality = Quality(lpips)
    quality.add(frame, coder.decode(data)[None])
    assert quality.psnr is not None
    return Point(name, len(data), 8 * len(data) / video.format.pixels, quality.psnr, quality.lpips)


def bd(anchor: list[Point], test: list[Point], metric: str) -> float | None:
    """BD-rate of `test` against `anchor` in percent, negative where it saves; None where the curves do not overlap."""
    curves = []
    for points in (anchor, test):
        chosen = sorted(points, key=lambda p: p.bytes)
        sign = -1 if metric == "lpips" else 1
        curves += [[p.bytes for p in chosen], [sign * getattr(p, metric) for p in chosen]]
    if max(min(curves[1]), min(curves[3])) >= min(max(curves[1]), max(curves[3])):
        return None
    return float(bd_rate(*curves, method="akima", min_overlap=0, require_matching_points=False))


def bytes_at(points: list[Point], value: float, metric: str = "psnr") -> float:
    """Bytes for a mean value, by interpolation of their logarithm; the nearest point's where it is beyond all."""
    chosen = sorted(points, key=lambda p: getattr(p, metric))
    return float(np.exp(np.interp(value, [getattr(p, metric) for p in chosen], [np.log(p.bytes) for p in chosen])))


def share_for_equal(anchor: Point, test: list[Point], metric: str) -> float | None:
    """Bytes of `test` for what the anchor reaches, over the anchor's; None where its points do not reach so far."""
    values, value = [getattr(p, metric) for p in test], getattr(anchor, metric)
    return bytes_at(test, value, metric) / anchor.bytes if min(values) <= value <= max(values) else None
