"""Codebooks compared: efficiency, cost, error end to end, and where the bits go.

    python benchmarks/compare_codebooks.py efficiency --dims 2073600 --bits 300 900 --codebooks trellis topm --seeds 0 1 2
    python benchmarks/compare_codebooks.py tables --markdown

Results, and plots of them, lie below benchmarks/results/codebooks. Runs on one core.
"""

import os
from itertools import product
from pathlib import Path
from typing import Annotated, Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # read when the libraries are loaded

import torch
import typer
from rich.progress import track

from codebooks.simulated import simulated as stand_in
from rfcodec.evaluation.report import grids
from rfcodec.evaluation.theory import ablation, alignment, cost, losses, rate_distortion
from rfcodec.evaluation.theory.gaussian_source import SHAPES
from rfcodec.research import registry
from rfcodec.support.command_line import SeveralValues, guarded

RESULTS = Path("benchmarks/results/codebooks")
BITS = (300, 900, 2700, 8640)
MODULES: dict[str, Any] = {
    "efficiency": alignment,
    "rate-distortion": rate_distortion,
    "cost": cost,
    "losses": losses,
    "ablation": ablation,
}

app = typer.Typer(help="Codebooks compared.", no_args_is_help=True, add_completion=False)
Out = Annotated[Path, typer.Option(help="Folder for JSON and plots.")]
Codebooks = Annotated[list[str] | None, typer.Option(help="`id` or `id:field=value,field=value`; default: all.")]
Seeds = Annotated[int, typer.Option(help="Draws of the source a point.")]
Dims = Annotated[int, typer.Option(help="Dimensions of the noise.")]


def finish(kind: str, found: Any, path: Path) -> None:
    """Writes results, their plots beside them, and prints their tables."""
    grids.write(path, found)
    MODULES[kind].plot(found, path)
    grids.show(MODULES[kind].grids(found))


@app.command("efficiency", cls=SeveralValues)
def measure_efficiency(
    dims: Dims = 2_073_600,
    bits: Annotated[list[int] | None, typer.Option(help="Bits a step.")] = None,
    codebooks: Codebooks = None,
    seeds: Annotated[list[int] | None, typer.Option(help="One direction and one row each.")] = None,
    json: Annotated[Path | None, typer.Option(help="JSON file; plots lie beside it.")] = None,
    simulated: Annotated[bool, typer.Option(help="Draw the outcome of searches that cost K x D.")] = False,
    out: Out = RESULTS,
) -> None:
    """Efficiency, time and memory of choice and replay on white directions."""
    labels = codebooks or sorted(registry.names("codebooks"))
    jobs = [(label, dims, b, seeds or [0, 1, 2], stand_in if simulated else None) for label in labels for b in bits or BITS]
    parts = track(alignment.in_fresh_processes(alignment.measure, jobs), "measuring", len(jobs))
    finish("efficiency", [row for rows in parts for row in rows], json or out / "efficiency.json")


@app.command("cost", cls=SeveralValues)
def measure_cost(
    dims: Dims = 2_073_600,
    bits: Annotated[int, typer.Option(help="Bits a step.")] = 900,
    repeats: Annotated[int, typer.Option(help="Choices whose median is taken.")] = 3,
    out: Out = RESULTS,
) -> None:
    """Time and memory of choice and replay; of searches that cost K x D, a line through two small K."""
    works = [(cost.measured, label) for label in cost.WHOLE] + [(cost.scaled, label) for label in cost.SCALED]
    rows = [work(label, dims, bits, range(repeats)) for work, label in track(works, "measuring")]
    finish("cost", cost.result(rows, dims, bits), out / "cost.json")


@app.command("rate-distortion", cls=SeveralValues)
def measure_rate_distortion(
    codebooks: Codebooks = None,
    steps: Annotated[list[int] | None, typer.Option(help="Model evaluations.")] = None,
    seeds: Seeds = 2,
    out: Out = RESULTS,
) -> None:
    """Error over bits end to end, and the bits for the gvcc preset's error."""
    labels = [*(codebooks or sorted(registry.names("codebooks"))), rate_distortion.GVCC]
    counts, draws = steps or list(rate_distortion.GVCC_TAILS), rate_distortion.Draws(range(seeds), stand_in)
    points = [(*p, draws) for p in product(SHAPES, labels, counts, rate_distortion.RATES)]
    matches = [(*m, draws) for m in product(SHAPES, rate_distortion.MATCHED_RATES, rate_distortion.MATCHES)]
    found: dict[str, Any] = {"matches": [rate_distortion.match(*job) for job in track(matches, "equal error")]}
    grids.write(out / "rate-distortion.json", found)
    found = {"points": [rate_distortion.point(*job) for job in track(points, "methods")]} | found
    finish("rate-distortion", found, out / "rate-distortion.json")


@app.command("losses", cls=SeveralValues)
def split_losses(
    steps: Annotated[list[int] | None, typer.Option(help="Model evaluations.")] = None,
    seeds: Annotated[int, typer.Option(help="Draws for the real coder; 0: closed form alone.")] = 2,
    out: Out = RESULTS,
) -> None:
    """Bits beyond the bound at equal output variances, by codebook, allocation and number of steps."""
    jobs = list(product(SHAPES, losses.RATES, steps or [20]))
    rows = [losses.split(*job, range(seeds)) for job in track(jobs, "splitting")]
    finish("losses", rows, out / "losses.json")


@app.command("ablation", cls=SeveralValues)
def vary_settings(
    seeds: Annotated[int, typer.Option(help="Draws for the real coder; 0: closed form alone.")] = 1,
    out: Out = RESULTS,
) -> None:
    """One setting at a time, in closed form and for a few values by the real coder."""
    rows = [ablation.run(*job, range(seeds)) for job in track(ablation.jobs(), "varying")]
    finish("ablation", rows, out / "ablation.json")


@app.command("tables", cls=SeveralValues)
def print_tables(
    kinds: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(MODULES)}; default: all there are.")] = None,
    markdown: Annotated[bool, typer.Option(help="In Markdown.")] = False,
    into: Annotated[list[Path] | None, typer.Option(help="Documents whose marked tables are filled again.")] = None,
    out: Out = RESULTS,
) -> None:
    """Tables of results that were written before; in a document from `<!-- table KIND NUMBER -->` to `<!-- end -->`."""
    paths = {kind: out / f"{kind}.json" for kind in kinds or MODULES}
    tables = {kind: MODULES[kind].grids(grids.read(path)) for kind, path in paths.items() if path.exists()}
    for document in into or ():
        grids.fill(document, tables)
    for found in tables.values() if not into else ():
        print("\n\n".join(grid.markdown() for grid in found) + "\n") if markdown else grids.show(found)


def main() -> None:
    """The command line."""
    torch.set_num_threads(1)
    guarded(app)


if __name__ == "__main__":
    main()
