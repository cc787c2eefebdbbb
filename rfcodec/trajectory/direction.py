"""The direction in which noise is chosen: the weighted residual. Weights change the choice of z, never z itself."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rfcodec.protocols import Latents

RINGS_PER_OCTAVE = 4
# of a band over a choice that follows r alone: with more, the large steps of 8 evaluations bring strong bands beyond the
# target (docs/adr/0010-bits-grow-with-the-steps.md)
MOST_GAIN = 1.2
SETTLED = 8  # rounds of scaling and capping
SMALLEST = 1e-12  # keeps powers of an exactly known band finite


def emphasise(residual: Latents, exponent: float) -> Latents:
    """The residual with each band of its spectrum multiplied by min(c (power of the band)^exponent, 1.2).

    A band is one channel, one temporal frequency and a ring of spatial frequency a quarter of an octave wide; c keeps the
    energy of the residual, as far as the cap allows. The exponent is measured in docs/coding.md, section 5.
    A change of the state changes x0_hat in proportion to the error of x0_hat: dx0_hat / dx = (1 - t) / t^2 Cov(x0 | x_t).
    A choice that follows r alone therefore spends too much where the residual is weak.
    """
    peak = residual.abs().max()
    if not exponent or not peak:
        return residual
    spectrum = torch.fft.rfftn(residual.float() / peak, dim=(1, 2, 3))
    bands = _bands(tuple(residual.shape)).to(residual.device)
    channels, count = len(residual), int(bands.max()) + 1
    power = spectrum.abs().square().reshape(channels, -1)
    sums = power.new_zeros(channels, count).index_add_(1, bands.ravel(), power)
    sizes = torch.bincount(bands.ravel(), minlength=count).clamp(min=1)
    gains = (sums / sizes).clamp(min=SMALLEST) ** exponent
    for _ in range(SETTLED):
        gains = (gains * (sums.sum() / (sums * gains.square()).sum()).sqrt()).clamp(max=MOST_GAIN)
    spectrum *= gains[:, bands.ravel()].view(spectrum.shape)
    return torch.fft.irfftn(spectrum, s=residual.shape[1:], dim=(1, 2, 3)) * peak


@lru_cache(maxsize=4)
def _bands(shape: tuple[int, ...]) -> Int64[Tensor, "f h w"]:
    """Number of the band of each coefficient of a real transform over f h w."""
    _, frames, height, width = shape
    temporal = torch.fft.fftfreq(frames).abs().mul(frames).round().long()
    spatial: Float[Tensor, "h w"] = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :])
    lowest = 0.5 / max(height, width)
    ring = torch.where(spatial > 0, (torch.log2(spatial.clamp(min=lowest) / lowest) * RINGS_PER_OCTAVE).long() + 1, 0)
    return temporal[:, None, None] * (int(ring.max()) + 1) + ring
