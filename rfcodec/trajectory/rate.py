"""The rate plan: from one number to the bytes of each GOP and the bits of each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rfcodec.config import EncoderConfig
from rfcodec.errors import ConfigError
from rfcodec.protocols import Codebook, Shape
from rfcodec.types import GopSpan, VideoFormat

UNIT = 1000  # weights are counted in thousandths of a frame, so that shares are exact


def file_budget(config: EncoderConfig, video: VideoFormat) -> int | None:
    """The budget in bytes, from whichever of bpp, kbps and bytes is set; bpp counts pixels of the frames shown.

    None where none is set; raises ConfigError where several are.
    """
    given = {"bpp": config.bpp, "kbps": config.kbps, "bytes": config.bytes}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise ConfigError(f"bpp, kbps and bytes are words for one budget: give one of them, not {' and '.join(chosen)}")
    if not chosen:
        return None
    if config.bytes is not None:
        return config.bytes
    if config.bpp is not None:
        return int(Fraction(str(config.bpp)) * video.pixels / 8)
    return int(Fraction(str(config.kbps)) * 1000 * video.num_frames / video.fps / 8)


@dataclass(frozen=True)
class GopBudget:
    """Bytes that one GOP may take: in total, for its reference frames, and for the correction of its carried frames.

    `share` is the GOP's part of all GOPs' bytes, `reference_share` the references' part of the GOP's.
    """

    total: int
    references: int
    correction: int
    share: Fraction
    reference_share: Fraction


@dataclass(frozen=True)
class RatePlan:
    """Shares of GOPs, fixed before anything is coded: one for each frame shown, reference_weight GOPs for a reference."""

    budgets: tuple[GopBudget, ...]

    @classmethod
    def make(cls, spans: Sequence[GopSpan], available: int, config: EncoderConfig) -> "RatePlan":
        """Splits `available` bytes, none if negative, over the GOPs."""
        available = max(available, 0)
        longest = max(span.num_shown for span in spans)
        per_reference = round(config.reference_weight * longest * UNIT)
        weights = [span.num_shown * UNIT + span.references * per_reference for span in spans]
        budgets, done, whole = [], 0, sum(weights)
        for span, weight in zip(spans, weights, strict=True):
            total = available * (done + weight) // whole - available * done // whole
            references = total * span.references * per_reference // weight
            correction = int((total - references) * config.correction_share) if span.carried else 0
            shares = Fraction(weight, whole), Fraction(span.references * per_reference, weight)
            budgets.append(GopBudget(total, references, correction, *shares))
            done += weight
        return cls(tuple(budgets))


@dataclass(frozen=True)
class Steps:
    """Coded steps of a GOP, and how their bits grow: step k has a share (k + 1)^ramp, ramp 0 being even."""

    count: int
    ramp: int

    @property
    def weights(self) -> list[int]:
        """(k + 1)^ramp of each step k; a step's share is its weight over the sum."""
        return [(k + 1) ** self.ramp for k in range(self.count)]


def split_bits(codebook: Codebook, shape: Shape, total: int, steps: Steps) -> tuple[int, ...]:
    """Bits of each coded step out of `total`: by weight, the most that the codebook can use, and at least its fewest.

    From the last step to the first, so that earlier steps get what a full step leaves. Integers alone, the same on both
    sides.
    """
    weights, least = steps.weights, codebook.least_bits(shape)
    widths, left = [0] * steps.count, total
    for k in range(steps.count - 1, -1, -1):
        share = left * weights[k] // sum(weights[: k + 1])
        widths[k] = codebook.usable_bits(shape, min(max(share, least), max(left - k * least, 0)))
        left -= widths[k]
    return tuple(widths)


def announced_bits(codebook: Codebook, shape: Shape, total: int, steps: Steps) -> int:
    """The symbol_bits of a header for `total` bits: the bits that are spent, where these split alike, else `total`."""
    widths = split_bits(codebook, shape, total, steps)
    return sum(widths) if split_bits(codebook, shape, sum(widths), steps) == widths else total
