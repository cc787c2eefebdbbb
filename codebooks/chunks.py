"""Shared by codebooks of disjoint chunks: a seeded order, P chunks, and for each chunk a piece of an atom."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from codebooks.atoms import at_block, in_units, with_unit_rms
from codebooks.mixing import Mixing
from rfcodec.noise import normals
from rfcodec.types import NoiseAddress


@dataclass(frozen=True, slots=True)
class Chunks:
    """`count` chunks of n = D // count permuted coordinates; candidate j of all is the atom at block j + 1."""

    address: NoiseAddress
    dims: int
    count: int
    mixing: Mixing

    @classmethod
    def following(cls, before: Mixing | None, address: NoiseAddress, dims: int, count: int) -> "Chunks":
        """Chunks in the mixing that was prepared, or in one that is made."""
        return cls(address, dims, count, Mixing.following(before, address.seed, dims))

    @property
    def length(self) -> int:
        """Coordinates n = D // P of a chunk; D - n P coordinates are in none."""
        return self.dims // self.count

    def split(self, direction: Tensor) -> Float32[np.ndarray, "p n"]:
        """The permuted direction chunk by chunk, over its largest magnitude."""
        values = direction.cpu().numpy().ravel()
        peak = np.abs(values).max()
        order = self.mixing.order[: self.count * self.length]
        rows = values.take(order).reshape(self.count, self.length)
        return rows / peak if peak > 0 else rows

    def candidates(self, index: int) -> Float32[np.ndarray, "p n"]:
        """Candidate `index` of every chunk: consecutive pieces of one atom."""
        return normals(at_block(self.address, index + 1), self.count * self.length).reshape(self.count, self.length)

    def products(self, index: int, rows: Float32[np.ndarray, "p n"]) -> Float32[np.ndarray, "p"]:
        """Inner product of each chunk's row with its candidate `index`."""
        return np.einsum("pn,pn->p", self.candidates(index), rows)

    def noise(self, indices: list[int], negative: list[bool]) -> Tensor:
        """The chosen pieces, plain noise in the coordinates left over, all over their root mean square, in place."""
        mixed = np.empty(self.dims, np.float32)
        used = self.count * self.length
        mixed[used:] = normals(self.address, self.dims - used, used)
        rows = mixed[:used].reshape(self.count, self.length)
        for p, (index, minus) in enumerate(zip(indices, negative, strict=True)):
            piece = normals(at_block(self.address, index + 1), self.length, p * self.length)
            rows[p] = -piece if minus else piece
        return torch.from_numpy(with_unit_rms(in_units(mixed)).take(self.mixing.inverse))
