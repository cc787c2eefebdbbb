"""Velocity of the Wan family without its pipeline: 2.1, 2.2 with two experts, TI2V, VACE, SkyReels-V2.

Known frames enter as channels beside the state (36-channel models), as clean latents in it (TI2V), or as control (VACE).
"""

from typing import final

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from rfcodec.backbones.diffusers.autoencoder import Autoencoder
from rfcodec.backbones.diffusers.calls import config_entry
from rfcodec.backbones.diffusers.guidance import embed_text, guided, timestep
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.prepared import PreparedCondition
from rfcodec.backbones.diffusers.untyped import Arguments, Model
from rfcodec.protocols import Frame, Latents


@final
class WanVelocity:
    """v(x, t) = E[eps - x0 | x_t] of the coded latents c f h w."""

    def __init__(self, prepared: PreparedCondition, options: DiffusersOptions) -> None:
        pipe = prepared.pipeline
        self._pipe, self._given = pipe, prepared.given
        self._device = pipe._execution_device
        self._scales = (
            options.guidance_scale,
            options.guidance_scale if options.guidance_scale_2 is None else options.guidance_scale_2,
        )
        positive, negative = embed_text(prepared, options)
        dtype = pipe.transformer.dtype
        self._texts = (positive.to(dtype), None if negative is None else negative.to(dtype))
        self._known = known_channels(prepared)
        self._more: Arguments = {}
        if config_entry(pipe, "transformer.image_dim"):
            pictures = [prepared.arguments[name] for name in ("image", "last_image") if name in prepared.arguments]
            self._more["encoder_hidden_states_image"] = pipe.encode_image(pictures, self._device).to(pipe.transformer.dtype)
            if len(pictures) == 1:
                self._more["encoder_hidden_states_image"] = self._more["encoder_hidden_states_image"][:1]
        if prepared.spec.frames == "video_mask":
            control = control_channels(prepared)
            self._more["control_hidden_states"] = control.to(pipe.transformer.dtype)

    @torch.no_grad()
    def __call__(self, x: Latents, t: float) -> Latents:
        """Velocity at 0 < t <= 1, float32."""
        time = timestep(t, self._device)
        model, scale = self._expert(time)
        x = x.to(self._device)
        state = x if self._given is None else torch.cat([self._given.to(x), x], dim=1)
        seen = state if self._known is None else torch.cat([state, self._known.to(x)])
        times = self._times(time, state)

        def call(text: Tensor) -> Tensor:
            return model(seen[None].to(model.dtype), times, text, return_dict=False, **self._more)[0]

        v = guided(model, call, self._texts, scale)
        return v[0, :, state.shape[1] - x.shape[1] :].float()

    def _expert(self, time: Tensor) -> tuple[Model, float]:
        second = getattr(self._pipe, "transformer_2", None)
        boundary = getattr(self._pipe.config, "boundary_ratio", None)
        if second is None or boundary is None or time >= boundary * 1000.0:
            return self._pipe.transformer, self._scales[0]
        return second, self._scales[1]

    def _times(self, time: Tensor, state: Latents) -> Tensor:
        if not getattr(self._pipe.config, "expand_timesteps", False):
            return time.expand(1)
        frames = torch.ones(1, *state.shape[1:], device=self._device)
        if self._given is not None:
            frames[:, : self._given.shape[1]] = 0
        return (frames[0, :, ::2, ::2] * time).flatten()[None]


def known_channels(prepared: PreparedCondition) -> Latents | None:
    """Channels beside the state of a 36-channel model: mask of known frames (4), latents of [first, 0 ..., last] (16)."""
    condition = prepared.condition
    if prepared.spec.frames != "image" or prepared.given is not None:
        return None
    video = torch.zeros(1, 3, condition.num_frames, condition.height, condition.width)
    mask = torch.zeros(condition.num_frames)
    for place, reference in ((0, condition.first), (-1, condition.last)):
        if reference:
            video[0, :, place] = pixels(reference.frame)
            mask[place] = 1
    latents = encode_pixels(prepared, video)
    # frame 0 stands for a whole group: four channels a latent frame
    groups = torch.cat([mask[:1].repeat(prepared.spec.temporal), mask[1:]]).reshape(-1, prepared.spec.temporal)
    _, f, h, w = latents.shape
    spread = groups.T[:, :, None, None].expand(-1, f, h, w)
    return torch.cat([spread.to(latents), latents])


def control_channels(prepared: PreparedCondition) -> Tensor:
    """VACE: latents of what is kept (16), of what is free (16), and the mask with 8 x 8 pixels as 64 channels."""
    arguments, condition, side = prepared.arguments, prepared.condition, prepared.spec.spatial
    size = (condition.num_frames, condition.height, condition.width)
    video, free = torch.zeros(1, 3, *size), torch.ones(1, 1, *size)
    if "video" in arguments:
        video = torch.stack([pixels(frame) for frame in arguments["video"]], dim=1)[None]
        free = torch.stack([(pixels(frame.convert("RGB"))[:1] > 0).float() for frame in arguments["mask"]], dim=1)[None]
    halves = [encode_pixels(prepared, video * part) for part in (1 - free, free)]
    blocks = free[0, 0].reshape(size[0], size[1] // side, side, size[2] // side, side).permute(2, 4, 0, 1, 3).flatten(0, 1)
    shape = tuple(halves[0].shape[1:])
    mask = torch.nn.functional.interpolate(blocks[None], size=shape, mode="nearest-exact")[0]
    return torch.cat([*halves, mask.to(halves[0])])[None]


def pixels(frame: Frame | PIL.Image.Image) -> Tensor:
    """A picture, y x 3 in 0..255, as the VAE takes it: 3 y x in -1..1."""
    return torch.from_numpy(np.array(frame)).permute(2, 0, 1).float() / 127.5 - 1


def encode_pixels(prepared: PreparedCondition, video: Tensor) -> Latents:
    """Normalised mode of the VAE for pixels b 3 t y x."""
    return Autoencoder(prepared.pipeline.vae, prepared.spec).encode_pixels(video)
