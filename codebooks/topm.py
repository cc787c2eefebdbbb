"""Top-M codebook: the signed sum of the M atoms, of K seeded ones, that point most along the residual.

With a ranked subset it is Turbo-DDCM's (arXiv 2511.06424); per latent frame with plain indices it is GVCC's
(arXiv 2603.26571), whose atoms cost ceil(log2 K) + 1 bits each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from codebooks.philox import RESOLUTION, normals
from rfcodec.bitstream.fields import uint
from rfcodec.bitstream.symbols import pack, rank_subset, subset_bits, unpack, unrank_subset
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress

BLOCK_VALUES = 1 << 22  # atoms are searched in blocks of at most this many numbers
LARGEST = 4096


@final
@dataclass(frozen=True)
class TopMCodebook:
    """Signed sum of the M best of K seeded atoms: Turbo-DDCM's, or GVCC's per frame with plain indices.

    z = sum_j sign_j a_j over its root mean square, whole or frame by frame. Costs K D products and normals a step.
    Atom j of latent frame i (or of the whole) has block i K + j + 1 of its address; block 0 is plain noise.
    """

    ID: ClassVar[int] = 2
    efficiency: ClassVar[float] = 0.48
    k: int = uint("atoms K", 2, 1 << 20, default=4096)
    per_frame: int = uint("1: an own codebook for each latent frame", 0, 1, default=0)
    plain: int = uint("1: indices of fixed length, 0: the rank of the subset", 0, 1, default=0)
    m: int = uint("atoms a step (and frame); 0: as many as the budget pays for", 0, LARGEST, default=0)

    def atom_bits(self, m: int) -> int:
        """Bits that name m atoms and their signs."""
        return m * (self.k - 1).bit_length() + m if self.plain else subset_bits(self.k, m) + m

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """What the largest affordable M costs, or the fixed M if that is affordable."""
        parts = self._parts(shape)
        if self.m:
            cost = self.least_bits(shape)
            return cost if cost <= bits else 0
        return parts * self.atom_bits(self.atoms_for(bits // parts))

    def least_bits(self, shape: Shape) -> int:
        """One atom a part, or the fixed M."""
        return self._parts(shape) * self.atom_bits(min(max(self.m, 1), self.k // 2))

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int) -> tuple[int, Tensor]:
        """Keeps the M largest absolute inner products of each part."""
        if bits == 0:
            return 0, self.noise(address, tuple(direction.shape), 0, 0)
        parts = self._split(direction.cpu().numpy())
        width = bits // len(parts)
        m = self.atoms_for(width)
        symbols, pieces = [], []
        for part, wanted in enumerate(parts):
            products = np.concatenate([block @ wanted for block in self._blocks(address, part, wanted.size)])
            kept = np.sort(np.argsort(-np.abs(products), kind="stable")[:m])
            signs = products[kept] < 0
            symbols.append(self._name(kept.tolist(), signs.tolist(), m))
            pieces.append(self._sum(address, part, wanted.size, kept.tolist(), signs.tolist()))
        packed = int.from_bytes(pack(symbols, [width] * len(parts)), "big") >> (-bits % 8)
        return packed, self._join(pieces, tuple(direction.shape))

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int) -> Tensor:
        """Draws the named atoms alone."""
        size = int(np.prod(shape))
        if bits == 0:
            return torch.from_numpy(normals(address, size)).reshape(shape)
        count = self._parts(shape)
        width = bits // count
        m = self.atoms_for(width)
        values = unpack((symbols << (-bits % 8)).to_bytes(-(-bits // 8), "big"), [width] * count)
        pieces = [self._sum(address, part, size // count, *self._names(value, m)) for part, value in enumerate(values)]
        return self._join(pieces, shape)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool) -> None:
        """Nothing: atoms are generated in blocks, and kept nowhere."""

    def _parts(self, shape: Shape) -> int:
        return shape[1] if self.per_frame else 1

    def _split(self, direction: np.ndarray) -> list[np.ndarray]:
        return [part.ravel() for part in np.split(direction, self._parts(direction.shape), axis=1)]

    def _join(self, pieces: list[np.ndarray], shape: Shape) -> Tensor:
        channels, frames, height, width = shape
        parts = [piece.reshape(channels, frames // len(pieces), height, width) for piece in pieces]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    def atoms_for(self, bits: int) -> int:
        """The most atoms of one part that `bits` pay for."""
        low, high = 0, min(LARGEST, self.k // 2)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.atom_bits(middle) <= bits else (low, middle - 1)
        return low

    def _atom(self, address: NoiseAddress, part: int, index: int, size: int) -> Float32[np.ndarray, "size"]:
        block = part * self.k + index + 1
        return normals(NoiseAddress(address.seed, address.gop, address.step, block), size)

    def _blocks(self, address: NoiseAddress, part: int, size: int) -> Iterator[Float32[np.ndarray, "atoms size"]]:
        rows = max(1, BLOCK_VALUES // size)
        for start in range(0, self.k, rows):
            yield np.stack([self._atom(address, part, j, size) for j in range(start, min(start + rows, self.k))])

    def _sum(self, address: NoiseAddress, part: int, size: int, kept: list[int], negative: list[bool]) -> np.ndarray:
        # multiples of 2^-12 add up without rounding, so that the order of summation cannot change the noise
        total = np.zeros(size, np.int64)
        for index, minus in zip(kept, negative, strict=True):
            atom = (self._atom(address, part, index, size) * RESOLUTION).astype(np.int64)
            total += -atom if minus else atom
        scale = np.sqrt(size / max(1.0, float(np.dot(total, total))))
        return (total * scale).astype(np.float32)

    def _name(self, kept: list[int], negative: list[bool], m: int) -> int:
        index_bits = (self.k - 1).bit_length()
        rank = sum(c << index_bits * i for i, c in enumerate(kept)) if self.plain else rank_subset(kept)
        return rank << m | sum(int(minus) << i for i, minus in enumerate(negative))

    def _names(self, value: int, m: int) -> tuple[list[int], list[bool]]:
        negative = [bool(value >> i & 1) for i in range(m)]
        rank = value >> m
        if not self.plain:
            return unrank_subset(min(rank, _last_rank(self.k, m)), self.k, m), negative
        index_bits = (self.k - 1).bit_length()
        return [min(rank >> index_bits * i & ((1 << index_bits) - 1), self.k - 1) for i in range(m)], negative


def _last_rank(universe: int, size: int) -> int:
    # a damaged rank may be out of range; the nearest legal one keeps the decoder running
    return rank_subset(list(range(universe - size, universe)))
