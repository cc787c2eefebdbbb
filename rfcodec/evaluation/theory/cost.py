"""Time and memory of codebooks at the size of a 720p GOP; of searches that cost K x D, a line through two small K."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rfcodec.evaluation.report.grids import Grid, panels, save
from rfcodec.evaluation.theory.alignment import (
    FRAMES,
    Row,
    in_fresh_processes,
    latent_shape,
    measure,
    open_codebook,
    payable_bits,
    peak_memory_mb,
    summary,
)
from rfcodec.types import NoiseAddress

WHOLE = ("trellis", "hadamard", "chunked", "channel")
SCALED = ("topm", "topm:k=16384", "gvcc", "pursuit")
FEW = (256, 512)  # atoms at which a search is timed
BASELINE = "topm:k=16384"


def measured(label: str, dims: int, bits: int, seeds: Sequence[int]) -> Row:
    """Medians of choices and replays as they are."""
    (row,) = summary(next(in_fresh_processes(measure, [(label, dims, bits, seeds)])))
    return _costs(label, row) | {"how": "measured"}


def scaled(label: str, dims: int, bits: int, seeds: Sequence[int]) -> Row:
    """The choice among few of the atoms, for as many chosen, and its line through all; the replay as it is."""
    real: Any = open_codebook(label)
    name = label.partition(":")[0]
    m = real.atoms_for(latent_shape(dims), bits // FRAMES if name == "gvcc" else bits)
    jobs = [(f"{name}:k={k},m={m}", dims, bits, seeds) for k in FEW]
    few = [summary(rows)[0] for rows in in_fresh_processes(measure, jobs)]
    slope = (few[1]["choose_seconds"] - few[0]["choose_seconds"]) / (FEW[1] - FEW[0])
    (replay,) = next(in_fresh_processes(replay_alone, [(label, dims, bits, seeds)]))
    return {
        "codebook": label,
        "choose_seconds": few[1]["choose_seconds"] + slope * (real.k - FEW[1]),
        "replay_seconds": replay,
        "peak_memory_mb": few[1]["peak_memory_mb"],
        "how": f"choice and memory: line through K = {FEW[0]} and {FEW[1]} at M = {m}; replay: measured",
    }


def replay_alone(label: str, dims: int, bits: int, seeds: Sequence[int]) -> list[float]:
    """Median seconds of one core for the replay of random symbols."""
    torch.set_num_threads(1)
    codebook, shape = open_codebook(label), latent_shape(dims)
    used, seconds = payable_bits(codebook, shape, bits), []
    for seed in seeds:
        symbols = random.Random(seed).getrandbits(used - 2)  # the topmost names of a subset may not exist
        begin = time.process_time()
        codebook.noise(NoiseAddress(1, 0, seed + 1), shape, used, symbols)
        seconds.append(time.process_time() - begin)
    return [float(np.median(seconds))]


def _costs(label: str, row: Row) -> Row:
    return {"codebook": label} | {key: row[key] for key in ("choose_seconds", "replay_seconds", "peak_memory_mb")}


def result(rows: Sequence[Row], dims: int, bits: int) -> dict[str, Any]:
    """All rows, and how many times longer the baseline searches than the trellis."""
    seconds = {row["codebook"]: row["choose_seconds"] for row in rows}
    ratio = seconds[BASELINE] / seconds["trellis"] if {BASELINE, "trellis"} <= seconds.keys() else None
    base = {"dims": dims, "bits": bits, "process_alone_mb": peak_memory_mb()}
    return base | {"baseline": BASELINE, "baseline_over_trellis": ratio, "rows": list(rows)}


def grids(found: dict[str, Any]) -> list[Grid]:
    """The table of costs."""
    head = ("codebook", "choose, s", "replay, s", "peak memory, MB", "how")
    lines = [
        (
            row["codebook"],
            f"{row['choose_seconds']:.3g}",
            f"{row['replay_seconds']:.3g}",
            f"{row['peak_memory_mb']:.0f}",
            row["how"],
        )
        for row in found["rows"]
    ]
    title = f"Cost of a step of {found['bits']} bits at D = {found['dims']:,} on one core"
    if found["baseline_over_trellis"]:
        title += f"; the trellis searches {found['baseline_over_trellis']:,.0f} times faster than {found['baseline']}"
    return [Grid(title, head, lines)]


def plot(found: dict[str, Any], path: Path) -> None:
    """Seconds of choice and replay."""
    rows = sorted(found["rows"], key=lambda row: row["choose_seconds"])
    places = np.arange(len(rows))
    figure, ((axis,),) = panels(1, 1, (7, 4))
    axis.barh(places - 0.2, [row["choose_seconds"] for row in rows], 0.4, label="choice")
    axis.barh(places + 0.2, [row["replay_seconds"] for row in rows], 0.4, label="replay")
    axis.set(yticks=places, yticklabels=[row["codebook"] for row in rows], xlabel="seconds a step", xscale="log")
    axis.set_title(f"D = {found['dims']:,}, {found['bits']} bits")
    axis.legend()
    save(figure, path)
