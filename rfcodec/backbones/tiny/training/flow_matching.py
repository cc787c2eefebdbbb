"""Flow matching of the correction: squared error in units of the Wiener estimate's (docs/tiny.md, section 3)."""

import math
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training.clips import RandomCrops
from rfcodec.backbones.tiny.training.examples import Example, draw_kind, errors, example
from rfcodec.backbones.tiny.training.validation import means, shares

LOGIT_MEAN, LOGIT_SPREAD = -0.2, 1.2
EARLIEST, LATEST = 0.01, 0.995  # times are cut to this range


@final
class FlowMatching:
    """The estimate of the clean video from noisy states at random times."""

    name = "flow matching"

    def example(self, crops: RandomCrops, generator: np.random.Generator) -> Example:
        """A noisy crop."""
        frames, kind = crops.draw(generator).frames, draw_kind(generator)
        t = 1 / (1 + math.exp(-generator.normal(LOGIT_MEAN, LOGIT_SPREAD)))
        return example(frames, kind, min(max(t, EARLIEST), LATEST), generator)

    def loss(self, network: TinyNetwork, one: Example) -> tuple[Tensor, float]:
        """What is minimised, and the share of the Wiener estimate's error that is left."""
        error, wiener = errors(network, one)
        return weighted(error, wiener, one), float(error.detach() / wiener)

    def check(self, network: TinyNetwork, apart: list[Path]) -> dict[str, float]:
        """Shares that are left at each time, of crops that were held back."""
        return {f"t={t}": share for t, share in means(shares(network, apart)).items()}


def weighted(error: Tensor, wiener: Tensor, one: Example) -> Tensor:
    """A squared error in units that let neither the hardest clips nor those that stand still decide alone.

    What the prior expects alone would favour the former, what it gets here alone the latter.
    """
    return error / torch.sqrt(wiener * one.mse)
