"""Noise of a step: chosen by the encoder, replayed by the decoder, or the true path for measuring a profile."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import final

import torch
from torch import Tensor

from rfcodec.errors import BackboneError
from rfcodec.flow.path import amplitude_snr, interpolate, velocity_to_clean
from rfcodec.protocols import Codebook, Latents, Shape
from rfcodec.trajectory.direction import emphasise
from rfcodec.types import InformationProfile, NoiseAddress


def _address(seed: int, gop: int, k: int) -> NoiseAddress:
    return NoiseAddress(seed, gop, k + 1)


@final
class _Ahead:
    """Lets the codebook prepare the next step in a thread while the model computes its velocity."""

    def __init__(self, codebook: Codebook, start: NoiseAddress, step_bits: Sequence[int], search: bool) -> None:
        self._codebook, self._start, self._step_bits, self._search = codebook, start, step_bits, search
        self._thread: Thread | None = None

    def prepare(self, k: int, shape: Shape) -> None:
        """Begins with step k, if it is coded."""
        if k < len(self._step_bits):
            address = _address(self._start.seed, self._start.gop, k)
            self._thread = Thread(target=self._run, args=(address, shape, self._step_bits[k]), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Returns when the preparation is done."""
        if self._thread:
            self._thread.join()

    def _run(self, address: NoiseAddress, shape: Shape, bits: int) -> None:
        # a failure shows where the noise is asked for
        with suppress(Exception):
            self._codebook.prepare(address, shape, bits, self._search)


@dataclass(frozen=True)
class Emphasis:
    """What the choice should care for: weights that broadcast to c f h w, and the exponent of `emphasise`."""

    weights: Tensor
    spectral: float = 0.0

    def __call__(self, residual: Latents) -> Latents:
        """The direction that the noise should take."""
        return emphasise(residual, self.spectral) * self.weights.to(residual.device)


@final
class ChooseNoise:
    """Encoder: chooses the noise that points from x0_hat to the target, and records its symbols.

    `watch(k, mse)` is told the error of x0_hat before each step.
    """

    def __init__(
        self,
        codebook: Codebook,
        start: NoiseAddress,
        target: Latents,
        step_bits: Sequence[int],
        emphasis: Emphasis,
        watch: Callable[[int, float], None],
    ) -> None:
        self.symbols: list[int] = []
        self._codebook, self._start, self._step_bits = codebook, start, step_bits
        self._target, self._watch = target, watch
        self._emphasis = emphasis
        self._ahead = _Ahead(codebook, start, step_bits, search=True)

    def start(self, shape: Shape) -> Latents:
        """Plain addressed noise."""
        self._ahead.prepare(0, shape)
        return self._codebook.noise(self._start, shape, 0, 0)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """Chosen noise, c f h w."""
        self._ahead.wait()
        residual = self._target - x0_hat.to(self._target.device)
        mse = float(residual.square().mean())
        if not math.isfinite(mse):
            raise BackboneError(f"the model's estimate is not finite at step {k}: compute in float32 or bfloat16")
        self._watch(k, mse)
        address = _address(self._start.seed, self._start.gop, k)
        symbols, z = self._codebook.choose(address, self._emphasis(residual), self._step_bits[k])
        self.symbols.append(symbols)
        self._ahead.prepare(k + 1, tuple(x0_hat.shape))
        return z


@final
class ReplayNoise:
    """Decoder: the noise that the symbols name."""

    def __init__(self, codebook: Codebook, start: NoiseAddress, symbols: Sequence[int], step_bits: Sequence[int]) -> None:
        self._codebook, self._start, self._symbols, self._step_bits = codebook, start, symbols, step_bits
        self._ahead = _Ahead(codebook, start, step_bits, search=False)

    def start(self, shape: Shape) -> Latents:
        """Plain addressed noise."""
        self._ahead.prepare(0, shape)
        return self._codebook.noise(self._start, shape, 0, 0)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """Replayed noise, c f h w."""
        self._ahead.wait()
        shape = tuple(x0_hat.shape)
        address = _address(self._start.seed, self._start.gop, k)
        z = self._codebook.noise(address, shape, self._step_bits[k], self._symbols[k])
        self._ahead.prepare(k + 1, shape)
        return z


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
