"""Edges of the tiny backbones at sizes that are no multiple of sixteen: by what rule the network's input is filled up.

    python benchmarks/edges.py measure CLIPS... --lpips-weights DIR

Codes each clip at each size by each rule in T2V, at equal bytes. A JSON below --out has the points; the same command goes
on where it was stopped. Half a minute to minutes a point.

    python benchmarks/edges.py again benchmarks/results/edges/*.json --into docs/tiny.md

prints the tables of such JSON files again, or fills those of a document, from `<!-- table edges-NAME 0 -->` on.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, cast, final

import numpy as np
import typer
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

import rfcodec
from rfcodec.evaluation.report.grids import Grid, fill, read, show, write
from rfcodec.metrics.fidelity import psnr
from rfcodec.metrics.lpips import Lpips
from rfcodec.research import Backbone, Frames, Watcher
from rfcodec.research.tiny import MULTIPLE, TinyBackbone, TinyOptions, read_network
from rfcodec.support.command_line import guarded
from rfcodec.support.words import parse_size
from rfcodec.video.reader import ArrayVideo, open_video

SIZES = ("208x120", "320x180", "426x240", "480x270", "640x360")
RIM = 8
NETWORKS = {"default": "tiny", "fast": "tiny-fast"}
Fill = Callable[[Tensor, int, int], Tensor]  # features, columns and rows to add
Point = dict[str, Any]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
err = Console(stderr=True)


def mirrored(features: Tensor, right: int, bottom: int) -> Tensor:
    """Mirrored at the edge: the last row comes twice."""
    below, beside = (
        np.pad(np.arange(count), (0, more), "symmetric")
        for count, more in zip(features.shape[2:], (bottom, right), strict=True)
    )
    return features[:, :, below][..., beside]


def by_torch(mode: str) -> Fill:
    """A mode of torch's pad."""
    return lambda features, right, bottom: functional.pad(features, (0, right, 0, bottom), mode=mode)


SOURCE = "source"  # the frames are filled up by their mirror image and coded whole
RULES: dict[str, Fill] = {
    "mirror": mirrored,
    "replicate": by_torch("replicate"),
    "reflect": by_torch("reflect"),
    "zero": by_torch("constant"),
}


@final
class Filled(nn.Module):
    """A network on features that a rule has filled up to multiples of sixteen."""

    def __init__(self, network: nn.Module, fill: Fill) -> None:
        super().__init__()
        self.network, self._fill = network, fill

    def forward(self, features: Tensor, log_snr: float, signals: Tensor) -> Tensor:
        """As the network's, cut to the size of the features."""
        height, width = features.shape[2:]
        filled = self._fill(features, -width % MULTIPLE, -height % MULTIPLE)
        return self.network(filled, log_snr, signals)[:, :, :height, :width]


class Keep(Watcher):
    """Keeps what the encoder shows."""

    def __init__(self) -> None:
        self.gops: list[Frames] = []

    def gop(self, decoded: Any, source: Frames | None, size: int) -> None:
        self.gops.append(decoded.shown.copy())


def backbone_of(name: str, rule: str) -> Backbone:
    """The backbone of a rule."""
    network, card = read_network(name)
    filled = Filled(network, RULES.get(rule, mirrored))
    return TinyBackbone(name, cast(Any, filled), card, TinyOptions())


def coded(source: Frames, preset: str, rule: str, size: int) -> Frames:
    """What a decoder shows of a stream of `size` bytes."""
    count, height, width, _ = source.shape
    if rule == SOURCE:
        source = np.pad(source, ((0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)), "symmetric")
    keep, video = Keep(), ArrayVideo(source, Fraction(25))
    settings = {"mode": "t2v", "gop": count, "bytes": size, "measure": False, "watcher": keep}
    rfcodec.compress(video, backbone=backbone_of(NETWORKS[preset], rule), preset=preset, **settings)
    return np.concatenate(keep.gops)[:, :height, :width]


def squared_errors(source: Frames, found: Frames) -> dict[str, float]:
    """Mean squared errors in grey levels: of the last row, of the outer rows and columns of each side, of what is within."""
    by_place = np.square(source.astype(np.float64) - found).mean((0, 3))
    parts = {
        "last_row": by_place[-1:],
        "top": by_place[:RIM],
        "bottom": by_place[-RIM:],
        "left": by_place[:, :RIM],
        "right": by_place[:, -RIM:],
        "inner": by_place[RIM:-RIM, RIM:-RIM],
    }
    return {name: float(part.mean()) for name, part in parts.items()}


@app.command()
def measure(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIPS...", help="Videos.")],
    lpips_weights: Annotated[Path, typer.Option(metavar="DIR", help="AlexNet weights of LPIPS.")],
    out: Annotated[Path, typer.Option(help="JSON file of the points.")] = Path("benchmarks/results/edges/tiny-fast.json"),
    preset: Annotated[str, typer.Option(help=" or ".join(NETWORKS))] = "fast",
    sizes: Annotated[str, typer.Option(help="Sizes, separated by commas.")] = ",".join(SIZES),
    rules: Annotated[str, typer.Option(help=f"Of {', '.join(RULES)}, {SOURCE}.")] = "replicate,mirror",
    frames: Annotated[int, typer.Option(help="Frames of each clip, one GOP.")] = 9,
    bpp: Annotated[float, typer.Option(help="Bits a pixel of what is shown.")] = 0.05,
) -> None:
    """Codes what is not measured yet, smallest sizes first."""
    lpips = Lpips(lpips_weights)
    points: list[Point] = read(out) if out.exists() else []
    for size in sizes.split(","):
        for clip in clips:
            with open_video(clip, frames=(0, frames), size=parse_size(size)) as video:
                source = video.read(0, frames)
            for rule in rules.split(","):
                key = {"clip": clip.stem, "size": size, "rule": rule, "frames": frames, "preset": preset, "bpp": bpp}
                if any(key.items() <= point.items() for point in points):
                    continue
                found = coded(source, preset, rule, int(bpp * source[..., 0].size / 8))
                quality = {"psnr": psnr(source, found), "lpips": float(np.mean(lpips(source, found)))}
                points.append(key | quality | squared_errors(source, found))
                write(out, points)
                err.print(points[-1])
    again([out])


@app.command()
def again(
    results: Annotated[list[Path], typer.Argument(metavar="JSON...", help="Files of points.")],
    into: Annotated[Path | None, typer.Option(help="Document whose marked tables are filled again.")] = None,
) -> None:
    """Prints the tables of points that are measured."""
    tables = {f"edges-{path.stem}": [table(path.stem, read(path))] for path in results}
    if into:
        fill(into, tables)
    for grids in tables.values() if not into else ():
        show(grids)


def table(name: str, points: Sequence[Point]) -> Grid:
    """Means over the clips, a row for each size and rule."""
    head = ("size", "frames", "rule", "PSNR dB", "LPIPS", "last row", "bottom 8", "right 8", "top 8", "left 8", "inside")
    names = ("psnr", "lpips", "last_row", "bottom", "right", "top", "left", "inner")
    digits = (2, 3, *[0] * 6)
    rows: list[list[str]] = []
    keys = dict.fromkeys((point["size"], point["frames"], point["rule"]) for point in points)
    for key in sorted(keys, key=lambda key: math.prod(parse_size(key[0]))):
        some = [point for point in points if (point["size"], point["frames"], point["rule"]) == key]
        means = [f"{np.mean([point[n] for point in some]):.{d}f}" for n, d in zip(names, digits, strict=True)]
        rows.append([*map(str, key), *means])
    clips = len({point["clip"] for point in points})
    return Grid(f"{name}, T2V, means over {clips} clips; squared errors in grey levels", head, rows)


if __name__ == "__main__":
    guarded(app)
