"""Top-M codebook: the signed sum of the M of K seeded atoms with the largest inner products with the residual.

It is Turbo-DDCM's (arXiv 2511.06424), over all latent frames at once; the set is sent as its rank.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from codebooks.atoms import LARGEST, Atoms, affordable, from_mask, most_atoms, plain_noise, to_mask
from rfcodec.bitstream.fields import uint
from rfcodec.bitstream.symbols import rank_subset, subset_bits, unrank_subset
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress


@final
@dataclass(frozen=True)
class TopMCodebook:
    """Turbo-DDCM: the signed sum of the M best of K seeded atoms, the set as its rank.

    z = sum_j sign_j a_j over its root mean square; M + ceil(log2 C(K, M)) bits. Costs K D products and normals a step.
    Atom j is block j + 1 of its address; block 0 is plain noise.
    """

    ID: ClassVar[int] = 2
    efficiency: ClassVar[float] = 0.6  # docs/coding.md, section 2: 0.68 at 300 bits to 0.39 at 8640
    k: int = uint("atoms K", 2, 1 << 20, default=4096)
    m: int = uint("atoms a step; 0: as many as the budget pays for", 0, LARGEST, default=0)

    def atom_bits(self, m: int) -> int:
        """Bits that name m atoms and their signs: m + ceil(log2 C(K, m))."""
        return subset_bits(self.k, m) + m

    def atoms_for(self, shape: Shape, bits: int) -> int:
        """The most atoms that `bits` pay for, at most as many as `most_atoms` allows of K / 2."""
        return affordable(self.atom_bits, most_atoms(int(np.prod(shape)), self.k // 2), bits)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """The bits of the most atoms that `bits` pay for, or of the fixed m; 0 where `bits` do not pay for them."""
        cost = self.least_bits(shape) if self.m else self.atom_bits(self.atoms_for(shape, bits))
        return cost if cost <= bits else 0

    def least_bits(self, shape: Shape) -> int:
        """The bits of one atom, or of the fixed m."""
        return self.atom_bits(min(max(self.m, 1), most_atoms(int(np.prod(shape)), self.k // 2)))

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int, prepared: None = None) -> tuple[int, Tensor]:
        """The M atoms with the largest absolute inner products with `direction`, and the signs of these."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        m = self.atoms_for(shape, bits)
        kept, negative = self._atoms(address, shape).most_aligned(direction.cpu().numpy().ravel(), m)
        symbols = rank_subset(kept) << m | to_mask(negative)
        return symbols, self.noise(address, shape, bits, symbols)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: None = None) -> Tensor:
        """The signed sum of the named atoms over its root mean square; only these atoms are drawn."""
        if bits == 0:
            return plain_noise(address, shape)
        m = self.atoms_for(shape, bits)
        kept = unrank_subset(symbols >> m, self.k, m)
        return torch.from_numpy(self._atoms(address, shape).signed_sum(kept, from_mask(symbols, m))).reshape(shape)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: None = None) -> None:
        """None: `choose` generates the atoms in blocks and keeps none."""

    def _atoms(self, address: NoiseAddress, shape: Shape) -> Atoms:
        return Atoms(address, 1, self.k, int(np.prod(shape)))
