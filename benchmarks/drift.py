"""What a decoder loses that computes other digits than the encoder: a table of modes, perturbations and GOPs.

    python benchmarks/drift.py CLIP --backbone gaussian --out benchmarks/results/drift/gaussian.json
    python benchmarks/drift.py CLIP --backbone FOLDER --override dtype=bfloat16 --override attention_backend=_native_math

Every velocity of the decoder is off by white noise of a relative size; or the decoder runs with other options or threads.
"""

import json
import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.progress import track
from rich.table import Table

import rfcodec
from rfcodec.research import (
    Backbone,
    Frames,
    Latents,
    RuntimeConfig,
    Watcher,
    WrappedBackbone,
    open_backbone,
    write_options,
)
from rfcodec.support.console import PlainConsole
from rfcodec.support.files import write_file
from rfcodec.support.words import parse_size
from rfcodec.video.reader import ArrayVideo, open_video

LEVELS = (1e-4, 1e-3, 1e-2)


def perturbed(backbone: Backbone, relative: float) -> Backbone:
    """A backbone whose velocities are off by white noise, the same in every trajectory."""

    def begin() -> Callable[[Latents], Latents]:
        generator = torch.Generator()
        return lambda v: v + relative * v.square().mean().sqrt() * torch.randn(v.shape, generator=generator).to(v)

    return WrappedBackbone(backbone, begin)


class Keep(Watcher):
    """Keeps what the encoder shows, GOP by GOP."""

    def __init__(self) -> None:
        self.gops: list[Frames] = []

    def gop(self, decoded: Any, source: Frames | None, size: int) -> None:
        self.gops.append(decoded.shown.copy())


def psnr(a: Frames, b: Frames) -> float:
    """In dB; infinite where they are equal."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def deviations(backbone: Backbone, overrides: Sequence[str]) -> dict[str, RuntimeConfig]:
    """Name of each way to decode -> its runtime."""
    found = {"same": RuntimeConfig(weights=backbone)}
    found |= {f"velocity {level:g}": RuntimeConfig(weights=perturbed(backbone, level)) for level in LEVELS}
    found |= {f"{count} thread": RuntimeConfig(threads=count) for count in (1, 2)}
    for pair in overrides:
        name, _, value = pair.partition("=")
        found[pair] = RuntimeConfig(overrides={name: value})
    return found


def main(
    clip: Annotated[Path, typer.Argument(help="A video.")],
    backbone: Annotated[str, typer.Option(help="Name, folder or hub id.")] = "gaussian",
    modes: Annotated[str, typer.Option(help="Modes, separated by commas.")] = "t2v,i2v,flf2v",
    frames: Annotated[int, typer.Option(help="Frames of the clip.")] = 65,
    size: Annotated[str, typer.Option(metavar="WxH")] = "176x144",
    gop: Annotated[int, typer.Option(help="Frames of a GOP.")] = 17,
    bpp: Annotated[float, typer.Option(help="Budget.")] = 0.1,
    steps: Annotated[int, typer.Option(help="Model evaluations.")] = 20,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the backbone, both sides.")] = None,
    override: Annotated[list[str] | None, typer.Option(help="NAME=VALUE that the decoder sets otherwise.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file.")] = None,
) -> None:
    """Encodes in each mode, decodes in each way, prints and writes."""
    with open_video(clip, frames=(0, frames), size=parse_size(size)) as video:
        source = video.read(0, video.format.num_frames)
    options = dict(pair.split("=", 1) for pair in option or [])
    opened = open_backbone(backbone, write_options(options), RuntimeConfig())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for mode in modes.split(","):
            keep, path = Keep(), Path(folder) / f"{mode}.rfv"
            settings = {"mode": mode, "gop": gop, "bpp": bpp, "trajectory__steps": steps, "backbone_options": options}
            rfcodec.encode(ArrayVideo(source, Fraction(25)), path, backbone=backbone, watcher=keep, **settings)
            for name, runtime in track(deviations(opened, override or []).items(), mode):
                rows.append({"mode": mode, "decoder": name, **compare(path, keep.gops, source, runtime)})
    show(rows)
    if out:
        setting = {"clip": clip.name, "backbone": Path(backbone).name, "frames": len(source), "size": size, "bpp": bpp}
        told = setting | {"gop": gop, "steps": steps, "options": options, "rows": rows}
        write_file(out, json.dumps(told, indent=2) + "\n")


def compare(path: Path, kept: list[Frames], source: Frames, runtime: RuntimeConfig) -> dict[str, Any]:
    """dB lost against the source, whole and in first and last GOP; dB to the encoder's reconstruction; digests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pieces = list(rfcodec.decode(path, runtime=runtime))
    lost, near, start = [], [], 0
    for piece, shown in zip(pieces, kept, strict=True):
        target = source[start : start + len(shown)]
        lost.append(psnr(target, shown) - psnr(target, piece.frames))
        near.append(psnr(shown, piece.frames))
        start += len(shown)
    whole, reconstruction = np.concatenate([piece.frames for piece in pieces]), np.concatenate(kept)
    distances = (psnr(whole, reconstruction), near[0], near[-1])
    to_encoder, first, last = (None if math.isinf(value) else value for value in distances)
    return {
        "lost_db": psnr(source, reconstruction) - psnr(source, whole),
        "lost_db_first_gop": lost[0],
        "lost_db_last_gop": lost[-1],
        "psnr_to_encoder": to_encoder,
        "psnr_to_encoder_first_gop": first,
        "psnr_to_encoder_last_gop": last,
        "digests_agree": sum(piece.digest_ok is True for piece in pieces),
        "gops": len(pieces),
    }


def show(rows: list[dict[str, Any]]) -> None:
    """The table; None is infinite."""
    table = Table("mode", "decoder", "PSNR lost, dB", "first, last GOP", "PSNR to the encoder", "first, last GOP", "digests")
    for row in rows:
        lost, first, last = (f"{row[name]:.3f}" for name in ("lost_db", "lost_db_first_gop", "lost_db_last_gop"))
        near = [row[f"psnr_to_encoder{part}"] for part in ("", "_first_gop", "_last_gop")]
        whole, begin, end = ("equal" if value is None else f"{value:.1f}" for value in near)
        agree = f"{row['digests_agree']} of {row['gops']}"
        table.add_row(row["mode"], row["decoder"], lost, f"{first}, {last}", whole, f"{begin}, {end}", agree)
    PlainConsole().print(table)


if __name__ == "__main__":
    typer.run(main)
