"""The learned denoiser: the Gaussian prior's estimate, corrected by the network (docs/tiny.md, section 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from rfcodec.backbones.gaussian.backbone import pixel_backbone, slower
from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.backbones.gaussian.transforms import to_colour
from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.config import RuntimeConfig
from rfcodec.flow.path import amplitude_snr, clean_to_velocity
from rfcodec.protocols import Condition, Latents, Reference

SLOWER = (1 / 8, 1 / 64)  # rates of change of the other priors
GREY_UNIT = 16.0  # error of a reference in grey levels that counts as one
FRAME_UNIT = 32.0
LARGEST_LOG_SNR = 5.0  # times of a stronger or weaker signal look the same to the network


@dataclass(frozen=True)
class Estimate:
    """What the network mends at one state, and what it sees: see `Estimator.estimate`."""

    wiener: Float32[Tensor, "c f h w"]
    deviation: Float32[Tensor, "c f"]  # of the Wiener estimate's error, by the Gaussian prior
    candidates: Float32[Tensor, "k c f h w"]  # less the Wiener estimate
    features: Float32[Tensor, "f i h w"]
    signals: Float32[Tensor, "f s"]
    log_snr: float


@final
class PriorBank:
    """The pixel prior, and two that change ever more slowly."""

    def __init__(self) -> None:
        usual = pixel_backbone(RuntimeConfig(), {})
        self.backbones = (usual, *(slower(usual, share) for share in SLOWER))

    def estimator(self, condition: Condition) -> "Estimator":
        """Their estimates given a condition."""
        return Estimator([backbone.prepare(condition) for backbone in self.backbones], condition)


@final
class Estimator:
    """Gaussian priors given the references of a GOP, and what the network is shown of both.

    The first prior is the one that is corrected. The others believe in slower change: theirs are the long averages over
    time that the network cannot reach, right where nothing moves and wrong where something does.
    """

    def __init__(self, priors: Sequence[GaussianPrior], condition: Condition) -> None:
        self.prior, self._slower = priors[0], priors[1:]
        self.shape = self.prior.shape
        frames = self.shape[1]
        first, last = condition.first, condition.last if frames > 1 else None
        self.kind = condition.places
        self._references = (_plane(first), _plane(last))
        self._signals = torch.cat([_signals(first, frames, 0), _signals(last, frames, frames - 1)], 1)

    def estimate(self, x: Latents, t: float) -> Estimate:
        """The inputs of the network at state x and time t, 0 < t <= 1."""
        rings = self.prior.to_rings(x)
        wiener, *slower = (p.from_rings(p.clean_rings(rings, t)).to(x.device) for p in (self.prior, *self._slower))
        deviation = torch.from_numpy(np.sqrt(self.prior.frame_mmse(t))).to(x)
        unit = deviation[0].mean()
        known = [torch.zeros_like(wiener) if r is None else r.to(x.device)[:, None] - wiener for r in self._references]
        candidates = torch.stack([*(estimate - wiener for estimate in slower), *known])
        shown = [wiener, (x - (1 - t) * wiener) / t, *(candidates[: len(slower)] / unit), *known]
        log_snr = min(max(math.log(max(amplitude_snr(t), 1e-9)), -LARGEST_LOG_SNR), LARGEST_LOG_SNR)
        features = torch.cat([planes.transpose(0, 1) for planes in shown], 1)
        return Estimate(wiener, deviation, candidates, features, self._signals.to(x.device), log_snr)


@final
class Denoiser:
    """E[x0 | x_t] as the network has learned it, for one GOP."""

    def __init__(self, network: TinyNetwork, estimator: Estimator, bfloat16: bool = False) -> None:
        self.prior, self.shape, self.kind = estimator.prior, estimator.shape, estimator.kind
        self._network, self._estimator, self._bfloat16 = network, estimator, bfloat16
        self._device = next(network.parameters()).device

    def velocity(self, x: Latents, t: float) -> Latents:
        """v = (x - x0_hat) / t, float32, where the network is."""
        x = x.to(self._device)
        return clean_to_velocity(self.clean(x, t), x, t)

    def clean(self, x: Latents, t: float) -> Latents:
        """E[x0 | x_t = x], where the network is."""
        with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            return corrected(self._network, self._estimator.estimate(x.to(self._device), t))


def corrected(network: TinyNetwork, estimate: Estimate) -> Latents:
    """x0_hat = Wiener + sum of shares of candidates + deviation * correction."""
    output = network(estimate.features, estimate.log_snr, estimate.signals).float().transpose(0, 1)
    x0_hat = estimate.wiener + estimate.deviation[:, :, None, None] * output[:3]
    for share, candidate in zip(output[3:], estimate.candidates, strict=True):
        x0_hat = x0_hat + share * candidate
    return x0_hat


def _plane(reference: Reference | None) -> Float32[Tensor, "c h w"] | None:
    return None if reference is None else torch.from_numpy(to_colour(reference.frame[None])[:, 0].copy())


def _signals(reference: Reference | None, frames: int, position: int) -> Float32[Tensor, "f 3"]:
    if reference is None:
        return torch.zeros(frames, 3)
    away = torch.abs(torch.arange(frames) - position).float() / FRAME_UNIT
    return torch.stack([torch.ones(frames), torch.full((frames,), reference.rmse / GREY_UNIT), away], 1)
