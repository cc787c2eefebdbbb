"""Shared by codebooks of whole seeded atoms: drawing, searching and adding atoms, and packing symbols."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from rfcodec.noise import RESOLUTION, normals
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress

BLOCK_VALUES = 1 << 22  # atoms are searched in blocks of at most this many numbers
EXACT_SQUARES = 1024  # the sum of so many squares of sums of LARGEST normals is below 2^63
LARGEST = 4096  # the most symbols that one step may ask a decoder to look up
MOST_NORMALS = 1 << 32  # that the atoms of one step may have: some twenty seconds of a decoder's time
ALWAYS = 64  # atoms that one step may have whatever their size


@dataclass(frozen=True, slots=True)
class Atoms:
    """`count` vectors of `size` normals; atom j has block first + j of the address."""

    address: NoiseAddress
    first: int
    count: int
    size: int

    def atom(self, index: int) -> Float32[np.ndarray, "size"]:
        """Atom `index` < count: the first `size` normals at its block."""
        return normals(at_block(self.address, self.first + index), self.size)

    def blocks(self) -> Iterator[Float32[np.ndarray, "rows size"]]:
        """All atoms in order, at most BLOCK_VALUES numbers or one atom at a time."""
        rows = max(1, BLOCK_VALUES // self.size)
        for start in range(0, self.count, rows):
            yield np.stack([self.atom(j) for j in range(start, min(start + rows, self.count))])

    def products(self, wanted: Float32[np.ndarray, "size"]) -> Float32[np.ndarray, "count"]:
        """Inner products of all atoms with a direction; costs count x size products and normals."""
        return np.concatenate([block @ wanted for block in self.blocks()])

    def most_aligned(self, wanted: Float32[np.ndarray, "size"], m: int) -> tuple[list[int], list[bool]]:
        """Increasing indices of the m largest absolute inner products, and which of these are negative."""
        return largest(self.products(wanted), m)

    def signed_sum(self, kept: list[int], negative: list[bool]) -> Float32[np.ndarray, "size"]:
        """sum_j sign_j a_j over its root mean square; the first atom where the sum is zero, which only damage can cause."""
        total = np.zeros(self.size, np.int64)
        for index, minus in zip(kept, negative, strict=True):
            atom = in_units(self.atom(index))
            total += -atom if minus else atom
        if not total.any():
            total = in_units(self.atom(kept[0]))
        return with_unit_rms(total)


def at_block(address: NoiseAddress, block: int) -> NoiseAddress:
    """The address of another block of the same step."""
    return NoiseAddress(address.seed, address.gop, address.step, block)


def in_units(noise: Float32[np.ndarray, "size"]) -> Int64[np.ndarray, "size"]:
    """Normals as integers in units of 2^-12; sums of these are exact, whatever the order of summation."""
    return (noise * np.float32(RESOLUTION)).astype(np.int64)


def with_unit_rms(total: Int64[np.ndarray, "size"]) -> Float32[np.ndarray, "size"]:
    """S sqrt(size / S.S), the norm an exact integer, the rest in double precision."""
    return (total * np.sqrt(total.size / max(1.0, float(energy(total))))).astype(np.float32)


def energy(total: Int64[np.ndarray, "size"]) -> int:
    """S.S as a Python integer, exact also where it exceeds 64 bits."""
    whole = total[: total.size // EXACT_SQUARES * EXACT_SQUARES].reshape(-1, EXACT_SQUARES)
    rest = total[whole.size :]
    return sum(np.einsum("ij,ij->i", whole, whole).tolist()) + int(np.dot(rest, rest))


def largest(products: Float32[np.ndarray, "count"], m: int) -> tuple[list[int], list[bool]]:
    """Increasing indices of the m largest magnitudes, and which of these are negative; ties go to small indices."""
    magnitudes = np.abs(products)
    enough = np.flatnonzero(magnitudes >= np.partition(magnitudes, -m)[-m])
    kept = np.sort(enough[np.argsort(-magnitudes[enough], kind="stable")[:m]])
    return kept.tolist(), (products[kept] < 0).tolist()


def most_atoms(dims: int, known: int) -> int:
    """The most of `known` atoms that one step of D = `dims` coordinates may name, which bounds the work of a decoder."""
    return min(LARGEST, known, max(ALWAYS, MOST_NORMALS // dims))


def affordable(cost: Callable[[int], int], most: int, bits: int) -> int:
    """The largest M <= `most` with cost(M) <= `bits`, for a cost that grows with M; 0 if there is none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= bits else (low, middle - 1)
    return low


def plain_noise(address: NoiseAddress, shape: Shape) -> Tensor:
    """The first normals of an address in the shape c f h w: the noise of the start and of steps without bits."""
    return torch.from_numpy(normals(address, int(np.prod(shape)))).reshape(shape)


def to_mask(flags: list[bool]) -> int:
    """Flags as an integer, the first in the lowest bit."""
    return sum(int(flag) << i for i, flag in enumerate(flags))


def from_mask(mask: int, count: int) -> list[bool]:
    """Inverse of `to_mask`."""
    return [bool(mask >> i & 1) for i in range(count)]


def to_integer(labels: Int64[np.ndarray, "count"], width: int) -> int:
    """Labels of `width` bits each as one integer, the first in the highest bits."""
    bits = (labels[:, None] >> np.arange(width - 1, -1, -1) & 1).astype(np.uint8).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big") >> (-bits.size % 8)


def to_labels(symbols: int, count: int, width: int) -> Int64[np.ndarray, "count"]:
    """Inverse of `to_integer`."""
    size = count * width
    octets = np.frombuffer((symbols << (-size % 8)).to_bytes(-(-size // 8), "big"), np.uint8)
    bits = np.unpackbits(octets, count=size).reshape(count, width).astype(np.int64)
    return bits @ (1 << np.arange(width - 1, -1, -1))
