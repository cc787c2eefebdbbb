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
    # two waves in one ring each, of equal numbers of coefficients: 16 by 16 in both directions
    shape = (2, 1, 16, 16)
    strong = wave(shape, 3)
    residual = torch.cat([strong[:1], 0.1 * strong[1:]])  # one channel has 1/100 of the power
    direction = emphasise(residual, 0.25)
    gains = [float((direction[c] * residual[c]).sum() / residual[c].square().sum()) for c in (0, 1)]
    assert gains[0] == pytest.approx(1, abs=0.01)
    assert gains[1] / gains[0] == pytest.approx(0.01**0.25, rel=0.02)


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


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e6])
def test_residuals_of_any_size_have_one_direction(scale):
    residual = white(2, 3, 8, 10).cumsum(3)
    one, other = emphasise(residual, 0.3), emphasise(residual * scale, 0.3)
    assert float(torch.cosine_similarity(one.flatten(), other.flatten() / scale, 0)) > 0.9999


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_upcast(dtype):
    residual = white(2, 3, 8, 10).to(dtype)
    torch.testing.assert_close(emphasise(residual, 0.3), emphasise(residual.float(), 0.3))


def test_weights_come_on_top():
    residual, weights = white(2, 3, 8, 10), torch.rand(1, 1, 8, 10)
    torch.testing.assert_close(Emphasis(weights, 0.3)(residual), emphasise(residual, 0.3) * weights)
