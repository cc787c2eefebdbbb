"""The circulant trellis codebook: best path through circular shifts of seeded sequences (docs/maths.md, section 5).

r --permute, sign--> L stages of n --FFT--> inner products with all 2n atoms of a stage --Viterbi--> q bits a stage
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, final

import numpy as np
import scipy.fft
import torch
from jaxtyping import Complex64, Float32
from torch import Tensor

from codebooks.atoms import plain_noise, to_integer, to_labels
from codebooks.viterbi import Register, best_path, best_path_in_windows
from rfcodec.bitstream.fields import uint
from rfcodec.noise import inverse_permutation, normals, permutation, signs
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress

STATES_PER_COORDINATE = 16  # bounds the search: a stage of n coordinates has at most 16 n states
FAST_FACTORS = (2, 3, 5, 7, 11)
ANY_LENGTH_BELOW = 256  # transforms this short are fast enough at any length


@dataclass(frozen=True, slots=True)
class TrellisLayout:
    """Stages L, coordinates a stage n, states S (a power of two)."""

    stages: int
    length: int
    states: int


@lru_cache(maxsize=256)
def fast_length(limit: int) -> int:
    """The largest integer <= limit without prime factors above 11, or `limit` itself where that is short."""
    if limit < ANY_LENGTH_BELOW:
        return limit
    products = {1}
    for factor in FAST_FACTORS:
        powers = (factor**k for k in range(limit.bit_length()))
        products = {one * power for power in powers for one in products if one * power <= limit}
    return max(products)


@final
@dataclass(frozen=True)
class TrellisCodebook:
    """Best path through circular shifts of seeded sequences, the default: 0.92 to 0.94 of the bound.

    Stage l owns n seeded normals; its atoms are their circular shifts with both signs. They label the branches of a shift
    register (codebooks/viterbi.py), many branches each. The symbols are the register's inputs, q bits a stage.
    Costs D log D, and S 2^q <= 16 n 2^q a stage: a fixed number of operations per coordinate.
    """

    ID: ClassVar[int] = 1
    efficiency: ClassVar[float] = 0.93
    branch_bits: int = uint("bits a stage, q", 1, 6, default=2)
    memory: int = uint("log2 of the most states of the register", 1, 20, default=14)

    def layout(self, dims: int, bits: int) -> TrellisLayout:
        """The layout for `bits` > 0, a multiple of q, over `dims` coordinates; a rule of integers alone."""
        stages = bits // self.branch_bits
        length = fast_length(dims // stages)
        states = min(max(self.memory, self.branch_bits), (STATES_PER_COORDINATE * length).bit_length() - 1)
        return TrellisLayout(stages, length, 1 << states)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """Whole stages of at least 2^(2 q - 1) coordinates each."""
        most = int(np.prod(shape)) >> (2 * self.branch_bits - 1)
        return min(bits // self.branch_bits, most) * self.branch_bits

    def least_bits(self, shape: Shape) -> int:
        """One stage."""
        return self.branch_bits

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int) -> tuple[int, Tensor]:
        """Viterbi search for the path with the largest inner product with `direction`, on the device it lies on."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        layout, carrier = self.layout(direction.numel(), bits), _carrier(address, direction.numel())
        register = Register(layout.states, self.branch_bits, layout.length)
        spectrum = _base_spectrum(address, carrier.size, layout)
        if direction.device.type == "cpu":
            rows = _rows(_interleave(direction.numpy().ravel(), address.seed), layout)
            labels = best_path(correlate(rows, spectrum), register)
        else:
            labels = best_path_in_windows(_correlate_on_device(direction, address.seed, spectrum, layout), register)
        return to_integer(labels.astype(np.int64), self.branch_bits), self._shape_noise(
            address.seed, carrier, register, labels
        ).reshape(shape)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int) -> Tensor:
        """Walks the register through the symbols."""
        if bits == 0:
            return plain_noise(address, shape)
        carrier = _carrier(address, int(np.prod(shape)))
        layout = self.layout(carrier.size, bits)
        register = Register(layout.states, self.branch_bits, layout.length)
        labels = to_labels(symbols, layout.stages, self.branch_bits).astype(np.uint8)
        return self._shape_noise(address.seed, carrier, register, labels).reshape(shape)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool) -> None:
        """Computes noise, and base spectra for a search, ahead; the next `choose` or `noise` finds them."""
        dims = int(np.prod(shape))
        if bits and search:
            _base_spectrum(address, dims, self.layout(dims, bits))
        elif bits:
            _carrier(address, dims)

    def _shape_noise(self, seed: int, carrier: np.ndarray, register: Register, labels: np.ndarray) -> Tensor:
        shaped, n = carrier.copy(), register.length
        for stage, k in enumerate(register.walk(labels)):
            source, row, shift = carrier[stage * n : stage * n + n], shaped[stage * n : stage * n + n], k % n
            row[shift:], row[:shift] = source[: n - shift], source[n - shift :]
            if k >= n:
                np.negative(row, out=row)
        return torch.from_numpy(_scatter(shaped, seed))


@lru_cache(maxsize=2)
def _carrier(address: NoiseAddress, count: int) -> Float32[np.ndarray, "count"]:
    return normals(address, count)


@lru_cache(maxsize=2)
def _base_spectrum(address: NoiseAddress, count: int, layout: TrellisLayout) -> Complex64[np.ndarray, "l k"]:
    return np.conj(scipy.fft.rfft(_rows(_carrier(address, count), layout), axis=1))


def _rows(values: np.ndarray, layout: TrellisLayout) -> Float32[np.ndarray, "l n"]:
    return values[: layout.stages * layout.length].reshape(layout.stages, layout.length)


def correlate(rows: Float32[np.ndarray, "l n"], base_spectrum: Complex64[np.ndarray, "l k"]) -> Float32[np.ndarray, "l n"]:
    """Inner products of each row with all circular shifts of its base sequence.

    `base_spectrum` is the conjugate of the transform of the base sequences along their rows.
    """
    spectrum = scipy.fft.rfft(rows, axis=1)
    spectrum *= base_spectrum
    return scipy.fft.irfft(spectrum, n=rows.shape[1], axis=1)


def _correlate_on_device(direction: Tensor, seed: int, base_spectrum: np.ndarray, layout: TrellisLayout) -> Tensor:
    order, sign = _mixing_on(direction.device, seed, direction.numel())
    mixed = direction.float().ravel()[order] * sign
    rows = mixed[: layout.stages * layout.length].view(layout.stages, layout.length)
    spectrum = torch.fft.rfft(rows) * torch.from_numpy(base_spectrum).to(direction.device)
    return torch.fft.irfft(spectrum, n=layout.length)


@lru_cache(maxsize=1)
def _mixing_on(device: torch.device, seed: int, dims: int) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(permutation(seed, dims)).to(device), torch.from_numpy(signs(seed, dims)).to(device)


def _interleave(values: np.ndarray, seed: int) -> np.ndarray:
    mixed = values.take(permutation(seed, values.size))
    mixed *= signs(seed, values.size)
    return mixed


def _scatter(mixed: np.ndarray, seed: int) -> np.ndarray:
    mixed *= signs(seed, mixed.size)
    return mixed.take(inverse_permutation(seed, mixed.size))
