"""Equivalent SDEs of the flow and their steps (docs/maths.md, sections 2 and 3).

Any diffusion coefficient g keeps the marginals of dx = v dt:  dx = [v - (g^2 / 2) score] dt + g dW,  t from 1 to 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from scipy.integrate import quad
from torch import Tensor

from rfcodec.errors import ConfigError
from rfcodec.flow.path import amplitude_snr, clean_to_noise, velocity_to_score


@runtime_checkable
class Diffusion(Protocol):
    """A diffusion coefficient g(t)."""

    def g(self, t: float) -> float:
        """g at t, at least 0; may be infinite at t = 1."""
        ...

    def refresh(self, t: float, s: float) -> float:
        """G = integral of g(u)^2 / u^2 over [s, t], 0 < s <= t; a step renews a share 1 - exp(-G) of the noise's variance.

        May be infinite.
        """
        ...


@dataclass(frozen=True)
class EtaDiffusion:
    """g^2 = 2 eta^2 t / (1 - t): eta = 0 is the ODE, eta = 1 the DDPM posterior."""

    eta: float = 1.0

    def g(self, t: float) -> float:
        """g(t) = eta sqrt(2 t / (1 - t)), infinite at t = 1 unless eta is 0."""
        if t == 1:
            return math.inf if self.eta else 0.0
        return self.eta * math.sqrt(2 * t / (1 - t))

    def refresh(self, t: float, s: float) -> float:
        """2 eta^2 ln(A(s) / A(t))."""
        if self.eta == 0:
            return 0.0
        return math.inf if t == 1 else 2 * self.eta**2 * math.log(amplitude_snr(s) / amplitude_snr(t))


@dataclass(frozen=True)
class PowerDiffusion:
    """g = gain t^power; GVCC (arXiv 2603.26571) uses 3 t^2."""

    gain: float = 3.0
    power: float = 2.0

    def g(self, t: float) -> float:
        """g(t) = gain t^power."""
        return self.gain * t**self.power

    def refresh(self, t: float, s: float) -> float:
        """gain^2 (t^p - s^p) / p with p = 2 power - 1, and gain^2 ln(t / s) at p = 0."""
        p = 2 * self.power - 1
        return self.gain**2 * (math.log(t / s) if p == 0 else (t**p - s**p) / p)


@dataclass(frozen=True)
class GeneralDiffusion:
    """Any g that is finite on (0, 1], integrated numerically. For experiments: no header has a number for it."""

    function: Callable[[float], float]

    def g(self, t: float) -> float:
        """g(t), the value of the function."""
        return self.function(t)

    def refresh(self, t: float, s: float) -> float:
        """Integral of (g(u) / u)^2 over [s, t] by adaptive quadrature."""
        return quad(lambda u: (self.function(u) / u) ** 2, s, t)[0]


def equivalent_eta(diffusion: Diffusion, t: float, s: float) -> float:
    """The constant eta whose step from t to s, both inside (0, 1), injects as much noise as this g does (maths.md, 2.6)."""
    return math.sqrt(diffusion.refresh(t, s) / (2 * math.log(amplitude_snr(s) / amplitude_snr(t))))


def posterior_noise_std(t: float, s: float, diffusion: Diffusion) -> float:
    """w with w^2 = s^2 (1 - exp(-int_s^t g^2 / u^2 du)), the noise of one posterior step; 0 at s = 0."""
    return 0.0 if s == 0 else s * math.sqrt(-math.expm1(-diffusion.refresh(t, s)))


def posterior(x: Tensor, x0_hat: Tensor, t: float, s: float, w: float, z: Tensor | None) -> Tensor:
    """x' = (1 - s) x0_hat + sqrt(s^2 - w^2) eps_hat + w z.

    Exact where x0_hat is constant over the step; with w = 0 the exact ODE step. Nothing is singular for 0 < t <= 1.
    """
    eps_hat = clean_to_noise(x0_hat, x, t)
    mean = (1 - s) * x0_hat + math.sqrt(max(s * s - w * w, 0.0)) * eps_hat
    return mean if z is None else mean + w * z


def euler_maruyama(x: Tensor, v: Tensor, t: float, s: float, g: float, z: Tensor | None) -> Tensor:
    """x' = x - [v - (g^2 / 2) score] d + g sqrt(d) z with d = t - s; without z the Euler step of the ODE."""
    d = t - s
    if z is None:
        return x - v * d
    if not math.isfinite(g):
        raise ConfigError(
            f"g({t}) is infinite: Euler-Maruyama needs a bounded g; use the posterior solver or power diffusion"
        )
    return x - (v - (g * g / 2) * velocity_to_score(v, x, t)) * d + g * math.sqrt(d) * z


def extrapolate_clean(x0_hat: Tensor, before: Tensor, times: tuple[float, float, float]) -> Tensor:
    """Second-order estimate of x0_hat over the step t -> s, from x0_hat and the one of the step before.

    x0_hat + (x0_hat - before) (L(s) - L(t)) / (2 (L(t) - L(t_before))), L = ln A: DPM-Solver++(2M),
    arXiv 2211.01095, algorithm 2. `times` are (t_before, t, s); at t_before = 1 or s = 0, where L is infinite, the
    first-order estimate is returned.
    """
    t_before, _, s = times
    if t_before == 1 or s == 0:
        return x0_hat
    before_snr, snr, after_snr = (math.log(amplitude_snr(u)) for u in times)
    return x0_hat + (x0_hat - before) * ((after_snr - snr) / (2 * (snr - before_snr)))


def noise_information(t: float, s: float, diffusion: Diffusion, residual_energy: float) -> float:
    """KL in nats of following the true trajectory over one posterior step, for ||r||^2 = residual_energy.

    1/2 [A(s) - sqrt(1 - w^2/s^2) A(t)]^2 (s/w)^2 ||r||^2; least at eta = 1, where it is 1/2 (A(s)^2 - A(t)^2) ||r||^2.
    """
    sin = posterior_noise_std(t, s, diffusion) / s
    cos = math.sqrt(max(1 - sin * sin, 0.0))
    return 0.5 * ((amplitude_snr(s) - cos * amplitude_snr(t)) / sin) ** 2 * residual_energy
