"""The network of the tiny backbone: a space-time U-Net that sees a GOP as a batch of frames (docs/tiny.md, section 1)."""

import math
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 96, 192, 256)  # channels at a half, a quarter, an eighth and a sixteenth of the lines
REACH = (1, 1, 2, 4)  # frames that features travel in one block of each level
HIDDEN = 128
FREQUENCIES = 4
CANDIDATES = 4  # other linear estimates: two of slower priors, the first and the last frame
FEATURES = 3 * (2 + CANDIDATES)  # the estimate, the noise it leaves, and how candidates differ from it, in three colours
FRAME_SIGNALS = 6
MULTIPLE = 2 ** len(WIDTHS)
# How sides that are no multiple are filled up: by their mirror image, with which the prior's cosine transform continues a
# picture too. Copies of the last row would be noise that is constant along a column, which the network takes for signal.
EDGES = "mirror"


@final
class TinyNetwork(nn.Module):
    """(f, FEATURES, h, w), the time and (f, FRAME_SIGNALS) to (f, 3 + CANDIDATES, h, w); zero before training.

    Of the output, three planes are a correction and each other one the share of a candidate.
    Frames mix by shifting a part of the channels in time, which costs no multiplication. Time enters by scaling rows of
    the weights, so that a GOP costs the same at every time.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, reach: tuple[int, ...] = REACH) -> None:
        super().__init__()
        self.widths, self.reach = widths, reach
        self.time = nn.Sequential(Linear(2 * FREQUENCIES + 1, HIDDEN), nn.SiLU(), Linear(HIDDEN, HIDDEN), nn.SiLU())
        self.frame = Linear(FRAME_SIGNALS, HIDDEN)
        self.per_frame = Linear(HIDDEN, widths[0])
        self.enter = nn.Conv2d(4 * FEATURES, widths[0], 3, padding=1)
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in steps)
        # not a convolution and a shuffle of pixels: that one's last digits depend on the number of threads
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in steps)
        self.before = nn.ModuleList(Block(w, r) for w, r in zip(widths, reach, strict=True))
        self.after = nn.ModuleList(Block(w, r) for w, r in zip(widths, reach, strict=True))
        self.leave = nn.Conv2d(widths[0], 4 * (3 + CANDIDATES), 3, padding=1)
        _zero(self.leave)

    def forward(
        self, features: Float[Tensor, "f i h w"], log_snr: float, signals: Float[Tensor, "f s"]
    ) -> Float[Tensor, "f o h w"]:
        """The correction, in units of the Wiener estimate's deviation, and shares of candidates; any height and width."""
        height, width = features.shape[2:]
        halved = functional.pixel_unshuffle(filled(features), 2).contiguous(memory_format=torch.channels_last)
        time = self.time(_wave(log_snr, features))
        x = self.enter(halved).add_(self.per_frame(functional.silu(self.frame(signals) + time))[:, :, None, None])
        skips: list[Tensor] = []
        for level, block in enumerate(self.before):
            x = block(x, time)
            if level < len(self.down):
                skips.append(x)
                x = self.down[level](x)
        for level in reversed(range(len(self.after))):
            if level < len(self.up):
                x = self.up[level](x).add_(skips[level])
            x = self.after[level](x, time)
        return functional.pixel_shuffle(self.leave(x), 2)[:, :, :height, :width]


@final
class Block(nn.Module):
    """x + conv(relu(conv(x shifted in time))); the time scales the inner channels and shifts them."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = Linear(HIDDEN, 2 * width)
        _zero(self.modulation, self.second)

    def forward(self, x: Float[Tensor, "f c h w"], time: Float[Tensor, "hidden"]) -> Float[Tensor, "f c h w"]:
        """Features of the same shape."""
        scale, offset = self.modulation(time).chunk(2)
        weight = self.first.weight * (1 + scale)[:, None, None, None]
        inner = functional.conv2d(self._shift(x), weight, self.first.bias + offset, padding=1).relu_()
        return self.second(inner).add_(x)

    def _shift(self, x: Tensor) -> Tensor:
        quarter, reach = x.shape[1] // 4, self.reach
        shifted = x.clone()
        shifted[reach:, :quarter] = x[:-reach, :quarter]
        shifted[:reach, :quarter] = 0
        shifted[:-reach, quarter : 2 * quarter] = x[reach:, quarter : 2 * quarter]
        shifted[-reach:, quarter : 2 * quarter] = 0
        return shifted


@final
class Linear(nn.Linear):
    """For a few numbers: without the product of a BLAS, whose last digits depend on the number of threads."""

    def forward(self, input: Tensor) -> Tensor:
        """... i to ... o."""
        return (input[..., None, :] * self.weight).sum(-1) + self.bias


def filled(features: Float[Tensor, "f i h w"]) -> Float[Tensor, "f i y x"]:
    """Features with sides that are multiples of MULTIPLE, by EDGES; the same object where they have them."""
    for axis in (2, 3):
        size = features.shape[axis]
        if size % MULTIPLE:  # or all of it would be copied
            places = torch.arange(size + -size % MULTIPLE, device=features.device) % (2 * size)
            features = features.index_select(axis, torch.minimum(places, 2 * size - 1 - places))
    return features


def _zero(*layers: nn.Module) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


def _wave(log_snr: float, like: Tensor) -> Tensor:
    angles = [log_snr * math.pi / 16 * 2**k for k in range(FREQUENCIES)]
    waves = [f(a) for a in angles for f in (math.sin, math.cos)]
    return torch.tensor([log_snr / 8, *waves], dtype=like.dtype, device=like.device)
