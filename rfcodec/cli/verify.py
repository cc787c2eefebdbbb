"""Decode a file and measure it against its source."""

from pathlib import Path
from typing import Any

from rfcodec import api, registry
from rfcodec.config import RuntimeConfig
from rfcodec.errors import FrameRangeError
from rfcodec.metrics.collector import Measurer
from rfcodec.metrics.lpips import Lpips, lpips_network
from rfcodec.video.inputs import as_video
from rfcodec.video.source import ReadOptions

METRICS = ("psnr", "ms_ssim", "lpips")


def verify(
    source: Path | bytes,
    against: Path,
    frames: tuple[int | None, int | None],
    reading: ReadOptions,
    lpips_weights: Path | None,
    runtime: RuntimeConfig,
) -> dict[str, Any]:
    """Keys bytes, bpp, mode, frames, psnr, ms_ssim, lpips, digest_ok; None where something is not to be had.

    The source is scaled to the file's size by the rule of `encode --size`. Raises FrameRangeError on another frame count.
    """
    stream = api.info(source)
    header = stream.header
    with as_video(against, frames, (header.width, header.height), reading) as video:
        if video.format.num_frames != header.num_frames:
            found = f"the file has {header.num_frames} frames, the source {video.format.num_frames}"
            raise FrameRangeError(f"{found}: name those that were encoded with --frames A:B")
        if Lpips.available(lpips_weights):
            lpips_network(lpips_weights, runtime.device)  # weights that are missing leave a blank, damaged ones are an error
        digests = []
        with Measurer(METRICS, video.format, weights=lpips_weights, device=runtime.device) as measurer:
            for piece in api.decode(source, runtime=runtime):
                measurer.add(video.read(piece.start, piece.start + len(piece.frames)), piece.frames)
                digests.append(piece.digest_ok)
            values = measurer.result().values
    return {
        "bytes": stream.size,
        "bpp": stream.bpp,
        "mode": registry.name_of("conditioners", header.mode),
        "frames": header.num_frames,
        **{name: values.get(name) for name in METRICS},
        "digest_ok": False if False in digests else None if None in digests else True,
    }
