"""Videos that no container holds: folders of pictures, cuts and scalings, and 4:2:0 planes by OpenCV's matrix."""

import logging
import re
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Protocol, final

import numpy as np
from PIL import Image

from rfcodec.errors import FrameSizeError, VideoReadError
from rfcodec.types import Frame, Frames, RawLayout, VideoFormat
from rfcodec.video.colour import Plane, Planes, planes_of, split_planes
from rfcodec.video.filters import shown_frames
from rfcodec.video.probe import probe
from rfcodec.video.raw import frame_bytes
from rfcodec.video.reader import DEFAULT_FPS, ReadOptions, Video, check_span, open_video
from rfcodec.video.source import Source, read_errors
from rfcodec.video.still import look_at, open_still

log = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".ppm", ".pgm", ".tga", ".jp2")
_PATTERN = re.compile(r"%(0?)(\d*)d")

# Of OpenCV (modules/imgproc): fixed-point coefficients of COLOR_YUV2RGB, 14 bits, and of its linear resize, 11 bits.
YUV_SHIFT = 14
V_TO_R, U_TO_G, V_TO_G, U_TO_B = 18678, -6472, -9519, 33292
RESIZE_ONE = 1 << 11


@final
class Pictures:
    """Picture files of one size as a video, one frame each; `name` is what messages call them.

    Headers are read at once, a picture when its frame is. Raises VideoReadError where there is none or one is damaged,
    FrameSizeError where sizes differ.
    """

    def __init__(self, files: Sequence[Path], name: str, fps: Fraction | None = None) -> None:
        if not files:
            raise VideoReadError(f"{name}: holds no pictures; legal suffixes: {', '.join(PICTURES)}")
        looks = [look_at(file) for file in files]
        self._files, self._size = files, looks[0].size
        for file, look in zip(files, looks, strict=True):
            self._check(file, look.size)
        for note, count in Counter(note for look in looks for note in look.notes).items():
            log.info("%s: %d of %d pictures: %s", name, count, len(files), note)
        if fps is None and len(files) > 1:
            log.info("%s: %d pictures at %s frames per second; --fps takes another speed", name, len(files), DEFAULT_FPS)
        self.format = VideoFormat(*self._size, len(files), fps or DEFAULT_FPS)

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop); raises FrameRangeError outside 0 <= start < stop <= num_frames."""
        check_span(start, stop, self.format.num_frames)
        return np.stack([self._picture(file) for file in self._files[start:stop]])

    def _picture(self, file: Path) -> Frame:
        picture = open_still(file)
        self._check(file, (picture.shape[1], picture.shape[0]))
        return picture

    def _check(self, file: Path, size: tuple[int, int]) -> None:
        if size != self._size:
            found, first = (f"{width}x{height}" for width, height in (size, self._size))
            raise FrameSizeError(f"{file}: has {found} pixels, {self._files[0].name} has {first}; all must have one size")


def picture_folder(folder: Path, fps: Fraction | None = None) -> Pictures:
    """The pictures of a folder as a video; raises what `Pictures` raises."""
    return Pictures(list_pictures(folder), str(folder), fps)


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, numbers in their names by value: im2.png comes before im10.png."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith("."))
    return sorted(found, key=lambda path: _natural(path.name))


def is_pattern(path: Path) -> bool:
    """Whether a name such as %04d.png stands for numbered pictures."""
    return path.suffix.lower() in PICTURES and len(_PATTERN.findall(path.name)) == 1


def list_pattern(path: Path) -> list[Path]:
    """The pictures that a pattern stands for, from the lowest number on; raises VideoReadError where one is missing."""
    (padded, digits) = _PATTERN.findall(path.name)[0]
    before, after = (part.replace("%%", "%") for part in _PATTERN.sub("\0", path.name).split("\0"))
    least = int(digits or 1)
    number = rf"\d{{{least},}}" if padded else r"\d+"
    name = re.compile(re.escape(before) + f"({number})" + re.escape(after))
    folder = path.parent
    matches = (name.fullmatch(file.name) for file in (folder.iterdir() if folder.is_dir() else ()))
    numbered = {int(match[1]): folder / match[0] for match in matches if match}
    if not numbered:
        raise VideoReadError(f"{path}: no file has such a name")
    for at in range(min(numbered), max(numbered)):
        if at not in numbered:
            raise VideoReadError(f"{path}: number {at} is missing between {min(numbered)} and {max(numbered)}")
    return [numbered[at] for at in sorted(numbered)]


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if number % 2 else (0, part) for number, part in enumerate(parts)]


@final
class View:
    """Frames A <= i < B of a video, `frames = (A, B)`, each scaled to (width, height) by Pillow's Lanczos filter.

    Raises FrameRangeError where the video has fewer frames.
    """

    def __init__(
        self, video: Video, frames: tuple[int | None, int | None] = (None, None), size: tuple[int, int] | None = None
    ) -> None:
        start, stop = frames[0] or 0, video.format.num_frames if frames[1] is None else frames[1]
        check_span(start, stop, video.format.num_frames)
        self._video, self._start, self._size = video, start, size
        self.format = replace(video.format, num_frames=stop - start)
        self.format = self.format.scaled(*size) if size else self.format

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop) of the view; raises FrameRangeError outside 0 <= start < stop <= num_frames."""
        check_span(start, stop, self.format.num_frames)
        if self._size is None:
            return self._video.read(self._start + start, self._start + stop)
        return np.stack([self._scaled(self._start + number) for number in range(start, stop)])

    def _scaled(self, number: int) -> Frame:
        # one at a time, so that no more than one large frame is held
        image = Image.fromarray(self._video.read(number, number + 1)[0])
        return np.asarray(image.resize((self.format.width, self.format.height), Image.Resampling.LANCZOS))


class PlaneReader(Protocol):
    """Where 8-bit 4:2:0 planes come from."""

    format: VideoFormat

    def planes(self, number: int) -> Planes:
        """Y, U and V of one frame; chroma planes of odd sizes are rounded up."""
        ...


@final
class OpencvVideo:
    """4:2:0 planes as RGB the way scripts around OpenCV make it, whatever matrix and range the video says it has."""

    def __init__(self, source: PlaneReader) -> None:
        self.format = source.format
        self._source = source

    def read(self, start: int, stop: int) -> Frames:
        """Frames [start, stop); raises FrameRangeError outside 0 <= start < stop <= num_frames."""
        check_span(start, stop, self.format.num_frames)
        frames = np.empty((stop - start, self.format.height, self.format.width, 3), np.uint8)
        for frame, number in zip(frames, range(start, stop), strict=True):
            frame[...] = opencv_rgb(*self._source.planes(number))
        return frames


@final
class RawPlanes:
    """The planes of a raw yuv420p file of 8 bits, read where they lie."""

    def __init__(self, path: Path, layout: RawLayout) -> None:
        with closing(open_video(path, frames=(0, 1), reading=ReadOptions(layout))):
            count = path.stat().st_size // frame_bytes(layout)
        self.format = VideoFormat(layout.width, layout.height, count, layout.fps)
        self._path, self._frame_bytes = path, frame_bytes(layout)

    def planes(self, number: int) -> Planes:
        """Y, U and V of one frame."""
        data = np.fromfile(self._path, np.uint8, self._frame_bytes, offset=number * self._frame_bytes)
        if len(data) < self._frame_bytes:
            raise VideoReadError(f"{self._path}: ended before frame {number}; was it changed while being read?")
        return split_planes(data, self.format.width, self.format.height)


@final
class FilePlanes:
    """The planes of any other video file, decoded in order; a step back by more than one frame begins anew."""

    def __init__(self, path: Path) -> None:
        source = Source(path, ReadOptions())
        source.check()
        self._found = probe(source, None)
        self.format = self._found.format
        self._path, self._next = path, 0
        self._frames = self._decode()
        self._last: Planes | None = None

    def planes(self, number: int) -> Planes:
        """Y, U and V of one frame; raises VideoReadError where the file is damaged."""
        if number < self._next - 1:
            self._frames.close()
            self._frames, self._next = self._decode(), 0
        while self._next <= number:
            self._last = next(self._frames, None)
            self._next += 1
        if self._last is None:
            raise VideoReadError(f"{self._path}: ended before frame {number}; was it changed while being read?")
        return self._last

    def _decode(self) -> Generator[Planes]:
        with read_errors(self._path):
            for frame in shown_frames(self._found, [], 0):
                same = frame.format.name in ("yuv420p", "yuvj420p")
                yield planes_of(frame if same else frame.reformat(format="yuv420p"))


def opencv_rgb(y: Plane, u: Plane, v: Plane) -> Frame:
    """cv2.cvtColor(COLOR_YUV2RGB) of planes whose chroma cv2.resize has scaled up, to the bit.

    R = Y + 1.140 V', G = Y - 0.395 U' - 0.581 V', B = Y + 2.032 U' with U' = U - 128, V' = V - 128: the analogue matrix
    in full range, neither BT.601 nor BT.709 of limited range, which nearly all 4:2:0 video is in.
    """
    luma = y.astype(np.int32)
    blue, red = (opencv_resize(plane, *y.shape).astype(np.int32) - 128 for plane in (u, v))
    channels = (V_TO_R * red, U_TO_G * blue + V_TO_G * red, U_TO_B * blue)
    half = 1 << (YUV_SHIFT - 1)
    return np.stack([np.clip(luma + ((c + half) >> YUV_SHIFT), 0, 255).astype(np.uint8) for c in channels], axis=-1)


def opencv_resize(plane: Plane, height: int, width: int) -> Plane:
    """cv2.resize(INTER_LINEAR) of 8-bit samples, to the bit: two passes in fixed point, the second of which truncates."""
    left, right, share = _taps(plane.shape[1], width)
    samples = plane.astype(np.int32)
    rows = (samples[:, left] * (RESIZE_ONE - share) + samples[:, right] * share) >> 4
    above, below, share = _taps(plane.shape[0], height)
    share = share[:, None]
    return ((((rows[above] * (RESIZE_ONE - share)) >> 16) + ((rows[below] * share) >> 16) + 2) >> 2).astype(np.uint8)


@lru_cache(maxsize=16)
def _taps(size: int, scaled: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two neighbours of each new sample, and the second one's share in parts of 2048; centres of pixels agree."""
    place = (np.arange(scaled) + 0.5) * size / scaled - 0.5
    first = np.floor(place).astype(np.int64)
    share = np.rint((place - first) * RESIZE_ONE).astype(np.int32)
    return np.clip(first, 0, size - 1), np.clip(first + 1, 0, size - 1), share
