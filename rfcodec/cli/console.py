"""Bars on standard error: an encoding with bits and dB so far, a decoding, a calibration."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, final

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from rfcodec import api
from rfcodec.cli.reports import Spending, decode_report
from rfcodec.cli.verbs import shows_progress
from rfcodec.coding.decoded import DecodedGop, FinishedGop
from rfcodec.coding.information import information
from rfcodec.coding.watcher import StepReport, Watcher
from rfcodec.config import RuntimeConfig
from rfcodec.metrics.fidelity import psnr
from rfcodec.support.console import err
from rfcodec.types import Frames, InformationProfile, VideoFormat
from rfcodec.video.reader import VideoWriter

LOADING = "loading the model"


def make_progress() -> Progress:
    """A bar that goes away in the end; nothing without a terminal or with -q."""
    texts = [TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[news]}")]
    columns = (SpinnerColumn("line"), texts[0], BarColumn(24), texts[1], TimeRemainingColumn())
    return Progress(*columns, console=err, disable=not shows_progress(), transient=True)


@final
class EncodeProgress(Watcher):
    """A bar over frames, with bytes and dB so far; writes the reconstruction on the way if asked to."""

    def __init__(self, video: VideoFormat, recon: str | Path | None) -> None:
        self.size, self.psnr_sum, self.frames = 0, 0.0, 0
        self._total = video.num_frames
        self._progress = make_progress()
        self._task = self._progress.add_task(LOADING, total=None, news="")
        self._stack = ExitStack()
        self._writer = VideoWriter(recon, video) if recon else None

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

    def opened(self, budget: int) -> None:
        """The model is loaded."""
        self._progress.update(self._task, description="encoding", total=float(self._total))

    def step(self, report: StepReport) -> None:
        """Moves the bar by a step's share of the GOP."""
        span, error = report.span, 10 * math.log10(max(report.mse, 1e-12))
        news = f"GOP {span.index} step {report.k + 1}/{report.n}, {error:.1f} dB in latents; {self._so_far()}"
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
        return f"{self.size} bytes, {self.psnr:.2f} dB" if self.frames else "no GOP finished yet"


def decode_to_file(
    source: Path | bytes,
    output: tuple[VideoWriter, str],
    frames: tuple[int | None, int | None],
    partial: bool,
    runtime: RuntimeConfig,
    as_json: bool = False,
) -> None:
    """Decodes GOP by GOP into a writer, which has a name for the report."""
    (writer, name), total = output, output[0].format.num_frames
    spending = Spending(runtime.device)
    pieces = api.decode(source, frames=frames, partial=partial, runtime=runtime)
    digests: list[bool] = []
    count = 0
    with make_progress() as progress, writer:
        task = progress.add_task(LOADING, total=None, news="")
        for piece in pieces:
            writer.write(piece.frames)
            count += len(piece.frames)
            digests += [] if piece.digest_ok is None else [piece.digest_ok]
            last = piece.start + len(piece.frames)
            news: dict[str, Any] = {"total": float(total), "news": f"frame {last} of {total}"}
            progress.update(task, description="decoding", completed=last, **news)
    decode_report(name, count, digests, spending, as_json)


@contextmanager
def calibration_watcher() -> Iterator[Callable[[int, InformationProfile], None]]:
    """A line that counts GOPs and says the information up to the end of the profile."""
    with make_progress() as progress:
        task = progress.add_task(LOADING, total=None, news="")

        def watch(done: int, profile: InformationProfile) -> None:
            news = f"GOP {done}: {information(profile)[-1]:.3f} bits a dimension"
            progress.update(task, description="calibrating", news=news)

        yield watch
