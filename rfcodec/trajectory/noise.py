"""Noise of a step: chosen by the encoder, replayed by the decoder, or the true path for measuring a profile."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from rfcodec.errors import BackboneError
from rfcodec.flow.path import amplitude_snr, interpolate, velocity_to_clean
from rfcodec.protocols import Codebook, Latents, Shape, State
from rfcodec.trajectory.direction import emphasise
from rfcodec.types import InformationProfile, NoiseAddress


def _address(seed: int, gop: int, k: int) -> NoiseAddress:
    return NoiseAddress(seed, gop, k + 1)


@final
class _Ahead:
    """One worker that prepares the noise of the next coded step while the model computes its velocity."""

    def __init__(self, codebook: Codebook[Any], start: NoiseAddress, step_bits: Sequence[int], search: bool) -> None:
        self._codebook, self._start, self._step_bits, self._search = codebook, start, step_bits, search
        self._worker = ThreadPoolExecutor(1, "noise")
        self._coming: Future[Any] | None = None

    def begin(self, k: int, shape: Shape, before: Any = None) -> None:
        """Starts the preparation of step k, if it is coded; `before` is what was prepared for the step before."""
        if k < len(self._step_bits):
            address = _address(self._start.seed, self._start.gop, k)
            prepare = self._codebook.prepare
            self._coming = self._worker.submit(prepare, address, shape, self._step_bits[k], self._search, before)

    def take(self) -> Any:
        """Waits for the preparation begun last and returns its result; raises what it raised."""
        return self._coming and self._coming.result()

    def close(self) -> None:
        """Joins the worker."""
        self._worker.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Emphasis:
    """Weights of the choice: those of the latents, which broadcast to c f h w, and the exponent of `emphasise`."""

    weights: Tensor
    spectral: float = 0.0

    def __call__(self, residual: Latents) -> Latents:
        """The direction in which the noise is chosen: emphasise(residual) times the weights."""
        return emphasise(residual, self.spectral) * self.weights.to(residual.device)


@final
class ChooseNoise:
    """Encoder: chooses the noise that points from x0_hat to the target, and records its symbols.

    `watch(k, mse, x0_hat)` is told the estimate and its error before each step.
    """

    def __init__(
        self,
        codebook: Codebook[Any],
        start: NoiseAddress,
        target: Latents,
        step_bits: Sequence[int],
        emphasis: Emphasis,
        watch: Callable[[int, float, Latents], None],
    ) -> None:
        self.symbols: list[int] = []
        self._codebook, self._start, self._step_bits = codebook, start, step_bits
        self._target, self._watch = target, watch
        self._emphasis = emphasis
        self._ahead = _Ahead(codebook, start, step_bits, search=True)

    def start(self, shape: Shape) -> Latents:
        """Plain noise at the start address; the preparation of step 0 begins."""
        self._ahead.begin(0, shape)
        return self._codebook.noise(self._start, shape, 0, 0)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """Chosen noise, c f h w; appends its symbols. Raises BackboneError where x0_hat is not finite."""
        residual = self._target - x0_hat.to(self._target.device)
        mse = float(residual.square().mean())
        if not math.isfinite(mse):
            raise BackboneError(f"the model's estimate is not finite at step {k}: compute in float32 or bfloat16")
        self._watch(k, mse, x0_hat)
        address = _address(self._start.seed, self._start.gop, k)
        ready = self._ahead.take()
        symbols, z = self._codebook.choose(address, self._emphasis(residual), self._step_bits[k], ready)
        self.symbols.append(symbols)
        self._ahead.begin(k + 1, tuple(x0_hat.shape), ready)
        return z

    def close(self) -> None:
        """Joins the worker."""
        self._ahead.close()


@final
class ReplayNoise:
    """Decoder: the noise that the symbols name."""

    def __init__(
        self, codebook: Codebook[Any], start: NoiseAddress, symbols: Sequence[int], step_bits: Sequence[int]
    ) -> None:
        self._codebook, self._start, self._symbols, self._step_bits = codebook, start, symbols, step_bits
        self._ahead = _Ahead(codebook, start, step_bits, search=False)

    def start(self, shape: Shape) -> Latents:
        """Plain noise at the start address; the preparation of step 0 begins."""
        self._ahead.begin(0, shape)
        return self._codebook.noise(self._start, shape, 0, 0)

    def __call__(self, k: int, x0_hat: Latents) -> Latents:
        """Replayed noise, c f h w: of x0_hat only the shape is used."""
        shape, ready = tuple(x0_hat.shape), self._ahead.take()
        address = _address(self._start.seed, self._start.gop, k)
        z = self._codebook.noise(address, shape, self._step_bits[k], self._symbols[k], ready)
        self._ahead.begin(k + 1, shape, ready)
        return z

    def close(self) -> None:
        """Joins the worker."""
        self._ahead.close()


@final
class ProbeStep:
    """A step that stays on the true path and measures mse(t) at each time; a backbone runs it like a codec step."""

    def __init__(self, target: Latents, noise: Latents, interior: Sequence[float]) -> None:
        self.time_grid: Sequence[float] = (1.0, *interior, 0.0)
        self._target, self._noise = target, noise
        self._mmse: list[float] = []

    def start(self, shape: Shape) -> State:
        """The noise itself, the true state at t = 1."""
        return State(self._noise)

    def __call__(self, k: int, state: State, v: Latents) -> State:
        """The true state at the next time; v only enters the measured error."""
        t, s = self.time_grid[k], self.time_grid[k + 1]
        x0_hat = velocity_to_clean(v.float(), state.x.float(), t)
        self._mmse.append(float((self._target - x0_hat.to(self._target.device)).square().mean()))
        return State(interpolate(self._target, self._noise, s))

    def profile(self) -> InformationProfile:
        """The measured table, made non-increasing; the value at t = 1 is put one neper before the first interior time."""
        times = self.time_grid[1:-1]
        log_snr = torch.tensor([amplitude_snr(t) for t in times]).log().tolist()
        mmse = torch.tensor(self._mmse).clamp(min=1e-9).cummin(0).values.tolist()
        return InformationProfile((log_snr[0] - 1.0, *log_snr), tuple(mmse))
