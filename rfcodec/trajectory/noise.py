"""Noise of a step: chosen by the encoder, replayed by the decoder, or the true path for measuring a profile."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

from rfcodec.flow.path import amplitude_snr, interpolate, velocity_to_clean
from rfcodec.protocols import Codebook, Latents, Shape
from rfcodec.types import InformationProfile, NoiseAddress


def _address(seed: int, gop: int, k: int) -> NoiseAddress:
    return NoiseAddress(seed, gop, k + 1)


@final
class ChooseNoise:
    """Encoder: chooses the noise that points from x0_hat to the target, and records its symbols.

    `weights` over latent frames shape the choice alone; `watch(k, mse)` is told the error of x0_hat before each step.
    """

    def __init__(
        self,
        codebook: Codebook,
        start: NoiseAddress,
        target: Latents,
        step_bits: Sequence[int],
        weights: Tensor,
        watch: Callable[[int, float], None],
    ) -> None:
        self.symbols: list[int] = []
        self._codebook, self._start, self._step_bits = codebook, start, step_bits
        self._target, self._weights, self._watch = target, weights.reshape(1, -1, 1, 1), watch

    def start(self, shape: Shape) -> Latents:
        """Plain addressed noise."""
        return self._codebook.noise(self._start, shape, 0, 0)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """Chosen noise, c f h w."""
        residual = self._target - x0_hat.to(self._target.device)
        self._watch(k, float(residual.square().mean()))
        address = _address(self._start.seed, self._start.gop, k)
        symbols, z = self._codebook.choose(address, residual * self._weights, self._step_bits[k])
        self.symbols.append(symbols)
        return z


@final
class ReplayNoise:
    """Decoder: the noise that the symbols name."""

    def __init__(self, codebook: Codebook, start: NoiseAddress, symbols: Sequence[int], step_bits: Sequence[int]) -> None:
        self._codebook, self._start, self._symbols, self._step_bits = codebook, start, symbols, step_bits

    def start(self, shape: Shape) -> Latents:
        """Plain addressed noise."""
        return self._codebook.noise(self._start, shape, 0, 0)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """Replayed noise, c f h w."""
        address = _address(self._start.seed, self._start.gop, k)
        return self._codebook.noise(address, tuple(x0_hat.shape), self._step_bits[k], self._symbols[k])


@final
class ProbeStep:
    """A step that keeps to the true path and measures mse(t) on its way: drives any backbone like a codec step."""

    def __init__(self, target: Latents, noise: Latents, interior: Sequence[float]) -> None:
        self.time_grid: Sequence[float] = (1.0, *interior, 0.0)
        self._target, self._noise = target, noise
        self._mmse: list[float] = []

    def start(self, shape: Shape) -> Latents:
        """The noise itself."""
        return self._noise

    def __call__(self, k: int, x: Latents, v: Latents) -> Latents:
        """x_s on the true path, whatever v is."""
        t, s = self.time_grid[k], self.time_grid[k + 1]
        x0_hat = velocity_to_clean(v.float(), x.float(), t)
        self._mmse.append(float((self._target - x0_hat.to(self._target.device)).square().mean()))
        return interpolate(self._target, self._noise, s)

    def profile(self) -> InformationProfile:
        """What was measured, made non-increasing; the value at t = 1 stands a little before the first interior time."""
        times = self.time_grid[1:-1]
        log_snr = torch.tensor([amplitude_snr(t) for t in times]).log().tolist()
        mmse = torch.tensor(self._mmse).clamp(min=1e-9).cummin(0).values.tolist()
        return InformationProfile((log_snr[0] - 1.0, *log_snr), tuple(mmse))
