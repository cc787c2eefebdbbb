"""GVCC's codebook (arXiv 2603.26571): for each latent frame the signed M best atoms of K, named one by one."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from codebooks.atoms import LARGEST, Atoms, affordable, from_mask, most_atoms, plain_noise, to_mask
from rfcodec.bitstream.fields import uint
from rfcodec.bitstream.symbols import unpack
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress


@final
@dataclass(frozen=True)
class GvccCodebook:
    """GVCC: in each latent frame the signed sum of the M best of K atoms of its own, by plain indices.

    z of a frame = sum_j sign_j a_j over its root mean square; M (ceil(log2 K) + 1) bits. Costs K D products and
    normals a step. Atom j of latent frame i is block i K + j + 1 of its address; block 0 is plain noise.
    """

    ID: ClassVar[int] = 3
    efficiency: ClassVar[float] = 0.48
    k: int = uint("atoms K of a latent frame", 2, 1 << 20, default=16384)
    m: int = uint("atoms a step and latent frame; 0: as many as the budget pays for", 0, LARGEST, default=0)

    def atom_bits(self, m: int) -> int:
        """Bits that name m atoms of one latent frame and their signs."""
        return m * (self._index_bits + 1)

    def atoms_for(self, shape: Shape, bits: int) -> int:
        """The most atoms of one latent frame that `bits` pay for, at most as many as `most_atoms` allows of K / 2."""
        return affordable(self.atom_bits, most_atoms(int(np.prod(shape)), self.k // 2), bits)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """What the largest affordable M costs in all frames, or the fixed M if that is affordable."""
        frames = shape[1]
        cost = self.least_bits(shape) if self.m else frames * self.atom_bits(self.atoms_for(shape, bits // frames))
        return cost if cost <= bits else 0

    def least_bits(self, shape: Shape) -> int:
        """One atom a frame, or the fixed M."""
        return shape[1] * self.atom_bits(min(max(self.m, 1), most_atoms(int(np.prod(shape)), self.k // 2)))

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int, prepared: None = None) -> tuple[int, Tensor]:
        """Keeps the M largest absolute inner products of each frame."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        share = bits // shape[1]
        m = self.atoms_for(shape, share)
        parts = np.split(direction.cpu().numpy(), shape[1], axis=1)
        chosen = [self._atoms(address, i, shape).most_aligned(part.ravel(), m) for i, part in enumerate(parts)]
        names = [self._name(kept) << m | to_mask(negative) for kept, negative in chosen]
        symbols = sum(name << share * i for i, name in enumerate(reversed(names)))
        return symbols, self.noise(address, shape, bits, symbols)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: None = None) -> Tensor:
        """Draws the named atoms alone."""
        if bits == 0:
            return plain_noise(address, shape)
        channels, frames, height, width = shape
        share = bits // frames
        m = self.atoms_for(shape, share)
        size = share * frames
        names = unpack((symbols << -size % 8).to_bytes(-(-size // 8), "big"), [share] * frames)
        pieces = [
            self._atoms(address, i, shape).signed_sum(self._members(name >> m, m), from_mask(name, m))
            for i, name in enumerate(names)
        ]
        return torch.from_numpy(np.stack([piece.reshape(channels, height, width) for piece in pieces], axis=1))

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: None = None) -> None:
        """Nothing: atoms are generated in blocks, and kept nowhere."""

    @property
    def _index_bits(self) -> int:
        return (self.k - 1).bit_length()

    def _atoms(self, address: NoiseAddress, frame: int, shape: Shape) -> Atoms:
        return Atoms(address, frame * self.k + 1, self.k, int(np.prod(shape)) // shape[1])

    def _name(self, kept: list[int]) -> int:
        return sum(index << self._index_bits * i for i, index in enumerate(kept))

    def _members(self, name: int, m: int) -> list[int]:
        # damage may name an atom that there is not; the last one keeps the decoder running
        mask = (1 << self._index_bits) - 1
        return [min(name >> self._index_bits * i & mask, self.k - 1) for i in range(m)]
