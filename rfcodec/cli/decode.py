"""The command that turns a stream back into a video."""

from pathlib import Path
from typing import Annotated

import typer

from rfcodec.cli.options import (
    AsJson,
    ClosingSteps,
    Device,
    ExecutorName,
    ExecutorOptions,
    Frames,
    Jobs,
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
from rfcodec.support.words import parse_frames, parse_settings, parse_words


def decode(
    source: Annotated[Path, typer.Argument(metavar="IN.rfv", help="A stream; - for standard input.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help=".mkv (lossless), .mp4 (H.264), .y4m or .yuv")],
    frames: Frames = ":",
    partial: Annotated[bool, typer.Option("--partial", help="Decode what is intact of a damaged file.")] = False,
    as_json: AsJson = False,
    backbone: Where = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    jobs: Jobs = 1,
    executor: ExecutorName = "local",
    executor_options: ExecutorOptions = None,
    max_pixels: MaxPixels = None,
    max_frames: MaxFrames = None,
    max_memory: MaxMemory = None,
    realism: Realism = 1.0,
    closing_steps: ClosingSteps = None,
) -> None:
    """Turn a file back into a video."""
    from rfcodec.cli.console import decode_to_file
    from rfcodec.cli.streams import stream_source

    shown = {"realism": realism, "closing_steps": closing_steps}
    shared = {"jobs": jobs, "executor": executor, "executor_options": parse_words(executor_options or [])}
    moved = {"weights": backbone, "overrides": parse_settings(overrides or [])}
    allowed = limits(max_pixels, max_frames, max_memory)
    where = runtime(device, threads, offload, **moved, **shown, **shared, **allowed)
    decode_to_file(stream_source(source), target, parse_frames(frames), partial, where, as_json)
