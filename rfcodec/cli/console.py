"""What the command line shows: progress with bits and dB so far, tables, JSON."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from rfcodec import api, registry
from rfcodec.coding.calibrate import Calibration
from rfcodec.coding.decoded import DecodedGop, FinishedGop
from rfcodec.coding.information import information
from rfcodec.coding.watcher import StepReport, Watcher
from rfcodec.config import RuntimeConfig
from rfcodec.flow.path import time_of_snr
from rfcodec.metrics.fidelity import psnr
from rfcodec.stream.playback import record_size
from rfcodec.types import Frames, InformationProfile, VideoFormat
from rfcodec.video.damage import SourceReport
from rfcodec.video.reader import VideoWriter


def _progress(console: Console, silent: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[news]}"), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=silent or not console.is_terminal, transient=True)


@final
class EncodeProgress(Watcher):
    """A bar over frames, with bytes and dB so far; writes the reconstruction on the way if asked to."""

    def __init__(self, console: Console, video: VideoFormat, recon: str | Path | None, silent: bool) -> None:
        self.size, self.psnr_sum, self.frames = 0, 0.0, 0
        self._progress = _progress(console, silent)
        self._task = self._progress.add_task("encoding", total=float(video.num_frames), news="")
        self._stack = ExitStack()
        self._writer = VideoWriter(recon, video) if recon else None
        self._start = 0.0

    def __enter__(self) -> "EncodeProgress":
        self._stack.enter_context(self._progress)
        if self._writer:
            self._stack.enter_context(self._writer)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, value, trace)

    @property
    def psnr(self) -> float | None:
        """Mean PSNR in dB over the frames so far."""
        return self.psnr_sum / self.frames if self.frames else None

    def step(self, report: StepReport) -> None:
        """Moves the bar by a step's share of the GOP."""
        span, error = report.span, 10 * math.log10(max(report.mse, 1e-12))
        news = f"GOP {span.index} step {report.k + 1} of {report.n}, latent error {error:.1f} dB; {self._so_far()}"
        self._progress.update(self._task, completed=self.frames + span.num_shown * report.k / report.n, news=news)

    def gop(self, decoded: DecodedGop | FinishedGop, source: Frames | None, size: int) -> None:
        """Counts bytes and dB of a finished GOP."""
        shown = decoded.shown
        if source is not None:
            self.psnr_sum += psnr(source[decoded.span.overlap :], shown) * len(shown)
        self.size += size
        self.frames += len(shown)
        if self._writer:
            self._writer.write(shown)
        self._progress.update(self._task, completed=self.frames, news=self._so_far())

    def _so_far(self) -> str:
        return f"{8 * self.size} bits, {self.psnr:.2f} dB" if self.frames else "no GOP finished yet"


def encode_report(
    console: Console, result: api.Encoded, watcher: EncodeProgress, mode: str, source: SourceReport, as_json: bool
) -> None:
    """Bytes, bpp, kbps and PSNR of a finished encoding, and how much of the source could be read."""
    seconds = result.format.num_frames / result.format.fps
    row = {
        "file": str(result.path),
        "mode": mode,
        "frames": result.format.num_frames,
        "bytes": result.size,
        "bpp": result.bpp,
        "kbps": float(8 * result.size / seconds / 1000),
        "psnr": watcher.psnr,
        "source_frames_read": source.read,
        "source_frames_expected": source.expected,
        "source_damaged": source.damaged,
    }
    if as_json:
        print(json.dumps(row))
        return
    console.print(
        f"{row['file']}: {row['bytes']} bytes, {row['bpp']:.5f} bpp, {row['kbps']:.2f} kbit/s, "
        f"{row['frames']} frames, PSNR {row['psnr']:.2f} dB",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def decode_to_file(
    console: Console,
    source: Path,
    writer: VideoWriter,
    frames: tuple[int | None, int | None],
    partial: bool,
    runtime: RuntimeConfig,
) -> None:
    """Decodes GOP by GOP into what the writer writes."""
    video = api.read_format(source)
    pieces = api.decode(source, frames=frames, partial=partial, runtime=runtime)
    digests: list[bool] = []
    with _progress(console, False) as progress, writer:
        task = progress.add_task("decoding", total=float(video.num_frames), news="")
        for piece in pieces:
            writer.write(piece.frames)
            digests += [] if piece.digest_ok is None else [piece.digest_ok]
            progress.update(task, completed=piece.start + len(piece.frames), news=f"frame {piece.start + len(piece.frames)}")
    if digests:
        mark = "" if all(digests) else "[yellow]warning:[/] "
        console.print(f"{mark}the digest of {sum(digests)} of {len(digests)} GOPs is the encoder's")


@contextmanager
def calibration_watcher(console: Console, silent: bool) -> Iterator[Callable[[int, InformationProfile], None]]:
    """A line that counts GOPs and says the information up to the end of the profile."""
    with _progress(console, silent) as progress:
        task = progress.add_task("calibrating", total=None, news="")

        def watch(done: int, profile: InformationProfile) -> None:
            progress.update(task, news=f"GOP {done}: {information(profile)[-1]:.3f} bits a dimension")

        yield watch


def calibration_report(console: Console, found: Calibration, as_json: bool) -> None:
    """The profile as a table, or as JSON."""
    times = [time_of_snr(math.exp(u)) for u in found.profile.log_snr]
    rows = list(zip(times, found.profile.mmse, found.information, strict=True))
    if as_json:
        points = [{"t": t, "mmse": mmse, "bits_per_dimension": bits} for t, mmse, bits in rows]
        print(json.dumps({"file": str(found.file), "gops": found.gops, "profile": points}))
        return
    table = Table("t", "mmse", "bits a dimension from t = 1")
    for t, mmse, bits in rows:
        table.add_row(f"{t:.4f}", f"{mmse:.5f}", f"{bits:.5f}")
    console.print(table)
    console.print(f"{found.gops} GOPs; kept in {found.file}, for --set profile=backbone", soft_wrap=True, highlight=False)


def info_report(console: Console, stream: api.StreamInfo, as_json: bool) -> None:
    """Headers, GOPs and bytes by purpose."""
    if as_json:
        header = {line.name: str(line.value) if isinstance(line.value, bytes) else line.value for line in stream.lines}
        gops = [{"index": g.header.index, "symbol_bits": g.header.symbol_bits, "bytes": record_size(g)} for g in stream.gops]
        whole = {
            "bytes": stream.size,
            "bpp": stream.bpp,
            "bytes_by_purpose": stream.bytes_by_purpose,
            "header": header,
            "gops": gops,
        }
        print(json.dumps(whole, indent=2))
        return
    console.print(_table(("field", "value", "bytes", "meaning"), stream.lines))
    rows = [(name, size, f"{100 * size / stream.size:.1f} %") for name, size in stream.bytes_by_purpose.items()]
    console.print(_table(("purpose", "bytes", "share"), [*rows, ("whole file", stream.size, f"{stream.bpp:.5f} bpp")]))
    gops = [(g.header.index, record_size(g), g.header.symbol_bits, len(g.side_info), len(g.correction)) for g in stream.gops]
    console.print(_table(("GOP", "bytes", "symbol bits", "side information", "correction"), gops))


def verify_report(console: Console, result: dict[str, Any], as_json: bool) -> None:
    """The result of `verify` as a table, or as one JSON object."""
    if as_json:
        print(json.dumps(result))
        return
    rows = [
        (name, "not available" if value is None else f"{value:.4f}" if isinstance(value, float) else value)
        for name, value in result.items()
    ]
    console.print(_table(("", ""), rows))


def _table(head: tuple[str, ...], rows: Any) -> Table:
    table = Table(*head)
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row))
    return table


def plugin_rows(kind: str) -> list[dict[str, Any]]:
    """Name, id, where it comes from, what it is, and its fields, of every installed plugin of a kind."""
    rows = []
    for name, plugin in sorted(registry.loadable(kind).items()):
        row = {
            "name": name,
            "id": getattr(plugin, "ID", ""),
            "from": registry.names(kind)[name].value,
            "what": (plugin.__doc__ or "").partition("\n")[0],
        }
        if kind == "codebooks" and is_dataclass(plugin):
            row["fields"] = ", ".join(f"{item.name}={item.default}" for item in dataclass_fields(plugin))
        rows.append(row)
    return rows
