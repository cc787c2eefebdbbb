"""Efficiency, time and memory of the trellis codebook at the size of a 720p GOP of Wan latents.

    python -m benchmarks.trellis_efficiency --out benchmarks/results/gaussian/trellis.json

Runs on one core; about six minutes for 20 seeds.
"""

import json
import os
import resource
import time
from pathlib import Path
from typing import Annotated

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # read when the libraries are loaded

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from codebooks.trellis import TrellisCodebook
from rfcodec.types import NoiseAddress

SHAPE = (16, 9, 90, 160)
BITS = (300, 900, 2700, 8640)


def measure(codebook: TrellisCodebook, bits: int, seed: int) -> dict[str, float]:
    """One choice and its replay, on a white direction: efficiency and seconds."""
    direction = torch.from_numpy(np.random.default_rng(seed).standard_normal(SHAPE, dtype=np.float32))
    address = NoiseAddress(1, 0, seed + 1)
    start = time.perf_counter()
    symbols, z = codebook.choose(address, direction, bits)
    chosen = time.perf_counter()
    replayed = codebook.noise(address, SHAPE, bits, symbols)
    done = time.perf_counter()
    if not torch.equal(z, replayed):
        raise AssertionError("the decoder's noise is not the encoder's")
    cosine = float(
        torch.dot(z.ravel().double(), direction.ravel().double()) / (z.double().norm() * direction.double().norm())
    )
    efficiency = -z.numel() / 2 * np.log2(1 - cosine**2) / bits
    return {"efficiency": efficiency, "choose_seconds": chosen - start, "replay_seconds": done - chosen}


def main(
    out: Annotated[Path, typer.Option(help="JSON file.")] = Path("benchmarks/results/gaussian/trellis.json"),
    seeds: Annotated[int, typer.Option(help="Directions a rate.")] = 20,
) -> None:
    """Measures, writes and prints."""
    torch.set_num_threads(1)
    codebook = TrellisCodebook()
    measure(codebook, BITS[0], 0)  # the permutation of a stream is made once
    rows = []
    for bits in BITS:
        runs = [measure(codebook, bits, seed) for seed in track(range(seeds), f"{bits} bits")]
        values = {key: np.array([run[key] for run in runs]) for key in runs[0]}
        layout = codebook.layout(int(np.prod(SHAPE)), bits)
        rows.append({
            "bits": bits,
            "states": layout.states,
            "efficiency": float(values["efficiency"].mean()),
            "standard_error": float(values["efficiency"].std(ddof=1) / np.sqrt(seeds)),
            "choose_seconds": float(np.median(values["choose_seconds"])),
            "replay_seconds": float(np.median(values["replay_seconds"])),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        })  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + "\n")
    table = Table("bits", "states", "efficiency", "choose s", "replay s", "peak memory MB")
    for row in rows:
        efficiency = f"{row['efficiency']:.4f} ± {row['standard_error']:.4f}"
        times = f"{row['choose_seconds']:.3f}", f"{row['replay_seconds']:.3f}"
        table.add_row(str(row["bits"]), str(row["states"]), efficiency, *times, f"{row['peak_memory_mb']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
