"""One function a kind of curve: a clip goes in; bytes and decoded frames come out, whatever the codec."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from rfcodec import api, registry
from rfcodec.codec import open_decoder, open_encoder
from rfcodec.coding.decoded import DecodedGop, FinishedGop
from rfcodec.coding.engine import Engine
from rfcodec.coding.header import open_backbone, write_options
from rfcodec.coding.intra import TrajectoryFrames
from rfcodec.coding.run import Run, run
from rfcodec.coding.watcher import Watcher
from rfcodec.config import RuntimeConfig, StreamConfig
from rfcodec.errors import BackboneMismatch, ConfigError
from rfcodec.evaluation.anchors import encoders as anchors
from rfcodec.evaluation.anchors import external
from rfcodec.evaluation.sweep.counting import Evaluations
from rfcodec.evaluation.sweep.description import AnchorCurve, BoundCurve, CodecCurve, ExternalCurve, StillCurve
from rfcodec.evaluation.sweep.jobs import Job
from rfcodec.flow.time_grid import shifted_grid
from rfcodec.presets import configure
from rfcodec.protocols import Backbone
from rfcodec.research.wrapped import WrappedBackbone
from rfcodec.support.memory import PeakMemory
from rfcodec.trajectory.noise import ReplayNoise
from rfcodec.trajectory.step import GopPlan
from rfcodec.types import Frames
from rfcodec.video.planes import chunks
from rfcodec.video.reader import Video

GENERATION_SHIFT = 3.0  # of the grid on which backbones are sampled without bits


@final
@dataclass(frozen=True)
class Coded:
    """A clip as one method codes it; `frames` decodes it anew, or has what its encoder showed. A bound has no stream.

    `seams` are the first frames of all GOPs but the first, `commands` those of an encoder run by command line, `counter`
    counts what the model does, `dims` are the latents that the stream codes. encode_seconds leaves out that a model was
    loaded, or a knob was searched; peak_memory in bytes is that of encoding.
    """

    frames: Callable[[], Iterator[Frames]]
    stream: Path | None = None
    bytes_by_purpose: dict[str, int] = field(default_factory=dict)
    seams: tuple[int, ...] = ()
    commands: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    counter: Evaluations | None = None
    encode_seconds: float | None = None
    peak_memory: int | None = None
    decoded: bool = True
    dims: int = 0


@final
class Methods:
    """Codes clips by any curve. Models are opened once and kept; `runtime` says where they run."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._runtime = runtime
        self._opened: dict[tuple[str, str], Backbone] = {}

    def code(self, job: Job, video: Video, folder: Path) -> Coded:
        """Encodes the clip into the folder; raises what the codec raises."""
        match job.curve:
            case CodecCurve() as codec:
                return self._codec(job, codec, video, folder)
            case StillCurve() as still:
                return self._still(job, still, video, folder)
            case AnchorCurve() as anchor:
                return _anchor(job, anchor, video, folder)
            case ExternalCurve() as external_codec:
                return _external(job, external_codec, video, folder)
            case BoundCurve(kind="ceiling") as bound:
                return self._ceiling(bound, video)
            case BoundCurve() as bound:
                return self._floor(bound, video)

    def _backbone(self, stream: StreamConfig) -> tuple[RuntimeConfig, Evaluations]:
        """A runtime that holds the backbone of a stream, and what counts its evaluations."""
        name, options = stream.backbone, write_options(stream.backbone_options)
        if (name, options) not in self._opened:
            self._opened.clear()  # one model in memory
            self._opened[name, options] = open_backbone(name, options, self._runtime)
        counter = Evaluations()
        backbone = WrappedBackbone(self._opened[name, options], counter)
        return self._runtime.model_copy(update={"weights": backbone}), counter

    def _codec(self, job: Job, curve: CodecCurve, video: Video, folder: Path) -> Coded:
        stream, effort = configure(curve.preset, curve.settings(job.value))
        runtime, counter = self._backbone(stream)
        path = folder / "stream.rfv"
        memory, start = PeakMemory(self._runtime.device), time.perf_counter()
        shown = _Shown(None if job.decode else folder)
        api.encode_with(video, path, stream, effort, runtime, shown)
        seconds, peak = time.perf_counter() - start - shown.seconds, memory.peak()
        told = api.info(path)
        return Coded(
            lambda: _decoded(path, runtime) if job.decode else shown.frames(),
            path,
            told.bytes_by_purpose,
            tuple(span.start + span.overlap for span in open_decoder(told.header, runtime).spans())[1:],
            counter=counter,
            encode_seconds=seconds,
            peak_memory=peak,
            decoded=job.decode,
            dims=shown.dims,
        )

    def _ceiling(self, curve: BoundCurve, video: Video) -> Coded:
        engine, _ = self._bound(curve, video)

        def frames() -> Iterator[Frames]:
            for span in engine.spans():
                latents = engine.backbone.encode(engine.pad(video.read(span.start, span.stop)))
                yield DecodedGop(engine, span, engine.condition(b"", span, None), Run(latents)).shown

        return Coded(frames)

    def _floor(self, curve: BoundCurve, video: Video) -> Coded:
        engine, counter = self._bound(curve, video)
        plan = GopPlan(shifted_grid(engine.header.trajectory.steps, GENERATION_SHIFT), ())

        def frames() -> Iterator[Frames]:
            for span in engine.spans():
                noise = ReplayNoise(engine.codebook, engine.start_address(span.index), [], ())
                condition = engine.condition(b"", span, None)
                yield DecodedGop(engine, span, condition, run(engine, condition, plan, noise)).shown

        return Coded(frames, counter=counter)

    def _still(self, job: Job, curve: StillCurve, video: Video, folder: Path) -> Coded:
        engine, counter = self._engine(video, {"backbone": curve.backbone, "still": curve.still, "gop": 1})
        width, height = video.format.width, video.format.height
        coder = registry.load("stills", curve.still)(width, height, TrajectoryFrames(engine))
        most = int(job.value * width * height / 8)
        start = time.perf_counter()
        stills = [coder.encode(frame, most) for frames in chunks(video) for frame in frames]
        seconds = time.perf_counter() - start
        path = folder / f"stream.{curve.still}"
        path.write_bytes(b"".join(stills))

        def frames() -> Iterator[Frames]:
            return (coder.decode(data)[None] for data in stills)

        return Coded(frames, path, {"stills": path.stat().st_size}, counter=counter, encode_seconds=seconds)

    def _bound(self, curve: BoundCurve, video: Video) -> tuple[Engine, Evaluations]:
        settings = {name: value for name, value in curve.set.items() if name != "mode"}
        return self._engine(video, settings | {"backbone": curve.backbone, "mode": "t2v"})

    def _engine(self, video: Video, settings: Mapping[str, Any]) -> tuple[Engine, Evaluations]:
        stream, effort = configure("default", settings)
        runtime, counter = self._backbone(stream)
        return open_encoder(video.format, stream, effort, runtime), counter


@final
class _Shown(Watcher):
    """Counts the latents that are coded; keeps the frames that an encoder shows, if it is given a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._files = folder, list[Path]()
        self.dims, self.seconds = 0, 0.0

    def gop(self, decoded: DecodedGop | FinishedGop, source: Frames | None, size: int) -> None:
        """Stores them as they come, and the time that this takes."""
        start = time.perf_counter()
        assert isinstance(decoded, DecodedGop)  # the GOPs of a point share no workers
        self.dims += math.prod(decoded.engine.coded_shape(decoded.span, decoded.condition))
        if self._folder:
            self._files.append(self._folder / f"shown-{decoded.span.index}.npy")
            np.save(self._files[-1], decoded.shown)
        self.seconds += time.perf_counter() - start

    def frames(self) -> Iterator[Frames]:
        """GOP by GOP, what each adds to the output."""
        return map(np.load, self._files)


def _decoded(path: Path, runtime: RuntimeConfig) -> Iterator[Frames]:
    for piece in api.decode(path, runtime=runtime):
        if piece.digest_ok is False:
            raise BackboneMismatch(f"frame {piece.start}: the decoder's latents are not the encoder's; report this as a bug")
        yield piece.frames


def _anchor(job: Job, curve: AnchorCurve, video: Video, folder: Path) -> Coded:
    anchor = anchors.ANCHORS[curve.codec]
    anchor = replace(anchor, preset=curve.preset) if curve.preset else anchor
    source, out = folder / "source.y4m", folder / f"stream.{anchor.extension}"
    anchors.prepare(video, source)
    if curve.knob == "bpp":
        done = anchors.encode_to_rate(anchor, source, video.format, out, job.value)
    elif curve.knob == anchor.knob:
        done = anchors.encode(anchor, source, video.format, out, knob=job.value, scale=curve.scale)
    else:
        raise ConfigError(f"{curve.name} has no knob {curve.knob!r}; it has bpp and {anchor.knob}")
    return Coded(
        lambda: chunks(anchors.decode(done, video.format)),
        out,
        {"stream": done.size},
        commands=done.commands,
        encode_seconds=done.encode_seconds,
        facts={anchor.knob: done.knob, "scale": done.scale, "preset": anchor.preset},
    )


def _external(job: Job, curve: ExternalCurve, video: Video, folder: Path) -> Coded:
    codec = external.load_external(curve.file)
    source, out = folder / "source.y4m", folder / f"stream.{codec.extension}"
    anchors.prepare(video, source)
    if curve.knob == "bpp":
        done = external.encode_to_rate(codec, source, video.format, out, job.value)
    else:
        done = external.encode(codec, source, video.format, out, knob=job.value)

    def frames() -> Iterator[Frames]:
        with external.decode(done, video.format) as decoded:
            yield from chunks(decoded)

    return Coded(
        frames,
        out,
        {"stream": done.size},
        commands=done.commands,
        facts={codec.knob: done.knob},
        encode_seconds=done.encode_seconds,
    )
