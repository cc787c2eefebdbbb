"""What information theory allows on a Gaussian source: the Shannon curve and the perfect-realism curve."""

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq

Modes = Float64[np.ndarray, "modes"]


def shannon_distortion(variances: Modes, counts: Modes, bits: float) -> float:
    """Least mean squared error a dimension at `bits` a dimension: reverse water-filling."""

    def rate(log_level: float) -> float:
        nats = 0.5 * np.maximum(np.log(variances) - log_level, 0.0)
        return float(np.average(nats, weights=counts)) / np.log(2)

    variances = np.maximum(variances, 1e-12)
    level = brentq(lambda u: rate(u) - bits, np.log(1e-13), np.log(variances.max()) + 1e-9)
    return float(np.average(np.minimum(np.exp(level), variances), weights=counts))


def realism_distortion(variances: Modes, counts: Modes, bits: float) -> float:
    """The same where the output must have the distribution of the source.

    A mode of variance s at rate R has distortion 2 s (1 - sqrt(1 - 2^(-2R))): Gaussian rate-distortion-perception
    function with common randomness (Zhang et al., arXiv 2106.10311); bits go where they pay most.
    """
    variances = np.maximum(variances, 1e-12)

    def rho(price: float) -> np.ndarray:
        # d distortion / d rate = -2 s (1 - rho^2) / rho = -price, with rho = sqrt(1 - exp(-2 nats))
        ratio = price / (4 * variances)
        return np.sqrt(ratio**2 + 1) - ratio

    def rate(log_price: float) -> float:
        nats = -0.5 * np.log1p(-np.minimum(rho(np.exp(log_price)) ** 2, 1 - 1e-15))
        return float(np.average(nats, weights=counts)) / np.log(2)

    price = np.exp(brentq(lambda u: rate(u) - bits, -40.0, 40.0))
    return float(np.average(2 * variances * (1 - rho(price)), weights=counts))
