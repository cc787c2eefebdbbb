"""Momentum with orthogonal steps for the matrices of the network, Adam for the rest (Jordan et al., Muon, 2024)."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

NEWTON = (3.4445, -4.7750, 2.0315)  # quintic whose iteration sends singular values near one
ITERATIONS = 5


def optimizers(network: nn.Module, rate: float) -> list[Optimizer]:
    """Muon for kernels of convolutions, AdamW for biases, modulation and the layers next to pixels."""
    inner = [p for name, p in network.named_parameters() if p.ndim == 4 and not name.startswith(("enter", "leave"))]
    chosen = {id(p) for p in inner}
    rest = [p for p in network.parameters() if id(p) not in chosen]
    return [Muon(inner, lr=rate), AdamW(rest, lr=rate / 10, betas=(0.9, 0.99), weight_decay=0.0)]


@final
class Muon(Optimizer):
    """Nesterov momentum whose update is orthogonalised; kernels count as matrices of outputs by inputs and taps.

    In float32, unlike torch.optim.Muon, whose bfloat16 is slow on CPUs without such arithmetic.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient; takes no closure."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                memory = state.setdefault("momentum", torch.zeros_like(parameter.grad))
                memory.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(memory, group["momentum"]).flatten(1)
                scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                parameter.add_(orthogonal(update).view(parameter.shape), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns, roughly: singular values between 0.7 and 1.2."""
    a, b, c = NEWTON
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x
