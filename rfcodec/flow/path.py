"""The straight path x_t = (1 - t) x0 + t eps, and the estimates of its ends from a velocity (docs/maths.md, section 1).

Functions take scalars, NumPy arrays or tensors; t runs from 1 (noise) to 0 (data).
"""

import math
from typing import TypeVar

Array = TypeVar("Array")


def alpha(t: float) -> float:
    """Share of the data at time t: alpha = 1 - t."""
    return 1.0 - t


def sigma(t: float) -> float:
    """Share of the noise at time t: sigma = t."""
    return t


def amplitude_snr(t: float) -> float:
    """A(t) = (1 - t) / t, from 0 at t = 1 to infinity at t = 0."""
    return math.inf if t == 0 else (1.0 - t) / t


def time_of_snr(amplitude: float) -> float:
    """Inverse of `amplitude_snr`: t = 1 / (1 + A)."""
    return 1.0 / (1.0 + amplitude)


def interpolate(x0: Array, eps: Array, t: float) -> Array:
    """x_t = (1 - t) x0 + t eps."""
    return (1.0 - t) * x0 + t * eps  # type: ignore[operator]


def velocity_to_clean(v: Array, x: Array, t: float) -> Array:
    """x0_hat = x - t v, the estimate of the clean latents."""
    return x - t * v  # type: ignore[operator]


def velocity_to_noise(v: Array, x: Array, t: float) -> Array:
    """eps_hat = x + (1 - t) v, the estimate of the noise."""
    return x + (1.0 - t) * v  # type: ignore[operator]


def velocity_to_score(v: Array, x: Array, t: float) -> Array:
    """score = -(x + (1 - t) v) / t, the gradient of log p_t; singular at t = 0."""
    return -velocity_to_noise(v, x, t) / t  # type: ignore[operator]


def clean_to_velocity(x0_hat: Array, x: Array, t: float) -> Array:
    """v = (x - x0_hat) / t; singular at t = 0."""
    return (x - x0_hat) / t  # type: ignore[operator]


def clean_to_noise(x0_hat: Array, x: Array, t: float) -> Array:
    """eps_hat = (x - (1 - t) x0_hat) / t; singular at t = 0."""
    return (x - (1.0 - t) * x0_hat) / t  # type: ignore[operator]
