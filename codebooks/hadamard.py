"""Hadamard codebook: the signed M largest coefficients of a seeded Walsh-Hadamard rotation; no atoms are drawn."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float32, Num
from torch import Tensor

from codebooks.atoms import LARGEST, affordable, from_mask, largest, plain_noise, to_mask, with_unit_rms
from rfcodec.bitstream.fields import uint
from rfcodec.bitstream.symbols import rank_subset, subset_bits, unrank_subset
from rfcodec.noise import signs_at
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress

FEWEST = 16  # a sum of M signs has kurtosis 3 - 2 / M: with fewer than 16 it is too far from a normal's 3


@final
@dataclass(frozen=True)
class HadamardCodebook:
    """The signed M of N rows of a Walsh-Hadamard matrix that point most along the residual under seeded signs s.

    N is the smallest power of two >= D; z = s (H y)[:D] over its root mean square, y being +-1 at M places, else 0.
    It takes M + ceil(log2 C(N, M)) bits and costs N log2 N additions a step. Before scaling, z holds integers from -M
    to M, so that it is nearly normal for large M alone: M is at least 16.
    """

    ID: ClassVar[int] = 6
    efficiency: ClassVar[float] = 0.78  # docs/coding.md, section 2
    m: int = uint("atoms a step; 0: as many as the budget pays for", 0, LARGEST, default=0)

    def atom_bits(self, shape: Shape, m: int) -> int:
        """Bits that name m atoms and their signs: m + ceil(log2 C(N, m))."""
        return subset_bits(_padded(shape), m) + m

    def atoms_for(self, shape: Shape, bits: int) -> int:
        """The most atoms that `bits` pay for, at most 4096 and N / 2."""
        return affordable(lambda m: self.atom_bits(shape, m), _most(shape), bits)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """The bits of the most atoms that `bits` pay for, or of the fixed m; 0 where `bits` do not pay for the least."""
        least = self.least_bits(shape)
        if bits < least:
            return 0
        return least if self.m else self.atom_bits(shape, self.atoms_for(shape, bits))

    def least_bits(self, shape: Shape) -> int:
        """The bits of 16 atoms or of the fixed m, at most of N / 2 atoms."""
        return self.atom_bits(shape, min(self.m or FEWEST, _most(shape)))

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int, prepared: None = None) -> tuple[int, Tensor]:
        """The M coefficients of the transformed direction with the largest magnitudes, and their signs."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        m = self.atoms_for(shape, bits)
        kept, negative = largest(_coefficients(address, direction), m)
        return rank_subset(kept) << m | to_mask(negative), _sum(address, shape, kept, negative)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: None = None) -> Tensor:
        """The transform of +-1 at the named places, over its root mean square."""
        if bits == 0:
            return plain_noise(address, shape)
        m = self.atoms_for(shape, bits)
        return _sum(address, shape, unrank_subset(symbols >> m, _padded(shape), m), from_mask(symbols, m))

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: None = None) -> None:
        """None: there is nothing to share with `choose` or `noise`."""


def walsh_hadamard(values: Num[np.ndarray, "n"]) -> Num[np.ndarray, "n"]:
    """H v with H_ij = (-1)^(number of ones of i & j), v a vector of 2^k numbers; exact for integers."""
    table = values.reshape(1 << (values.size.bit_length() - 1) // 2, -1).copy()
    _butterflies(table)
    table = np.ascontiguousarray(table.T)  # long rows for the other half of the index, too
    _butterflies(table)
    return table.T.reshape(values.shape)


def _butterflies(table: np.ndarray) -> None:
    rows, columns = table.shape
    half = 1
    while half < rows:
        pairs = table.reshape(-1, 2, half * columns)
        difference = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] += pairs[:, 1]
        pairs[:, 1] = difference
        half *= 2


def _padded(shape: Shape) -> int:
    return 1 << (int(np.prod(shape)) - 1).bit_length()


def _most(shape: Shape) -> int:
    return min(LARGEST, max(1, _padded(shape) // 2))


def _coefficients(address: NoiseAddress, direction: Tensor) -> Float32[np.ndarray, "n"]:
    values = direction.cpu().numpy().ravel()
    padded = np.zeros(_padded(direction.shape), np.float32)
    padded[: values.size] = signs_at(address, values.size)
    if values.any():  # without a direction, the coefficients of the signs alone are as good
        padded[: values.size] *= values / np.abs(values).max()
    return walsh_hadamard(padded)


def _sum(address: NoiseAddress, shape: Shape, kept: list[int], negative: list[bool]) -> Tensor:
    places = np.zeros(_padded(shape), np.int16)  # sums of at most LARGEST ones
    places[kept] = np.where(negative, -1, 1)
    dims = int(np.prod(shape))
    total = walsh_hadamard(places)[:dims].astype(np.int64)
    if not total.any():  # the first D coordinates are all zero, which only damage can cause
        total[:] = 1
    total *= signs_at(address, dims).astype(np.int64)
    return torch.from_numpy(with_unit_rms(total)).reshape(shape)
