"""`rfcodec sweep`: the options of a sweep, its progress, and its report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rfcodec.errors import ConfigError
from rfcodec.support.console import err, out
from rfcodec.support.words import parse_settings, parse_words


def sweep(
    description: Annotated[Path | None, typer.Argument(metavar="[SWEEP.toml]", help="Description of a sweep.")] = None,
    clips: Annotated[list[str] | None, typer.Option(metavar="F...", help="Videos, or names of a dataset's clips.")] = None,
    dataset: Annotated[str | None, typer.Option(help="uvg, mcl-jcv, hevc-b, davis, demo, a TOML file or a folder.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that holds the dataset, or the clips.")] = None,
    frames: Annotated[str | None, typer.Option(metavar="A:B", help="Frames of each clip.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Scale to this size first.")] = None,
    backbones: Annotated[list[str] | None, typer.Option(metavar="ID...", help="Names, folders, hub ids.")] = None,
    modes: Annotated[list[str] | None, typer.Option(metavar="M...", help="t2v, i2v, flf2v.")] = None,
    codebooks: Annotated[list[str] | None, typer.Option(metavar="C...", help="See `rfcodec codebooks`.")] = None,
    bpp: Annotated[list[float] | None, typer.Option(metavar="R...", help="Bits per pixel of whole files.")] = None,
    anchors: Annotated[list[str] | None, typer.Option(metavar="A...", help="x265, svt-av1, vvc.")] = None,
    external: Annotated[list[Path] | None, typer.Option(metavar="F...", help="TOML files of further codecs.")] = None,
    metrics: Annotated[list[str] | None, typer.Option(metavar="M...", help="Default: all.")] = None,
    protocol: Annotated[str | None, typer.Option(help="honest (default), gvcc or gvc.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Any field, as in encode.")] = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder of points, streams, pictures and the report.")] = Path(
        "sweep"
    ),
    weights: Annotated[Path | None, typer.Option("--weights", metavar="DIR", help="Weights files of metrics.")] = None,
    jobs: Annotated[int, typer.Option(help="Workers.")] = 1,
    executor: Annotated[str | None, typer.Option(help="serial, local, ray, slurm; default: by --jobs.")] = None,
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster.")] = None,
    executor_options: Annotated[
        list[str] | None, typer.Option("--executor-set", metavar="NAME=VALUE", help="gpus=1, slurm_partition=...")
    ] = None,
    device: Annotated[str, typer.Option(help="Torch device of the workers.")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads of a worker; default: an even share.")] = None,
    offload: Annotated[str, typer.Option(help="Parts that wait in main memory: none, model, group, sequential.")] = "none",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
) -> None:
    """Measure rate and distortion over clips, methods and rates, beside anchors; goes on where it was stopped."""
    from rfcodec.evaluation.sweep.description import read_sweep
    from rfcodec.evaluation.sweep.session import Workers, run

    told: dict[str, Any] = {
        "clips": clips,
        "dataset": dataset,
        "root": root,
        "frames": frames,
        "size": size,
        "backbones": backbones,
        "modes": modes,
        "codebooks": codebooks,
        "bpp": bpp,
        "anchors": anchors,
        "external": external,
        "metrics": metrics,
        "protocol": protocol,
        "set": parse_settings(settings or []),
    }
    described = read_sweep(description, told)
    options = parse_words(executor_options or []) | ({"address": address} if address else {})
    workers = Workers(jobs, executor or ("local" if jobs > 1 else "serial"), options, device, threads, offload, weights)
    if weights is not None and not weights.is_dir():
        raise ConfigError(f"--weights is {weights}, which is no folder")
    run(out, err, described, folder, workers, dry_run)
