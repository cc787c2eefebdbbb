"""Decode a file and measure it against its source."""

from pathlib import Path
from typing import Any

from rfcodec import api, registry
from rfcodec.config import RuntimeConfig
from rfcodec.errors import FrameRangeError
from rfcodec.metrics.quality import Lpips, Quality
from rfcodec.types import RawLayout
from rfcodec.video.reader import open_video


def verify(
    source: Path,
    against: Path,
    frames: tuple[int | None, int | None],
    raw: RawLayout | None,
    lpips_weights: Path | None,
    runtime: RuntimeConfig,
) -> dict[str, Any]:
    """Keys bytes, bpp, mode, frames, psnr, ms_ssim, lpips, digest_ok; None where something is not to be had.

    The source is scaled to the file's size by the rule of `encode --size`. Raises FrameRangeError on another frame count.
    """
    stream = api.info(source)
    header = stream.header
    with open_video(against, frames=frames, size=(header.width, header.height), raw=raw) as video:
        if video.format.num_frames != header.num_frames:
            found = f"the file has {header.num_frames} frames, the source {video.format.num_frames}"
            raise FrameRangeError(f"{found}: name those that were encoded with --frames A:B")
        quality = Quality(Lpips(lpips_weights, runtime.device) if Lpips.available(lpips_weights) else None, runtime.device)
        digests = []
        for piece in api.decode(source, runtime=runtime):
            quality.add(video.read(piece.start, piece.start + len(piece.frames)), piece.frames)
            digests.append(piece.digest_ok)
    return {
        "bytes": stream.size,
        "bpp": stream.bpp,
        "mode": registry.name_of("conditioners", header.mode),
        "frames": header.num_frames,
        "psnr": quality.psnr,
        "ms_ssim": quality.ms_ssim,
        "lpips": quality.lpips,
        "digest_ok": False if False in digests else None if None in digests else True,
    }
