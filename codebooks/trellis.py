"""The circulant trellis codebook: best path through circular shifts of seeded sequences (docs/maths.md, section 5).

r --permute, sign--> L stages of n --FFT--> inner products with all 2n atoms of a stage --Viterbi--> q bits a stage
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, final

import numpy as np
import scipy.fft
import torch
from jaxtyping import Complex64, Float32, UInt8
from torch import Tensor

from codebooks.philox import inverse_permutation, normals, permutation, signs
from rfcodec.bitstream.fields import uint
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress


@dataclass(frozen=True, slots=True)
class TrellisLayout:
    """Stages L, coordinates a stage n, states S (a power of two)."""

    stages: int
    length: int
    states: int


@lru_cache(maxsize=256)
def five_smooth(limit: int) -> int:
    """The largest integer <= limit with no prime factor above 5, for fast transforms."""
    twos_threes = (2**i * 3**j for i in range(limit.bit_length()) for j in range(limit.bit_length()))
    best = 1
    for part in twos_threes:
        while part <= limit:
            best, part = max(best, part), part * 5
    return best


@final
@dataclass(frozen=True)
class TrellisCodebook:
    """Best path through circular shifts of seeded sequences, the default: 0.86 to 0.92 of the bound.

    Stage l owns n seeded normals; its atoms are their circular shifts with both signs.
    A shift register of 2^nu states with 2^q branches a state labels branch (s, u) with atom s 2^q + u; atom a is the
    shift by a // 2, negated for odd a. The symbols are u, q bits a stage. Costs D log D + 2^(nu + q) a stage.
    """

    ID: ClassVar[int] = 1
    efficiency: ClassVar[float] = 0.88
    branch_bits: int = uint("bits a stage, q", 1, 6, default=2)
    memory: int = uint("log2 of the most states of the register", 1, 12, default=11)

    def layout(self, dims: int, bits: int) -> TrellisLayout:
        """The layout for `bits` > 0, a multiple of q, over `dims` coordinates; a rule of integers alone."""
        stages = bits // self.branch_bits
        length = five_smooth(dims // stages)
        room = (2 * length) >> self.branch_bits
        states = min(1 << max(self.memory, self.branch_bits), 1 << (room.bit_length() - 1))
        return TrellisLayout(stages, length, states)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """Whole stages of at least 2^(2 q - 1) coordinates each, enough for 2^q states."""
        most = int(np.prod(shape)) >> (2 * self.branch_bits - 1)
        return min(bits // self.branch_bits, most) * self.branch_bits

    def least_bits(self, shape: Shape) -> int:
        """One stage."""
        return self.branch_bits

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int) -> tuple[int, Tensor]:
        """Viterbi search for the path with the largest inner product with `direction`."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, self.noise(address, shape, 0, 0)
        layout = self.layout(direction.numel(), bits)
        interleaved = _interleave(direction.cpu().numpy().ravel(), address.seed)
        carrier = _carrier(address, direction.numel())
        rows = interleaved[: layout.stages * layout.length].reshape(layout.stages, layout.length)
        scores = correlate(rows, _base_spectrum(address, carrier.size, layout), layout.states << self.branch_bits >> 1)
        labels = viterbi(scores, layout.states, self.branch_bits)
        symbols = _to_integer(labels, self.branch_bits)
        return symbols, self._shape_noise(address.seed, carrier, layout, labels).reshape(shape)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int) -> Tensor:
        """Walks the register through the symbols."""
        if bits == 0:
            return torch.from_numpy(normals(address, int(np.prod(shape)))).reshape(shape)
        carrier = _carrier(address, int(np.prod(shape)))
        layout = self.layout(carrier.size, bits)
        labels = _to_labels(symbols, layout.stages, self.branch_bits)
        return self._shape_noise(address.seed, carrier, layout, labels).reshape(shape)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool) -> None:
        """Computes noise, and base spectra for a search, ahead; the next `choose` or `noise` finds them."""
        dims = int(np.prod(shape))
        if bits and search:
            _base_spectrum(address, dims, self.layout(dims, bits))
        elif bits:
            _carrier(address, dims)

    def _shape_noise(self, seed: int, carrier: np.ndarray, layout: TrellisLayout, labels: np.ndarray) -> Tensor:
        shaped = carrier.copy()
        rows = shaped[: layout.stages * layout.length].reshape(layout.stages, layout.length)
        base = carrier[: rows.size].reshape(rows.shape)
        for row, source, atom in zip(rows, base, self._atoms(labels, layout.states), strict=True):
            shift = int(atom) >> 1
            row[shift:], row[:shift] = source[: layout.length - shift], source[layout.length - shift :]
            if atom & 1:
                np.negative(row, out=row)
        return torch.from_numpy(_scatter(shaped, seed))

    def _atoms(self, labels: np.ndarray, states: int) -> list[int]:
        atoms, state = [], 0
        for label in labels.tolist():
            atom = state << self.branch_bits | label
            atoms.append(atom)
            state = atom & (states - 1)
        return atoms


@lru_cache(maxsize=2)
def _carrier(address: NoiseAddress, count: int) -> Float32[np.ndarray, "count"]:
    return normals(address, count)


@lru_cache(maxsize=2)
def _base_spectrum(address: NoiseAddress, count: int, layout: TrellisLayout) -> Complex64[np.ndarray, "l k"]:
    base = _carrier(address, count)[: layout.stages * layout.length].reshape(layout.stages, layout.length)
    return np.conj(scipy.fft.rfft(base, axis=1))


def correlate(
    rows: Float32[np.ndarray, "l n"], base_spectrum: Complex64[np.ndarray, "l k"], shifts: int
) -> Float32[np.ndarray, "l shifts"]:
    """Inner products of each row with the first `shifts` circular shifts of its base sequence.

    `base_spectrum` is the conjugate of the transform of the base sequences along their rows.
    """
    spectrum = scipy.fft.rfft(rows, axis=1)
    spectrum *= base_spectrum
    return scipy.fft.irfft(spectrum, n=rows.shape[1], axis=1)[:, :shifts]


def viterbi(scores: Float32[np.ndarray, "l shifts"], states: int, branch_bits: int) -> UInt8[np.ndarray, "l"]:
    """Labels of the best path from state 0; ties go to the smallest predecessor."""
    branches = 1 << branch_bits
    best = np.full(states, -np.inf, np.float32)
    best[0] = 0
    came_from = np.empty((len(scores), states), np.uint8)
    metric = np.empty((scores.shape[1], 2), np.float32)
    by_branch, by_predecessor = metric.reshape(states, branches), metric.reshape(branches, states)
    for stage, score in enumerate(scores):
        metric[:, 0] = score
        np.negative(score, out=metric[:, 1])
        by_branch += best[:, None]
        came_from[stage] = by_predecessor.argmax(0)
        best = by_predecessor.max(0)
    return _trace_back(came_from, int(best.argmax()), branch_bits)


def _trace_back(came_from: np.ndarray, state: int, branch_bits: int) -> UInt8[np.ndarray, "l"]:
    stages, states = came_from.shape
    labels = np.empty(stages, np.uint8)
    for stage in range(stages - 1, -1, -1):
        labels[stage] = state & ((1 << branch_bits) - 1)
        state = (int(came_from[stage, state]) * states + state) >> branch_bits
    return labels


def _interleave(values: np.ndarray, seed: int) -> np.ndarray:
    mixed = values.take(permutation(seed, values.size))
    mixed *= signs(seed, values.size)
    return mixed


def _scatter(mixed: np.ndarray, seed: int) -> np.ndarray:
    mixed *= signs(seed, mixed.size)
    return mixed.take(inverse_permutation(seed, mixed.size))


def _to_integer(labels: np.ndarray, branch_bits: int) -> int:
    bits = np.unpackbits(labels[:, None], axis=1)[:, 8 - branch_bits :].ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big") >> (-bits.size % 8)


def _to_labels(symbols: int, stages: int, branch_bits: int) -> np.ndarray:
    count = stages * branch_bits
    octets = np.frombuffer((symbols << (-count % 8)).to_bytes(-(-count // 8), "big"), np.uint8)
    groups = np.unpackbits(octets, count=count).reshape(stages, branch_bits)
    return np.packbits(groups, axis=1)[:, 0] >> (8 - branch_bits)
