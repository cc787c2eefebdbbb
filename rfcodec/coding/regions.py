"""Regions of interest: a mask, as a picture or a video, that weights the choice of noise; the decoder does not need it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rfcodec.coding.engine import Engine
from rfcodec.errors import FrameRangeError, InputError
from rfcodec.types import Frames, GopSpan, VideoFormat
from rfcodec.video.reader import ArrayVideo, Video, open_video

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm")  # all else is read as a video
EIGHT_BITS = ("1", "L", "LA", "P", "RGB", "RGBA")
PICTURE_FAULTS = (OSError, ValueError, Image.DecompressionBombError)  # Pillow's errors for a file that is no picture


def open_mask(roi: Any, video: VideoFormat) -> Video | None:
    """The mask of a video, white in the region of interest, scaled to the size of the video; None where there is none.

    `roi` is a picture for all frames or a video of as many frames (paths), or an array y x, t y x or t y x 3, uint8.
    Raises InputError, FrameRangeError.
    """
    if roi is None:
        return None
    if isinstance(roi, np.ndarray):
        mask: Video = ArrayVideo(_as_frames(roi))
    elif isinstance(roi, str | Path):
        mask = _open(Path(roi), video)
    else:
        raise InputError(f"a mask is a path or an array of uint8, not {type(roi).__name__}")
    found = mask.format
    if (found.width, found.height) != (video.width, video.height):
        raise InputError(f"the mask is {found.width}x{found.height}, the video {video.width}x{video.height}: scale the mask")
    if found.num_frames not in (1, video.num_frames):
        raise FrameRangeError(
            f"the mask has {found.num_frames} frames, {video.num_frames} are encoded: give one picture, or a frame for each"
        )
    return mask


def region_weights(engine: Engine, mask: Video, span: GopSpan, gain: float) -> Tensor:
    """Weights 1 f h w over the latents of a GOP: 1 where the mask is black, `gain` where it is white."""
    still = mask.format.num_frames == 1
    frames = mask.read(0, 1).repeat(span.num_frames, axis=0) if still else mask.read(span.start, span.stop)
    share = torch.from_numpy(engine.pad(frames).astype(np.float32).mean(3) / 255)
    geometry = engine.backbone.geometry
    cells = torch.nn.functional.avg_pool2d(share[:, None], geometry.spatial)[:, 0]
    groups = torch.cat([cells[:1], cells[1:].unflatten(0, (-1, geometry.temporal)).mean(1)]) if len(cells) > 1 else cells
    return 1 + (gain - 1) * groups[None]


def _as_frames(mask: np.ndarray) -> Frames:
    if mask.dtype != np.uint8 or mask.ndim not in (2, 3, 4):
        raise InputError(f"a mask is uint8, y x or t y x or t y x 3; this one is {mask.dtype} of shape {mask.shape}")
    frames = mask[None] if mask.ndim == 2 else mask
    return frames if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=3)


def _open(path: Path, video: VideoFormat) -> Video:
    if path.suffix.lower() not in PICTURES:
        return open_video(path, size=(video.width, video.height))
    try:
        with Image.open(path) as picture:
            if getattr(picture, "n_frames", 1) > 1 or picture.mode not in EIGHT_BITS:
                raise InputError(f"the mask {path} is no single picture of 8 bits: convert it")
            scaled = picture.convert("RGB").resize((video.width, video.height), Image.Resampling.BOX)
    except PICTURE_FAULTS as error:
        raise InputError(f"the mask {path} cannot be read as a picture: {error}") from error
    return ArrayVideo(np.asarray(scaled)[None])
