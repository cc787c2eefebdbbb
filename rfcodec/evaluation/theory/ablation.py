"""One setting at a time, in closed form on both Gaussian sources: error, output variance, excess over the bound."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rfcodec import registry
from rfcodec.evaluation.report.grids import Grid, panels, save
from rfcodec.evaluation.theory.gaussian_source import SHAPES, code_draws, open_prior, tail_of
from rfcodec.evaluation.theory.moments import predict
from rfcodec.presets import configure

RATE = 0.04
POWER = {"trajectory.diffusion": "power", "trajectory.power": 2}
SHIFTED = {"trajectory.shift": 3, "trajectory.bit_ramp": 0}
EULER = {"trajectory.solver": "euler_maruyama"}
G_SCALES = (1, 2, 3, 4, 6, 8)

# name of a sweep -> the settings that it keeps, the field that it moves, its values
SWEEPS: dict[str, tuple[dict[str, Any], str, tuple[float, ...]]] = {
    "g = s t^2, posterior": (POWER, "trajectory.gain", G_SCALES),
    "g = s t^2, euler_maruyama": (POWER | EULER, "trajectory.gain", G_SCALES),
    "g = s t^2, posterior, shift 3": (POWER | SHIFTED, "trajectory.gain", G_SCALES),
    "g = s t^2, euler_maruyama, shift 3": (POWER | EULER | SHIFTED, "trajectory.gain", G_SCALES),
    "eta": ({}, "trajectory.eta", (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4)),
    "steps of the ODE tail": ({}, "trajectory.ode_tail", (1, 2, 3, 4, 5, 6, 8, 10)),
    "tail_end": ({}, "tail_end", (0.02, 0.05, 0.1, 0.15, 0.2, 0.33, 0.5)),
    "tail_order": ({}, "trajectory.tail_order", (1, 2)),
    "information_share": ({}, "information_share", (0.4, 0.55, 0.7, 0.85, 1.0)),
    "bit_ramp": ({}, "trajectory.bit_ramp", (0, 1, 2)),
    "spectral_emphasis": ({}, "spectral_emphasis", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
}


def jobs() -> list[tuple[str, str, int]]:
    """Backbone, sweep and place in it."""
    return [(name, sweep, i) for sweep, (_, _, values) in SWEEPS.items() for name in SHAPES for i in range(len(values))]


def run(name: str, sweep: str, place: int, seeds: Sequence[int]) -> dict[str, Any]:
    """One value of one sweep; ends and middle of a sweep also by the real coder."""
    kept, field, values = SWEEPS[sweep]
    settings = configure("default", kept | {field: values[place]})
    codebook = registry.load("codebooks", settings[0].codebook.name)()
    found = predict(open_prior(name), RATE, settings, codebook, tail_of(name))
    checked = bool(seeds) and place in (0, len(values) // 2, len(values) - 1)
    return {
        "backbone": name,
        "sweep": sweep,
        "value": values[place],
        "default": _default(name, field) == values[place] and not kept,
        "bits": RATE,
        "mse": found.mse,
        "variance": found.variance,
        "source_variance": found.modes.mean(found.modes.shown * found.modes.source),
        "excess": RATE / found.bound_bits() - 1 if found.bound_bits() else None,
        "real": code_draws(name, RATE, settings, codebook, seeds) if checked else None,
    }


def _default(name: str, field: str) -> float:
    stream, effort = configure()
    if field == "tail_end":
        return tail_of(name).end
    if field == "trajectory.ode_tail":
        return stream.trajectory.tail_steps(tail_of(name).share)
    owner = stream.trajectory if field.startswith("trajectory.") else effort
    return getattr(owner, field.rpartition(".")[2])


def grids(rows: Sequence[dict[str, Any]]) -> list[Grid]:
    """A table for each sweep, both backbones side by side; * is the default, variance is over that of the source."""
    head = ["value"] + ["MSE", "real coder", "variance", "excess"] * len(SHAPES)
    sides = " and ".join(SHAPES)
    return [Grid(f"{sweep} on {sides}", head, _lines([r for r in rows if r["sweep"] == sweep])) for sweep in SWEEPS]


def _lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    lines: dict[float, list[str]] = {}
    for row in rows:
        line = lines.setdefault(row["value"], [f"{row['value']:g}"])
        mark = " *" if row["default"] else ""
        real = f"{row['real']['mse']:.5f}" if row["real"] else ""
        excess = "-" if row["excess"] is None else f"{row['excess']:.1%}"
        line += [f"{row['mse']:.5f}{mark}", real, f"{row['variance'] / row['source_variance']:.3f}", excess]
    return list(lines.values())


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel for each sweep: error over the default's (lines, real runs as crosses) and output over source variance."""
    columns = 4
    figure, axes = panels(-(-len(SWEEPS) // columns), columns, (15, 9))
    best = {row["backbone"]: row["mse"] for row in rows if row["default"]}
    for axis, sweep in zip(axes.flat, SWEEPS, strict=False):
        for colour, name in enumerate(SHAPES):
            chosen = [row for row in rows if row["sweep"] == sweep and row["backbone"] == name]
            values = [row["value"] for row in chosen]
            axis.plot(values, [row["mse"] / best[name] for row in chosen], "o-", color=f"C{colour}", label=name)
            shares = [row["variance"] / row["source_variance"] for row in chosen]
            axis.plot(values, shares, ":", color=f"C{colour}")
            real = [(row["value"], row["real"]["mse"] / best[name]) for row in chosen if row["real"]]
            axis.plot(*zip(*real, strict=True), "x", color="black") if real else None
        axis.set_title(sweep, fontsize=9)
        axis.set_ylim(0.6, 2)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(SWEEPS) :]:
        axis.axis("off")
    axes.flat[0].legend(fontsize=7)
    figure.suptitle("error over the default's (solid; crosses: real coder), output over source variance (dotted)")
    save(figure, path)
