"""GOPs of one video on several workers; the stream is equal bit for bit to that of one worker.

stills, one after the other --> side info of all GOPs
                                  | GOP 0 --> worker --> units |
                                  | GOP 1 --> worker --> units | --> file, in order
                                  | GOP 2 --> worker --> units |
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import final

from rfcodec import registry
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import read_header
from rfcodec.bitstream.records import Unit, UnitType
from rfcodec.codec import GopEncoder, open_decoder, open_encoder
from rfcodec.coding.decoded import Boundary, FinishedGop
from rfcodec.coding.engine import Engine
from rfcodec.coding.watcher import Watcher
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig
from rfcodec.errors import BackboneMismatch, ConfigError
from rfcodec.executors.base import Executor, in_order, open_executor
from rfcodec.stream.playback import DecodedFrames, seek
from rfcodec.types import Frames, VideoFormat
from rfcodec.video.reader import Video


def encode(
    video: Video, stream: StreamConfig, effort: EncoderConfig, runtime: RuntimeConfig, watcher: Watcher | None = None
) -> Iterator[Unit]:
    """Codes a video as units of a stream; raises ConfigError for chained modes, WorkerError."""
    watcher = watcher or Watcher()
    executor, alone = _shared_out(runtime)
    encoder = GopEncoder(open_encoder(video.format, stream, effort, alone), effort, watcher)
    engine = encoder.engine
    _refuse_chain(engine)
    header = fields.write(engine.header)
    yield Unit(UnitType.SEQUENCE, header)
    make = partial(_EncodeGop, header, video.format, stream, effort, alone)
    sent: dict[int, Frames] = {}  # to workers, and not back yet
    for finished in in_order(executor.run(make, _gop_tasks(encoder, video, sent))):
        yield from finished.units
        size = sum(len(unit.write()) for unit in finished.units)
        watcher.gop(
            FinishedGop(engine.span(finished.index), finished.shown, finished.step_bits), sent.pop(finished.index), size
        )


def decode(data: bytes, frames: tuple[int, int], runtime: RuntimeConfig, engine: Engine) -> Iterator[DecodedFrames]:
    """The GOPs of a stream that hold frames [start, stop), in order; raises as `encode` does."""
    _refuse_chain(engine)
    executor, alone = _shared_out(runtime)
    start, stop = frames
    shown = ((span.start + span.overlap, span.stop) for span in engine.spans())
    firsts = (first for first, end in takewhile(lambda piece: piece[0] < stop, shown) if start < end)
    yield from in_order(executor.run(partial(_DecodeGop, data, alone), firsts))


def _shared_out(runtime: RuntimeConfig) -> tuple[Executor, RuntimeConfig]:
    if not isinstance(runtime.weights, str | os.PathLike | None):
        raise ConfigError("a live model cannot be sent to workers: name its folder or hub id, or leave jobs at 1")
    executor = open_executor(runtime.executor, runtime.jobs, runtime.executor_options)
    return executor, runtime.model_copy(update={"jobs": 1})


def _refuse_chain(engine: Engine) -> None:
    if engine.conditioner.chained:
        mode = registry.name_of("conditioners", engine.header.mode)
        raise ConfigError(f"in mode {mode} every GOP continues the one before: leave jobs at 1, or use t2v or flf2v")


@final
@dataclass(frozen=True)
class _Task:
    """A GOP to code; `before` is the side information of the one before it, whose boundary frame it may share."""

    index: int
    frames: Frames
    side_info: bytes
    before: bytes | None


@final
@dataclass(frozen=True)
class _Finished:
    index: int
    units: list[Unit]
    shown: Frames
    step_bits: tuple[int, ...]


def _gop_tasks(encoder: GopEncoder, video: Video, sent: dict[int, Frames]) -> Iterator[_Task]:
    before, previous = None, None
    for span in encoder.engine.spans():
        sent[span.index] = frames = video.read(span.start, span.stop)
        side_info = encoder.emit(frames, span, previous)
        yield _Task(span.index, frames, side_info, before)
        before, previous = side_info, Boundary(encoder.engine.condition(side_info, span, previous))


@final
class _EncodeGop:
    def __init__(
        self, header: bytes, video: VideoFormat, stream: StreamConfig, effort: EncoderConfig, runtime: RuntimeConfig
    ) -> None:
        engine = open_encoder(video, stream, effort, runtime)
        if fields.write(engine.header) != header:
            here = engine.backbone.identity
            raise BackboneMismatch(
                f"a worker has other weights or another arithmetic than the encoder ({here.name} "
                f"{here.weights.hex()}, {here.arithmetic!r}): use machines of one kind with equal software"
            )
        self._encoder = GopEncoder(engine, effort, Watcher())

    def __call__(self, task: _Task) -> _Finished:
        engine = self._encoder.engine
        previous = None
        if task.before is not None:
            previous = Boundary(engine.condition(task.before, engine.span(task.index - 1), None))
        span = engine.span(task.index)
        decoded, units = self._encoder.code(task.frames, span, task.side_info, previous)
        return _Finished(task.index, units, decoded.shown, decoded.step_bits)


@final
class _DecodeGop:
    def __init__(self, data: bytes, runtime: RuntimeConfig) -> None:
        self._data, self._runtime = data, runtime
        self._engine = open_decoder(read_header(data), runtime)

    def __call__(self, first: int) -> DecodedFrames:
        return next(seek(self._engine, self._data, first, Watcher(), self._runtime))
