"""Default method against the gvcc preset on Gaussian sources: bits for equal error, beside the bounds.

    python -m benchmarks.compare_presets --out benchmarks/results/gaussian

Writes presets.json, presets.png and presets.svg, and prints the tables. About 20 minutes on one core.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.bounds import realism_distortion, shannon_distortion
from benchmarks.gaussian_source import SHAPES, code_default, code_gvcc, source

RATES = (0.03, 0.07, 0.15)
SHARES = (0.3, 0.4, 0.5, 0.6, 1.0)


def measure(name: str, rate: float, seeds: int) -> dict[str, Any]:
    """The gvcc preset at `rate` bits a dimension and the default at shares of its bits, means over draws."""
    runs = []
    for seed in range(seeds):
        prior, target = source(name, seed)
        reference = code_gvcc(prior, target, rate, seed + 1)
        ours = [code_default(name, prior, target, share * reference.bits, seed + 1) for share in SHARES]
        runs.append((float(target.var((1, 2, 3)).mean()), reference, ours))
    variances, counts = prior.mode_variances()
    bits = runs[0][1].bits
    outcomes = [_mean([run[2][i] for run in runs]) for i in range(len(SHARES))]
    reference = _mean([run[1] for run in runs])
    needed, variance = _at_equal_error(outcomes, reference)
    return {
        "backbone": name,
        "rate": rate,
        "dims": int(np.prod(SHAPES[name])),
        "seeds": seeds,
        "source_variance": float(np.mean([run[0] for run in runs])),
        "gvcc": reference,
        "default": outcomes,
        "bits_needed": needed,
        "variance_at_equal_error": variance,
        "shannon": shannon_distortion(variances, counts, bits),
        "perfect_realism": realism_distortion(variances, counts, bits),
    }


def _mean(outcomes: list[Any]) -> dict[str, float]:
    rows = [asdict(outcome) for outcome in outcomes]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def _at_equal_error(outcomes: list[dict[str, float]], reference: dict[str, float]) -> tuple[float, float]:
    """Share of the reference's bits with its error, by interpolation of ln bits over ln error, and the variance there."""
    error = np.log([o["mse"] for o in outcomes])
    bits = np.log([o["bits"] for o in outcomes])
    needed = float(np.exp(np.interp(-np.log(reference["mse"]), -error, bits)))
    return needed / reference["bits"], float(np.interp(np.log(needed), bits, [o["variance"] for o in outcomes]))


def table(points: list[dict[str, Any]]) -> Table:
    """Side by side at equal bits, the bounds, and the bits that the default needs."""
    head = ("backbone", "bits/dim", "MSE gvcc", "MSE default", "perfect realism", "Shannon", "variance source / gvcc / default")
    result = Table(*head, "bits for gvcc's MSE", "variance there / gvcc's")
    for p in points:
        ours = p["default"][-1]
        variances = f"{p['source_variance']:.4f} / {p['gvcc']['variance']:.4f} / {ours['variance']:.4f}"
        bounds = f"{p['perfect_realism']:.5f}", f"{p['shannon']:.5f}"
        ratio = p["variance_at_equal_error"] / p["gvcc"]["variance"]
        errors = f"{p['gvcc']['mse']:.5f}", f"{ours['mse']:.5f}"
        result.add_row(p["backbone"], f"{p['gvcc']['bits']:.4f}", *errors, *bounds, variances, f"{p['bits_needed']:.1%}", f"{ratio:.4f}")
    return result


def plot(points: list[dict[str, Any]], out: Path) -> None:
    """Error over bits, both methods and both bounds."""
    names = list(dict.fromkeys(p["backbone"] for p in points))
    figure, axes = plt.subplots(1, len(names), figsize=(6 * len(names), 4.5), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        chosen = [p for p in points if p["backbone"] == name]
        ours = sorted((o["bits"], o["mse"]) for p in chosen for o in p["default"])
        rates = [p["gvcc"]["bits"] for p in chosen]
        axis.plot(*zip(*ours, strict=True), "o-", label="default")
        axis.plot(rates, [p["gvcc"]["mse"] for p in chosen], "s-", label="gvcc preset")
        axis.plot(rates, [p["perfect_realism"] for p in chosen], "--", label="bound, perfect realism")
        axis.plot(rates, [p["shannon"] for p in chosen], ":", label="bound, Shannon")
        axis.set(title=name, xlabel="bits a dimension", ylabel="mean squared error", xscale="log", yscale="log")
        axis.legend()
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(out / f"presets.{kind}")


def main(
    out: Annotated[Path, typer.Option(help="Folder for JSON and plots.")] = Path("benchmarks/results/gaussian"),
    seeds: Annotated[int, typer.Option(help="Draws a point.")] = 2,
) -> None:
    """Measures, writes and prints."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = [(name, rate) for name in SHAPES for rate in RATES]
    points = [measure(name, rate, seeds) for name, rate in track(wanted, "measuring")]
    (out / "presets.json").write_text(json.dumps(points, indent=2) + "\n")
    plot(points, out)
    Console(width=200).print(table(points))


if __name__ == "__main__":
    typer.run(main)
