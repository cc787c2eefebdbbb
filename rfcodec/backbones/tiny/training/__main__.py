"""python -m rfcodec.backbones.tiny.training: a command for each stage (docs/tiny.md, section 3)."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from rfcodec.backbones.tiny.training.clips import scale_clips
from rfcodec.backbones.tiny.training.curves import draw
from rfcodec.backbones.tiny.training.denoising import clip_shares
from rfcodec.backbones.tiny.training.profile import LOG_SNR, measure
from rfcodec.backbones.tiny.training.train import Plan, Training
from rfcodec.backbones.tiny.training.validation import TIMES
from rfcodec.backbones.tiny.weights import read_network, write_network

PROFILE_CROPS = 8

app = typer.Typer(help=__doc__, no_args_is_help=True)
Clips = Annotated[Path, typer.Argument(metavar="CLIPS", help="Folder of clips.")]
Cache = Annotated[Path, typer.Argument(metavar="CACHE", help="Folder of scaled clips.")]
Run = Annotated[Path, typer.Option(help="Folder of checkpoints, log and curves.")]
Name = Annotated[str, typer.Option(help="Name of the weights.")]


@app.command()
def scale(clips: Clips, cache: Cache) -> None:
    """Decode clips once, at the sizes of training."""
    typer.echo(f"{len(scale_clips(clips, cache))} arrays in {cache}")


@app.command()
def train(
    cache: Cache,
    run: Run = Path("tiny-run"),
    steps: Annotated[int, typer.Option(help="Steps in all.")] = 12000,
    decay: Annotated[int, typer.Option(help="Steps at the end over which the rate falls to nothing.")] = 2000,
    start: Annotated[Path | None, typer.Option(help="Checkpoint to go on from; default: the last of the run.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Train, or go on training: more --steps than before go on from the last checkpoint."""
    torch.set_num_threads(threads or torch.get_num_threads())
    training = Training(Plan(steps=steps, decay=decay), run)
    checkpoint = start or run / "last.pt"
    if checkpoint.is_file():
        training.resume(checkpoint)
    training.run(sorted(cache.glob("*.npy")))
    draw(run)


@app.command()
def export(
    cache: Cache,
    run: Run = Path("tiny-run"),
    name: Name = "tiny",
    trained_on: Annotated[str, typer.Option(help="The clips, in words.")] = "see docs/tiny.md",
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "Apache-2.0",
    compute: Annotated[str, typer.Option(help="Compute spent, in words.")] = "",
    tail_share: Annotated[float, typer.Option(help="Share of the evaluations that the ODE tail takes.")] = 0.2,
    tail_end: Annotated[float, typer.Option(help="Time from which the tail jumps to 0.")] = 0.15,
) -> None:
    """Write the averaged weights of the last checkpoint into the package, in half precision, and measure their card."""
    training = Training(Plan(steps=1, decay=1), run)
    training.resume(run / "last.pt")
    shares = measure(training.averaged(), sorted(cache.glob("*.npy")), PROFILE_CROPS)
    facts = {"trained_on": trained_on, "licence": licence, "compute": compute, "log_snr": LOG_SNR, "shares": shares}
    card = write_network(name, training.averaged(), facts | {"tail_share": tail_share, "tail_end": tail_end})
    typer.echo(f"{name}: {card.parameters} parameters, {card.bytes} bytes, sha256 {card.sha256}")


@app.command()
def curves(run: Run = Path("tiny-run")) -> None:
    """Draw the curves of a run."""
    typer.echo(draw(run))


@app.command()
def denoising(
    clips: Clips,
    name: Name = "tiny",
    lines: Annotated[int, typer.Option(help="Height of the frames.")] = 144,
    frames: Annotated[int, typer.Option(help="Frames of a clip.")] = 33,
) -> None:
    """Squared error of the denoiser over that of the Wiener estimate, clip by clip and time by time."""
    network, _ = read_network(name)
    table = Table("clip", *(f"t = {t}" for t in TIMES))
    for clip, found in clip_shares(network, clips, lines, frames):
        table.add_row(clip, *(f"{share:.3f}" for share in found))
    Console().print(table)


if __name__ == "__main__":
    app()
