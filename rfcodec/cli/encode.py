"""The command that codes a video."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from rfcodec.cli.options import (
    AsJson,
    Deinterlace,
    Device,
    ExecutorName,
    ExecutorOptions,
    Fetch,
    Fps,
    Frames,
    Jobs,
    Offload,
    Preset,
    Raw,
    StreamNumber,
    Strict,
    Threads,
    ToneMap,
    Vfr,
    err,
    out,
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
from rfcodec.errors import ConfigError
from rfcodec.support.words import parse_frames, parse_settings, parse_size, parse_words


def encode(
    source: Annotated[str | None, typer.Argument(metavar="IN", help="Video: mp4, mkv, webm, y4m, raw .yuv ...")] = None,
    target: Annotated[
        str | None, typer.Argument(metavar="[OUT.rfv]", help="File to write, - for standard output; default: beside IN.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="t2v (default), i2v, flf2v or a plugin.")] = None,
    bpp: Annotated[float | None, typer.Option(help="Budget: bits per pixel of the whole file.")] = None,
    kbps: Annotated[float | None, typer.Option(help="The same budget in kilobits per second.")] = None,
    size_bytes: Annotated[int | None, typer.Option("--bytes", help="The same budget in bytes.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Name, folder or hub id; see `rfcodec backbones`.")] = None,
    gop: Annotated[int | None, typer.Option(help="Most frames of a GOP.")] = None,
    steps: Annotated[int | None, typer.Option(help="Model evaluations of a GOP.")] = None,
    codebook: Annotated[str | None, typer.Option(help="See `rfcodec codebooks`.")] = None,
    still: Annotated[str | None, typer.Option(help="Still coder of reference frames: avif, trajectory, png.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Text that conditions every GOP, sent in the file.")] = None,
    caption: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Have the prompt written: auto, hub id or folder of a captioner.")
    ] = None,
    frames: Frames = ":",
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Scale to this size first.")] = None,
    raw: Raw = None,
    fps: Fps = None,
    vfr: Vfr = "cfr",
    video_stream: StreamNumber = None,
    strict: Strict = False,
    deinterlace: Deinterlace = True,
    tonemap: ToneMap = True,
    roi: Annotated[
        Path | None, typer.Option(metavar="MASK", help="Region of interest: picture or video, white where it matters.")
    ] = None,
    preset: Preset = "default",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=C", help="Any field: trajectory.steps=8 ...")
    ] = None,
    recon: Annotated[str | None, typer.Option(help="Also write the encoder's reconstruction (.mkv is lossless).")] = None,
    in_option: In = None,
    out_option: Out = None,
    overwrite: Overwrite = False,
    force: Force = False,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
    jobs: Jobs = 1,
    executor: ExecutorName = "local",
    executor_options: ExecutorOptions = None,
    as_json: AsJson = False,
) -> None:
    """Code a video into one self-contained file of at most the budget."""
    from rfcodec.api import encode_with
    from rfcodec.cli.console import EncodeProgress, encode_report
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
    how = {"vfr": vfr, "stream": video_stream, "strict": strict, "deinterlace": deinterlace, "tone_map": tonemap}
    reading = read_options(fps, raw, **how)
    stream, effort = configure(preset, chosen)
    with (
        as_video(Path(source), parse_frames(frames), parse_size(size) if size else None, reading) as video,
        EncodeProgress(err, video.format, recon, silent=as_json) as watcher,
        stream_file(target) as file,
    ):
        if caption is not None:
            stream = stream.model_copy(update={"prompt": _caption(video, caption, device, silent=as_json)})
        shared = {"jobs": jobs, "executor": executor, "executor_options": parse_words(executor_options or [])}
        where = runtime(device, threads, offload, fetch=fetch, **shared)
        result = encode_with(video, file, stream, effort, where, watcher)
    found = video.report if isinstance(video, VideoReader) else SourceReport(video.format.num_frames)
    with reporting(target):
        encode_report(out, replace(result, path=Path(target)), watcher, stream.mode, found, as_json)


def _caption(video: Any, model: str, device: str, silent: bool) -> str:
    from rfcodec.api import caption

    text = caption(video, model, device=device)
    if not silent:
        err.print(f"caption: {escape(text)}", highlight=False, soft_wrap=True)
    return text
