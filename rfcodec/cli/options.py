"""Options that several commands share, and where they print."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from rfcodec.support.speed import parse_speed
from rfcodec.support.words import parse_raw

out = Console()
err = Console(stderr=True)

Frames = Annotated[str, typer.Option("--frames", metavar="A:B", help="Frames A up to but not including B of the source.")]
Raw = Annotated[
    str | None, typer.Option(metavar="WxH@FPS:PIXELS", help="What raw video does not say: 352x288@30:yuv420p10le ...")
]
ToneMap = Annotated[bool, typer.Option("--tonemap/--no-tonemap", help="PQ, HLG and wide gamuts become SDR BT.709.")]
Fps = Annotated[
    str | None, typer.Option(metavar="FPS", help="Frames per second of the source, where it does not say or lies.")
]
Vfr = Annotated[
    str, typer.Option(help="Variable frame rates: cfr resamples to a constant one, keep-frames keeps each frame.")
]
StreamNumber = Annotated[
    int | None, typer.Option("--stream", metavar="N", help="Video stream of the source, from 0; default: its default one.")
]
Strict = Annotated[bool, typer.Option("--strict", help="A source that is damaged is an error, not a warning.")]
Deinterlace = Annotated[bool, typer.Option("--deinterlace/--no-deinterlace", help="Interlaced sources become progressive.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Device = Annotated[str, typer.Option(help="Torch device.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.")]
Preset = Annotated[str, typer.Option(help="default, fast or gvcc.")]
Offload = Annotated[str, typer.Option(help="Parts that wait in main memory: none, model, group, sequential.")]
Jobs = Annotated[int, typer.Option(help="Workers that share the GOPs, in modes whose GOPs are independent.")]
ExecutorName = Annotated[str, typer.Option("--executor", help="Where those run: local, ray, slurm.")]
ExecutorOptions = Annotated[
    list[str] | None, typer.Option("--executor-set", metavar="NAME=VALUE", help="address=auto, gpus=1, slurm_partition=...")
]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Fetch weights that are not on this machine: gigabytes, see `backbones show`.")
]
Where = Annotated[
    str | None, typer.Option("--backbone", help="Where the weights are, if not where the file says: folder or hub id.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--override", metavar="NAME=VALUE", help="A backbone option that this machine sets otherwise."),
]
Realism = Annotated[
    float,
    typer.Option(help="From the same bits: 0 the picture of least error, 1 the stream's own, up to 2 more variance."),
]
ClosingSteps = Annotated[int | None, typer.Option(help="Closing steps of what is shown; default: the stream's own.")]
Weights = Annotated[
    Path | None, typer.Option("--lpips-weights", metavar="DIR", help="Folder with the AlexNet weights of LPIPS.")
]


def read_options(fps: str | None, raw: str | None, **more: Any) -> Any:
    """How the source is read; `more` are fields of ReadOptions. Raises ConfigError, InputError."""
    from rfcodec.video.source import ReadOptions

    return ReadOptions(parse_raw(raw) if raw else None, parse_speed(fps) if fps else None, **more)


def runtime(device: str, threads: int | None, offload: str, **more: Any) -> Any:
    """The settings of this machine; raises ConfigError."""
    from rfcodec.presets import runtime as make_runtime

    return make_runtime(device=device, threads=threads, offload=offload, **more)
