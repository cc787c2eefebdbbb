"""The seeded permutation and signs of a stream, which make any residual white; one pair for all its steps."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float32, Int64

from rfcodec.noise import permutation, signs


@final
@dataclass(frozen=True)
class Mixing:
    """A permutation and signs of D coordinates, a function of the seed; takes a sort of D integers. Arrays are read-only."""

    seed: int
    order: Int64[np.ndarray, "n"]
    inverse: Int64[np.ndarray, "n"]  # kept because a gather is faster than a scatter
    signs: Float32[np.ndarray, "n"]

    @classmethod
    def make(cls, seed: int, dims: int) -> "Mixing":
        """The mixing of `dims` coordinates in streams of that seed; takes a sort, so it is shared between steps."""
        order = permutation(seed, dims)
        inverse = np.empty(dims, np.int64)
        inverse[order] = np.arange(dims)
        inverse.flags.writeable = False
        return cls(seed, order, inverse, signs(seed, dims))

    @classmethod
    def following(cls, before: "Mixing | None", seed: int, dims: int) -> "Mixing":
        """That of a step before where it is for this seed and as many coordinates, else one that is made."""
        if before is not None and (before.seed, before.order.size) == (seed, dims):
            return before
        return cls.make(seed, dims)

    def mix(self, values: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        """Values in the mixed order, with signs."""
        mixed = values.take(self.order)
        mixed *= self.signs
        return mixed

    def unmix(self, mixed: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        """Inverse of `mix`; changes its argument."""
        mixed *= self.signs
        return mixed.take(self.inverse)
