"""What information theory allows on a Gaussian source: Shannon's curve, and those of given output variances."""

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq

Modes = Float64[np.ndarray, "modes"]
SMALLEST = 1e-12  # variances and rates of modes that hold nothing stay finite


def shannon_distortion(variances: Modes, counts: Modes, bits: float) -> float:
    """Least mean squared error a dimension at `bits` a dimension: reverse water-filling."""

    def rate(log_level: float) -> float:
        nats = 0.5 * np.maximum(np.log(variances) - log_level, 0.0)
        return float(np.average(nats, weights=counts)) / np.log(2)

    variances = np.maximum(variances, SMALLEST)
    level = brentq(lambda u: rate(u) - bits, np.log(1e-13), np.log(variances.max()) + 1e-9)
    return float(np.average(np.minimum(np.exp(level), variances), weights=counts))


def realism_distortion(variances: Modes, counts: Modes, bits: float) -> float:
    """The same where the output must have the distribution of the source.

    A mode of variance s at rate R has distortion 2 s (1 - sqrt(1 - 2^(-2R))): Gaussian rate-distortion-perception
    function with common randomness (Zhang et al., arXiv 2106.10311); bits go where they pay most.
    """
    return variance_distortion(variances, variances, counts, bits)


def variance_distortion(variances: Modes, outputs: Modes, counts: Modes, bits: float) -> float:
    """The same where every mode must come out with its own variance of `outputs`.

    A mode of variance s and output variance o, correlated by rho, errs by s + o - 2 rho sqrt(s o) and takes
    R = -1/2 log2(1 - rho^2) bits; equal slopes give rho = sqrt(u^2 + 1) - u, u = price / (4 sqrt(s o)).
    """
    scale = _scale(variances, outputs)
    price = brentq(lambda p: _rate(_rho(scale, p), counts) - bits, -80.0, 40.0)
    return _distortion(variances, outputs, counts, _rho(scale, price))


def variance_rate(variances: Modes, outputs: Modes, counts: Modes, mse: float) -> float:
    """Inverse of `variance_distortion`: least bits a dimension for a mean squared error of `mse`; may be 0."""
    scale = _scale(variances, outputs)
    if mse >= _distortion(variances, outputs, counts, np.zeros_like(scale)):
        return 0.0
    price = brentq(lambda p: _distortion(variances, outputs, counts, _rho(scale, p)) - mse, -80.0, 40.0)
    return _rate(_rho(scale, price), counts)


def _scale(variances: Modes, outputs: Modes) -> Modes:
    return np.sqrt(np.maximum(variances, SMALLEST) * np.maximum(outputs, SMALLEST))


def _rho(scale: Modes, log_price: float) -> Modes:
    u = np.exp(log_price) / (4 * scale)
    return 1 / (np.sqrt(u**2 + 1) + u)  # sqrt(u^2 + 1) - u without its cancellation


def _rate(rho: Modes, counts: Modes) -> float:
    return float(np.average(-0.5 * np.log1p(-np.minimum(rho**2, 1 - 1e-15)), weights=counts) / np.log(2))


def _distortion(variances: Modes, outputs: Modes, counts: Modes, rho: Modes) -> float:
    return float(np.average(variances + outputs - 2 * rho * np.sqrt(variances * outputs), weights=counts))
