"""Pursuit codebook: DDCM's matching pursuit (arXiv 2502.01189), one atom and one quantised weight after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from codebooks.atoms import LARGEST, Atoms, affordable, most_atoms, plain_noise, to_integer, to_labels, with_unit_rms
from rfcodec.bitstream.fields import uint
from rfcodec.noise import RESOLUTION
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress

SHORTLIST = 64  # inner products with the noise so far are computed for so many atoms: all K would cost K D products an atom


class Choice(NamedTuple):
    """An atom and the code of its weight; code 0 leaves the noise as it is."""

    atom: int
    code: int


@final
@dataclass(frozen=True)
class PursuitCodebook:
    """DDCM: n_1 = the best of K seeded atoms, n_m = normalise(sqrt(g) n_(m-1) + sqrt(1 - g) z_k), z = n_M.

    g = code / (2^C - 1), code 0 keeps n_(m-1): M ceil(log2 K) + (M - 1) C bits. Unless M is fixed it is 4 2^C at most,
    because later atoms hardly raise the cosine (maths.md, 5). Atom k is block k + 1 of its address; block 0 is plain noise.
    Costs (K + 64 M) D products and normals a step.
    """

    ID: ClassVar[int] = 4
    efficiency: ClassVar[float] = 0.4  # docs/coding.md, section 2: at 300 bits, 0.26 at 900 and more
    k: int = uint("atoms K", 2, 1 << 20, default=8192)
    c: int = uint("bits of a weight, C", 2, 8, default=3)
    m: int = uint("atoms a step; 0: as many as the budget pays for", 0, LARGEST, default=0)

    def atom_bits(self, m: int) -> int:
        """Bits that name m atoms and the weights of all but the first: m ceil(log2 K) + (m - 1) C."""
        return m * self._index_bits + max(0, m - 1) * self.c

    def atoms_for(self, shape: Shape, bits: int) -> int:
        """The most atoms that `bits` pay for, at most as many as `most_atoms` allows of the fixed m or, at 0, of 4 2^C."""
        return affordable(self.atom_bits, most_atoms(int(np.prod(shape)), self.m or 4 << self.c), bits)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """The bits of the most atoms that `bits` pay for, or of the fixed m; 0 where `bits` do not pay for them."""
        cost = self.least_bits(shape) if self.m else self.atom_bits(self.atoms_for(shape, bits))
        return cost if cost <= bits else 0

    def least_bits(self, shape: Shape) -> int:
        """The bits of one atom, or of the fixed m."""
        return self.atom_bits(most_atoms(int(np.prod(shape)), self.m or 1))

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int, prepared: None = None) -> tuple[int, Tensor]:
        """Adds the atom and weight that increase the cosine most, until none increases it or the bits are spent."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        search = Search.begin(self._atoms(address, shape), direction.cpu().numpy().ravel(), weights(self.c))
        choices, noise = search.run(self.atoms_for(shape, bits))
        labels = [code << self._index_bits | atom for atom, code in choices]
        return to_integer(np.array(labels, np.int64), self._index_bits + self.c), torch.from_numpy(noise).reshape(shape)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: None = None) -> Tensor:
        """Adds the named atoms with their weights, in their order."""
        if bits == 0:
            return plain_noise(address, shape)
        atoms = self._atoms(address, shape)
        first, *others = self._choices(symbols, self.atoms_for(shape, bits))
        noise = atoms.signed_sum([first.atom], [False])
        for choice in others:
            noise = blend(noise, atoms, choice, weights(self.c))
        return torch.from_numpy(noise).reshape(shape)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: None = None) -> None:
        """None: `choose` generates the atoms in blocks and keeps none."""

    @property
    def _index_bits(self) -> int:
        return (self.k - 1).bit_length()

    def _atoms(self, address: NoiseAddress, shape: Shape) -> Atoms:
        return Atoms(address, 1, self.k, int(np.prod(shape)))

    def _choices(self, symbols: int, count: int) -> Iterator[Choice]:
        for label in to_labels(symbols, count, self._index_bits + self.c).tolist():
            # only damage names an atom beyond the last; the last one is taken then, so that decoding goes on
            yield Choice(min(label & ((1 << self._index_bits) - 1), self.k - 1), label >> self._index_bits)


def weights(c: int) -> Float64[np.ndarray, "g"]:
    """The weights g of the codes 1 to 2^C - 1."""
    return np.arange(1, 1 << c) / ((1 << c) - 1)


def blend(
    noise: Float32[np.ndarray, "d"], atoms: Atoms, choice: Choice, grid: Float64[np.ndarray, "g"]
) -> Float32[np.ndarray, "d"]:
    """sqrt(g) n + sqrt(1 - g) z in double precision, in units of 2^-12 as integers, over its root mean square."""
    if choice.code == 0:
        return noise
    g = grid[choice.code - 1]
    mixed = np.sqrt(g) * noise.astype(np.float64) + np.sqrt(1 - g) * atoms.atom(choice.atom).astype(np.float64)
    return with_unit_rms(np.rint(mixed * RESOLUTION).astype(np.int64))


def cosines(
    along: float,
    grid: Float64[np.ndarray, "g"],
    products: Float64[np.ndarray, "k"],
    energies: Float64[np.ndarray, "k"],
    across: Float64[np.ndarray, "k"],
) -> Iterator[Float64[np.ndarray, "k"]]:
    """Weight by weight (sqrt(g) a + sqrt(1 - g) u) / sqrt(g + (1 - g) e + 2 sqrt(g (1 - g)) x): the next cosines.

    a is the cosine so far, u = <z, r> / sqrt(D), e = |z|^2 / D, x = <n, z> / D; D, |n|^2 = D and |r| = 1 understood.
    """
    for g in grid:
        above = np.sqrt(g) * along + np.sqrt(1 - g) * products
        yield above / np.sqrt(g + (1 - g) * energies + 2 * np.sqrt(g * (1 - g)) * across)


@dataclass(frozen=True)
class Search:
    """The encoder's search: the direction r of length 1, and u_k = <z_k, r> / sqrt(D), e_k = |z_k|^2 / D of all atoms."""

    atoms: Atoms
    wanted: Float64[np.ndarray, "d"]
    products: Float64[np.ndarray, "k"]
    energies: Float64[np.ndarray, "k"]
    grid: Float64[np.ndarray, "g"]

    @classmethod
    def begin(cls, atoms: Atoms, direction: Float32[np.ndarray, "d"], grid: Float64[np.ndarray, "g"]) -> "Search":
        """Draws every atom once: K D normals and 2 K D products."""
        wanted = direction / max(float(np.abs(direction).max()), np.finfo(np.float32).tiny)
        wanted /= max(float(np.linalg.norm(wanted)), 1.0)
        pairs = [(block @ wanted, np.einsum("kd,kd->k", block, block)) for block in atoms.blocks()]
        products, energies = (np.concatenate(column).astype(np.float64) for column in zip(*pairs, strict=True))
        return cls(atoms, wanted.astype(np.float64), products / np.sqrt(atoms.size), energies / atoms.size, grid)

    def run(self, count: int) -> tuple[list[Choice], Float32[np.ndarray, "d"]]:
        """`count` choices and their noise; stops at the first that has code 0, since all later ones would have it too."""
        choices = [self.first()]
        noise = self.atoms.signed_sum([choices[0].atom], [False])
        while len(choices) < count and (choice := self.best(noise)).code:
            choices.append(choice)
            noise = blend(noise, self.atoms, choice, self.grid)
        return choices + [Choice(0, 0)] * (count - len(choices)), noise

    def first(self) -> Choice:
        """The atom with the largest cosine."""
        return Choice(int(np.argmax(self.products / np.sqrt(self.energies))), 0)

    def best(self, noise: Float32[np.ndarray, "d"]) -> Choice:
        """Of the SHORTLIST atoms, the atom and weight with the largest cosine; code 0 where none increases it."""
        along = float(noise @ self.wanted) / np.sqrt(noise.size)
        alone = np.zeros(self.atoms.count)
        promise = np.maximum.reduce(list(cosines(along, self.grid, self.products, self.energies, alone)))
        few = np.sort(np.argsort(-promise, kind="stable")[:SHORTLIST])
        across = np.array([float(self.atoms.atom(int(k)) @ noise) for k in few]) / noise.size
        reached = np.stack(list(cosines(along, self.grid, self.products[few], self.energies[few], across)))
        code, place = np.unravel_index(np.argmax(reached), reached.shape)
        return Choice(int(few[place]), int(code) + 1) if reached[code, place] > along else Choice(0, 0)
