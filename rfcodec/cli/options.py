"""Options that several commands share, and where they print."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from rfcodec.support.words import parse_amount

out = Console()
err = Console(stderr=True)

Frames = Annotated[str, typer.Option("--frames", metavar="A:B", help="Frames A up to but not including B of the source.")]
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
MaxPixels = Annotated[
    str | None, typer.Option("--max-pixels", metavar="N", help="Most pixels of a frame; 64M if not given.")
]
MaxFrames = Annotated[str | None, typer.Option("--max-frames", metavar="N", help="Most frames of a video; 1M if not given.")]
MaxMemory = Annotated[
    str | None,
    typer.Option("--max-memory", metavar="N", help="Most bytes a GOP may need, such as 4G; default: 80 % of what is free."),
]


def limits(max_pixels: str | None, max_frames: str | None, max_memory: str | None) -> dict[str, int]:
    """The limits that are given, as settings of this machine; K, M, G and T are powers of 1024. Raises ConfigError."""
    given = {"max_pixels": max_pixels, "max_frames": max_frames, "max_memory": max_memory}
    return {name: parse_amount(text) for name, text in given.items() if text is not None}


def runtime(device: str, threads: int | None, offload: str, **more: Any) -> Any:
    """The settings of this machine; raises ConfigError."""
    from rfcodec.presets import runtime as make_runtime

    return make_runtime(device=device, threads=threads, offload=offload, **more)
