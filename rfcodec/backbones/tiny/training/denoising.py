"""Denoising of whole clips: what the network leaves of the Wiener estimate's error."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.backbones.tiny.training.validation import TIMES, share_left
from rfcodec.types import Frames
from rfcodec.video.reader import open_video


def clip_shares(network: TinyNetwork, folder: Path, lines: int, count: int) -> Iterator[tuple[str, list[float]]]:
    """Name and shares at each of TIMES, for each clip of a folder: its first frames, 16:9, without references."""
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        frames = _frames(path, lines, count)
        generator = np.random.default_rng(0)
        yield path.stem, [share_left(network, frames, "none", t, generator) for t in TIMES]


def _frames(path: Path, lines: int, count: int) -> Frames:
    with closing(open_video(path, size=(2 * round(lines * 16 / 9 / 2), lines))) as video:
        return video.read(0, min(count, video.format.num_frames))
