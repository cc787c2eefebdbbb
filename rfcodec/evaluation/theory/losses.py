"""Where bits go that the rate-distortion bound does not need, in closed form: codebook, allocation, number of steps."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rfcodec import registry
from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.config import EncoderConfig, StreamConfig
from rfcodec.evaluation.report.grids import Grid, panels, save
from rfcodec.evaluation.theory.gaussian_source import code_draws, open_prior, tail_of
from rfcodec.evaluation.theory.moments import Modes, Moments, bound_cosines, moments, predict
from rfcodec.flow.path import amplitude_snr, time_of_snr
from rfcodec.presets import configure
from rfcodec.trajectory.step import GopPlan

RATES = (0.01, 0.04, 0.12)
FINE_STEPS, FINE_TAIL, FINE_END = 400, 100, 1e-3


def split(name: str, rate: float, steps: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Excess over the least bits for the error and the output variance of every mode that came out, and its parts.

    codebook: what one of efficiency 1 would save. allocation: what many steps with such a codebook exceed their own bound
    by. steps: the rest. Beside the closed form, error and variance of the real coder on draws of the source.
    """
    settings = configure("default", {"trajectory.steps": steps})
    codebook = registry.load("codebooks", settings[0].codebook.name)()
    prior, tail = open_prior(name), tail_of(name)
    coarse, fine = predict(prior, rate, settings, codebook, tail), many_steps(prior, rate, settings)
    bound, fine_bound = coarse.bound_bits(), fine.bound_bits()
    excess, allocation = rate / bound - 1, rate / fine_bound - 1
    lost = rate * (1 - codebook.efficiency) / bound
    real = code_draws(name, rate, settings, codebook, seeds) if seeds else None
    return {
        "backbone": name,
        "bits": rate,
        "steps": steps,
        "mse": coarse.mse,
        "variance": coarse.variance,
        "source_variance": _shown_variance(coarse.modes),
        "bound_bits": bound,
        "excess": excess,
        "codebook": lost,
        "allocation": allocation,
        "steps_loss": excess - lost - allocation,
        "many_steps": {"mse": fine.mse, "variance": fine.variance, "bound_bits": fine_bound},
        "real": real and _beside(real, coarse),
    }


def _shown_variance(modes: Modes) -> float:
    return modes.mean(modes.shown * modes.source)


def _beside(real: dict[str, float], predicted: Moments) -> dict[str, float]:
    return real | {"excess": real["bits"] / predicted.bound_bits(real["mse"]) - 1}


def many_steps(prior: GaussianPrior, rate: float, settings: tuple[StreamConfig, EncoderConfig]) -> Moments:
    """The method in the limit: 400 coded steps of all that the bits carry, an ideal codebook, a fine tail."""
    stream, effort = settings
    modes, dims = Modes.of(prior), int(np.prod(prior.shape))
    coded = information_times(prior, [rate * math.log(2) / FINE_STEPS] * FINE_STEPS)
    snr = np.geomspace(amplitude_snr(coded[-1]), amplitude_snr(FINE_END), FINE_TAIL)
    chosen = GopPlan((1.0, *coded, *(time_of_snr(float(a)) for a in snr[1:]), 0.0), (1,) * FINE_STEPS)
    cosines = bound_cosines([rate * dims / FINE_STEPS] * FINE_STEPS, dims, 1.0)
    return moments(modes, stream.trajectory, chosen, cosines, effort.spectral_emphasis)


def information_times(prior: GaussianPrior, nats: Sequence[float]) -> list[float]:
    """A(s)^2 = A(t)^2 + 2 nats / mmse(t), without rounding to levels."""
    power, times = 0.0, [1.0]
    for kappa in nats:
        power += 2 * kappa / prior.mmse(times[-1])
        times.append(time_of_snr(math.sqrt(power)))
    return times[1:]


def grids(rows: Sequence[dict[str, Any]]) -> list[Grid]:
    """The split, and the closed form beside the real coder."""
    head = ("backbone", "steps", "bits a dimension", "excess", "codebook", "allocation", "number of steps")
    parts = [
        (
            row["backbone"],
            str(row["steps"]),
            f"{row['bits']:g}",
            *(f"{row[key]:.1%}" for key in ("excess", "codebook", "allocation", "steps_loss")),
        )
        for row in rows
    ]
    found = [Grid("Bits beyond the bound at equal error and equal output variance of every mode", head, parts)]
    checked = [row for row in rows if row["real"]]
    if checked:
        found.append(Grid("The closed form beside the real coder", CHECK_HEAD, [_check(row) for row in checked]))
    return found


CHECK_HEAD = (
    "backbone",
    "steps",
    "bits a dimension",
    "MSE: closed form, real",
    "output less source variance, over the source's: closed form, real",
    "excess: closed form, real",
)


def _check(row: dict[str, Any]) -> tuple[str, ...]:
    real = row["real"]
    # the source's variance is that of a few low frequencies, which differ from draw to draw
    change = row["variance"] / row["source_variance"] - 1, (real["variance"] - real["source"]) / row["source_variance"]
    return (
        row["backbone"],
        str(row["steps"]),
        f"{row['bits']:g}",
        f"{row['mse']:.5f}, {real['mse']:.5f}",
        f"{change[0]:+.1%}, {change[1]:+.1%}",
        f"{row['excess']:.1%}, {real['excess']:.1%}",
    )


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Stacked parts of the excess."""
    figure, ((axis,),) = panels(1, 1, (8, 4))
    labels = [f"{row['backbone']}\n{row['bits']:g}, {row['steps']} steps" for row in rows]
    bottom = np.zeros(len(rows))
    for key, label in (("codebook", "codebook"), ("allocation", "allocation"), ("steps_loss", "number of steps")):
        heights = 100 * np.array([row[key] for row in rows])
        axis.bar(labels, heights, bottom=bottom, label=label)
        bottom += heights
    axis.set_ylabel("% of bits beyond the bound")
    axis.tick_params(axis="x", labelsize=7)
    axis.legend()
    save(figure, path)
