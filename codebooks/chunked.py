"""Chunked codebook: disjoint random supports, in each the best of 2^b candidates."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from torch import Tensor

from codebooks.atoms import LARGEST, plain_noise, to_integer, to_labels
from codebooks.chunks import Chunks
from codebooks.mixing import Mixing
from rfcodec.bitstream.fields import uint
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress


@final
@dataclass(frozen=True)
class ChunkedCodebook:
    """Of P permuted chunks, each the best of 2^b candidates: 2^(b - 1) seeded pieces with both signs.

    P = bits / b. The symbol s of a chunk is piece s // 2, negated for odd s; z is scaled to unit mean square.
    Costs 2^(b - 1) D products and normals a step; as aligned as the best of 2^b whole atoms, at any number of bits.
    """

    ID: ClassVar[int] = 5
    efficiency: ClassVar[float] = 0.76  # docs/coding.md, section 2
    b: int = uint("bits a chunk", 1, 20, default=10)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """b bits for each whole chunk: at most 4096, each of 2 b coordinates or more unless it is the only one."""
        most = min(max(1, int(np.prod(shape)) // (2 * self.b)), LARGEST)
        return self.b * min(bits // self.b, most)

    def least_bits(self, shape: Shape) -> int:
        """b, the bits of one chunk."""
        return self.b

    def prepare(
        self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: Mixing | None = None
    ) -> Mixing | None:
        """The mixing of the stream; candidates are generated one by one in `choose` and not kept."""
        return before if bits == 0 else Mixing.following(before, address.seed, int(np.prod(shape)))

    def choose(
        self, address: NoiseAddress, direction: Tensor, bits: int, prepared: Mixing | None = None
    ) -> tuple[int, Tensor]:
        """The candidate of each chunk with the largest inner product; ties go to the first."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        chunks = self._chunks(address, shape, bits, prepared)
        rows = chunks.split(direction)
        best = np.full(chunks.count, -1, np.float32)
        labels = np.zeros(chunks.count, np.int64)
        for index in range(1 << (self.b - 1)):
            products = chunks.products(index, rows)
            better = np.abs(products) > best
            best[better] = np.abs(products[better])
            labels[better] = 2 * index + (products[better] < 0)
        symbols = to_integer(labels, self.b)
        return symbols, self.noise(address, shape, bits, symbols, chunks.mixing)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: Mixing | None = None) -> Tensor:
        """Draws the named piece of each chunk; white, of unit mean square."""
        if bits == 0:
            return plain_noise(address, shape)
        chunks = self._chunks(address, shape, bits, prepared)
        labels = to_labels(symbols, chunks.count, self.b).tolist()
        return chunks.noise([label >> 1 for label in labels], [bool(label & 1) for label in labels]).reshape(shape)

    def _chunks(self, address: NoiseAddress, shape: Shape, bits: int, prepared: Mixing | None) -> Chunks:
        return Chunks.following(prepared, address, int(np.prod(shape)), bits // self.b)
