"""Pictures of a clip for reports, made while its frames stream by; each is of bounded size, whatever the clip's."""

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import final

import numpy as np
from PIL import Image

from rfcodec.errors import ConfigError, FrameSizeError, OutputError
from rfcodec.support.files import write_file
from rfcodec.types import Frame, Frames
from rfcodec.video.colour import ToYcbcr
from rfcodec.video.muxing import Coding, StreamFile, writing
from rfcodec.video.planes import chunks
from rfcodec.video.reader import Video
from rfcodec.video.writer import check_frames

FOLDER = "pictures"
STRIP_FRAMES, STRIP_SIDE, STRIP_GAP, STRIP_BYTES = 4, 480, 4, 300_000
SLICE_WIDTH, SLICE_FRAMES = 512, 256
PLAYER_SIDE, PLAYER_FRAMES, PLAYER_BYTES = 960, 300, 4_000_000

_CANDIDATES = 32  # of a strip: more than twice as many frames are thinned out
_QUALITIES = (90, 80, 65, 50, 30, 15)


def picture(video: Video | Iterable[Frames], folder: str | Path, key: str, fps: Fraction | None = None) -> dict[str, str]:
    """Strip, slice and player of a video, or of chunks of frames with their fps: see `PictureWriter`."""
    pieces, speed = (chunks(video), video.format.fps) if isinstance(video, Video) else (video, fps)
    if speed is None:
        raise ConfigError("fps None: frames without a video need their speed; say fps")
    with PictureWriter(folder, key, speed) as writer:
        for frames in pieces:
            writer.add(frames)
        return writer.finish()


@final
class PictureWriter:
    """Writes pictures of frames that come chunk by chunk into `folder/pictures`; a context manager.

    strip: four frames side by side, the first, the last and two between, in at most 480 x 480 pixels each; about 300 kB.
    slice: the middle row of pixels over time, downwards; its middle 512 columns and first 256 frames, not scaled.
    player: H.264 (4:2:0, BT.709), which every browser plays; the first 300 frames in at most 960 pixels and about 4 MB.

    `finish` returns their paths, relative to `folder`, by those names; without it nothing stays. Raises ConfigError where
    the key is no file name, FrameSizeError where frames are of more than one size and OutputError where nothing can be
    written.
    """

    def __init__(self, folder: str | Path, key: str, fps: Fraction) -> None:
        if not key or Path(key).name != key:
            raise ConfigError(f"key {key!r}: must be the beginning of a file name, without folders")
        self._folder, self._key = Path(folder), key
        self._size: tuple[int, ...] | None = None
        self._strip, self._slice = _Strip(), _Slice()
        self._player = _Player(self._path("player"), fps)

    def __enter__(self) -> "PictureWriter":
        with writing(self._folder):
            (self._folder / FOLDER).mkdir(parents=True, exist_ok=True)
        return self

    def add(self, frames: Frames) -> None:
        """Takes the next frames."""
        check_frames(frames)
        self._size = self._size or frames.shape[1:]
        if frames.shape[1:] != self._size:
            raise FrameSizeError(f"frames of {frames.shape[1:3]} rows, columns after ones of {self._size[:2]}")
        self._strip.add(frames)
        self._slice.add(frames)
        with writing(self._path("player")):
            self._player.add(frames)

    def finish(self) -> dict[str, str]:
        """Writes the files and names them."""
        if self._size is None:
            raise OutputError(f"{self._folder / FOLDER}: no frames were given to {self._key}")
        with writing(self._path("player")):
            self._player.finish()
        write_file(self._path("strip"), self._strip.data())
        write_file(self._path("slice"), self._slice.data())
        return {name: f"{FOLDER}/{self._path(name).name}" for name in ("strip", "slice", "player")}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._player.close()

    def _path(self, name: str) -> Path:
        ending = {"strip": "-strip.jpg", "slice": "-slice.png", "player": ".mp4"}[name]
        return self._folder / FOLDER / (self._key + ending)


class _Strip:
    """Small copies of frames, evenly spread however many there will be."""

    def __init__(self) -> None:
        self._count, self._stride = 0, 1
        self._kept: list[Image.Image] = []  # of frames 0, stride, 2 stride ...
        self._last: Image.Image | None = None

    def add(self, frames: Frames) -> None:
        """Keeps copies of every `stride`th, and of the last."""
        for index, frame in enumerate(frames, self._count):
            if index % self._stride == 0:
                self._kept.append(_small(frame))
            if len(self._kept) > 2 * _CANDIDATES:
                self._kept, self._stride = self._kept[::2], 2 * self._stride
        self._count += len(frames)
        self._last = _small(frames[-1])

    def data(self) -> bytes:
        """The strip as JPEG."""
        wanted = {round(share * (self._count - 1) / (STRIP_FRAMES - 1)) for share in range(STRIP_FRAMES - 1)}
        before = sorted(wanted - {self._count - 1})
        cells = [self._kept[min(round(index / self._stride), len(self._kept) - 1)] for index in before]
        cells += [self._last] if self._last is not None else []
        width, height = cells[0].size
        strip = Image.new("RGB", ((width + STRIP_GAP) * len(cells) - STRIP_GAP, height), "white")
        for position, cell in enumerate(cells):
            strip.paste(cell, (position * (width + STRIP_GAP), 0))
        return _jpeg(strip)


class _Slice:
    """The middle row of each frame."""

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []

    def add(self, frames: Frames) -> None:
        """Keeps their middle rows, while there is room."""
        left = max(0, frames.shape[2] - SLICE_WIDTH) // 2
        rows = frames[: SLICE_FRAMES - len(self._rows), frames.shape[1] // 2, left : left + SLICE_WIDTH]
        self._rows.extend(rows.copy())

    def data(self) -> bytes:
        """The slice as PNG."""
        buffer = io.BytesIO()
        Image.fromarray(np.stack(self._rows)).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()


class _Player:
    """The first frames as a video; the file is opened with the first of them."""

    def __init__(self, path: Path, fps: Fraction) -> None:
        self._path, self._fps, self._count = path, Fraction(fps), 0
        self._convert = ToYcbcr("bt709")
        self._size = (0, 0)
        self._file: StreamFile | None = None

    def add(self, frames: Frames) -> None:
        """Codes them, while there is room."""
        for frame in frames[: PLAYER_FRAMES - self._count]:
            self._file = self._file or self._open(*frame.shape[:2])
            self._file.add(self._convert.frame(frame, self._size))
            self._count += 1

    def finish(self) -> None:
        """Gives the file its name."""
        if self._file is not None:
            self._file.finish()
            self._file = None

    def close(self) -> None:
        """Leaves nothing behind of what was not finished."""
        if self._file is not None:
            self._file.drop()

    def _open(self, height: int, width: int) -> StreamFile:
        bits_per_second = round(8 * PLAYER_BYTES * self._fps / PLAYER_FRAMES)
        options = {"crf": "18", "preset": "veryfast", "maxrate": str(bits_per_second), "bufsize": str(bits_per_second)}
        # the index first, so that a browser starts before it has the whole file
        coding = Coding("mp4", "libx264", "yuv420p", options, {"movflags": "+faststart"}, bt709=True)
        scale = min(1, PLAYER_SIDE / max(width, height))
        # 4:2:0 takes even sizes only
        self._size = max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
        return StreamFile(self._path, coding, self._size, self._fps, "bt709")


def _small(frame: Frame) -> Image.Image:
    height, width = frame.shape[:2]
    scale = min(1, STRIP_SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # BOX averages whole pixels: it neither rings nor sharpens what is to be judged
    return Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.BOX)


def _jpeg(image: Image.Image) -> bytes:
    """The best of a few qualities that fits the bound, else the least."""
    data = b""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, subsampling=0)
        data = buffer.getvalue()
        if len(data) <= STRIP_BYTES:
            break
    return data
