"""python -m rfcodec.backbones.tiny.training: a command for each stage (docs/tiny.md, section 3)."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table

from rfcodec.backbones.tiny.training.clips import scale_clips
from rfcodec.backbones.tiny.training.curves import draw
from rfcodec.backbones.tiny.training.denoising import clip_shares
from rfcodec.backbones.tiny.training.few_evaluations import FewEvaluations
from rfcodec.backbones.tiny.training.profile import LOG_SNR, measure
from rfcodec.backbones.tiny.training.train import LAST, Plan, Training, newest
from rfcodec.backbones.tiny.training.validation import TIMES, held_back
from rfcodec.backbones.tiny.weights import read_network, write_network
from rfcodec.errors import RfcodecError
from rfcodec.metrics.lpips import Lpips
from rfcodec.support.console import PlainConsole

PROFILE_CROPS = 8

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
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
    start: Annotated[Path | None, typer.Option(help="Checkpoint to begin with, where the run has none yet.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Train, or go on where the run was stopped; a run that was ended goes on from where its rate began to fall."""
    _go_on(Training(Plan(steps=steps, decay=decay), run), cache, threads, start)


@app.command()
def shorten(
    cache: Cache,
    run: Run = Path("tiny-fast-run"),
    lpips_weights: Annotated[Path | None, typer.Option(help="Folder of AlexNet's features, which judge the looks.")] = None,
    start: Annotated[str, typer.Option(help="Name of the weights to begin with.")] = "tiny",
    steps: Annotated[int, typer.Option(help="Steps in all.")] = 1500,
    decay: Annotated[int, typer.Option(help="Steps at the end over which the rate falls to nothing.")] = 500,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Train further for few evaluations, or go on where that was stopped."""
    network, card = read_network(start)
    plan = Plan(steps, decay, rate=0.002, warm_up=30, ema=0.99, check_steps=100, workers=0, widths=card.widths)
    objective = FewEvaluations(card, Lpips(lpips_weights).distance)
    _go_on(Training(plan, run, objective, network.train().requires_grad_(True)), cache, threads)


def _go_on(training: Training, cache: Path, threads: int | None, start: Path | None = None) -> None:
    torch.set_num_threads(threads or torch.get_num_threads())
    if checkpoint := newest(training.folder, training.plan.steps) or start:
        training.resume(checkpoint)
    training.run(sorted(cache.glob("*.npy")))


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
    into: Annotated[Path | None, typer.Option(help="Folder; default: the package.")] = None,
) -> None:
    """Write the averaged weights of the last checkpoint into the package, in half precision, and measure their card."""
    training = Training(Plan(steps=1, decay=1), run)
    training.resume(run / LAST)
    facts = {"trained_on": trained_on, "licence": licence, "compute": compute}
    facts |= {"tail_share": tail_share, "tail_end": tail_end}
    with tempfile.TemporaryDirectory() as folder:
        write_network(name, training.averaged(), facts, Path(folder))
        stored, _ = read_network(name, Path(folder))
    shares = measure(stored, held_back(sorted(cache.glob("*.npy")))[0], PROFILE_CROPS)
    card = write_network(name, stored, facts | {"log_snr": LOG_SNR, "shares": shares}, into)
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
    PlainConsole().print(table)


if __name__ == "__main__":
    try:
        app()
    except RfcodecError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
