"""Words of a command line or a description, turned into values."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rfcodec.errors import ConfigError
from rfcodec.errors import printable as printable
from rfcodec.support.speed import parse_speed

if TYPE_CHECKING:
    from rfcodec.types import RawLayout


AMOUNTS = " KMGT"


def parse_frames(text: str) -> tuple[int | None, int | None]:
    """Frames A:B, A: or :B; raises ConfigError."""
    first, colon, last = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(first) if first else None, int(last) if last else None
    except ValueError:
        raise ConfigError(f"--frames is {text!r}; write A:B, A: or :B with whole numbers") from None


def parse_size(text: str) -> tuple[int, int]:
    """Width and height from WxH; raises ConfigError."""
    try:
        width, height = text.lower().split("x")
        return int(width), int(height)
    except ValueError:
        raise ConfigError(f"a size is {text!r}; write WxH, such as 426x240") from None


def parse_raw(text: str) -> "RawLayout":
    """Size, speed and pixel format of raw video from WxH[@FPS][:PIXELS]; raises ConfigError, InputError."""
    from rfcodec.types import RawLayout  # NumPy is not loaded for --help

    shape, _, pixels = text.partition(":")
    size, _, fps = shape.partition("@")
    try:
        return RawLayout(*parse_size(size), parse_speed(fps or "25"), pixels or "yuv420p")
    except ConfigError:
        raise ConfigError(f"--raw is {text!r}; write WxH@FPS:PIXELS, such as 352x288@30:yuv420p10le") from None


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Names and values from name=value, numbers as numbers; raises ConfigError."""
    return {name: _number(value) for name, value in parse_words(pairs).items()}


def parse_amount(text: str) -> int:
    """A whole number, or one with K, M, G or T behind it for powers of 1024, such as 4G; raises ConfigError."""
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in AMOUNTS else (text, "")
    try:
        amount = Fraction(number) * (1024 ** AMOUNTS.find(unit) if unit else 1)
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"an amount is {text!r}; write a number, such as 500000, 64M or 4G") from None
    return int(amount)


def spelt(name: str, legal: Iterable[str]) -> str:
    """The legal word that differs from `name` in small and capital letters alone; `name` where there is none."""
    return next((word for word in legal if word.casefold() == name.casefold()), name)


def nearest(name: str, legal: Iterable[str]) -> str:
    """A remark that names the legal word nearest to `name`; empty where none is near."""
    found = get_close_matches(name, list(legal), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def parse_words(pairs: Sequence[str]) -> dict[str, str]:
    """Names and values from name=value; raises ConfigError."""
    words = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ConfigError(f"a setting is {pair!r}; write field=value, such as trajectory.steps=8")
        words[name] = value
    return words


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
