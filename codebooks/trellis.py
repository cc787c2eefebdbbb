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
from codebooks.mixing import Mixing
from codebooks.viterbi import Register, best_path, best_path_in_windows
from rfcodec.bitstream.fields import uint
from rfcodec.noise import normals
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress

STATES_PER_COORDINATE = 16  # a stage of n coordinates has at most 16 n states, which bounds the search (docs/adr/0009)
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
class PreparedTrellis:
    """What a coded step needs beside its direction or symbols; `spectrum` is None for a replay. Arrays are read-only."""

    mixing: Mixing
    carrier: Float32[np.ndarray, "count"]
    spectrum: Complex64[np.ndarray, "l k"] | None


@final
@dataclass(frozen=True)
class TrellisCodebook:
    """Best path through circular shifts of seeded sequences, the default: 0.93 to 0.94 of the bound at 300 to 8640 bits.

    Stage l owns n seeded normals; its atoms are their circular shifts with both signs. They label the branches of a shift
    register (codebooks/viterbi.py), each atom many branches. The symbols are the register's inputs, q bits a stage.
    Costs D log D, and S 2^q <= 16 n 2^q a stage: a fixed number of operations per coordinate.
    """

    ID: ClassVar[int] = 1
    efficiency: ClassVar[float] = 0.93  # docs/coding.md, section 2
    branch_bits: int = uint("bits a stage, q", 1, 6, default=2)
    memory: int = uint("log2 of the most states of the register", 1, 20, default=14)

    def layout(self, dims: int, bits: int) -> TrellisLayout:
        """The layout for `bits` > 0, a multiple of q, over `dims` coordinates; a rule of integers alone."""
        stages = bits // self.branch_bits
        length = fast_length(dims // stages)
        states = min(max(self.memory, self.branch_bits), (STATES_PER_COORDINATE * length).bit_length() - 1)
        return TrellisLayout(stages, length, 1 << states)

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """q bits for each whole stage, each of at least 2^(2 q - 1) coordinates."""
        most = int(np.prod(shape)) >> (2 * self.branch_bits - 1)
        return min(bits // self.branch_bits, most) * self.branch_bits

    def least_bits(self, shape: Shape) -> int:
        """q, the bits of one stage."""
        return self.branch_bits

    def prepare(
        self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: PreparedTrellis | None = None
    ) -> PreparedTrellis | None:
        """Plain noise and, for a search, the base spectra of its stages; takes over the mixing of the step before."""
        return self._prepared(address, shape, bits, search, before) if bits else before

    def choose(
        self, address: NoiseAddress, direction: Tensor, bits: int, prepared: PreparedTrellis | None = None
    ) -> tuple[int, Tensor]:
        """Viterbi search for the path with the largest inner product with `direction`, on the device of `direction`."""
        shape = tuple(direction.shape)
        if bits == 0:
            return 0, plain_noise(address, shape)
        ready = prepared or self._prepared(address, shape, bits, search=True)
        layout = self.layout(direction.numel(), bits)
        register = Register(layout.states, self.branch_bits, layout.length)
        spectrum = base_spectrum(ready.carrier, layout) if ready.spectrum is None else ready.spectrum
        if direction.device.type == "cpu":
            rows = _rows(ready.mixing.mix(direction.numpy().ravel()), layout)
            labels = best_path(correlate(rows, spectrum), register)
        else:
            labels = best_path_in_windows(_correlate_on_device(direction, ready.mixing, spectrum, layout), register)
        z = self._shape_noise(ready, register, labels)
        return to_integer(labels.astype(np.int64), self.branch_bits), z.reshape(shape)

    def noise(
        self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: PreparedTrellis | None = None
    ) -> Tensor:
        """The noise of the path that the symbols name: plain noise, rotated and negated stage by stage."""
        if bits == 0:
            return plain_noise(address, shape)
        ready = prepared or self._prepared(address, shape, bits, search=False)
        layout = self.layout(ready.carrier.size, bits)
        register = Register(layout.states, self.branch_bits, layout.length)
        labels = to_labels(symbols, layout.stages, self.branch_bits).astype(np.uint8)
        return self._shape_noise(ready, register, labels).reshape(shape)

    def _prepared(
        self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: PreparedTrellis | None = None
    ) -> PreparedTrellis:
        dims = int(np.prod(shape))
        mixing = Mixing.following(before.mixing if before else None, address.seed, dims)
        carrier = normals(address, dims)
        carrier.flags.writeable = False
        return PreparedTrellis(mixing, carrier, base_spectrum(carrier, self.layout(dims, bits)) if search else None)

    def _shape_noise(self, ready: PreparedTrellis, register: Register, labels: np.ndarray) -> Tensor:
        carrier, n = ready.carrier, register.length
        shaped = carrier.copy()
        for stage, k in enumerate(register.walk(labels)):
            source, row, shift = carrier[stage * n : stage * n + n], shaped[stage * n : stage * n + n], k % n
            row[shift:], row[:shift] = source[: n - shift], source[n - shift :]
            if k >= n:
                np.negative(row, out=row)
        return torch.from_numpy(ready.mixing.unmix(shaped))


def base_spectrum(carrier: Float32[np.ndarray, "count"], layout: TrellisLayout) -> Complex64[np.ndarray, "l k"]:
    """The conjugate of the transform of the base sequences along their rows; read-only."""
    spectrum = np.conj(scipy.fft.rfft(_rows(carrier, layout), axis=1))
    spectrum.flags.writeable = False
    return spectrum


def _rows(values: np.ndarray, layout: TrellisLayout) -> Float32[np.ndarray, "l n"]:
    return values[: layout.stages * layout.length].reshape(layout.stages, layout.length)


def correlate(rows: Float32[np.ndarray, "l n"], spectrum: Complex64[np.ndarray, "l k"]) -> Float32[np.ndarray, "l n"]:
    """Inner products of each row with all circular shifts of its base sequence, from its `base_spectrum`."""
    product = scipy.fft.rfft(rows, axis=1)
    product *= spectrum
    return scipy.fft.irfft(product, n=rows.shape[1], axis=1)


def _correlate_on_device(direction: Tensor, mixing: Mixing, spectrum: np.ndarray, layout: TrellisLayout) -> Tensor:
    order, sign = (torch.tensor(array, device=direction.device) for array in (mixing.order, mixing.signs))
    mixed = direction.float().ravel()[order] * sign
    rows = mixed[: layout.stages * layout.length].view(layout.stages, layout.length)
    return torch.fft.irfft(torch.fft.rfft(rows) * torch.tensor(spectrum, device=direction.device), n=layout.length)
