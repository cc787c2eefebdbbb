"""The seeded permutation and signs of a stream, which make any residual white; one pair for all its steps."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float32, Int64

from rfcodec.noise import permutation, signs


@final
@dataclass(frozen=True)
class Mixing:
    """D coordinates in another order and with other signs. Arrays are read-only; costs a sort of D integers."""

    seed: int
    order: Int64[np.ndarray, "n"]
    inverse: Int64[np.ndarray, "n"]  # kept because a gather is faster than a scatter
    signs: Float32[np.ndarray, "n"]

    @classmethod
    def make(cls, seed: int, dims: int) -> "Mixing":
        """The mixing of `dims` coordinates in streams of that seed."""
        order = permutation(seed, dims)
        inverse = np.empty(dims, np.int64)
        inverse[order] = np.arange(dims)
        inverse.flags.writeable = False
        return cls(seed, order, inverse, signs(seed, dims))

    def or_made(self, seed: int, dims: int) -> "Mixing":
        """Itself where it is that of the seed and the dimensions, else one that is."""
        return self if (self.seed, self.order.size) == (seed, dims) else Mixing.make(seed, dims)

    def mix(self, values: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        """Values in the mixed order, with signs."""
        mixed = values.take(self.order)
        mixed *= self.signs
        return mixed

    def unmix(self, mixed: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        """Inverse of `mix`; changes its argument."""
        mixed *= self.signs
        return mixed.take(self.inverse)
