"""Clips for training: decoded once at a few sizes, then cut at random (docs/tiny.md, section 3)."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from rfcodec.errors import InputError
from rfcodec.support.files import replacing
from rfcodec.types import Frames
from rfcodec.video.reader import open_video

LINES = (144, 240)  # heights that clips are scaled to; to the second only those that have as many
SHAPES = ((9, 128), (17, 96), (33, 64))  # frames and side of a crop: about as many pixels each
CHUNK = 32


@dataclass(frozen=True)
class Crop:
    """Frames of one crop and the name of the clip they are from."""

    clip: str
    frames: Frames


def clip_of(scaled: Path) -> str:
    """The name of the clip that an array was scaled from."""
    return scaled.name.rsplit(".", 2)[0]


def scale_clips(folder: Path, cache: Path) -> list[Path]:
    """Decodes every clip of a folder at each of LINES into `cache`, as arrays t y x 3 of uint8; what is there is kept.

    Raises InputError for two clips of one name, and what reading a video raises.
    """
    scaled: list[Path] = []
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        if any(clip_of(other) == path.stem for other in scaled):
            raise InputError(f"two clips are called {path.stem}: rename one")
        with closing(open_video(path)) as video:
            full = video.format
        for lines in LINES:
            if lines > LINES[0] and full.height < lines:
                continue
            target = cache / f"{path.stem}.{lines}.npy"
            if not target.exists():
                _scale(path, target, (2 * round(lines * full.width / full.height / 2), lines))
            scaled.append(target)
    return scaled


def _scale(path: Path, target: Path, size: tuple[int, int]) -> None:
    with closing(open_video(path, size=size)) as video:
        count = video.format.num_frames
        frames = np.concatenate([video.read(k, min(k + CHUNK, count)) for k in range(0, count, CHUNK)])
    with replacing(target, parents=True) as part, part.open("wb") as file:
        np.save(file, frames)


@final
class RandomCrops:
    """Crops of random clips, sizes, places, strides and directions; the same for the same generator.

    Raises InputError where no clip is as large and long as one of SHAPES.
    """

    def __init__(self, scaled: list[Path]) -> None:
        self._arrays: dict[str, list[np.ndarray]] = {}
        for path in scaled:
            self._arrays.setdefault(clip_of(path), []).append(np.load(path, mmap_mode="r"))
        self._clips = sorted(self._arrays)
        arrays = [array for some in self._arrays.values() for array in some]
        if not any(len(array) >= frames and min(array.shape[1:3]) >= side for array in arrays for frames, side in SHAPES):
            raise InputError(f"of {len(arrays)} scaled clips none has {SHAPES[0][0]} frames and {LINES[0]} lines or more")

    def draw(self, generator: np.random.Generator) -> Crop:
        """One crop of one of SHAPES; clips that are long enough for all of them are equally likely, short ones less."""
        while True:
            clip = self._clips[generator.integers(len(self._clips))]
            frames, side = SHAPES[generator.integers(len(SHAPES))]
            array = self._arrays[clip][generator.integers(len(self._arrays[clip]))]
            stride = 2 if generator.random() < 0.25 else 1
            span = (frames - 1) * stride + 1
            if len(array) >= span and min(array.shape[1:3]) >= side:
                return Crop(clip, _cut(array, generator, span, stride, side))


def _cut(array: np.ndarray, generator: np.random.Generator, span: int, stride: int, side: int) -> Frames:
    start, top, left = (int(generator.integers(n - s + 1)) for n, s in zip(array.shape, (span, side, side), strict=False))
    cut = array[start : start + span : stride, top : top + side, left : left + side]
    if generator.random() < 0.5:
        cut = cut[:, :, ::-1]
    if generator.random() < 0.5:
        cut = cut[::-1]
    return np.ascontiguousarray(cut)
