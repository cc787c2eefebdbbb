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
INFORMATION_SHARES = (0.7, 0.5, 0.4, 0.3)  # the first is the default


def measure(name: str, rate: float, seeds: int) -> dict[str, Any]:
    """The gvcc preset at `rate` bits a dimension and the default at shares of its bits, means over draws.

    Where the default's output variance is below 99 % of the preset's, whose Euler steps leave noise beyond the source's
    own variance, smaller information shares, which make the output livelier, are tried until it is not.
    """
    draws = [source(name, seed) for seed in range(seeds)]
    prior = draws[0][0]
    reference = _mean([code_gvcc(prior, target, rate, seed + 1) for seed, (_, target) in enumerate(draws)])
    tried = []
    for information_share in INFORMATION_SHARES:
        outcomes = [
            _mean([
                code_default(name, prior, target, share * reference["bits"], seed + 1, information_share=information_share)
                for seed, (_, target) in enumerate(draws)
            ])
            for share in SHARES
        ]  # fmt: skip
        needed, variance = _at_equal_error(outcomes, reference)
        tried.append(
            {"information_share": information_share, "outcomes": outcomes, "bits_needed": needed, "variance": variance}
        )
        if variance >= 0.99 * reference["variance"]:
            break
    variances, counts = prior.mode_variances()
    return {
        "backbone": name,
        "rate": rate,
        "dims": int(np.prod(SHAPES[name])),
        "seeds": seeds,
        "source_variance": float(np.mean([float(target.var((1, 2, 3)).mean()) for _, target in draws])),
        "gvcc": reference,
        "default": tried,
        "shannon": shannon_distortion(variances, counts, reference["bits"]),
        "perfect_realism": realism_distortion(variances, counts, reference["bits"]),
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
    head = (
        "backbone",
        "bits/dim",
        "MSE gvcc",
        "MSE default",
        "perfect realism",
        "Shannon",
        "variance source / gvcc / default",
    )
    result = Table(*head, "bits for gvcc's MSE", "variance there / gvcc's", "bits with 99 % of gvcc's variance")
    for p in points:
        first, last = p["default"][0], p["default"][-1]
        ours = first["outcomes"][-1]
        variances = f"{p['source_variance']:.4f} / {p['gvcc']['variance']:.4f} / {ours['variance']:.4f}"
        errors = f"{p['gvcc']['mse']:.5f}", f"{ours['mse']:.5f}"
        bounds = f"{p['perfect_realism']:.5f}", f"{p['shannon']:.5f}"
        reached = last["variance"] / p["gvcc"]["variance"]
        strict = f"{last['bits_needed']:.1%} ({reached:.4f} at information_share {last['information_share']})"
        ratio = f"{first['variance'] / p['gvcc']['variance']:.4f}"
        result.add_row(
            p["backbone"],
            f"{p['gvcc']['bits']:.4f}",
            *errors,
            *bounds,
            variances,
            f"{first['bits_needed']:.1%}",
            ratio,
            strict,
        )
    return result


def plot(points: list[dict[str, Any]], out: Path) -> None:
    """Error over bits, both methods and both bounds."""
    names = list(dict.fromkeys(p["backbone"] for p in points))
    figure, axes = plt.subplots(1, len(names), figsize=(6 * len(names), 4.5), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        chosen = [p for p in points if p["backbone"] == name]
        ours = sorted((o["bits"], o["mse"]) for p in chosen for o in p["default"][0]["outcomes"])
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
    Console(width=240).print(table(points))


if __name__ == "__main__":
    typer.run(main)
