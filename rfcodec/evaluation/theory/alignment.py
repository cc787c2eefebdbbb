"""How well codebooks point where they should, how long they search for it and in how much memory."""

import math
import re
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from rfcodec import registry
from rfcodec.evaluation.report.grids import Grid, panels, save
from rfcodec.protocols import Codebook, Shape
from rfcodec.types import NoiseAddress

Row = dict[str, Any]
Result = TypeVar("Result")
StandIn = Callable[[Codebook], Codebook]  # what chooses in the place of a codebook, or that itself
GOP_SHAPE = (16, 9, 90, 160)  # 33 frames of 720p in the geometry of Wan latents
FRAMES = GOP_SHAPE[1]


def open_codebook(label: str) -> Codebook:
    """A registered codebook by `name`, or `name:field=value,field=value`."""
    name, _, fields = label.partition(":")
    pairs = (pair.split("=") for pair in fields.split(",") if pair)
    return registry.load("codebooks", name)(**{field: int(value) for field, value in pairs})


def latent_shape(dims: int) -> Shape:
    """Latents c f h w of that many dimensions: those of a 720p GOP, else nine frames where that divides, else one."""
    if dims == math.prod(GOP_SHAPE):
        return GOP_SHAPE
    return (1, FRAMES, 1, dims // FRAMES) if dims % FRAMES == 0 else (1, 1, 1, dims)


def payable_bits(codebook: Codebook, shape: Shape, bits: int) -> int:
    """What the codebook can use of `bits`, or its fewest where these are more."""
    return codebook.usable_bits(shape, bits) or codebook.least_bits(shape)


def white(shape: Shape, seed: int) -> torch.Tensor:
    """A white direction."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """In double precision."""
    a, b = a.double().ravel(), b.double().ravel()
    return float(torch.dot(a, b) / (a.norm() * b.norm()))


def efficiency(cosine: float, dims: int, bits: int) -> float:
    """-(D / 2) log2(1 - c^2) / bits with the sign of c."""
    return math.copysign(-dims / 2 * math.log1p(-(cosine**2)) / math.log(2) / bits, cosine)


def measure(label: str, dims: int, bits: int, seeds: Sequence[int], stand_in: StandIn | None = None) -> list[Row]:
    """A row for each seed: one choice for a white direction and, but for simulated codebooks, its replay.

    Seconds are those that one core worked, so that other programs do not count. The peak of memory is that of the process
    so far, which should therefore be a fresh one.
    """
    torch.set_num_threads(1)
    real, shape = open_codebook(label), latent_shape(dims)
    codebook = stand_in(real) if stand_in else real
    simulated = codebook is not real
    used = payable_bits(codebook, shape, bits)
    # what is made once for a stream, such as its permutation, is made here
    codebook.noise(NoiseAddress(1, 0, 0), shape, codebook.least_bits(shape), 0)
    rows = []
    for seed in seeds:
        direction, address = white(shape, seed), NoiseAddress(1, 0, seed + 1)
        begin = time.process_time()
        symbols, z = codebook.choose(address, direction, used)
        seconds = time.process_time() - begin
        cost = None if simulated else _replay(codebook, address, z, (used, symbols))
        rows.append({
            "codebook": label,
            "bits": bits,
            "bits_used": used,
            "seed": seed,
            "dims": dims,
            "simulated": simulated,
            "cosine": (c := cosine(z, direction)),
            "efficiency": efficiency(c, dims, used),
            "choose_seconds": None if simulated else seconds,
            "replay_seconds": cost,
            "peak_memory_mb": None if simulated else peak_memory_mb(),
        })  # fmt: skip
    return rows


def _replay(codebook: Codebook, address: NoiseAddress, z: torch.Tensor, chosen: tuple[int, int]) -> float:
    bits, symbols = chosen
    shape = tuple(z.shape)
    if not torch.equal(codebook.noise(address, shape, bits, symbols), z):
        raise AssertionError("the decoder's noise is not the encoder's")
    # timed at another address: at its own, what the encoder drew may still be at hand
    begin = time.process_time()
    codebook.noise(NoiseAddress(address.seed, address.gop + 1, address.step), shape, bits, symbols)
    return time.process_time() - begin


def peak_memory_mb() -> float:
    """The most memory that this process ever held, libraries included."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    # ru_maxrss may be that of the process which started this one
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def in_fresh_processes(work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
    """Results of the jobs, each in a process of its own, one after the other."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for job in jobs:
            yield pool.submit(work, *job).result()


def summary(rows: Sequence[Row]) -> list[Row]:
    """Codebook by codebook and rate by rate: efficiency of the mean cosine with its standard error, medians of costs.

    The mean of the cosines, not of their squares, which would count the variance of the draw as a gain.
    """
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["codebook"], row["bits"]), []).append(row)
    return [_summarise(group) for group in groups.values()]


def _summarise(rows: list[Row]) -> Row:
    first = rows[0]
    cosines = np.array([row["cosine"] for row in rows])
    mean = efficiency(float(cosines.mean()), first["dims"], first["bits_used"])
    spread = cosines.std(ddof=1) / math.sqrt(cosines.size) if cosines.size > 1 else math.nan
    medians = {
        key: None if first[key] is None else float(np.median([row[key] for row in rows]))
        for key in ("choose_seconds", "replay_seconds", "peak_memory_mb")
    }
    kept = {key: first[key] for key in ("codebook", "bits", "bits_used", "dims", "simulated")}
    return kept | {"efficiency": mean, "standard_error": 2 * mean * float(spread / cosines.mean())} | medians


def grids(rows: Sequence[Row]) -> list[Grid]:
    """Efficiencies, the best codebook first; seconds and memory of those that were not simulated."""
    found = summary(rows)
    title = f"D = {rows[0]['dims']:,}, {len({row['seed'] for row in rows})} seeds"
    tables = [Grid(f"Efficiency at {title}; used bits where they are fewer", *_efficiencies(found))]
    costs = [_cost_line(s) for s in found if not s["simulated"]]
    head = ("codebook", "bits", "choose, s", "replay, s", "peak memory, MB")
    return [*tables, Grid(f"Seconds of one core, medians at {title}", head, costs)] if costs else tables


def _efficiencies(found: list[Row]) -> tuple[list[str], list[list[str]]]:
    columns = sorted({s["bits"] for s in found})
    labels = dict.fromkeys(s["codebook"] for s in sorted(found, key=lambda s: -s["efficiency"]))
    cells = {(s["codebook"], s["bits"]): _efficiency_cell(s) for s in found}
    simulated = {s["codebook"]: " (simulated)" if s["simulated"] else "" for s in found}
    lines = [[label + simulated[label], *(cells.get((label, bits), "") for bits in columns)] for label in labels]
    return ["codebook", *(f"{bits} bits" for bits in columns)], lines


def _efficiency_cell(row: Row) -> str:
    used = f" ({row['bits_used']})" if row["bits_used"] < 0.98 * row["bits"] else ""
    return f"{row['efficiency']:.3f} ± {row['standard_error']:.3f}{used}"


def _cost_line(row: Row) -> tuple[str, ...]:
    seconds = (f"{row[key]:.3f}" for key in ("choose_seconds", "replay_seconds"))
    return row["codebook"], str(row["bits"]), *seconds, f"{row['peak_memory_mb']:.0f}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Efficiency over bits, a line for each codebook."""
    found = summary(rows)
    figure, ((axis,),) = panels(1, 1, (7, 4.5))
    for label in dict.fromkeys(s["codebook"] for s in found):
        chosen = sorted((s for s in found if s["codebook"] == label), key=lambda s: s["bits_used"])
        bits, values, errors = zip(*((s["bits_used"], s["efficiency"], s["standard_error"]) for s in chosen), strict=True)
        axis.errorbar(bits, values, np.nan_to_num(errors), marker="o", capsize=3, label=label)
    axis.set(xlabel="bits a step", ylabel="efficiency", xscale="log", ylim=(0, 1))
    axis.set_title(f"D = {rows[0]['dims']:,}")
    axis.grid(alpha=0.3)
    axis.legend()
    save(figure, path)
