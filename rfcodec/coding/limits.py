"""How much a stream or a source may ask for: decided from its numbers alone, before a backbone is opened."""

import os
from typing import Any

from rfcodec import registry
from rfcodec.backbones.openers import BACKBONES, Described, Facts, Options
from rfcodec.config import RuntimeConfig
from rfcodec.errors import LimitExceeded
from rfcodec.protocols import Backbone
from rfcodec.support.machine import free_memory
from rfcodec.support.words import parse_amount
from rfcodec.types import Geometry, VideoFormat

MOST_PIXELS, MOST_FRAMES = 1 << 26, 1 << 20
SHARE_OF_MEMORY = 0.8
# bytes that are alive at the most while a GOP is decoded, measured with the Gaussian backbones: of a pixel of its frames,
# and of a latent value, whose order in the trellis is a part
PIXEL_BYTES, VALUE_BYTES = 100, 130


def check_limits(video: VideoFormat, gop: int, backbone: tuple[str, Options], runtime: RuntimeConfig) -> None:
    """Raises LimitExceeded where a frame, the number of frames, or the memory that a GOP needs is above its limit.

    `backbone` is its name and its options.
    """
    pixels, frames = video.width * video.height, video.num_frames
    _refuse(f"a frame of {video.width}x{video.height} has {pixels} pixels", pixels, "max_pixels", runtime)
    _refuse(f"the video has {frames} frames", frames, "max_frames", runtime)
    size = min(gop, frames or gop), video.width, video.height
    known = facts(size, backbone, runtime)
    if runtime.device != "cpu":
        known = {**known, "bytes_per_pixel": 0}  # the model's own are on the device
    needed = gop_bytes(size, known)
    _refuse(f"a GOP of {size[0]} frames of {size[1]}x{size[2]} needs about {needed} bytes", needed, "max_memory", runtime)


def check_array(video: VideoFormat, runtime: RuntimeConfig) -> None:
    """Raises LimitExceeded where all frames together are above the limit of memory."""
    needed = 3 * video.pixels
    _refuse(f"all frames in one array need {needed} bytes (`decode` gives them GOP by GOP)", needed, "max_memory", runtime)


def gop_bytes(size: tuple[int, int, int], known: Facts) -> int:
    """About the most bytes that are alive while a GOP of (num_frames, width, height) is coded or decoded.

    PIXEL_BYTES and the backbone's own `bytes_per_pixel` a pixel, VALUE_BYTES a latent value where the geometry is known.
    """
    num_frames, width, height = size
    each = PIXEL_BYTES + known.get("bytes_per_pixel", 0)
    geometry: Geometry | None = known.get("geometry")
    if geometry is None:
        return num_frames * width * height * each
    num_frames, (width, height) = geometry.padded_frames(num_frames), geometry.padded_size(width, height)
    channels, latent_frames, rows, columns = geometry.latent_shape(num_frames, width, height)
    return num_frames * width * height * each + channels * latent_frames * rows * columns * VALUE_BYTES


def facts(size: tuple[int, int, int], backbone: tuple[str, Options], runtime: RuntimeConfig) -> Facts:
    """What is known of a backbone without opening it: geometry and bytes a pixel where it is a registered one, or live."""
    name, options = backbone
    found: Any = name if runtime.weights is None else runtime.weights
    if isinstance(found, Backbone) and not isinstance(found, type):
        return {"geometry": found.geometry}
    if not isinstance(found, str) or found not in registry.names(BACKBONES):
        return {}
    opener = registry.load(BACKBONES, found)
    return opener.describe(options, size) if isinstance(opener, Described) else {}


def limit(name: str, runtime: RuntimeConfig) -> int:
    """A limit: that of the settings, else of the environment, else the default. Raises ConfigError."""
    chosen = getattr(runtime, name)
    if chosen is not None:
        return chosen
    if words := os.environ.get(variable(name)):
        return parse_amount(words)
    return {"max_pixels": MOST_PIXELS, "max_frames": MOST_FRAMES}.get(name) or int(SHARE_OF_MEMORY * free_memory())


def variable(name: str) -> str:
    """The environment variable of a limit."""
    return f"RFCODEC_{name.upper()}"


def _refuse(what: str, asked: int, name: str, runtime: RuntimeConfig) -> None:
    most = limit(name, runtime)
    if asked > most:
        option = "--" + name.replace("_", "-")
        raise LimitExceeded(f"{what}; the limit is {most}: {option}, {variable(name)} or the setting {name} raises it")
