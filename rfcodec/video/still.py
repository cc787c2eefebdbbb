"""One picture as 8-bit RGB: upright, transparent parts over black, more bits scaled."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from PIL import Image, ImageOps

from rfcodec.errors import VideoReadError
from rfcodec.types import Frame

_BEHIND = (0, 0, 0, 255)
_ORIENTATION = 0x0112  # of EXIF; 1 is upright
_SIDEWAYS = 5  # from this value on width and height are exchanged
_DEEP = 65535


@final
@dataclass(frozen=True, slots=True)
class Look:
    """What the header of a picture says: (width, height) as shown, and what is done to its pixels."""

    size: tuple[int, int]
    notes: tuple[str, ...]


def look_at(file: Path) -> Look:
    """Reads the header alone; raises VideoReadError."""
    with opened_picture(file) as image:
        turned = image.getexif().get(_ORIENTATION, 1)
        notes = {
            "turned upright as EXIF asks": turned != 1,
            "transparent parts shown over black": image.has_transparency_data,
            "16 bits scaled to 8": image.mode.startswith("I"),
        }
        width, height = image.size
        size = (height, width) if turned >= _SIDEWAYS else (width, height)
        return Look(size, tuple(words for words, true in notes.items() if true))


def open_still(file: Path) -> Frame:
    """The picture in a file; raises VideoReadError."""
    with opened_picture(file) as image:
        return as_rgb(image)


def as_rgb(image: Image.Image) -> Frame:
    """The pixels of a picture of any mode; raises ValueError for samples without a range."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        samples = np.asarray(image)
        if image.mode == "F" or samples.min() < 0 or samples.max() > _DEEP:
            raise ValueError(f"samples of mode {image.mode} have no range that is known; save it with 8 or 16 bits")
        grey = (samples.astype(np.uint32) * 255 + _DEEP // 2) // _DEEP
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, _BEHIND), image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


@contextmanager
def opened_picture(file: Path) -> Iterator[Image.Image]:
    """The open file; turns what Pillow raises into a VideoReadError."""
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise VideoReadError(f"{file}: cannot be read as a picture: {error}") from error
