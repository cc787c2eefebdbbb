"""Codebooks simulated: exact in distribution, at a millionth of their cost.

Inner products of white atoms with a fixed direction are independent normals, and the rest of each atom is white in the
complement: so the chosen noise can be drawn without drawing the codebook.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from codebooks.atoms import LARGEST
from codebooks.channel import ChannelCodebook
from codebooks.chunked import ChunkedCodebook
from codebooks.chunks import Chunks
from codebooks.gvcc import GvccCodebook
from codebooks.pursuit import PursuitCodebook, cosines, weights
from codebooks.topm import TopMCodebook
from codebooks.zipf import decode_indices
from rfcodec.bitstream.fields import uint
from rfcodec.protocols import Codebook, Shape
from rfcodec.types import NoiseAddress

MOST_SCORES = 1 << 22  # numbers in memory at once


@final
@dataclass(frozen=True)
class Simulated:
    """Chooses as a real codebook does, in distribution; it can encode for measuring, never decode."""

    ID: ClassVar[int] = 127
    efficiency: ClassVar[float] = 0.48
    real: Codebook

    def __post_init__(self) -> None:
        object.__setattr__(self, "efficiency", self.real.efficiency)  # what is planned is what the real one reaches

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """As the real one."""
        return self.real.usable_bits(shape, bits)

    def least_bits(self, shape: Shape) -> int:
        """As the real one."""
        return self.real.least_bits(shape)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: None = None) -> Tensor:
        """Plain white noise."""
        return torch.from_numpy(_white(address, 0, int(np.prod(shape)))).reshape(shape)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: None = None) -> None:
        """Nothing: outcomes are drawn."""

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int, prepared: None = None) -> tuple[int, Tensor]:
        """Noise as aligned as the real one's; no symbols."""
        if bits == 0:
            return 0, self.noise(address, tuple(direction.shape), 0, 0)
        return 0, DRAWS[type(self.real)](self.real, address, direction, bits).reshape(direction.shape)


@final
@dataclass(frozen=True)
class SimulatedGvcc:
    """GVCC's codebook, simulated, under an id of its own; files have the size of GVCC's, and cannot be decoded."""

    ID: ClassVar[int] = 126
    efficiency: ClassVar[float] = GvccCodebook.efficiency
    k: int = uint("atoms K of a latent frame", 2, 1 << 20, default=16384)
    m: int = uint("atoms a step and latent frame; 0: as many as the budget pays for", 0, LARGEST, default=0)

    @property
    def _inner(self) -> Simulated:
        return Simulated(GvccCodebook(self.k, self.m))

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """As GVCC's."""
        return self._inner.usable_bits(shape, bits)

    def least_bits(self, shape: Shape) -> int:
        """As GVCC's."""
        return self._inner.least_bits(shape)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: None = None) -> Tensor:
        """Plain white noise."""
        return self._inner.noise(address, shape, bits, symbols)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: None = None) -> None:
        """Nothing: outcomes are drawn."""

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int, prepared: None = None) -> tuple[int, Tensor]:
        """Noise as aligned as GVCC's; no symbols."""
        return self._inner.choose(address, direction, bits)


def _generator(address: NoiseAddress, *stream: int) -> np.random.Generator:
    return np.random.default_rng([address.seed, address.gop, address.step, *stream])


def _white(address: NoiseAddress, part: int, count: int) -> np.ndarray:
    return _generator(address, part, 1).standard_normal(count, dtype=np.float32)


def _top_m(real: TopMCodebook, address: NoiseAddress, direction: Tensor, bits: int) -> Tensor:
    return torch.from_numpy(
        _sum_of_best(address, 1, direction.numpy(), real.k, real.atoms_for(tuple(direction.shape), bits))
    )


def _gvcc(real: GvccCodebook, address: NoiseAddress, direction: Tensor, bits: int) -> Tensor:
    frames = np.split(direction.numpy(), direction.shape[1], axis=1)
    m = real.atoms_for(tuple(direction.shape), bits // len(frames))
    pieces = [_sum_of_best(address, i + 1, frame, real.k, m) for i, frame in enumerate(frames)]
    return torch.from_numpy(np.concatenate(pieces, axis=1))


def _sum_of_best(address: NoiseAddress, part: int, wanted: np.ndarray, k: int, m: int) -> np.ndarray:
    """The signed sum of the m best of k atoms over its standard deviation."""
    unit = (wanted / np.linalg.norm(wanted)).ravel()
    products = _generator(address, part).standard_normal(k)
    along = float(np.sort(np.abs(products))[-m:].sum())
    rest = _white(address, part, unit.size) * np.float32(np.sqrt(m))
    z = rest + np.float32(along - float(unit @ rest)) * unit
    return (z / z.std()).reshape(wanted.shape).astype(np.float32)


def _pursuit(real: PursuitCodebook, address: NoiseAddress, direction: Tensor, bits: int) -> Tensor:
    dims = direction.numel()
    m = real.atoms_for(tuple(direction.shape), bits)
    cosine = pursued_cosine(real.k, real.c, m, dims, _generator(address, 1))
    unit = (direction / direction.norm()).numpy().ravel()
    rest = _white(address, 1, dims)
    rest -= np.float32(unit @ rest) * unit
    rest *= np.float32(np.sqrt(dims * (1 - cosine**2)) / np.linalg.norm(rest))
    return torch.from_numpy(rest + np.float32(cosine * np.sqrt(dims)) * unit)


def pursued_cosine(k: int, c: int, m: int, dims: int, generator: np.random.Generator) -> float:
    """The cosine of a pursuit, every atom known by its coordinates along the direction and the atoms chosen before.

    What is left of an atom beyond these has a uniform direction in the complement; its next coordinate is drawn when a
    further atom spans a new axis.
    """
    axes = generator.standard_normal((k, 1))
    left = generator.chisquare(dims - 1, k)
    products, energies = axes[:, 0] / np.sqrt(dims), (axes[:, 0] ** 2 + left) / dims
    grid, atom = weights(c), int(np.argmax(products / np.sqrt(energies)))
    axes, left = _new_axis(axes, left, atom, dims, generator)
    noise = axes[atom] / np.sqrt(energies[atom])
    for _ in range(m - 1):
        along, across = float(noise[0]) / np.sqrt(dims), axes @ noise / dims
        reached = np.stack(list(cosines(along, grid, products, energies, across)))
        code, atom = (int(i) for i in np.unravel_index(np.argmax(reached), reached.shape))
        if reached[code, atom] <= along:
            break
        axes, left = _new_axis(axes, left, atom, dims, generator)
        noise = np.sqrt(grid[code]) * np.append(noise, 0) + np.sqrt(1 - grid[code]) * axes[atom]
        noise *= np.sqrt(dims) / np.linalg.norm(noise)
    return float(noise[0]) / np.sqrt(dims)


def _new_axis(
    axes: np.ndarray, left: np.ndarray, atom: int, dims: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    drawn = generator.standard_normal(left.size)
    share = drawn / np.sqrt(drawn**2 + generator.chisquare(dims - axes.shape[1] - 1, left.size))
    coordinate = np.sqrt(left) * share
    coordinate[atom] = np.sqrt(left[atom])
    return np.column_stack([axes, coordinate]), np.maximum(left - coordinate**2, 0)


def _chunked(real: ChunkedCodebook, address: NoiseAddress, direction: Tensor, bits: int) -> Tensor:
    chunks = Chunks.following(None, address, direction.numel(), bits // real.b)
    uniform = _generator(address, 1).random(chunks.count)
    return _with_products(chunks, direction, ndtri((1 + uniform**2.0 ** (1 - real.b)) / 2))


def _channel(real: ChannelCodebook, address: NoiseAddress, direction: Tensor, bits: int) -> Tensor:
    chunks = Chunks.following(None, address, direction.numel(), real.chunks_for(tuple(direction.shape), bits))
    lengths = np.linalg.norm(real.delta(chunks, direction), axis=1)
    prefixes, products = _channel_choices(real.b, lengths, _generator(address, 1))
    symbols = real.fit(prefixes, bits)
    chosen = decode_indices(symbols, chunks.count, real.b, real.information, bits)
    along = [dict(zip(rows, row, strict=True))[k] for rows, row, k in zip(prefixes.T, products.T, chosen, strict=True)]
    return _with_products(chunks, direction, np.array(along))


def _channel_choices(b: int, lengths: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of each chunk the choices among the first 2^i candidates, and their inner products with its unit direction."""
    indices, products = [], []
    group = max(1, MOST_SCORES >> b)
    for first in range(0, lengths.size, group):
        part = lengths[first : first + group]
        along = generator.standard_normal((part.size, 1 << b))
        scores = np.log(generator.exponential(size=along.shape).cumsum(1)) - part[:, None] * along
        best = np.stack([scores[:, : 1 << i].argmin(1) for i in range(b + 1)])
        indices.append(best)
        products.append(np.take_along_axis(along, best.T, 1).T)
    return np.concatenate(indices, axis=1), np.concatenate(products, axis=1)


def _with_products(chunks: Chunks, direction: Tensor, products: np.ndarray) -> Tensor:
    """White noise whose chunks have these inner products with the unit vectors of theirs, over its root mean square."""
    mixed = _white(chunks.address, 1, chunks.dims)
    rows = mixed[: chunks.count * chunks.length].reshape(chunks.count, chunks.length)
    wanted = chunks.split(direction)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    rows += (products - (rows * wanted).sum(1))[:, None].astype(np.float32) * wanted
    mixed /= np.sqrt(np.mean(mixed.astype(np.float64) ** 2)).astype(np.float32)
    return torch.from_numpy(mixed.take(chunks.mixing.inverse))


DRAWS: dict[type, Callable[[Any, NoiseAddress, Tensor, int], Tensor]] = {
    TopMCodebook: _top_m,
    GvccCodebook: _gvcc,
    PursuitCodebook: _pursuit,
    ChunkedCodebook: _chunked,
    ChannelCodebook: _channel,
}


def simulated(codebook: Codebook[Any]) -> Codebook[Any]:
    """The codebook with its outcome drawn where its search costs K x D or more; others as they are."""
    return Simulated(codebook) if type(codebook) in DRAWS else codebook
