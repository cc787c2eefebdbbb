"""Options that several commands share, in panels: everyday ones have none, and come first."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rfcodec import registry
from rfcodec.presets import PRESETS
from rfcodec.support.devices import check_device
from rfcodec.support.speed import parse_speed
from rfcodec.support.words import parse_amount, parse_raw

SOURCE, MODEL, MACHINE, EXPERT = "How the source is read", "Model", "Machine", "Expert"


def installed(kind: str) -> Callable[[], list[str]]:
    """What a shell offers where the name of a plugin is to be written."""
    return lambda: sorted(registry.names(kind))


Frames = Annotated[
    str,
    typer.Option("--frames", metavar="A:B", help="Frames A up to but not including B; default: all.", show_default=False),
]
Size = Annotated[str | None, typer.Option("--size", metavar="WxH", help="Scale to this size first.")]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="NAME",
        help=f"Settings: {', '.join(PRESETS)}.",
        show_default=False,
        autocompletion=lambda: list(PRESETS),
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Raw = Annotated[
    str | None,
    typer.Option(
        "--raw",
        metavar="WxH@FPS:PIXELS",
        help="What raw video does not say: 352x288@30:nv12.",
        rich_help_panel=SOURCE,
    ),
]
ToneMap = Annotated[
    bool,
    typer.Option(
        "--tonemap/--no-tonemap",
        help="Whether PQ, HLG and wide gamuts become SDR BT.709 (default).",
        show_default=False,
        rich_help_panel=SOURCE,
    ),
]
Fps = Annotated[
    str | None,
    typer.Option(
        "--fps", metavar="FPS", help="Its frames per second, where it does not say or lies.", rich_help_panel=SOURCE
    ),
]
Vfr = Annotated[
    str,
    typer.Option(
        "--vfr",
        metavar="WORD",
        help="Variable rates: cfr (default) resamples to a constant one, keep-frames keeps each frame.",
        show_default=False,
        rich_help_panel=SOURCE,
    ),
]
StreamNumber = Annotated[
    int | None,
    typer.Option(
        "--stream", metavar="N", help="Video stream, from 0; default: the file's default one.", rich_help_panel=SOURCE
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="A damaged source is an error, not a warning.", rich_help_panel=SOURCE)
]
Deinterlace = Annotated[
    bool,
    typer.Option(
        "--deinterlace/--no-deinterlace",
        help="Whether interlaced sources become progressive (default).",
        show_default=False,
        rich_help_panel=SOURCE,
    ),
]

Where = Annotated[
    str | None,
    typer.Option(
        "--backbone", metavar="NAME", help="Its folder or hub id, if not what the file says.", rich_help_panel=MODEL
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--override", metavar="NAME=VALUE", help="A backbone option that this machine sets otherwise.", rich_help_panel=MODEL
    ),
]
Realism = Annotated[
    float,
    typer.Option(
        "--realism", metavar="X", help="0: least error; 1: the stream's own; to 2: more texture.", rich_help_panel=EXPERT
    ),
]
ClosingSteps = Annotated[
    int | None,
    typer.Option(
        "--closing-steps", metavar="N", help="Closing steps shown; default: the stream's own.", rich_help_panel=EXPERT
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option("--lpips-weights", metavar="DIR", help="Folder with the AlexNet weights of LPIPS.", rich_help_panel=EXPERT),
]

Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        help="Torch device: cpu (default), cuda, cuda:1, mps ...",
        show_default=False,
        rich_help_panel=MACHINE,
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", help="CPU threads.", rich_help_panel=MACHINE)]
Offload = Annotated[
    str,
    typer.Option(
        "--offload",
        metavar="WORD",
        help="Parts that wait in main memory: none, model, group, sequential.",
        show_default=False,
        rich_help_panel=MACHINE,
    ),
]
Fetch = Annotated[
    bool,
    typer.Option(
        "--fetch", help="Fetch weights that are not here: gigabytes, see `backbones show`.", rich_help_panel=MACHINE
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", metavar="N", help="Workers that share the GOPs, in modes of independent GOPs.", rich_help_panel=MACHINE
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where they run: local (default), ray, slurm.",
        show_default=False,
        rich_help_panel=MACHINE,
    ),
]
ExecutorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--executor-set",
        metavar="NAME=VALUE",
        help="address=auto, gpus=1, slurm_partition=...",
        rich_help_panel=MACHINE,
    ),
]
MaxPixels = Annotated[
    str | None,
    typer.Option("--max-pixels", metavar="N", help="Most pixels of a frame; 64M if not given.", rich_help_panel=MACHINE),
]
MaxFrames = Annotated[
    str | None,
    typer.Option("--max-frames", metavar="N", help="Most frames of a video; 1M if not given.", rich_help_panel=MACHINE),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="N",
        help="Most bytes a GOP may need, such as 4G; default: 80 % of what is free.",
        rich_help_panel=MACHINE,
    ),
]


def limits(max_pixels: str | None, max_frames: str | None, max_memory: str | None) -> dict[str, int]:
    """The limits that are given, as settings of this machine; K, M, G and T are powers of 1024. Raises ConfigError."""
    given = {"max_pixels": max_pixels, "max_frames": max_frames, "max_memory": max_memory}
    return {name: parse_amount(text) for name, text in given.items() if text is not None}


def read_options(raw: str | None, fps: str | None, **more: Any) -> Any:
    """How the source is read; `more` are fields of ReadOptions. Raises ConfigError, InputError."""
    from rfcodec.video.source import ReadOptions

    return ReadOptions(parse_raw(raw) if raw else None, parse_speed(fps) if fps else None, **more)


def runtime(device: str, threads: int | None, offload: str, **more: Any) -> Any:
    """The settings of this machine; raises ConfigError, also for a device that it has not."""
    from rfcodec.presets import runtime as make_runtime

    check_device(device)
    return make_runtime(device=device, threads=threads, offload=offload, **more)
