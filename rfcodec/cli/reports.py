"""What commands say when they are done: results on standard output, as lines, tables or one JSON object."""

import logging
import math
import time
from collections.abc import Sequence
from typing import Any, final

from rfcodec import api, registry
from rfcodec.coding.calibrate import Calibration
from rfcodec.config import EncoderConfig, StreamConfig
from rfcodec.flow.path import time_of_snr
from rfcodec.support.console import make_list, make_table, out, print_json
from rfcodec.support.memory import PeakMemory
from rfcodec.video.damage import SourceReport

log = logging.getLogger(__name__)

FAR = 0.9  # of the budget: a file below says why
GIGABYTE = 1e9


@final
class Spending:
    """Time and memory of a command, from when it is made."""

    def __init__(self, device: str) -> None:
        self._memory, self._start = PeakMemory(device), time.perf_counter()

    def told(self, frames: int) -> dict[str, float | int]:
        """Seconds, frames a second, and peak memory in bytes."""
        seconds = time.perf_counter() - self._start
        found: dict[str, float | int] = {"seconds": round(seconds, 3), "frames_per_second": round(frames / seconds, 3)}
        found["peak_memory_bytes"] = self._memory.resident()
        if on_device := self._memory.on_device():
            found["peak_device_memory_bytes"] = on_device
        return found


def said(spent: dict[str, float | int]) -> str:
    """Time and memory in words."""
    memory = f"memory up to {spent['peak_memory_bytes'] / GIGABYTE:.2f} GB"
    if on_device := spent.get("peak_device_memory_bytes"):
        memory += f", on the device {on_device / GIGABYTE:.2f} GB"
    return f"{spent['seconds']:.1f} s, {spent['frames_per_second']:.2f} frames a second, {memory}"


def encode_report(
    result: api.Encoded,
    settings: tuple[StreamConfig, EncoderConfig],
    psnr: float | None,
    source: SourceReport,
    spending: Spending,
    as_json: bool,
) -> None:
    """Bytes, bpp, kbps and PSNR of a finished encoding, what it took, and how much of the source could be read."""
    stream, effort = settings
    if result.size < FAR * result.budget:
        log.warning("%s", _far_below(result, stream, effort))
    frames = result.format.num_frames
    spent = spending.told(frames)
    row = {
        "file": str(result.path),
        "mode": registry.spelling("conditioners", stream.mode),
        "frames": frames,
        "bytes": result.size,
        "budget_bytes": result.budget,
        "bpp": result.bpp,
        "kbps": float(8 * result.size * result.format.fps / frames / 1000),
        "psnr": psnr,
        "source_frames_read": source.read,
        "source_frames_expected": source.expected,
        "source_damaged": source.damaged,
        **spent,
    }
    if as_json:
        print_json(row)
        return
    quality = "" if psnr is None else f", PSNR {psnr:.2f} dB"
    out.say(f"{row['file']}: {row['bytes']} bytes, {row['bpp']:.5f} bpp, {row['kbps']:.2f} kbit/s, {frames} frames{quality}")
    out.say(said(spent))


def _far_below(result: api.Encoded, stream: StreamConfig, effort: EncoderConfig) -> str:
    share = f"the file takes {100 * result.size / result.budget:.0f} % of its budget of {result.budget} bytes"
    if effort.correction_share:
        return f"{share}: what correction_share sets aside and corrections do not need stays unused; set it to 0"
    most = max(max(bits, default=0) for bits in result.bits_per_step)
    return (
        f"{share}: the codebook {stream.codebook.name} carries no more than {most} bits a step for these frames; "
        "more --steps or a larger --size carry more, as may another --codebook"
    )


def decode_report(target: str, frames: int, digests: Sequence[bool], spending: Spending, as_json: bool) -> None:
    """How many GOPs are the encoder's, and what the decoding took; in words that is no result, but a note."""
    spent = spending.told(frames)
    if as_json:
        equal = {"digests_equal": sum(digests), "digests": len(digests)}
        print_json({"file": target, "frames": frames, **equal, **spent})
    if digests:
        level = logging.INFO if all(digests) else logging.WARNING
        log.log(level, "the digest of %d of %d GOPs is the encoder's", sum(digests), len(digests))
    log.info("%s: %d frames, %s", target, frames, said(spent))


def calibration_report(found: Calibration, as_json: bool) -> None:
    """The profile as a table, or as JSON."""
    times = [time_of_snr(math.exp(u)) for u in found.profile.log_snr]
    rows = list(zip(times, found.profile.mmse, found.information, strict=True))
    if as_json:
        points = [{"t": t, "mmse": mmse, "bits_per_dimension": bits} for t, mmse, bits in rows]
        print_json({"file": str(found.file), "gops": found.gops, "profile": points})
        return
    shown = [(f"{t:.4f}", f"{mmse:.5f}", f"{bits:.5f}") for t, mmse, bits in rows]
    out.print(make_table(("t", "mmse", "bits a dimension from t = 1"), shown))
    out.say(f"{found.gops} GOPs; kept in {found.file}, for --set profile=backbone")


def verify_report(result: dict[str, Any], as_json: bool) -> None:
    """The result of `verify` as a table, or as one JSON object."""
    if as_json:
        print_json(result)
        return
    rows = [
        (name, "not available" if value is None else f"{value:.4f}" if isinstance(value, float) else value)
        for name, value in result.items()
    ]
    out.print(make_list(rows))
