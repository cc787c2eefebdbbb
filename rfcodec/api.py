"""The Python interface: encode a video to a file or to bytes, decode either, look into one."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, final

import numpy as np

from rfcodec import registry
from rfcodec.bitstream.container import write_stream
from rfcodec.bitstream.headers import SequenceHeader
from rfcodec.codec import encode as encode_units
from rfcodec.codec import open_decoder
from rfcodec.coding.decoded import DecodedGop, FinishedGop
from rfcodec.coding.limits import check_array
from rfcodec.coding.watcher import StepReport, Watcher
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig
from rfcodec.errors import ConfigError, FrameRangeError, InputError, TruncatedStream, VideoReadError
from rfcodec.metrics.fidelity import psnr
from rfcodec.presets import configure
from rfcodec.presets import runtime as make_runtime
from rfcodec.protocols import Backbone
from rfcodec.stream import parallel
from rfcodec.stream.info import Account, StreamInfo, checked_header, describe
from rfcodec.stream.playback import DecodedFrames, compared, seek
from rfcodec.stream.salvage import salvage, survey
from rfcodec.support.devices import check_device
from rfcodec.support.speed import parse_speed
from rfcodec.support.steady import steadily, steady_arithmetic
from rfcodec.types import Frames, VideoFormat
from rfcodec.video.inputs import Input, Span, as_video
from rfcodec.video.outputs import check_outputs
from rfcodec.video.source import ReadOptions

Setting = str | int | float | bool | Path | np.ndarray | None
Stream = str | Path | bytes | IO[bytes]  # where a stream is read from
Progress = Watcher | Callable[[StepReport], None]
LARGEST_LOSS = 1000  # times as many frames may be asked of a damaged file as its readable GOPs have


@final
@dataclass(frozen=True)
class Encoded:
    """What an encoding came to: bytes in all and by purpose, bits of each coded step of each GOP, PSNR in dB.

    `budget` is the bytes that it was allowed. `path` is None where the stream was written to a file object. `psnr` is the
    mean over the frames shown, None where it was not measured.
    """

    path: Path | None
    size: int
    format: VideoFormat
    bytes_by_purpose: dict[str, int]
    bits_per_step: tuple[tuple[int, ...], ...]
    psnr: float | None
    budget: int

    @property
    def bpp(self) -> float:
        """Bits of the whole stream per pixel of the frames shown."""
        return 8 * self.size / self.format.pixels


def encode(
    video: Input,
    out: str | Path | IO[bytes],
    *,
    backbone: str | Path | Backbone[Any] | object = None,
    preset: str = "default",
    frames: Span = (None, None),
    size: tuple[int, int] | None = None,
    fps: Fraction | float | None = None,
    reading: ReadOptions = ReadOptions(),
    steps: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    runtime: RuntimeConfig | None = None,
    watcher: Progress | None = None,
    measure: bool = True,
    **settings: Setting,
) -> Encoded:
    """Encodes frames [A, B) of a video, scaled to (width, height), into the file `out`, a path or a binary file.

    A video is a path, bytes or a binary file of a container; an array or a tensor, uint8 RGB t y x 3; PIL pictures; or an
    object with `format` and `read`. `reading` says how files are read, `fps` the speed of a file or of arrays. Settings are
    the fields of StreamConfig and EncoderConfig, with `__` for dots: mode="i2v", bpp=0.05, trajectory__eta=0.9,
    codebook__memory=8; `steps` is trajectory__steps. `backbone` is a name, a folder, a hub id, a live pipeline of diffusers
    or an object of the protocol Backbone. `watcher` is told of every coded step. With `measure` every GOP is decoded for
    its PSNR. Without bpp, kbps or bytes the budget is DEFAULT_BPP of rfcodec/config.py, or the only rate of methods that
    have one. A file that is there is replaced, unless it is the source. Raises ConfigError, InputError, BackboneError,
    OutputError.
    """
    named = {name.replace("__", "."): value for name, value in settings.items()}
    if steps is not None and "trajectory.steps" in named:
        raise ConfigError("steps and trajectory__steps are words for one setting: give one of them")
    if steps is not None:
        named["trajectory.steps"] = steps
    where = _runtime(runtime, device=device, threads=threads)
    if isinstance(backbone, str | Path):
        named["backbone"] = str(backbone)
    elif backbone is not None:
        where = where.model_copy(update={"weights": backbone})
    stream, effort = configure(preset, named)
    _check_target(out, video, effort)
    reading = reading if fps is None else replace(reading, fps=parse_speed(fps))
    with as_video(video, frames, size, reading) as source:
        return encode_with(source, out, stream, effort, where, watcher, measure=measure)


@steady_arithmetic()
def encode_with(
    video: Input,
    out: str | Path | IO[bytes],
    stream: StreamConfig,
    effort: EncoderConfig,
    runtime: RuntimeConfig | None = None,
    watcher: Progress | None = None,
    *,
    measure: bool = False,
) -> Encoded:
    """`encode` with settings that are made already; PSNR only if asked for."""
    runtime = runtime or RuntimeConfig()
    _check_target(out, video, effort)
    ledger, account = _Ledger(_watcher(watcher), measure), Account()
    target = Path(out) if isinstance(out, str | Path) else out
    with as_video(video) as source:
        units = (parallel.encode if runtime.jobs > 1 else encode_units)(source, stream, effort, runtime, ledger)
        size = write_stream(target, account.passing(units))
        path = target if isinstance(target, Path) else None
        return Encoded(path, size, source.format, account.by_purpose(size), tuple(ledger.bits), ledger.psnr, ledger.budget)


def _check_target(out: object, video: object, effort: EncoderConfig) -> None:
    """Raises OutputError where the stream would replace what it is made from."""
    target, inputs = _place(out), {"source": _place(video), "mask": _place(effort.roi)}
    if target is not None:
        check_outputs({"the stream": target}, {what: place for what, place in inputs.items() if place is not None})


def _place(given: object) -> str | Path | None:
    """The path that is given, or that of an open file."""
    name = getattr(given, "name", None) if hasattr(given, "read") else given
    return name if isinstance(name, str | Path) else None


def compress(video: Input, **settings: Any) -> bytes:
    """A video as the bytes of a stream; arguments are those of `encode` but `out`."""
    if "out" in settings:
        raise ConfigError("compress returns the bytes of the stream: leave `out` out, or call encode(video, out)")
    out = io.BytesIO()
    encode(video, out, **settings)
    return out.getvalue()


def decompress(stream: Stream, **settings: Any) -> Frames:
    """All frames of a stream, uint8 RGB t y x 3; arguments are those of `decode`.

    Raises what `decode` does, and LimitExceeded where the array is larger than the limit of memory.
    """
    data, header = _read(stream, settings.get("partial", False))
    first, last = settings.get("frames", (None, None))
    count = (header.num_frames if last is None else last) - (first or 0)
    check_array(replace(header.format, num_frames=max(count, 0)), settings.get("runtime") or RuntimeConfig())
    return np.concatenate([piece.frames for piece in decode(data, **settings)])


@steadily
def decode(
    stream: Stream,
    *,
    frames: Span = (None, None),
    partial: bool = False,
    backbone: str | Path | Backbone[Any] | object = None,
    device: str | None = None,
    threads: int | None = None,
    runtime: RuntimeConfig | None = None,
    watcher: Watcher | None = None,
) -> Iterator[DecodedFrames]:
    """Yields decoded frames GOP by GOP, those of the GOPs that hold frames [A, B) alone, cut to them.

    A stream is a path, its bytes or a binary file. `backbone` is where the weights are if not where the stream tells: a
    folder, a hub id, a pipeline, a Backbone. `realism` and `closing_steps` of `runtime` show other pictures from the same
    bits (docs/coding.md).

    With `partial` a damaged file is decoded as far as it is intact: a GOP cut short goes on as ODE, a lost one repeats
    the frame before it, each with a DamageWarning. A watcher is told of GOPs that are decoded one after the other here,
    not on workers or with `partial`. Raises BitstreamError, BackboneError, ConfigError for what the stream needs and is
    not installed, VideoReadError, FrameRangeError.
    """
    data, header = _read(stream, partial)
    where = _runtime(runtime, device=device, threads=threads)
    where = where if backbone is None else where.model_copy(update={"weights": backbone})
    header, readable = survey(header, data) if partial else (header, header.num_frames)
    if not header.num_frames:
        raise TruncatedStream(
            "the end mark, which tells how many frames there are, is missing; --partial decodes what is there"
        )
    start, stop = _range(frames, header.num_frames)
    if stop - start > LARGEST_LOSS * readable:
        found = f"of {stop - start} frames that are asked for at most {readable} are readable"
        raise TruncatedStream(f"{found}: name fewer with --frames A:B")
    engine = open_decoder(header, where)
    if partial:
        pieces = salvage(engine, data, where)
    elif where.jobs > 1:
        pieces = parallel.decode(data, (start, stop), where, engine)
    else:
        pieces = seek(engine, data, start, watcher or Watcher(), where)
    for piece in compared(engine, pieces):
        first, last = max(start - piece.start, 0), min(stop - piece.start, len(piece.frames))
        if first < last:
            yield DecodedFrames(piece.start + first, piece.frames[first:last], piece.digest_ok, piece.intact)
        if piece.start + len(piece.frames) >= stop:
            return


def info(stream: Stream) -> StreamInfo:
    """Reads the headers of a whole stream; no model is opened. Raises BitstreamError on any damage."""
    return describe(_read(stream)[0])


def read_format(stream: Stream, partial: bool = False) -> VideoFormat:
    """Size, length and speed of the video in a stream, from its headers alone; of one that is cut short with `partial`."""
    return _read(stream, partial)[1].format


def caption(video: Input, model: str = "auto", frames: int = 8, device: str = "cpu") -> str:
    """A line of text about a video, seen in at most `frames` frames that are spread over it: a prompt for `encode`.

    `model` is "auto", a folder or hub id of an image- or video-to-text model of transformers, or the name of another
    installed captioner. Raises InputError, MissingWeights, ConfigError.
    """
    if frames < 1:
        raise ConfigError(f"a caption is made from {frames} frames; write 1 or more")
    name, model = (model, "auto") if model in registry.names("captioners") else ("transformers", model)
    with as_video(video) as source:
        count, shown = source.format.num_frames, min(frames, source.format.num_frames)
        # the middles of equal shares of the video
        places = [(2 * share + 1) * count // (2 * shown) for share in range(shown)]
        seen = np.concatenate([source.read(place, place + 1) for place in places])
    return registry.load("captioners", name)(model, device).caption(seen)


@final
class _Ledger(Watcher):
    """Keeps bits and error of an encoding, and tells another watcher."""

    def __init__(self, inner: Watcher, measure: bool) -> None:
        self.bits: list[tuple[int, ...]] = []
        self.budget = 0
        self.step = inner.step
        self._inner, self._measure, self._decibels, self._frames = inner, measure, 0.0, 0

    def opened(self, budget: int) -> None:
        """The bytes that the file may have."""
        self.budget = budget
        self._inner.opened(budget)

    def gop(self, decoded: DecodedGop | FinishedGop, source: Frames | None, size: int) -> None:
        """Bits and, if it is to be measured, error of a GOP."""
        self.bits.append(decoded.step_bits)
        if self._measure and source is not None:
            self._decibels += psnr(source[decoded.span.overlap :], decoded.shown) * len(decoded.shown)
            self._frames += len(decoded.shown)
        self._inner.gop(decoded, source, size)

    @property
    def psnr(self) -> float | None:
        """Mean PSNR over the frames shown."""
        return self._decibels / self._frames if self._frames else None


@final
class _Calling(Watcher):
    """Tells a function of every coded step."""

    def __init__(self, call: Callable[[StepReport], None]) -> None:
        self._call = call

    def step(self, report: StepReport) -> None:
        """Calls it."""
        self._call(report)


def _watcher(told: Progress | None) -> Watcher:
    return told if isinstance(told, Watcher) else Watcher() if told is None else _Calling(told)


def _runtime(given: RuntimeConfig | None, **settings: str | int | None) -> RuntimeConfig:
    chosen = {name: value for name, value in settings.items() if value is not None}
    where = (given or RuntimeConfig()).model_copy(update=make_runtime(**chosen).model_dump(include=set(chosen)))
    check_device(where.device)
    return where


def _read(stream: Stream, partial: bool = False) -> tuple[bytes, SequenceHeader]:
    if isinstance(stream, bytes | bytearray | memoryview):
        data = bytes(stream)
    elif isinstance(stream, str | Path):
        try:
            data = Path(stream).read_bytes()
        except OSError as error:
            raise VideoReadError(f"cannot read {stream}: {error.strerror or error}") from error
    elif hasattr(stream, "read"):
        data = _read_file(stream)
    else:
        raise InputError(f"a stream is a path, its bytes or a binary file, not {type(stream).__name__}")
    return data, checked_header(data, partial)


def _read_file(file: IO[bytes]) -> bytes:
    # a file that can be rewound is left as it was found, so that `info` and then `decode` can be given the same one
    try:
        start = file.tell() if file.seekable() else None
        data = file.read()
        if start is not None:
            file.seek(start)
    except (OSError, ValueError) as error:
        raise VideoReadError(f"cannot read from {type(file).__name__}: {error}") from error
    if not isinstance(data, bytes):
        raise InputError(f'the file gives {type(data).__name__}, not bytes: open it with mode "rb"')
    return data


def _range(frames: Span, count: int) -> tuple[int, int]:
    start, stop = frames[0] or 0, count if frames[1] is None else frames[1]
    if not 0 <= start < stop <= count:
        raise FrameRangeError(f"frames {start}:{stop} do not exist; the stream has frames 0:{count}")
    return start, stop
