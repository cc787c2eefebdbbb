"""Steps, checkpoints and the log of a run, whatever it is that the network learns (docs/tiny.md, section 3)."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from rfcodec.backbones.tiny.network import WIDTHS, TinyNetwork
from rfcodec.backbones.tiny.training.clips import RandomCrops
from rfcodec.backbones.tiny.training.flow_matching import FlowMatching
from rfcodec.backbones.tiny.training.optimizer import optimizers
from rfcodec.backbones.tiny.training.validation import held_back
from rfcodec.errors import InputError
from rfcodec.support.files import replacing

LOG, PLAN, LOG_STEPS = "log.jsonl", "plan.json", 50
LAST, BEFORE_DECAY = "last.pt", "before_decay.pt"  # checkpoints: the newest, and the last at the full rate


@runtime_checkable
class Objective(Protocol):
    """What the network learns."""

    name: str  # what a run is kept under: it goes on with the same objective only

    def example(self, crops: RandomCrops, generator: np.random.Generator) -> Any:
        """A random example, the same for the same generator."""
        ...

    def loss(self, network: TinyNetwork, one: Any) -> tuple[Tensor, float]:
        """What is minimised, and the share of the Wiener estimate's error that is left."""
        ...

    def check(self, network: TinyNetwork, apart: list[Path]) -> dict[str, float]:
        """Figures on clips that were held back, by name; always on the same crops."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long and how fast: warm up, keep the rate, and fall to nothing over the last `decay` steps."""

    steps: int
    decay: int
    crops: int = 1  # crops a step
    rate: float = 0.005
    warm_up: int = 100
    ema: float = 0.998
    check_steps: int = 300
    seed: int = 1
    workers: int = 1  # processes that make examples
    widths: tuple[int, ...] = WIDTHS

    def rate_share(self, step: int) -> float:
        """The share of the full rate at a step."""
        return max(0.0, min(1.0, (step + 1) / self.warm_up, (self.steps - step) / max(self.decay, 1)))


@final
class Numbered(Dataset[Any]):
    """Example k of `count`, the same for the same seed and k, whoever makes it."""

    def __init__(self, objective: Objective, scaled: list[Path], seed: int, count: int) -> None:
        self._objective, self._crops, self._seed, self._count = objective, RandomCrops(scaled), seed, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, k: int) -> Any:
        return self._objective.example(self._crops, np.random.default_rng((self._seed, k)))


@final
class Training:
    """A network, its average, its optimizers and how far they are; `folder` keeps all of them.

    Without an objective it is flow matching, without a network one that knows nothing.
    """

    def __init__(
        self, plan: Plan, folder: Path, objective: Objective | None = None, network: TinyNetwork | None = None
    ) -> None:
        self.plan, self.folder, self.objective = plan, folder, objective or FlowMatching()
        self.network = seeded(TinyNetwork(plan.widths), plan.seed) if network is None else network
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(plan.ema))
        self.optimizers = optimizers(self.network, plan.rate)
        self._rates = [group["lr"] for one in self.optimizers for group in one.param_groups]
        self.step, self.seconds = 0, 0.0

    def resume(self, checkpoint: Path) -> None:
        """Goes on from a checkpoint; raises InputError where it cannot be read or is one of another network."""
        try:
            state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            for one, saved in zip(self.optimizers, state["optimizers"], strict=True):
                one.load_state_dict(saved)
            self.step, self.seconds = state["step"], state["seconds"]
        except (OSError, EOFError, RuntimeError, ValueError, KeyError, UnpicklingError) as error:
            reason = str(error).partition("\n")[0] or "it is empty"
            raise InputError(f"{checkpoint} is no checkpoint of this network: {reason}") from error

    def save(self, name: str) -> None:
        """Writes a checkpoint under its name only once it is whole."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [one.state_dict() for one in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
        }
        with replacing(self.folder / name, parents=True) as part:
            torch.save(state, part)

    def run(self, scaled: list[Path]) -> None:
        """Trains to the end of the plan; scaled clips as `scale_clips` leaves them.

        Raises InputError where these are too few or the folder keeps a run of another objective, OutputError where a
        checkpoint cannot be written.
        """
        training, apart = held_back(scaled)
        self._begin_log()
        examples = self._examples(training)
        left: list[float] = []
        began = time.monotonic() - self.seconds
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns) as bar:
            task = bar.add_task("training", total=self.plan.steps, completed=self.step)
            while self.step < self.plan.steps:
                if self.step == self.plan.steps - self.plan.decay:
                    self.save(BEFORE_DECAY)
                left.append(self._advance([next(examples) for _ in range(self.plan.crops)]))
                self.step += 1
                self.seconds = time.monotonic() - began
                bar.update(task, completed=self.step)
                if self.step % LOG_STEPS == 0:
                    mean = math.exp(sum(left) / len(left))
                    bar.update(task, description=f"left {mean:.3f}")
                    self._log({"step": self.step, "seconds": self.seconds, "training": mean})
                    left.clear()
                if self.step % self.plan.check_steps == 0 or self.step == self.plan.steps:
                    bar.print(self._check(apart))

    def _examples(self, training: list[Path]) -> Iterator[Any]:
        begin, end = self.step * self.plan.crops, self.plan.steps * self.plan.crops
        dataset = Numbered(self.objective, training, self.plan.seed, end)
        return iter(DataLoader(dataset, batch_size=None, sampler=range(begin, end), num_workers=self.plan.workers))

    def _advance(self, examples: list[Any]) -> float:
        share = self.plan.rate_share(self.step)
        groups = [group for one in self.optimizers for group in one.param_groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate * share
        left = 0.0
        for example in examples:
            loss, left_here = self.objective.loss(self.network, example)
            (loss / len(examples)).backward()
            left += math.log(left_here) / len(examples)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0, error_if_nonfinite=True)
        for one in self.optimizers:
            one.step()
        self.average.update_parameters(self.network)
        for one in self.optimizers:
            one.zero_grad(set_to_none=True)
        return left

    def _check(self, apart: list[Path]) -> str:
        self.save(LAST)
        found = self.objective.check(self.averaged(), apart)
        self._log({"step": self.step, "seconds": self.seconds, "held_back": found})
        return f"step {self.step}: held back " + "  ".join(f"{name}: {value:.4f}" for name, value in found.items())

    def averaged(self) -> TinyNetwork:
        """The average over the last steps, which is what ships."""
        network = self.average.module
        assert isinstance(network, TinyNetwork)
        return network

    def _begin_log(self) -> None:
        """Drops what was logged after the checkpoint that this goes on from: those steps are taken again."""
        known = read_plan(self.folder)
        if known and known.get("objective") != self.objective.name:
            raise InputError(f"{self.folder} keeps a run of {known.get('objective')}: name another folder")
        with replacing(self.folder / LOG, parents=True) as part:
            kept = [entry for entry in read_log(self.folder) if entry["step"] <= self.step]
            part.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        with replacing(self.folder / PLAN) as part:
            part.write_text(json.dumps({"objective": self.objective.name} | asdict(self.plan), indent=2) + "\n")

    def _log(self, entry: dict[str, Any]) -> None:
        with (self.folder / LOG).open("a") as log:
            log.write(json.dumps(entry) + "\n")


def newest(folder: Path, steps: int) -> Path | None:
    """Where a run goes on to `steps`: its last checkpoint, or that before its rate began to fall for an earlier end."""
    entries = read_log(folder)
    if not entries:
        return None
    plan = read_plan(folder)
    falling = entries[-1]["step"] > plan["steps"] - plan["decay"]
    checkpoint = folder / (BEFORE_DECAY if falling and plan["steps"] < steps else LAST)
    return checkpoint if checkpoint.is_file() else None


def read_plan(folder: Path) -> dict[str, Any]:
    """The plan of a run and the name of its objective; empty where there is none."""
    path = folder / PLAN
    return json.loads(path.read_text()) if path.is_file() else {}


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The entries of a run's log; a last line that was cut short is left out."""
    if not (folder / LOG).is_file():
        return []
    lines = (folder / LOG).read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def seeded(network: TinyNetwork, seed: int) -> TinyNetwork:
    """The network with kernels drawn anew, uniform over 1 / sqrt(inputs); what is zero stays so."""
    generator = np.random.default_rng(seed)
    for parameter in network.parameters():
        if parameter.ndim > 1 and bool(parameter.any()):
            bound = parameter[0].numel() ** -0.5
            drawn = generator.uniform(-bound, bound, parameter.shape).astype(np.float32)
            parameter.data.copy_(torch.from_numpy(drawn))
    return network
