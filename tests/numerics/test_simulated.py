import math

import numpy as np
import pytest
import torch
from alignment import alignment

from codebooks.channel import ChannelCodebook
from codebooks.chunked import ChunkedCodebook
from codebooks.gvcc import GvccCodebook
from codebooks.pursuit import PursuitCodebook
from codebooks.simulated import Simulated
from codebooks.topm import TopMCodebook
from rfcodec.types import NoiseAddress

SHAPE = (2, 2, 12, 13)
REAL = {
    "topm": (TopMCodebook(k=128), 90),
    "gvcc": (GvccCodebook(k=64), 84),
    "pursuit": (PursuitCodebook(k=128), 67),
    "chunked": (ChunkedCodebook(b=6), 60),
    "channel": (ChannelCodebook(b=6), 90),
}


@pytest.mark.parametrize("name", REAL)
def test_simulated_and_real_noise_are_equally_aligned(name):
    codebook, wanted = REAL[name]
    bits = codebook.usable_bits(SHAPE, wanted)
    assert Simulated(codebook).usable_bits(SHAPE, wanted) == bits > 0
    drawn = [
        np.array([alignment(book, SHAPE, bits, seed) for seed in range(150)]) for book in (codebook, Simulated(codebook))
    ]
    error = math.sqrt(sum(cosines.var() / cosines.size for cosines in drawn))
    assert error < 0.06 * drawn[0].mean()
    assert abs(drawn[0].mean() - drawn[1].mean()) < 4 * error
    assert drawn[0].std() == pytest.approx(drawn[1].std(), rel=0.5)


@pytest.mark.parametrize("name", REAL)
def test_simulated_noise_has_unit_energy_and_no_mean(name):
    codebook, wanted = REAL[name]
    shape = (4, 2, 40, 40)
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    z = Simulated(codebook).choose(NoiseAddress(1, 2, 3), direction, codebook.usable_bits(shape, wanted))[1].double()
    assert tuple(z.shape) == shape
    assert float(z.square().mean()) == pytest.approx(1, abs=1e-3)
    assert abs(float(z.mean())) < 5 / math.sqrt(z.numel())
