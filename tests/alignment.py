"""How well codebooks point where they should."""

import math

import numpy as np
import torch

from rfcodec.types import NoiseAddress


def white(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def alignment(codebook, shape, bits, seed):
    wanted = white(shape, seed)
    _, z = codebook.choose(NoiseAddress(42, seed, 1), wanted, bits)
    return torch.cosine_similarity(z.double().flatten(), wanted.double().flatten(), 0).item()


def efficiency(codebook, shape, bits, seeds):
    # the mean cosine: the mean of its square would count the variance of the draw as a gain
    cosine = np.mean([alignment(codebook, shape, bits, seed) for seed in range(seeds)])
    return -math.prod(shape) / 2 * math.log2(1 - cosine**2) / bits
