"""Codecs to compare with that are programs of their own, described in TOML; the same verbs as for `anchors`.

    video -- anchors.prepare --> y4m -- encode: their commands --> one file -- decode: their commands --> Video

What is counted is the one file {stream}. Commands are split into words as a shell does and run without one, in order;
words in braces are filled in after that:

    {input}             y4m, raw planes (yuv420p) or a folder of im00001.png, im00002.png, ..., as `input` says
    {stream}            the coded file; `encode` writes it, `decode` reads it
    {output}            what `decode` writes, as `output` says; pictures in the order of the numbers in their names
    {knob}              the value of the knob that sets the rate
    {width} {height}    of the planes or pictures, always even
    {frames} {fps}      number of frames; frames per second as 30000/1001
    {work}              a folder for this run alone, deleted after it; input.yuv or input/im00001.png, ... lie in it

`externals/example.toml` is an example with every key.
"""

import re
import shlex
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rfcodec.errors import AnchorError, BudgetTooSmall, ConfigError, InputError, OutputError
from rfcodec.evaluation.anchors.encoders import largest_within
from rfcodec.support.files import replacing
from rfcodec.support.programs import ffmpeg, run, shell_line, working_folder
from rfcodec.support.settings import explain
from rfcodec.support.toml import read_toml
from rfcodec.types import Frame, RawLayout, VideoFormat
from rfcodec.video.colour import from_ycbcr, to_rgb
from rfcodec.video.pictures import picture_folder
from rfcodec.video.planes import DecodedVideo, coded_size, matrix_of
from rfcodec.video.reader import ReadOptions, Video, VideoReader, open_video

Kind = Literal["y4m", "yuv420p", "png"]
_FILES = {"y4m": ".y4m", "yuv420p": ".yuv", "png": ""}
_WORDS = ("input", "stream", "output", "knob", "width", "height", "frames", "fps", "work")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@final
class ExternalCodec(BaseModel):
    """A codec run by command line; `load_external` reads one from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    knob: str = Field(description="what sets the rate, such as qp")
    values: tuple[int | float | str, ...] = Field(min_length=1, description="values of the knob, from large files to small")
    encode: tuple[str, ...] = Field(min_length=1, description="commands that make {stream} of {input}")
    decode: tuple[str, ...] = Field(min_length=1, description="commands that make {output} of {stream}")
    input: Kind = "y4m"
    output: Kind = "y4m"
    extension: str = Field(default="bin", pattern=r"^\w+$", description="suffix of the coded file")
    folder: Path | None = Field(
        default=None, description="where commands run, from the TOML's own folder; default: that one"
    )
    environment: Mapping[str, str] = Field(default_factory=dict, description="variables to set")
    files: Mapping[str, str] = Field(default_factory=dict, description="files to write into {work} before each run")
    decode_needs_input: bool = Field(default=False, description="whether `decode` is given {input}: cannot decode alone")


@final
@dataclass(frozen=True)
class ExternalStream:
    """A coded file: size in bytes, value of the knob, the commands that made it, wall time of the encoder's alone."""

    path: Path
    size: int
    knob: int | float | str
    commands: tuple[str, ...]
    encode_seconds: float
    codec: ExternalCodec = field(repr=False)
    source: Path = field(repr=False)


def load_external(path: Path) -> ExternalCodec:
    """The codec that a TOML file describes; raises ConfigError where it cannot be read or does not fit."""
    try:
        codec = ExternalCodec(**read_toml(path))
    except ValidationError as error:
        raise ConfigError(f"{path} does not describe a codec: {explain(ExternalCodec, error)}") from None
    _check_words(path, codec)
    for command in (*codec.encode, *codec.decode):
        _check_command(path, command)
    folder = path.absolute().parent / (codec.folder or Path()).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{path}: there is no folder {folder}; correct `folder`, where the commands of {codec.name} run")
    return codec.model_copy(update={"folder": folder})


def _check_words(path: Path, codec: ExternalCodec) -> None:
    used = {verb: " ".join([*getattr(codec, verb), *codec.files.values()]) for verb in ("encode", "decode")}
    if unknown := sorted(set(_PLACEHOLDER.findall(" ".join(used.values()))).difference(_WORDS)):
        raise ConfigError(f"{path}: {{{unknown[0]}}} stands for nothing; legal: {', '.join(f'{{{w}}}' for w in _WORDS)}")
    for verb, word in (("encode", "{stream}"), ("decode", "{stream}"), ("decode", "{output}")):
        if word not in used[verb]:
            raise ConfigError(f"{path}: no command of `{verb}` names {word}")


def _check_command(path: Path, command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"{path}: the command {command!r} cannot be split into words: {error}") from error
    if not words:
        raise ConfigError(f"{path}: a command is empty; remove it")


def encode(codec: ExternalCodec, source: Path, video: VideoFormat, out: Path, *, knob: int | float | str) -> ExternalStream:
    """Encodes a prepared source; `out` is written only where all went well.

    A knob that equals one of the codec's values is written as that is: 20 for 20.0. Raises AnchorError where a command
    fails or leaves no file, and OutputError. What was coded is checked by `decode`.
    """
    knob = next((value for value in codec.values if value == knob), knob)
    with working_folder(out) as work:
        stream = work / f"stream.{codec.extension}"
        words = _words(codec, video, work) | {"knob": str(knob), "stream": str(stream)}
        made = _convert(codec, source, video, words)
        start = time.perf_counter()
        made += _run(codec, codec.encode, words)
        seconds = time.perf_counter() - start
        if not stream.is_file() or not stream.stat().st_size:
            raise AnchorError(f"{codec.name} reported success, but wrote no stream: {made[-1]}")
        with replacing(out) as part:
            stream.replace(part)
    return ExternalStream(out, out.stat().st_size, knob, tuple(made), seconds, codec, source)


def encode_to_rate(codec: ExternalCodec, source: Path, video: VideoFormat, out: Path, bpp: float) -> ExternalStream:
    """The largest stream of at most bpp * pixels / 8 bytes, by bisection of the knob's values.

    Raises BudgetTooSmall, which names the smallest stream, and what `encode` raises.
    """
    budget = int(bpp * video.pixels / 8)
    with working_folder(out) as folder:
        files = {value: folder / f"{number}.{codec.extension}" for number, value in enumerate(codec.values)}
        stream = largest_within(codec.values, lambda value: encode(codec, source, video, files[value], knob=value), budget)
        if stream.size > budget:
            raise BudgetTooSmall(
                f"{codec.name} cannot code this video in {budget} bytes ({bpp:.6g} bits per pixel): it needs {stream.size} "
                f"({8 * stream.size / video.pixels:.6g}) at {codec.knob} {stream.knob}"
            )
        with replacing(out) as part:
            stream.path.replace(part)
    return replace(stream, path=out)


@contextmanager
def decode(stream: ExternalStream, video: VideoFormat) -> Iterator[DecodedVideo]:
    """Decodes into a folder beside the stream that is deleted when the block ends; its frames are counted.

    Raises AnchorError where a command fails or leaves other frames than the video has, and OutputError.
    """
    codec = stream.codec
    with working_folder(stream.path) as work:
        words = _words(codec, video, work) | {"knob": str(stream.knob), "stream": str(stream.path.absolute())}
        if codec.decode_needs_input:
            _convert(codec, stream.source, video, words)
        _run(codec, codec.decode, words)
        with _open(codec, Path(words["output"]), video) as decoded:
            yield DecodedVideo(video, partial(_pictures, decoded))


def _words(codec: ExternalCodec, video: VideoFormat, work: Path) -> dict[str, str]:
    (width, height), fps = coded_size(video), video.fps
    numbers = {"width": width, "height": height, "frames": video.num_frames, "fps": f"{fps.numerator}/{fps.denominator}"}
    paths = {
        "work": work,
        "input": work / f"input{_FILES[codec.input]}",
        "output": work / f"output{_FILES[codec.output]}",
    }
    return {name: str(value) for name, value in (numbers | paths).items()}


def _run(codec: ExternalCodec, commands: Sequence[str], words: dict[str, str]) -> list[str]:
    """Runs commands and returns them as lines of a shell."""
    _lay_out(codec, words)
    filled = [[_fill(word, words) for word in shlex.split(command)] for command in commands]
    for command in filled:
        run(command, codec.folder, codec.environment)
    return [shell_line(command, codec.folder, codec.environment) for command in filled]


def _lay_out(codec: ExternalCodec, words: dict[str, str]) -> None:
    work = Path(words["work"])
    try:
        if codec.output == "png":
            Path(words["output"]).mkdir()
        for name, text in codec.files.items():
            (work / name).write_text(_fill(text, words))
    except OSError as error:
        raise OutputError(f"{work}: a file of {codec.name} cannot be written: {error.strerror or error}") from error


def _fill(text: str, words: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: words[found[1]], text)


def _convert(codec: ExternalCodec, source: Path, video: VideoFormat, words: dict[str, str]) -> list[str]:
    """Brings the source into the form that the codec reads; where that is y4m, {input} is the source itself."""
    if codec.input == "y4m":
        words["input"] = str(source.absolute())
        return []
    target = Path(words["input"])
    arguments = ["-f", "rawvideo", target]
    if codec.input == "png":
        target.mkdir()
        scale = f"scale={to_rgb(from_ycbcr(matrix_of(video)))}"
        # a % in the name of a folder would begin a number
        arguments = ["-vf", f"{scale},format=rgb24", str(target).replace("%", "%%") + "/im%05d.png"]
    command = ffmpeg("-i", source.absolute(), *arguments)
    run(command)
    return [shell_line(command)]


@contextmanager
def _open(codec: ExternalCodec, path: Path, video: VideoFormat) -> Iterator[Video]:
    size = coded_size(video)
    try:
        if codec.output == "png":
            decoded: Video = picture_folder(path, video.fps)
        else:
            raw = RawLayout(*size, video.fps) if codec.output == "yuv420p" else None
            decoded = open_video(path, reading=ReadOptions(raw))
    except InputError as error:
        raise AnchorError(f"{codec.name} reported success, but left no video: {error}") from error
    with closing(decoded) if isinstance(decoded, VideoReader) else nullcontext():
        found = decoded.format
        if (found.num_frames, found.width, found.height) != (video.num_frames, *size):
            raise AnchorError(
                f"{codec.name}: decoded {found.num_frames} frames of {found.width}x{found.height}, not {video.num_frames} "
                f"of {size[0]}x{size[1]}"
            )
        yield decoded


def _pictures(video: Video) -> Generator[Frame]:
    for number in range(video.format.num_frames):
        yield video.read(number, number + 1)[0]
