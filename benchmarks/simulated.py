"""The top-M codebook simulated: exact in distribution, at a millionth of its cost.

Inner products of K white atoms with a fixed direction are K independent normals, and the rest of each atom is white in
the complement: so the chosen noise can be drawn without drawing the codebook.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from codebooks.topm import TopMCodebook
from rfcodec.protocols import Shape
from rfcodec.types import NoiseAddress


@final
@dataclass(frozen=True)
class SimulatedTopM:
    """Chooses as TopMCodebook does, in distribution; it can encode for measuring, never decode."""

    ID: ClassVar[int] = 127
    efficiency: ClassVar[float] = TopMCodebook.efficiency
    real: TopMCodebook

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """As the real one."""
        return self.real.usable_bits(shape, bits)

    def least_bits(self, shape: Shape) -> int:
        """As the real one."""
        return self.real.least_bits(shape)

    def noise(self, address: NoiseAddress, shape: Shape, bits: int, symbols: int) -> Tensor:
        """Plain white noise."""
        return torch.from_numpy(self._white(address, 0, int(np.prod(shape)))).reshape(shape)

    def prepare(self, address: NoiseAddress, shape: Shape, bits: int, search: bool) -> None:
        """Nothing."""

    def choose(self, address: NoiseAddress, direction: Tensor, bits: int) -> tuple[int, Tensor]:
        """The sum of the M best of K, part by part."""
        axis = direction.shape[1] if self.real.per_frame else 1
        parts = np.split(direction.numpy(), axis, axis=1)
        m = self.real.atoms_for(bits // len(parts))
        pieces = [self._piece(address, i + 1, part, m) for i, part in enumerate(parts)]
        return 0, torch.from_numpy(np.concatenate(pieces, axis=1))

    def _piece(self, address: NoiseAddress, part: int, wanted: np.ndarray, m: int) -> np.ndarray:
        unit = (wanted / np.linalg.norm(wanted)).ravel()
        products = np.random.default_rng([address.seed, address.step, part]).standard_normal(self.real.k)
        along = float(np.sort(np.abs(products))[-m:].sum())
        rest = self._white(address, part, unit.size) * np.float32(np.sqrt(m))
        z = rest + np.float32(along - float(unit @ rest)) * unit
        return (z / z.std()).reshape(wanted.shape).astype(np.float32)

    def _white(self, address: NoiseAddress, part: int, count: int) -> np.ndarray:
        generator = np.random.default_rng([address.seed, address.step, part, 1])
        return generator.standard_normal(count, dtype=np.float32)
