"""Frames to normalised latents and back, through the VAE of a pipeline."""

from typing import final

import numpy as np
import torch
from torch import Tensor

from rfcodec.backbones.diffusers.specs import PipelineSpec
from rfcodec.backbones.diffusers.untyped import Model
from rfcodec.protocols import Frames, Latents


@final
class Autoencoder:
    """latents = (z - mean) scale / std, where z is the mode of the posterior; float32 outside, the VAE's dtype inside."""

    def __init__(self, vae: Model, spec: PipelineSpec) -> None:
        self.vae = vae
        self._spec = spec

    @torch.no_grad()
    def encode(self, frames: Frames) -> Latents:
        """Frames t y x 3 of legal size to latents c f h w, float32."""
        pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None]
        return self.encode_pixels(pixels.to(self._device(), torch.float32) / 127.5 - 1)

    @torch.no_grad()
    def encode_pixels(self, pixels: Tensor) -> Latents:
        """Pixels b 3 t y x in -1..1 to latents c f h w, float32."""
        latents = self.vae.encode(pixels.to(self._device(), self.vae.dtype)).latent_dist.mode()[0].float()
        mean, std, scale = self._statistics(latents)
        return (latents - mean) * scale / std

    @torch.no_grad()
    def decode(self, latents: Latents) -> Frames:
        """Latents c f h w to frames t y x 3."""
        mean, std, scale = self._statistics(latents)
        raw = (latents.float() * std / scale + mean)[None].to(self._device(), self.vae.dtype)
        timed = getattr(self.vae.config, "timestep_conditioning", False)
        # the latents are clean: a decoder that also denoises is told so
        more = (torch.zeros(1, device=raw.device, dtype=raw.dtype),) if timed else ()
        pixels = self.vae.decode(raw, *more, return_dict=False)[0][0].float()
        levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round()
        return levels.to(torch.uint8).permute(1, 2, 3, 0).cpu().numpy()

    def _device(self) -> torch.device:
        from diffusers.utils.torch_utils import get_module_execution_device

        return get_module_execution_device(self.vae)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor, float]:
        scale = float(self.vae.config.scaling_factor) if self._spec.scaling else 1.0
        source: Model = {"config": self.vae.config, "buffers": self.vae, "none": None}[self._spec.statistics]
        mean = getattr(source, "latents_mean", None)
        if mean is None:
            return torch.zeros((), device=like.device), torch.ones((), device=like.device), scale
        pair = (torch.as_tensor(values, dtype=torch.float32) for values in (mean, source.latents_std))
        mean, std = (values.to(like.device).reshape(-1, 1, 1, 1) for values in pair)
        return mean, std, scale
