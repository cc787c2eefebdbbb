"""The Python interface: encode a video to a file, decode a file, look into one."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from rfcodec import registry
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import (
    PREAMBLE,
    GopRecord,
    read_gops,
    read_header,
    read_preamble,
    read_units,
    write_stream,
)
from rfcodec.bitstream.fields import ByteReader, Line
from rfcodec.bitstream.headers import GopHeader, SequenceHeader
from rfcodec.bitstream.records import unit_size
from rfcodec.codec import Watcher, open_decoder
from rfcodec.codec import encode as encode_units
from rfcodec.coding.engine import Engine
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig
from rfcodec.errors import (
    ConfigError,
    FrameRangeError,
    InputError,
    TruncatedStream,
    VideoReadError,
)
from rfcodec.presets import configure
from rfcodec.stream import parallel
from rfcodec.stream.playback import DecodedFrames, compared, seek
from rfcodec.stream.salvage import frames_found, salvage
from rfcodec.types import Frames, VideoFormat
from rfcodec.video.reader import ArrayVideo, Video, open_video

SMALLEST_GOP = unit_size(len(fields.write(GopHeader(0, 0, (), b""))))
LARGEST_LOSS = 1000  # times a file may be shorter than its header says: bounds what a damaged one can ask for


@final
@dataclass(frozen=True)
class Encoded:
    """What an encoding came to: size of the file in bytes, bits per pixel, format of the video."""

    path: Path
    size: int
    format: VideoFormat

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel of the frames shown."""
        return 8 * self.size / self.format.pixels


def encode(
    video: str | Path | Video | Frames,
    out: str | Path,
    *,
    preset: str = "default",
    runtime: RuntimeConfig | None = None,
    watcher: Watcher | None = None,
    **settings: Any,
) -> Encoded:
    """Encodes a file, a Video or an array of frames (uint8 RGB t y x 3) into the file `out`.

    Settings are the fields of StreamConfig and EncoderConfig, with `__` for dots: mode="i2v", bpp=0.05,
    trajectory__steps=8, codebook__memory=8. `backbone` is a name, a folder, a hub id, a live pipeline of diffusers or an
    object of the protocol Backbone. Raises ConfigError, InputError, BackboneError, OutputError.
    """
    runtime = runtime or RuntimeConfig()
    if not isinstance(settings.get("backbone", ""), str):
        runtime = runtime.model_copy(update={"weights": settings.pop("backbone")})
    stream, effort = configure(preset, {name.replace("__", "."): value for name, value in settings.items()})
    return encode_with(video, out, stream, effort, runtime, watcher)


def encode_with(
    video: str | Path | Video | Frames,
    out: str | Path,
    stream: StreamConfig,
    effort: EncoderConfig,
    runtime: RuntimeConfig | None = None,
    watcher: Watcher | None = None,
) -> Encoded:
    """`encode` with settings that are made already."""
    with _opened(video) as source:
        runtime = runtime or RuntimeConfig()
        units = (parallel.encode if runtime.jobs > 1 else encode_units)(source, stream, effort, runtime, watcher)
        return Encoded(Path(out), write_stream(Path(out), units), source.format)


def _opened(video: str | Path | Video | Frames) -> AbstractContextManager[Video]:
    if isinstance(video, np.ndarray):
        video = ArrayVideo(video)
    if not isinstance(video, str | Path | Video):
        raise InputError(
            f"a video is a path, an array of frames or an object with format and read, not {type(video).__name__}"
        )
    return closing(open_video(video)) if isinstance(video, str | Path) else nullcontext(video)


def caption(video: str | Path | Video | Frames, model: str = "auto", frames: int = 8, device: str = "cpu") -> str:
    """A line of text about a video, seen in at most `frames` frames that are spread over it: a prompt for `encode`.

    `model` is "auto", a folder or hub id of an image- or video-to-text model of transformers, or the name of another
    installed captioner. Raises InputError, MissingWeights, ConfigError.
    """
    if frames < 1:
        raise ConfigError(f"a caption is made from {frames} frames; write 1 or more")
    name, model = (model, "auto") if model in registry.names("captioners") else ("transformers", model)
    with _opened(video) as source:
        count, shown = source.format.num_frames, min(frames, source.format.num_frames)
        # the middles of equal shares of the video
        places = [(2 * share + 1) * count // (2 * shown) for share in range(shown)]
        seen = np.concatenate([source.read(place, place + 1) for place in places])
    return registry.load("captioners", name)(model, device).caption(seen)


def decode(
    path: str | Path,
    *,
    frames: tuple[int | None, int | None] = (None, None),
    partial: bool = False,
    backbone: Any = None,
    runtime: RuntimeConfig | None = None,
    watcher: Watcher | None = None,
) -> Iterator[DecodedFrames]:
    """Yields decoded frames GOP by GOP, those of the GOPs that hold frames [A, B) alone, cut to them.

    `backbone` says where the weights are if not where the stream says: a folder, a hub id, a pipeline, a Backbone.

    `realism` and `closing_steps` of `runtime` show other pictures from the same bits (docs/coding.md).

    With `partial` a damaged file is decoded as far as it is intact: a GOP cut short goes on as ODE, a lost one repeats
    the frame before it, each with a DamageWarning. Raises BitstreamError, BackboneMismatch, FrameRangeError.
    """
    data, header = _read(path)
    runtime = runtime or RuntimeConfig()
    runtime = runtime if backbone is None else runtime.model_copy(update={"weights": backbone})
    engine = open_decoder(header, runtime)
    if not header.num_frames:
        engine.header = header = replace(header, num_frames=_frames_found(engine, data, partial))
    start, stop = _range(frames, header.num_frames)
    if partial:
        pieces = salvage(engine, data, runtime)
    elif runtime.jobs > 1:
        pieces = parallel.decode(data, (start, stop), runtime, engine)
    else:
        pieces = seek(engine, data, start, watcher or Watcher(), runtime)
    for piece in compared(engine, pieces):
        first, last = max(start - piece.start, 0), min(stop - piece.start, len(piece.frames))
        if first < last:
            yield DecodedFrames(piece.start + first, piece.frames[first:last], piece.digest_ok, piece.intact)
        if piece.start + len(piece.frames) >= stop:
            return


def _read(path: str | Path) -> tuple[bytes, SequenceHeader]:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise VideoReadError(f"cannot read {path}: {error.strerror or error}") from error
    header = read_header(data)
    fewest = -(-header.num_frames // header.gop) * SMALLEST_GOP
    if fewest > len(data) * LARGEST_LOSS:
        raise TruncatedStream(f"{header.num_frames} frames need {fewest} bytes at the least, the file has {len(data)}")
    return data, header


def _frames_found(engine: Engine, data: bytes, partial: bool) -> int:
    found = frames_found(engine, data) if partial else 0
    if not found:
        raise TruncatedStream(
            "the end mark, which says how many frames there are, is missing; --partial decodes what is there"
        )
    return found


def _range(frames: tuple[int | None, int | None], count: int) -> tuple[int, int]:
    start, stop = frames[0] or 0, count if frames[1] is None else frames[1]
    if not 0 <= start < stop <= count:
        raise FrameRangeError(f"frames {start}:{stop} do not exist; the stream has frames 0:{count}")
    return start, stop


@final
@dataclass(frozen=True)
class StreamInfo:
    """What a file says of itself: header fields, GOPs, and its bytes by purpose."""

    path: Path
    size: int
    header: SequenceHeader
    lines: list[Line]
    gops: list[GopRecord]
    bytes_by_purpose: dict[str, int]

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel of the frames shown."""
        return 8 * self.size / self.header.format.pixels


def info(path: str | Path) -> StreamInfo:
    """Reads the headers of a whole file; no model is opened. Raises BitstreamError on any damage."""
    data, header = _read(path)
    reader = ByteReader(data)
    read_preamble(reader)
    start = reader.position
    gops = list(read_gops(read_units(reader)))
    purposes = {
        "sequence header": start,
        "GOP headers": sum(unit_size(len(fields.write(gop.header))) for gop in gops),
        "side information": sum(unit_size(len(gop.side_info)) for gop in gops if gop.side_info),
        "symbols": sum(unit_size(len(gop.symbols)) for gop in gops if gop.symbols),
        "correction": sum(unit_size(len(gop.correction)) for gop in gops if gop.correction),
    }
    purposes["index and end"] = len(data) - sum(purposes.values())
    return StreamInfo(Path(path), len(data), header, _named(header), gops, purposes)


def _named(header: SequenceHeader) -> list[Line]:
    lines = [Line("signature and version", PREAMBLE.hex(), len(PREAMBLE), "RFV and the version of the stream")]
    plugins = {"mode": "conditioners", "still": "stills", "codebook": "codebooks"}
    for line in fields.describe(header):
        named = line._replace(value=registry.name_of(plugins[line.name], line.value)) if line.name in plugins else line
        lines.append(named._replace(value=named.value.hex()) if isinstance(named.value, bytes) else named)
    return lines


def read_format(path: str | Path) -> VideoFormat:
    """Size, length and speed of the video in a file, from its sequence header alone."""
    return _read(path)[1].format
