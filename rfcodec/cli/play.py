"""The command that shows a stream in a player."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated, cast

import typer

from rfcodec.cli.options import (
    ClosingSteps,
    Device,
    Fetch,
    Frames,
    MaxFrames,
    MaxMemory,
    MaxPixels,
    Offload,
    Overrides,
    Realism,
    Threads,
    Where,
    limits,
    runtime,
)
from rfcodec.errors import ConfigError, OutputError
from rfcodec.support.words import parse_frames, parse_settings

_MATRICES = {"bt709": ("bt709", "bt.709"), "bt601": ("smpte170m", "bt.601")}  # as ffplay and mpv say it


def play(
    source: Annotated[Path, typer.Argument(metavar="IN.rfv")],
    frames: Frames = ":",
    partial: Annotated[bool, typer.Option("--partial", help="Show what is intact of a damaged file.")] = False,
    realism: Realism = 1.0,
    closing_steps: ClosingSteps = None,
    backbone: Where = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
    max_pixels: MaxPixels = None,
    max_frames: MaxFrames = None,
    max_memory: MaxMemory = None,
) -> None:
    """Show a file in ffplay or mpv, frame by frame as it is decoded."""
    from rfcodec.api import read_format
    from rfcodec.cli.console import decode_to_file
    from rfcodec.video.writer import VideoWriter

    shown: dict[str, float | None] = {"realism": realism, "closing_steps": closing_steps}
    shown |= limits(max_pixels, max_frames, max_memory)
    moved = {"weights": backbone, "overrides": parse_settings(overrides or [])}
    where = runtime(device, threads, offload, fetch=fetch, **moved, **shown)
    video, selected = read_format(source, partial), parse_frames(frames)

    def write(pipe: IO[bytes]) -> None:
        decode_to_file(source, (VideoWriter(pipe, video), source.name), selected, partial, where)

    show(_player(source.name, video.height), write)


def show(command: Sequence[str], write: Callable[[IO[bytes]], None]) -> None:
    """Runs a player on what `write` writes into its standard input; raises OutputError where it fails.

    That its window is closed ends it, without an error.
    """
    try:
        player = subprocess.Popen(command, stdin=subprocess.PIPE)
    except OSError as error:
        raise OutputError(f"{command[0]} cannot be started: {error.strerror or error}") from error
    pipe = cast(IO[bytes], player.stdin)
    try:
        write(pipe)
    except OutputError as error:
        if not isinstance(error.__cause__, BrokenPipeError):
            raise
    except BaseException:
        player.terminate()
        raise
    finally:
        with suppress(OSError):
            pipe.close()
        status = player.wait()
    if status:
        raise OutputError(f"{command[0]} ended with status {status}")


def _player(title: str, height: int) -> list[str]:
    """The command of the first player that is installed; raises ConfigError where none is."""
    from rfcodec.video.colour import default_matrix

    # what the writer used; players guess otherwise
    ffplay, mpv = _MATRICES[default_matrix(height)]
    commands = {
        "ffplay": ["-loglevel", "error", "-autoexit", "-window_title", title, "-vf", f"setparams=colorspace={ffplay}", "-"],
        "mpv": ["--no-terminal", "--force-window", f"--title={title}", f"--vf=format=colormatrix={mpv}", "-"],
    }
    for name, options in commands.items():
        if shutil.which(name):
            return [name, *options]
    raise ConfigError("neither ffplay nor mpv is installed: install one, or write a video with `rfcodec decode`")
