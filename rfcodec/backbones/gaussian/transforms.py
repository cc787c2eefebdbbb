"""Between frames and the latents of the Gaussian backbones."""

from typing import Protocol, final, runtime_checkable

import numpy as np
import scipy.fft
import torch
from jaxtyping import Bool, Float32, Float64

from rfcodec.protocols import Latents
from rfcodec.types import Frame, Frames, Geometry

# orthonormal: brightness, red against blue, green against both
COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float64) / np.sqrt([[3], [2], [6]])


@runtime_checkable
class Transform(Protocol):
    """A linear map between frames and latents."""

    geometry: Geometry
    error_gain: Float64[np.ndarray, "c"]  # latent error variance per squared error of an 8-bit grey level
    motion: Bool[np.ndarray, "c"]  # channels that a still says nothing of, but for the first frame

    def encode(self, frames: Frames) -> Latents:
        """Frames to latents."""
        ...

    def decode(self, latents: Latents) -> Frames:
        """Latents to frames."""
        ...

    def encode_still(self, frame: Frame) -> Float32[np.ndarray, "c h w"]:
        """The latent frame that a lone first or last frame stands for."""
        ...


def to_colour(frames: Frames) -> Float32[np.ndarray, "c t y x"]:
    """8-bit RGB to decorrelated colour in [-sqrt 3, sqrt 3], orthonormal in units of [-1, 1]."""
    unit = frames.astype(np.float32) / np.float32(127.5) - 1
    return np.ascontiguousarray(np.moveaxis(unit @ COLOUR.T.astype(np.float32), 3, 0))


def to_frames(colour: Float32[np.ndarray, "c t y x"]) -> Frames:
    """Inverse of `to_colour`, rounded and clipped."""
    unit = np.moveaxis(colour, 0, 3) @ COLOUR.astype(np.float32)
    return np.clip(np.rint((unit + 1) * np.float32(127.5)), 0, 255).astype(np.uint8)


@final
class PixelTransform:
    """Latents are the pixels themselves, in decorrelated colour: squared error is that of the frames."""

    geometry = Geometry(channels=3, temporal=1, spatial=1, multiple=1)
    error_gain = np.full(3, (1 / 127.5) ** 2)
    motion = np.zeros(3, bool)

    def encode(self, frames: Frames) -> Latents:
        """Orthonormal change of colour."""
        return torch.from_numpy(to_colour(frames))

    def decode(self, latents: Latents) -> Frames:
        """The change of colour undone."""
        return to_frames(latents.numpy())

    def encode_still(self, frame: Frame) -> Float32[np.ndarray, "c h w"]:
        """The frame, wherever it stands."""
        return to_colour(frame[None])[:, 0]


@final
class BlockTransform:
    """Sixteen low coefficients of a cosine transform of 4 x 8 x 8 blocks: the geometry of Wan latents, without weights.

    The first frame is a group of its own, as in a causal autoencoder. Coefficients are divided by their usual deviation.
    """

    geometry = Geometry(channels=16, temporal=4, spatial=8, multiple=8)
    # (colour, t, v, u) and usual standard deviation of the coefficients that are kept
    KEPT = (
        (0, 0, 0, 0, 16.0), (0, 0, 0, 1, 3.4), (0, 0, 1, 0, 3.4), (0, 0, 1, 1, 1.8), (0, 0, 0, 2, 1.7), (0, 0, 2, 0, 1.7),
        (0, 0, 1, 2, 1.2), (0, 0, 2, 1, 1.2), (0, 1, 0, 0, 1.8), (0, 1, 0, 1, 1.3), (0, 1, 1, 0, 1.3), (0, 2, 0, 0, 1.0),
        (1, 0, 0, 0, 3.6), (1, 0, 0, 1, 0.6), (2, 0, 0, 0, 2.2), (2, 0, 1, 0, 0.4),
    )  # fmt: skip
    error_gain = np.array([(2 / 127.5 / deviation) ** 2 if t == 0 else 0.0 for _, t, _, _, deviation in KEPT])
    motion = np.array([t > 0 for _, t, _, _, _ in KEPT])

    def encode(self, frames: Frames) -> Latents:
        """Frames of a legal count to latents."""
        colour = to_colour(frames)
        first, rest = np.repeat(colour[:, :1], 4, axis=1), colour[:, 1:]
        blocks = _to_blocks(np.concatenate([first, rest], axis=1))
        spectrum = scipy.fft.dctn(blocks, axes=(2, 4, 6), norm="ortho")
        kept = [spectrum[k, :, t, :, v, :, u] / np.float32(deviation) for k, t, v, u, deviation in self.KEPT]
        return torch.from_numpy(np.stack(kept).astype(np.float32))

    def decode(self, latents: Latents) -> Frames:
        """Latents to frames; coefficients that are not kept are zero."""
        values = latents.numpy()
        _, groups, rows, columns = values.shape
        spectrum = np.zeros((3, groups, 4, rows, 8, columns, 8), np.float32)
        for value, (k, t, v, u, deviation) in zip(values, self.KEPT, strict=True):
            spectrum[k, :, t, :, v, :, u] = value * np.float32(deviation)
        blocks = scipy.fft.idctn(spectrum, axes=(2, 4, 6), norm="ortho")
        colour = blocks.reshape(3, groups * 4, rows * 8, columns * 8)
        return to_frames(np.concatenate([colour[:, :4].mean(1, keepdims=True), colour[:, 4:]], axis=1))

    def encode_still(self, frame: Frame) -> Float32[np.ndarray, "c h w"]:
        """The latent frame of a standing picture."""
        return self.encode(frame[None])[:, 0].numpy()


def _to_blocks(colour: Float32[np.ndarray, "c t y x"]) -> Float32[np.ndarray, "c f 4 h 8 w 8"]:
    channels, frames, height, width = colour.shape
    return colour.reshape(channels, frames // 4, 4, height // 8, 8, width // 8, 8)
