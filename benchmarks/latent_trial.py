"""What an autoencoder in the format of Wan reaches in minutes on a CPU: the ceiling of a latent flow (docs/tiny.md).

python benchmarks/latent_trial.py CACHE --minutes 10, over clips scaled by `python -m rfcodec.backbones.tiny.training scale`.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.progress import track
from rich.table import Table
from torch import Tensor

from rfcodec.research import Frames
from rfcodec.research.models import diffusers
from rfcodec.research.training import RandomCrops, clip_of, held_back
from rfcodec.support.console import PlainConsole

FRAMES, LINES, RATE = 9, 144, 2e-3


def main(
    cache: Annotated[Path, typer.Argument(help="Folder of scaled clips.")],
    minutes: Annotated[float, typer.Option(help="Time to train.")] = 10.0,
    channels: Annotated[int, typer.Option(help="Channels of the latents.")] = 16,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
) -> None:
    """Trains the autoencoder (L1 and gradients), and measures its PSNR on clips that were held back."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    training, apart = held_back(sorted(cache.glob(f"*.{LINES}.npy")))
    autoencoder = diffusers.AutoencoderKLWan(
        base_dim=32, dim_mult=[1, 2, 4], num_res_blocks=1, z_dim=channels, temperal_downsample=[True, True]
    )
    steps = _train(autoencoder, training, 60 * minutes)
    count = sum(parameter.numel() for parameter in autoencoder.parameters())
    table = Table("clip", "PSNR dB", title=f"{count / 1e6:.1f} M parameters, {steps} steps, {minutes:g} min")
    for path in apart:
        frames = np.load(path, mmap_mode="r")[:FRAMES, :, :256]
        table.add_row(clip_of(path), f"{_psnr(autoencoder, frames):.2f}")
    PlainConsole().print(table)


def _train(autoencoder: Any, clips: list[Path], seconds: float) -> int:
    crops, generator = RandomCrops(clips), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(autoencoder.parameters(), lr=RATE)
    began, steps = time.monotonic(), 0
    for percent in track(range(100), "training"):
        share = min(1.0, 2 - percent / 50)
        optimizer.param_groups[0]["lr"] = RATE * share
        while time.monotonic() - began < seconds * (percent + 1) / 100:
            frames = _unit(crops.draw(generator).frames[:FRAMES, :64, :64])
            found = _through(autoencoder, frames)
            loss = (found - frames).abs().mean() + sum(
                (found.diff(dim=d) - frames.diff(dim=d)).abs().mean() for d in (2, 3, 4)
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(autoencoder.parameters(), 1.0)
            optimizer.step()
            steps += 1
    return steps


def _psnr(autoencoder: Any, frames: Frames) -> float:
    with torch.inference_mode():
        whole = _unit(frames)
        found = _through(autoencoder, whole).clamp(-1, 1)
    return float(10 * torch.log10(4 / (found - whole).square().mean()))


def _through(autoencoder: Any, frames: Tensor) -> Tensor:
    return autoencoder.decode(autoencoder.encode(frames).latent_dist.mode()).sample


def _unit(frames: Frames) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


if __name__ == "__main__":
    typer.run(main)
