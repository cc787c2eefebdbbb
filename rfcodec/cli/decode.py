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
    Fetch,
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
from rfcodec.cli.outputs import In, Out, Overwrite, PadEven, may_write, needed, one_place, reporting
from rfcodec.support.words import parse_frames, parse_settings, parse_words


def decode(
    source: Annotated[str | None, typer.Argument(metavar="IN.rfv", help="A stream; - for standard input.")] = None,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT", help=".mkv (lossless), .mp4, .mov, .webm, .gif, .y4m, .yuv; folder/ or %05d.png; - for a pipe."
        ),
    ] = None,
    frames: Frames = ":",
    partial: Annotated[bool, typer.Option("--partial", help="Decode what is intact of a damaged file.")] = False,
    in_option: In = None,
    out_option: Out = None,
    overwrite: Overwrite = False,
    pad_even: PadEven = False,
    as_json: AsJson = False,
    backbone: Where = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
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
    from rfcodec.api import read_format
    from rfcodec.cli.console import decode_to_file
    from rfcodec.cli.streams import stream_source
    from rfcodec.video.writer import VideoWriter

    source = needed(one_place(source, in_option, "IN"), "IN")
    target = needed(one_place(target, out_option, "OUT"), "OUT")
    may_write({"the video": target}, {"stream": source}, overwrite)
    shown = {"realism": realism, "closing_steps": closing_steps}
    shared = {"jobs": jobs, "executor": executor, "executor_options": parse_words(executor_options or [])}
    moved = {"weights": backbone, "overrides": parse_settings(overrides or [])}
    allowed = limits(max_pixels, max_frames, max_memory)
    where = runtime(device, threads, offload, fetch=fetch, **moved, **shown, **shared, **allowed)
    selected, stream = parse_frames(frames), stream_source(Path(source))
    writer = VideoWriter(target, read_format(stream, partial), pad_even=pad_even, first=selected[0] or 0)
    with reporting(target):
        decode_to_file(stream, (writer, target), selected, partial, where, as_json)
