import math

import pytest
import torch

from rfcodec.trajectory.direction import MOST_GAIN, emphasise
from rfcodec.trajectory.noise import Emphasis


def white(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def wave(shape, cycles):
    x = torch.arange(shape[3]) * (2 * math.pi * cycles / shape[3])
    return torch.cos(x).expand(shape).clone()


def test_no_emphasis_is_the_residual():
    residual = white(2, 3, 8, 10)
    assert torch.equal(emphasise(residual, 0.0), residual)


@pytest.mark.parametrize("shape", [(2, 3, 8, 10), (3, 1, 7, 9), (1, 4, 1, 5), (2, 2, 6, 1), (1, 1, 1, 1)])
def test_any_shape_will_do(shape):
    direction = emphasise(white(*shape), 0.3)
    assert tuple(direction.shape) == shape
    assert bool(torch.isfinite(direction).all())


def test_nothing_to_emphasise_is_nothing():
    assert not emphasise(torch.zeros(2, 3, 8, 10), 0.3).any()


def test_bands_are_weighted_by_their_power():
    shape = (1, 2, 16, 64)
    strong, weak = wave(shape, 2), 0.1 * wave(shape, 24)
    # so little energy is in the weak band that the strong one keeps its size; the weak one has 1/100 of the power
    direction = emphasise(strong + weak, 0.25)
    spectrum = torch.fft.rfftn(direction, dim=(1, 2, 3)).abs()
    before = torch.fft.rfftn(strong + weak, dim=(1, 2, 3)).abs()
    gains = [float(spectrum[0, 0, 0, k] / before[0, 0, 0, k]) for k in (2, 24)]
    sizes = math.log2(5) - math.log2(2)  # rings are as wide as they are far out, so that power is spread thinner there
    assert gains[0] == pytest.approx(1, abs=0.01)
    assert gains[1] / gains[0] == pytest.approx((0.01 / 8) ** 0.25, rel=0.35 + 0.1 * sizes)


def test_a_strong_band_is_not_thrown_beyond_its_target():
    shape = (1, 1, 32, 32)
    residual = wave(shape, 2) + white(*shape)
    before, after = (torch.fft.rfftn(r, dim=(1, 2, 3)).abs() for r in (residual, emphasise(residual, 0.5)))
    assert float((after / before).max()) <= MOST_GAIN * (1 + 1e-4)


def test_the_emphasis_does_not_depend_on_the_size_of_the_residual():
    residual = white(2, 3, 8, 10).cumsum(3)
    torch.testing.assert_close(emphasise(4 * residual, 0.3), 4 * emphasise(residual, 0.3), rtol=1e-4, atol=1e-4)


def test_the_energy_stays():
    residual = white(3, 4, 24, 32).cumsum(2).cumsum(3)
    ratio = emphasise(residual, 0.1).square().sum() / residual.square().sum()
    assert float(ratio) == pytest.approx(1, abs=0.1)


def test_the_gain_of_the_estimate_is_the_covariance_of_its_error():
    """dx0_hat / dx = (1 - t) / t^2 Cov(x0 | x_t), on which the emphasis stands; here for one Gaussian mode."""
    variance, t = 0.7, 0.4
    gain = variance * (1 - t) / ((1 - t) ** 2 * variance + t * t)
    error = variance * t * t / ((1 - t) ** 2 * variance + t * t)
    assert gain == pytest.approx((1 - t) / t**2 * error)


def test_weights_come_on_top():
    residual, weights = white(2, 3, 8, 10), torch.rand(1, 1, 8, 10)
    torch.testing.assert_close(Emphasis(weights, 0.3)(residual), emphasise(residual, 0.3) * weights)
