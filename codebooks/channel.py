"""Reverse channel coding (DiffC, arXiv 2501.09815): noise that is a sample of N(delta, I), chunk by chunk."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from jaxtyping import Float64, Int64
from torch import Tensor

from codebooks.atoms import LARGEST, at_block, plain_noise
from codebooks.chunks import Chunks
from codebooks.mixing import Mixing
from codebooks.zipf import decode_indices, encode_indices, lengths
from rfcodec.bitstream.fields import uint
from rfcodec.noise import Domain, words
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress


@final
@dataclass(frozen=True)
class ChannelCodebook:
    """Of P permuted chunks, each a sample of N(delta_p, I) by the Poisson functional representation over 2^b candidates.

    k* = argmin_k [ln T_k - <y_k, delta_p>], T_k the arrivals of a Poisson process, delta along the residual and as long
    as b - pad bits of information a chunk make it: |delta|^2 = 2 ln(2) P (b - pad). The k* of all chunks are one integer
    by a Zipf law and exact arithmetic coding; z is scaled to unit mean square. Costs 2^b D products and normals a step.
    """

    ID: ClassVar[int] = 7
    efficiency: ClassVar[float] = 0.67  # docs/coding.md, section 2
    b: int = uint("log2 of the candidates of a chunk", 2, 20, default=10)
    pad: int = uint("bits that the information of a chunk stays below b", 0, 4, default=2)

    @property
    def information(self) -> int:
        """Information of a chunk in bits: b - pad, at least 1."""
        return max(1, self.b - self.pad)

    def chunk_bits(self, count: int) -> int:
        """Bits of `count` chunks: 0.59 b + 0.3 (b - pad) + 0.08 each, the mean length of an index (maths.md, section 5)."""
        return -(-count * (59 * self.b + 30 * self.information + 8) // 100)

    def chunks_for(self, shape: Shape, bits: int) -> int:
        """The most chunks that `bits` pay for, at most 4096, each of 2 b coordinates or more unless it is the only one."""
        most = min(LARGEST, max(1, int(np.prod(shape)) // (2 * self.b)))
        return min(most, bits * 100 // (59 * self.b + 30 * self.information + 8))

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """The bits of as many chunks as `bits` pay for."""
        return self.chunk_bits(self.chunks_for(shape, bits))

    def least_bits(self, shape: Shape) -> int:
        """The bits of one chunk."""
        return self.chunk_bits(1)

    def prepare(
        self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: Mixing | None = None
    ) -> Mixing | None:
        """The mixing of the stream; candidates are generated one by one in `choose` and not kept."""
        return before if bits == 0 else Mixing.following(before, address.seed, int(np.prod(shape)))

    def choose(
        self, address: NoiseAddress, direction: Tensor, bits: int, prepared: Mixing | None = None
    ) -> tuple[int, Tensor]:
        """Samples every chunk; where the indices do not fit, those with the longest codes take fewer candidates."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        chunks = self._chunks(address, shape, bits, prepared)
        symbols = self.fit(self.sample(chunks, self.delta(chunks, direction)), bits)
        return symbols, self.noise(address, shape, bits, symbols, chunks.mixing)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: Mixing | None = None) -> Tensor:
        """Draws the named piece of each chunk; white, of unit mean square."""
        if bits == 0:
            return plain_noise(address, shape)
        chunks = self._chunks(address, shape, bits, prepared)
        indices = decode_indices(symbols, chunks.count, self.b, self.information, bits)
        return chunks.noise(indices, [False] * chunks.count).reshape(shape)

    def delta(self, chunks: Chunks, direction: Tensor) -> np.ndarray:
        """The mean of the sample, chunk by chunk: along the residual, |delta|^2 = 2 ln(2) P (b - pad)."""
        rows = chunks.split(direction)
        norm = float(np.linalg.norm(rows.astype(np.float64)))
        length = np.sqrt(2 * np.log(2) * self.information * chunks.count)
        return rows * np.float32(length / norm if norm else 0)

    def sample(self, chunks: Chunks, delta: np.ndarray) -> Int64[np.ndarray, "b p"]:
        """Row i: the choice of each chunk among its first 2^i candidates; the last row is the choice among all."""
        best = np.full(chunks.count, np.inf)
        index = np.zeros(chunks.count, np.int64)
        arrival = np.zeros(chunks.count)
        prefixes = []
        for k in range(1 << self.b):
            arrival += _waits(chunks, k)
            score = np.log(arrival) - chunks.products(k, delta)
            better = score < best
            best[better], index[better] = score[better], k
            if k & (k + 1) == 0:
                prefixes.append(index.copy())
        return np.stack(prefixes)

    def fit(self, prefixes: Int64[np.ndarray, "b p"], bits: int) -> int:
        """Symbols of the last row; where that takes too many bits, chunks with the longest codes take earlier rows."""
        cost = lengths(self.b, self.information)
        row = np.full(prefixes.shape[1], self.b)
        chosen = prefixes[-1].copy()
        total = cost[chosen].sum()
        while total > bits or (symbols := encode_indices(chosen.tolist(), self.b, self.information, bits)) is None:
            dearest = int(np.argmax(chosen))
            row[dearest] -= 1
            total -= cost[chosen[dearest]]
            chosen[dearest] = prefixes[row[dearest], dearest]
            total += cost[chosen[dearest]]
        return symbols

    def _chunks(self, address: NoiseAddress, shape: Shape, bits: int, prepared: Mixing | None) -> Chunks:
        return Chunks.following(prepared, address, int(np.prod(shape)), self.chunks_for(shape, bits))


def _waits(chunks: Chunks, index: int) -> Float64[np.ndarray, "p"]:
    # only the choice depends on them: a decoder does not compute this logarithm, so its rounding may differ
    drawn = words(at_block(chunks.address, index + 1), chunks.count, Domain.ARRIVALS)
    return -np.log((drawn.astype(np.float64) + 0.5) / 2.0**64)
