"""The command that turns a stream back into a video."""

from pathlib import Path
from typing import Annotated

import typer

from rfcodec.cli.options import (
    ClosingSteps,
    Device,
    ExecutorName,
    ExecutorOptions,
    Fetch,
    Frames,
    Jobs,
    Offload,
    Overrides,
    Realism,
    Threads,
    Where,
    err,
    runtime,
)
from rfcodec.cli.outputs import In, Out, Overwrite, PadEven, may_write, needed, one_place
from rfcodec.support.words import parse_frames, parse_settings, parse_words


def decode(
    source: Annotated[str | None, typer.Argument(metavar="IN.rfv")] = None,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT", help=".mkv (lossless), .mp4, .mov, .webm, .gif, .y4m, .yuv; folder/ or %05d.png; - for a pipe."
        ),
    ] = None,
    frames: Frames = ":",
    partial: Annotated[bool, typer.Option("--partial", help="Decode what is intact of a damaged file.")] = False,
    realism: Realism = 1.0,
    closing_steps: ClosingSteps = None,
    backbone: Where = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
    jobs: Jobs = 1,
    executor: ExecutorName = "local",
    executor_options: ExecutorOptions = None,
    in_option: In = None,
    out_option: Out = None,
    overwrite: Overwrite = False,
    pad_even: PadEven = False,
) -> None:
    """Turn a file back into a video."""
    from rfcodec.api import read_format
    from rfcodec.cli.console import decode_to_file
    from rfcodec.video.writer import VideoWriter

    source = needed(one_place(source, in_option, "IN"), "IN")
    target = needed(one_place(target, out_option, "OUT"), "OUT")
    may_write({"the video": target}, {"stream": source}, overwrite)
    shown = {"realism": realism, "closing_steps": closing_steps}
    shared = {"jobs": jobs, "executor": executor, "executor_options": parse_words(executor_options or [])}
    moved = {"weights": backbone, "overrides": parse_settings(overrides or [])}
    where = runtime(device, threads, offload, fetch=fetch, **moved, **shown, **shared)
    selected, stream = parse_frames(frames), Path(source)
    writer = VideoWriter(target, read_format(stream), pad_even=pad_even, first=selected[0] or 0)
    decode_to_file(err, stream, writer, selected, partial, where)
