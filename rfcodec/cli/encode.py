"""The command that codes a video."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from rfcodec.cli.options import (
    EXPERT,
    MODEL,
    AsJson,
    Deinterlace,
    Device,
    ExecutorName,
    ExecutorOptions,
    Fetch,
    Fps,
    Frames,
    Jobs,
    MaxFrames,
    MaxMemory,
    MaxPixels,
    Offload,
    Preset,
    Raw,
    Size,
    StreamNumber,
    Strict,
    Threads,
    ToneMap,
    Vfr,
    installed,
    limits,
    read_options,
    runtime,
)
from rfcodec.cli.outputs import (
    Force,
    In,
    Out,
    Overwrite,
    may_write,
    needed,
    one_place,
    reporting,
    stream_file,
    stream_target,
)
from rfcodec.config import DEFAULT_BPP
from rfcodec.errors import ConfigError
from rfcodec.support.words import parse_frames, parse_settings, parse_size, parse_words

log = logging.getLogger(__name__)


def encode(
    source: Annotated[
        str | None, typer.Argument(metavar="IN", help="Video: mp4, mkv, webm, y4m, raw .yuv ...", show_default=False)
    ] = None,
    target: Annotated[
        str | None, typer.Argument(metavar="[OUT.rfv]", help="File to write, - for standard output; default: beside IN.")
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option(
            "--bpp", metavar="X", help=f"Budget: bits per pixel of the whole file; {DEFAULT_BPP} if none is given."
        ),
    ] = None,
    kbps: Annotated[
        float | None, typer.Option("--kbps", metavar="X", help="The same budget in kilobits per second.")
    ] = None,
    size_bytes: Annotated[int | None, typer.Option("--bytes", metavar="N", help="The same budget in bytes.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode", metavar="NAME", help="t2v (default), i2v, flf2v or a plugin.", autocompletion=installed("conditioners")
        ),
    ] = None,
    preset: Preset = "default",
    frames: Frames = ":",
    size: Size = None,
    recon: Annotated[
        str | None,
        typer.Option("--recon", metavar="FILE", help="Also write the encoder's reconstruction (.mkv is lossless)."),
    ] = None,
    in_option: In = None,
    out_option: Out = None,
    overwrite: Overwrite = False,
    force: Force = False,
    as_json: AsJson = False,
    raw: Raw = None,
    fps: Fps = None,
    vfr: Vfr = "cfr",
    video_stream: StreamNumber = None,
    strict: Strict = False,
    deinterlace: Deinterlace = True,
    tonemap: ToneMap = True,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="NAME",
            help="Name, folder or hub id; see `rfcodec backbones`.",
            rich_help_panel=MODEL,
            autocompletion=installed("backbones"),
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", help="Model evaluations of a GOP.", rich_help_panel=MODEL)
    ] = None,
    gop: Annotated[
        int | None, typer.Option("--gop", metavar="N", help="Most frames of a GOP.", rich_help_panel=MODEL)
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="TEXT", help="Text that conditions every GOP, sent in the file.", rich_help_panel=MODEL
        ),
    ] = None,
    caption: Annotated[
        str | None,
        typer.Option(
            "--caption",
            metavar="MODEL",
            help="Have it written: auto, or a captioner's hub id or folder.",
            rich_help_panel=MODEL,
        ),
    ] = None,
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
    codebook: Annotated[
        str | None,
        typer.Option(
            "--codebook",
            metavar="NAME",
            help="See `rfcodec codebooks`.",
            rich_help_panel=EXPERT,
            autocompletion=installed("codebooks"),
        ),
    ] = None,
    still: Annotated[
        str | None,
        typer.Option(
            "--still",
            metavar="NAME",
            help="Coder of reference frames: avif, trajectory, png.",
            rich_help_panel=EXPERT,
            autocompletion=installed("stills"),
        ),
    ] = None,
    roi: Annotated[
        Path | None,
        typer.Option("--roi", metavar="MASK", help="Picture or video, white where it matters most.", rich_help_panel=EXPERT),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Any field: trajectory.eta=0.9 ...", rich_help_panel=EXPERT),
    ] = None,
) -> None:
    """Code a video into one self-contained file of at most the budget."""
    from rfcodec.api import encode_with
    from rfcodec.cli.console import EncodeProgress
    from rfcodec.cli.reports import Spending, encode_report
    from rfcodec.presets import configure
    from rfcodec.video.damage import SourceReport
    from rfcodec.video.inputs import as_video
    from rfcodec.video.reader import VideoReader

    source = needed(one_place(source, in_option, "IN"), "IN")
    target = stream_target(source, one_place(target, out_option, "OUT"), force)
    may_write({"the stream": target, "--recon": recon}, {"source": source, "--roi": roi}, overwrite)
    named = {
        "mode": mode,
        "bpp": bpp,
        "kbps": kbps,
        "bytes": size_bytes,
        "backbone": backbone,
        "gop": gop,
        "trajectory.steps": steps,
        "codebook.name": codebook,
        "still": still,
        "prompt": prompt,
        "roi": roi,
    }
    chosen = {name: value for name, value in named.items() if value is not None} | parse_settings(settings or [])
    if caption is not None and "prompt" in chosen:
        raise ConfigError("--caption writes the prompt, and a prompt is given too; leave one of them out")
    reading = read_options(raw, fps, vfr=vfr, stream=video_stream, strict=strict, deinterlace=deinterlace, tone_map=tonemap)
    stream, effort = configure(preset, chosen)
    shared = {"jobs": jobs, "executor": executor, "executor_options": parse_words(executor_options or [])}
    where = runtime(device, threads, offload, fetch=fetch, **shared, **limits(max_pixels, max_frames, max_memory))
    spending = Spending(device)
    scaled = parse_size(size) if size else None
    with (
        as_video(Path(source), parse_frames(frames), scaled, reading) as video,
        EncodeProgress(video.format, recon) as watcher,
        stream_file(target) as file,
    ):
        if caption is not None:
            stream = stream.model_copy(update={"prompt": _caption(video, caption, device)})
        result = encode_with(video, file, stream, effort, where, watcher)
    found = video.report if isinstance(video, VideoReader) else SourceReport(video.format.num_frames)
    with reporting(target):
        named_result = replace(result, path=Path(target))
        encode_report(named_result, (stream, effort), watcher.psnr, found, spending, as_json)


def _caption(video: Any, model: str, device: str) -> str:
    from rfcodec.api import caption

    text = caption(video, model, device=device)
    log.info("caption: %s", text)
    return text
