"""What coding adds to the cost of the model: seconds a model evaluation, a coded step, and their ratio.

    python benchmarks/speed.py --size 832x480 --frames 33 --device cuda --dtype bfloat16

Builds a public architecture with random weights, so that nothing is fetched; quality means nothing here.
"""

import json
import os
import platform
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from codebooks.trellis import TrellisCodebook
from rfcodec.evaluation.report.grids import Grid
from rfcodec.research import (
    ChooseNoise,
    Condition,
    Emphasis,
    GopPlan,
    Latents,
    NoiseAddress,
    ReplayNoise,
    Shape,
    State,
    Step,
    Steps,
    TrajectoryConfig,
    TrajectoryStep,
    shifted_grid,
    split_bits,
)
from rfcodec.research.models import DiffusersBackbone, diffusers, random_backbone
from rfcodec.support.console import PlainConsole
from rfcodec.support.files import write_file
from rfcodec.support.words import parse_size


class Clocked:
    """A step that measures the time inside it and between its calls; the device is idle when a clock is read."""

    def __init__(self, step: Step, device: str) -> None:
        self.time_grid: Sequence[float] = step.time_grid
        self.inside: list[float] = []
        self.between: list[float] = []
        self._step, self._cuda = step, device.startswith("cuda")
        self._left = 0.0

    def start(self, shape: Shape) -> State:
        state = self._step.start(shape)
        self._left = self._now()
        return state

    def __call__(self, k: int, state: State, v: Latents) -> State:
        entered = self._now()
        self.between.append(entered - self._left)
        state = self._step(k, state, v)
        self._left = self._now()
        self.inside.append(self._left - entered)
        return state

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(backbone: DiffusersBackbone, size: tuple[int, int, int], bpp: float, steps: int, device: str) -> dict[str, Any]:
    """Chooses, then replays, one GOP of white latents; medians over steps, the first left out."""
    width, height, frames = size
    condition = backbone.prepare(Condition(frames, width, height))
    shape = condition.shape
    codebook, trajectory = TrellisCodebook(), TrajectoryConfig(steps=steps, ode_tail=2)
    coded = Steps(steps - trajectory.tail_steps(backbone.tail_share), trajectory.bit_ramp)
    bits = split_bits(codebook, shape, int(bpp * width * height * frames), coded)
    plan = GopPlan(shifted_grid(steps, 3.0), bits)
    target = torch.randn(shape, generator=torch.Generator()).to(device)
    chooser = ChooseNoise(codebook, NoiseAddress(1, 0, 0), target, bits, Emphasis(torch.ones(()), 0.3), lambda *_: None)
    encode = Clocked(TrajectoryStep(trajectory, plan, chooser), device)
    begin = time.perf_counter()
    found = backbone.run(condition, encode)
    total = time.perf_counter() - begin
    chooser.close()
    replay = ReplayNoise(codebook, NoiseAddress(1, 0, 0), chooser.symbols, bits)
    decode = Clocked(TrajectoryStep(trajectory, plan, replay), device)
    equal = bool(torch.equal(backbone.run(condition, decode), found))
    replay.close()
    return {
        "latents": list(shape),
        "dimensions": int(torch.tensor(shape).prod()),
        "bits_per_step": bits[0],
        "decoder_equal": equal,
        "encode_seconds": total,
        **_summary("encode", encode, coded.count),
        **_summary("decode", decode, coded.count),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_device_memory_mb": torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else None,
    }


def _summary(side: str, clocked: Clocked, coded: int) -> dict[str, float]:
    model = float(Tensor(clocked.between[1:]).median())
    step = float(Tensor(clocked.inside[1:coded]).median())
    return {
        f"{side}_seconds_per_evaluation": model,
        f"{side}_seconds_per_coded_step": step,
        f"{side}_overhead_percent": 100 * sum(clocked.inside[1:]) / (sum(clocked.inside[1:]) + sum(clocked.between[1:])),
    }


def main(
    checkpoint: Annotated[str, typer.Option(help="Named checkpoint whose architecture is built.")] = "wan2.1-t2v-1.3b",
    size: Annotated[str, typer.Option(metavar="WxH")] = "832x480",
    frames: Annotated[int, typer.Option(help="Frames of the GOP.")] = 33,
    bpp: Annotated[float, typer.Option(help="Bits per pixel of the symbols.")] = 0.0048,
    steps: Annotated[int, typer.Option(help="Model evaluations.")] = 20,
    device: Annotated[str, typer.Option(help="Torch device.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="Precision of the model.")] = "bfloat16",
    out: Annotated[Path | None, typer.Option(help="JSON file.")] = None,
) -> None:
    """Measures, prints and writes."""
    width, height = parse_size(size)
    backbone = random_backbone(checkpoint, dtype, device)
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or platform.machine()
    setting = {"checkpoint": checkpoint, "size": size, "frames": frames, "bpp": bpp, "steps": steps, "dtype": dtype}
    versions = {"torch": torch.__version__, "diffusers": diffusers.__version__}
    machine = {"device": name, "cpu_threads": torch.get_num_threads(), "cpus": os.cpu_count(), **versions}
    result = setting | machine | measure(backbone, (width, height, frames), bpp, steps, device)
    if out:
        write_file(out, json.dumps(result, indent=2) + "\n")
    rows = [(key, f"{value:.4g}" if isinstance(value, float) else str(value)) for key, value in result.items()]
    Grid("", ("", ""), rows).show(PlainConsole())


if __name__ == "__main__":
    typer.run(main)
