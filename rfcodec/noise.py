"""Addressed noise: counter -> bits -> normals, equal to the last bit on every machine (docs/bitstream.md, section 6).

Philox4x64-10 (Salmon et al. 2011) through NumPy, whose raw integer stream is guaranteed. Key = (seed, domain),
counter = (0, block, step, gop) with the first word counting up; each 64-bit word gives four 16-bit numbers, lowest
first; the number k becomes ndtri((k + 1/2) / 65536), rounded to a multiple of 2^-12.
"""

import hashlib
from enum import IntEnum
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int64, UInt64
from scipy.special import ndtri

from rfcodec.errors import RfcodecError
from rfcodec.types import NoiseAddress

TABLE_SHA256 = "1ea009ce409dac97d6bd609266910f809c5fb912f78e16bd89145b08174d6fc5"
RESOLUTION = 4096  # normals are multiples of 1 / RESOLUTION


class Domain(IntEnum):
    """What a stream of numbers is for; the second word of the key."""

    NOISE = 0
    PERMUTATION = 1
    SIGNS = 2
    ARRIVALS = 3


@lru_cache(maxsize=1)
def normal_table() -> Float32[np.ndarray, "65536"]:
    """The 65536 normals, multiples of 2^-12; raises RfcodecError where SciPy computes another table."""
    quantiles = ndtri((np.arange(65536) + 0.5) / 65536)
    table = np.rint(quantiles * RESOLUTION).astype("<i2")
    found = hashlib.sha256(table.tobytes()).hexdigest()
    if found != TABLE_SHA256:
        raise RfcodecError(
            f"the table of normals has hash {found[:16]}, not {TABLE_SHA256[:16]}: install another SciPy version"
        )
    return _read_only((table / np.float32(RESOLUTION)).astype(np.float32))


def words(address: NoiseAddress, count: int, domain: Domain = Domain.NOISE, start: int = 0) -> UInt64[np.ndarray, "count"]:
    """The words start to start + count - 1 of the 64-bit words at an address."""
    group, skipped = divmod(start, 4)
    counter = np.array([group, address.block, address.step, address.gop], np.uint64)
    generator = np.random.Philox(key=np.array([address.seed, domain], np.uint64), counter=counter)
    return generator.random_raw(skipped + count)[skipped:]


def normals(address: NoiseAddress, count: int, start: int = 0) -> Float32[np.ndarray, "count"]:
    """The standard normals start to start + count - 1 at an address."""
    first, skipped = divmod(start, 4)
    drawn = words(address, -(-(skipped + count) // 4), start=first).astype("<u8", copy=False).view("<u2")
    return normal_table().take(drawn[skipped : skipped + count])


def permutation(seed: int, count: int) -> Int64[np.ndarray, "count"]:
    """A permutation of range(count): the stable argsort of `count` words; read-only."""
    return _read_only(np.argsort(words(NoiseAddress(seed, 0, 0), count, Domain.PERMUTATION), kind="stable"))


def signs_at(address: NoiseAddress, count: int) -> Float32[np.ndarray, "count"]:
    """Signs +1 or -1 at an address: the bits of its words, lowest first, a set bit negative."""
    octets = words(address, -(-count // 64), Domain.SIGNS).astype("<u8", copy=False).view(np.uint8)
    return 1 - 2 * np.unpackbits(octets, count=count, bitorder="little").astype(np.float32)


def signs(seed: int, count: int) -> Float32[np.ndarray, "count"]:
    """The signs of a stream, at (seed, 0, 0); read-only."""
    return _read_only(signs_at(NoiseAddress(seed, 0, 0), count))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
