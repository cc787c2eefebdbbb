"""All three modes on a real clip, for a first look."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from rfcodec import api
from rfcodec.cli.console import EncodeProgress
from rfcodec.config import RuntimeConfig
from rfcodec.errors import OutputError
from rfcodec.evaluation.datasets.clips import bundled_clip
from rfcodec.metrics.collector import Measurer
from rfcodec.presets import configure
from rfcodec.support.files import replacing
from rfcodec.types import Frames
from rfcodec.video.reader import Video, VideoWriter, open_video

METRICS = ("psnr", "ms_ssim")
MODES = ("t2v", "i2v", "flf2v")
LABEL_HEIGHT = 14
MOST_FRAMES = 33
PICTURE = "side_by_side.png"


def files(folder: Path) -> list[Path]:
    """What the demonstration writes into the folder."""
    return [folder / f"{mode}{suffix}" for mode in MODES for suffix in (".rfv", ".mp4")] + [folder / PICTURE]


def run(
    out: Console,
    err: Console,
    clip: Path | None,
    folder: Path,
    preset: str,
    bpp: float,
    frames: tuple[int | None, int | None] | None,
    size: tuple[int, int] | None,
) -> None:
    """Writes <mode>.rfv, <mode>.mp4 and side_by_side.png into `folder`, and prints a table.

    Of `frames`, the first 33 or fewer where None.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error
    table = Table("mode", "bytes", "of budget", "bpp", "PSNR dB", "MS-SSIM", "digest")
    source = clip or bundled_clip()
    with open_video(source, frames=frames or _first_frames(source), size=size) as video:
        count = video.format.num_frames
        looked_at = (0, count // 2, count - 1)
        strips = [("source", np.concatenate([video.read(i, i + 1) for i in looked_at]))]
        for mode in MODES:
            row, pictures = _one_mode(err, video, folder, preset, mode, bpp, looked_at)
            table.add_row(*row)
            strips.append((f"{mode} {row[3]} bpp {row[4]} dB", pictures))
    with replacing(folder / PICTURE) as part:
        _side_by_side(strips).save(part, "PNG")
    out.print(table)
    out.print(f"files, videos and {PICTURE} are in {folder}", highlight=False, markup=False)


def _first_frames(source: Path) -> tuple[int, int]:
    with open_video(source) as video:
        return 0, min(MOST_FRAMES, video.format.num_frames)


def _one_mode(
    err: Console, video: Video, folder: Path, preset: str, mode: str, bpp: float, looked_at: Sequence[int]
) -> tuple[list[str], Frames]:
    path = folder / f"{mode}.rfv"
    stream, effort = configure(preset, {"mode": mode, "bpp": bpp})
    with EncodeProgress(err, video.format, None, silent=False) as watcher:
        result = api.encode_with(video, path, stream, effort, RuntimeConfig(), watcher)
    digests, pictures = [], []
    with VideoWriter(folder / f"{mode}.mp4", video.format) as writer, Measurer(METRICS, video.format) as measurer:
        for piece in api.decode(path):
            writer.write(piece.frames)
            measurer.add(video.read(piece.start, piece.start + len(piece.frames)), piece.frames)
            digests.append(piece.digest_ok)
            here = range(piece.start, piece.start + len(piece.frames))
            pictures.extend(piece.frames[i - piece.start] for i in looked_at if i in here)
        quality = measurer.result().values
    agrees = "equal" if all(digests) else "DIFFERS"
    share = f"{100 * result.size / (bpp * video.format.pixels / 8):.1f} %"
    similarity = f"{quality['ms_ssim']:.4f}" if "ms_ssim" in quality else "-"
    row = [mode, str(result.size), share, f"{result.bpp:.4f}", f"{quality['psnr']:.2f}", similarity, agrees]
    return row, np.stack(pictures)


def _side_by_side(strips: list[tuple[str, Frames]]) -> Image.Image:
    count, height, width, _ = strips[0][1].shape
    sheet = Image.new("RGB", (count * width, len(strips) * (height + LABEL_HEIGHT)), "white")
    for row, (label, frames) in enumerate(strips):
        top = row * (height + LABEL_HEIGHT)
        ImageDraw.Draw(sheet).text((2, top + 1), label, fill="black")
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame), (column * width, top + LABEL_HEIGHT))
    return sheet
