"""Raw video: which layouts of samples there are, how long a frame is, and what would fit a file."""

from dataclasses import replace
from functools import lru_cache

from av.video import format as formats
from av.video.format import VideoFormat

from rfcodec.errors import InputError
from rfcodec.support.words import nearest
from rfcodec.types import RawLayout

# tried on a file that does not fit
_SIZES = (
    (176, 144), (320, 240), (352, 288), (416, 240), (426, 240), (480, 270), (640, 360), (640, 480), (704, 576), (720, 480),
    (720, 576), (832, 480), (854, 480), (960, 540), (1024, 768), (1280, 720), (1920, 1080), (2048, 1080), (2560, 1440),
    (2560, 1600), (3840, 2160), (4096, 2160), (7680, 4320),
)  # fmt: skip
_PIXELS = (
    *("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
    *("nv12", "p010le", "gray", "gray10le", "rgb24", "rgb48le", "rgba", "yuyv422"),
)
_SHOWN = 6
NAMES: set[str] = vars(formats)["names"]  # PyAV does not annotate it


def check_pixels(pixels: str) -> str:
    """FFmpeg's whole name of a layout of samples, such as yuv420p10le for yuv420p10; raises InputError.

    Legal: 8 to 16 bits a sample, whole bytes each, without a palette.
    """
    legal = _legal()
    if pixels not in legal:
        words = f"{', '.join(_PIXELS)} and others of 8 to 16 bits a sample that FFmpeg knows"
        raise InputError(f"pixel format {pixels!r} cannot be read as raw video{nearest(pixels, legal)}; legal: {words}")
    return legal[pixels]


def frame_bytes(layout: RawLayout) -> int:
    """Bytes of one frame: all its samples, chroma of odd sizes rounded up; raises InputError."""
    pixels = VideoFormat(check_pixels(layout.pixels), layout.width, layout.height)
    shared = not pixels.is_planar and pixels.components[1:] and pixels.components[1].width < layout.width
    # two pixels beside each other share their chroma in one group of bytes
    return _frame_bytes(VideoFormat(pixels.name, layout.width + layout.width % 2, layout.height) if shared else pixels)


def fitting(layout: RawLayout, length: int) -> str:
    """Words that name the layouts, like the one given, of which a file of `length` bytes holds whole frames."""
    others = [replace(layout, pixels=pixels) for pixels in _PIXELS]
    others += [replace(layout, width=width, height=height) for width, height in _SIZES]
    found = [f"{at.width}x{at.height}:{at.pixels}" for at in others if length and length % frame_bytes(at) == 0]
    return f"would fit: {', '.join(found[:_SHOWN])}" if found else "no common size or pixel format would fit"


def _frame_bytes(pixels: VideoFormat) -> int:
    return sum(component.width * component.height * -(-component.bits // 8) for component in pixels.components)


@lru_cache
def _legal() -> dict[str, str]:
    """All names of legal layouts, those without the order of bytes too, and FFmpeg's name of each."""
    whole = {name for name in NAMES if _is_legal(VideoFormat(name, 16, 16))}
    short = {name[:-2] for name in whole if name.endswith(("le", "be"))}
    return {name: VideoFormat(name, 16, 16).name for name in sorted(whole | short - NAMES)}


def _is_legal(pixels: VideoFormat) -> bool:
    # what has bits that are no component's, or lie across bytes, is longer or shorter than its samples
    plain = bool(pixels.components) and all(8 <= component.bits <= 16 for component in pixels.components)
    whole = plain and 8 * _frame_bytes(pixels) == 16 * 16 * pixels.padded_bits_per_pixel
    return whole and not pixels.has_palette and not pixels.is_bit_stream and pixels.name != "uyyvyy411"
