"""End to end on Gaussian sources: error over bits of each codebook, and the bits for the gvcc preset's error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, final

import numpy as np
from scipy.optimize import brentq

from rfcodec.config import EncoderConfig, StreamConfig
from rfcodec.evaluation.report.grids import Grid, panels, save
from rfcodec.evaluation.theory.alignment import StandIn, open_codebook
from rfcodec.evaluation.theory.bounds import realism_distortion, shannon_distortion
from rfcodec.evaluation.theory.gaussian_source import code_draws, open_prior, tail_of
from rfcodec.evaluation.theory.moments import Modes, Moments, predict
from rfcodec.presets import configure
from rfcodec.protocols import Codebook

Row = dict[str, Any]
Settings = tuple[StreamConfig, EncoderConfig]
GVCC = "gvcc preset"
RATES = (0.015, 0.03, 0.07, 0.15)
MATCHED_RATES = (0.03, 0.07, 0.15)
GVCC_TAILS = {20: 3, 8: 1, 4: 1}  # ODE steps of the preset, in the proportion of its 17 + 3
MATCHES = ((20, 20), (8, 8), (8, 20))  # evaluations of the default, and of the gvcc preset
SHARES = (0.02, 1.6)  # of the preset's bits, between which the default is looked for
AROUND = (0.94, 1.06)  # of the bits foretold, where the real coder is measured
# information_share, tail_end, more steps of the tail; None and 0: as it is
MORE_VARIANCE = tuple(product((None, 0.7, 0.55, 0.4), (None, 0.1, 0.05), (0, 1, 2)))[1:]
BOUNDS = {"perfect realism": realism_distortion, "shannon": shannon_distortion}
FEWEST, NEARLY = 0.99, 0.005  # of the preset's output variance; how far the closed form may be below that


@final
@dataclass(frozen=True)
class Draws:
    """Seeds of draws of the source, and what stands in for codebooks whose search costs too much."""

    seeds: Sequence[int]
    stand_in: StandIn

    def codebook(self, label: str) -> Codebook:
        """The codebook itself, or what stands in for it."""
        return self.stand_in(open_codebook(label))


def method(label: str, steps: int) -> tuple[Settings, str]:
    """Settings and codebook: our step and schedule with that codebook, or the gvcc preset whole."""
    if label == GVCC:
        changes = {"trajectory.steps": steps, "trajectory.ode_tail": GVCC_TAILS[steps]}
        settings = configure("gvcc", changes)
        return settings, f"gvcc:k={settings[0].codebook.parameters['k']}"
    return configure("default", {"trajectory.steps": steps}), label


def point(name: str, label: str, steps: int, rate: float, draws: Draws) -> Row:
    """One method at one rate, with the bounds at the bits that it spent."""
    settings, used = method(label, steps)
    codebook = draws.codebook(used)
    found = code_draws(name, rate, settings, codebook, draws.seeds)
    return {
        "backbone": name,
        "method": label,
        "steps": steps,
        "simulated": codebook != open_codebook(used),
        "rate": rate,
        **found,
        **{key: bound(*_source(name), found["bits"]) for key, bound in BOUNDS.items()},
    }


def _source(name: str) -> tuple[np.ndarray, np.ndarray]:
    modes = Modes.of(open_prior(name))
    return modes.source, modes.counts


@dataclass(frozen=True)
class Reference:
    """Bits, error and output variance of the gvcc preset, and the source's variance in the same draws."""

    name: str
    bits: float
    mse: float
    variance: float
    source: float


def match(name: str, rate: float, evaluations: tuple[int, int], draws: Draws) -> Row:
    """Bits with which the default has the gvcc preset's error: as it is, and with 99 % of the preset's output variance."""
    ours, theirs = evaluations
    settings, used = method(GVCC, theirs)
    found = code_draws(name, rate, settings, draws.codebook(used), draws.seeds)
    reference = Reference(name, **found)
    plain = needed(reference, {"trajectory.steps": ours}, draws)
    chosen = plain
    if plain["variance_ratio"] < FEWEST:
        chosen = matched(reference, ours, draws)
    return {
        "backbone": name,
        "rate": rate,
        "steps": ours,
        "gvcc_steps": theirs,
        "gvcc": found,
        "default": plain,
        "matched": chosen,
    }


@dataclass(frozen=True)
class Candidate:
    """A setting of more variance: its changes, and share of bits and ratio of variances by the closed form."""

    changes: dict[str, Any]
    share: float
    ratio: float


def matched(reference: Reference, steps: int, draws: Draws) -> Row:
    """The fewest bits at 99 % of the reference's variance among the settings of MORE_VARIANCE.

    Tried in the order of the closed form; where none has as much variance, that with the most.
    """
    found = [candidate(reference, more_variance(reference.name, steps, *words)) for words in MORE_VARIANCE]
    near = sorted((c for c in found if c.ratio >= FEWEST - NEARLY), key=lambda c: c.share)
    tried: list[Row] = []
    for chosen in near or [max(found, key=lambda c: c.ratio)]:
        tried.append(needed(reference, chosen.changes, draws))
        if tried[-1]["variance_ratio"] >= FEWEST:
            break
    return max(tried, key=lambda row: (row["variance_ratio"] >= FEWEST, row["variance_ratio"]))


def more_variance(name: str, steps: int, share: float | None, tail_end: float | None, longer: int) -> dict[str, Any]:
    """Changes of the default: information_share, tail_end, and steps that the tail has more."""
    usual = configure()[0].trajectory.model_copy(update={"steps": steps}).tail_steps(tail_of(name).share)
    return {
        "trajectory.steps": steps,
        **({"information_share": share} if share else {}),
        **({"tail_end": tail_end} if tail_end else {}),
        **({"trajectory.ode_tail": usual + longer} if longer else {}),
    }


def candidate(reference: Reference, changes: dict[str, Any]) -> Candidate:
    """What the closed form says of a setting; the source's variance is that of the draws."""
    share = foretold(reference, changes)
    found = _predict(reference, changes, share)
    gained = found.variance - found.modes.mean(found.modes.shown * found.modes.source)
    return Candidate(changes, share, (reference.source + gained) / reference.variance)


def needed(reference: Reference, changes: dict[str, Any], draws: Draws) -> Row:
    """Share of the reference's bits with its error by the real coder, between two rates around what the theory says."""
    guess = foretold(reference, changes)
    settings = configure("default", changes)
    codebook = draws.codebook(settings[0].codebook.name)
    rates = [share * guess * reference.bits for share in AROUND]
    outcomes = [code_draws(reference.name, rate, settings, codebook, draws.seeds) for rate in rates]
    logs = [[math.log(outcome[key]) for outcome in outcomes] for key in ("mse", "bits", "variance")]
    place = (math.log(reference.mse) - logs[0][0]) / (logs[0][1] - logs[0][0])
    bits, variance = (math.exp(low + place * (high - low)) for low, high in logs[1:])
    return {
        "changes": changes,
        "foretold": guess,
        "share": bits / reference.bits,
        "variance": variance,
        "variance_ratio": variance / reference.variance,
        "outcomes": outcomes,
    }


def foretold(reference: Reference, changes: dict[str, Any]) -> float:
    """Share of the reference's bits with its error, by the closed form; the nearer end of `SHARES` where that is outside."""

    def above(share: float) -> float:
        return _predict(reference, changes, share).mse - reference.mse

    low, high = SHARES
    if above(low) < 0 or above(high) > 0:
        return low if above(low) < 0 else high
    return brentq(above, low, high, xtol=1e-3)


def _predict(reference: Reference, changes: dict[str, Any], share: float) -> Moments:
    settings = configure("default", changes)
    tail = tail_of(reference.name)
    codebook = open_codebook(settings[0].codebook.name)
    return predict(open_prior(reference.name), share * reference.bits, settings, codebook, tail)


def grids(found: dict[str, Any]) -> list[Grid]:
    """Errors of all methods, a table for each number of evaluations; then the bits for equal error, by both numbers."""
    points, matches = _grouped(found["points"], "steps"), _grouped(found["matches"], "steps", "gvcc_steps")
    return [_errors(rows) for rows in points] + [_bits(rows) for rows in matches]


def _grouped(rows: Sequence[Row], *keys: str) -> list[list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return list(groups.values())


def _bits(rows: list[Row]) -> Grid:
    ours, theirs = rows[0]["steps"], rows[0]["gvcc_steps"]
    title = f"Bits for the gvcc preset's error: {ours} evaluations, the preset {theirs}"
    return Grid(title, MATCH_HEAD, [_match_line(row) for row in rows])


def _errors(rows: list[Row]) -> Grid:
    rates = sorted({row["rate"] for row in rows})
    head = ["source", "method", *(f"{rate:g} bits a dimension" for rate in rates)]
    lines: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: row["rate"]):
        line = lines.setdefault((row["backbone"], row["method"]), [row["backbone"], row["method"]])
        spent = "" if row["bits"] > 0.98 * row["rate"] else f" at {row['bits']:.3g}"
        line.append(f"{row['mse']:.4g}, {row['variance'] / row['source']:.3f}{spent}")
    return Grid(f"Error, and output over source variance, {rows[0]['steps']} evaluations", head, list(lines.values()))


MATCH_HEAD = (
    "source",
    "gvcc: bits a dimension",
    "MSE",
    "variance: source, gvcc",
    "bits of the default",
    "its variance over gvcc's",
    "bits at 99 % of gvcc's variance",
    "variance over gvcc's",
    "with",
)


def _match_line(row: Row) -> tuple[str, ...]:
    gvcc, plain, matched = row["gvcc"], row["default"], row["matched"]
    changes = {key: value for key, value in matched["changes"].items() if key != "trajectory.steps"}
    return (
        row["backbone"],
        f"{gvcc['bits']:.4f}",
        f"{gvcc['mse']:.5f}",
        f"{gvcc['source']:.4f}, {gvcc['variance']:.4f}",
        f"{plain['share']:.1%}",
        f"{plain['variance_ratio']:.3f}",
        f"{matched['share']:.1%}" if matched["variance_ratio"] >= FEWEST else f"none ({matched['share']:.1%})",
        f"{matched['variance_ratio']:.3f}",
        ", ".join(f"{key} {value:g}" for key, value in changes.items()) or "the default",
    )


def plot(found: dict[str, Any], path: Path) -> None:
    """Error over bits: a row of panels for each backbone, a column for each number of evaluations."""
    rows = found["points"]
    counts = list(dict.fromkeys(row["steps"] for row in rows))
    names = list(dict.fromkeys(row["backbone"] for row in rows))
    figure, axes = panels(len(names), len(counts), (5 * len(counts), 4 * len(names)))
    for (i, name), (j, steps) in product(enumerate(names), enumerate(counts)):
        chosen = [row for row in rows if row["backbone"] == name and row["steps"] == steps]
        _panel(axes[i, j], chosen)
        axes[i, j].set(title=f"{name}, {steps} evaluations", xlabel="bits a dimension", ylabel="mean squared error")
    axes[0, 0].legend(fontsize=7)
    save(figure, path)


def _panel(axis: Any, rows: list[Row]) -> None:
    for label in dict.fromkeys(row["method"] for row in rows):
        chosen = sorted((row["bits"], row["mse"]) for row in rows if row["method"] == label)
        axis.plot(*zip(*chosen, strict=True), "s--" if label == GVCC else "o-", markersize=4, label=label)
    source, bits = _source(rows[0]["backbone"]), np.geomspace(min(RATES), max(RATES), 30)
    for (name, bound), style in zip(BOUNDS.items(), ("--", ":"), strict=True):
        axis.plot(bits, [bound(*source, float(b)) for b in bits], style, color="black", label=f"bound: {name}")
    axis.set(xscale="log", yscale="log")
    axis.grid(alpha=0.3, which="both")
