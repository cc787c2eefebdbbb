"""Velocity of LTX-Video without its pipelines: text alone, a known first frame, known key frames.

The state is a row of tokens. Known frames are clean tokens with time 0: the first one in its place, others in front.
"""

from typing import final

import torch
from torch import Tensor

from rfcodec.backbones.diffusers.autoencoder import Autoencoder
from rfcodec.backbones.diffusers.guidance import embed_text, timestep
from rfcodec.backbones.diffusers.layout import pack, unpack
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.prepared import PreparedCondition
from rfcodec.backbones.diffusers.untyped import Arguments
from rfcodec.protocols import Latents


@final
class LtxVelocity:
    """v(x, t) = E[eps - x0 | x_t] of the coded latents c f h w."""

    def __init__(self, prepared: PreparedCondition, options: DiffusersOptions) -> None:
        pipe, condition = prepared.pipeline, prepared.condition
        self._model, self._scale = pipe.transformer, options.guidance_scale
        self._device = pipe._execution_device
        positive, mask, negative, negative_mask = embed_text(prepared, options)
        pair = options.guidance_scale > 1
        self._texts = torch.cat([negative, positive]) if pair else positive
        self._masks = torch.cat([negative_mask, mask]) if pair else mask
        self._given = prepared.given
        self._rate = prepared.arguments["frame_rate"]
        self._factors = (prepared.spec.temporal, prepared.spec.spatial)
        self._front: list[tuple[Latents, int]] = []
        self._keyframes = prepared.spec.frames == "keyframes"
        if self._keyframes and condition.last:
            latents = Autoencoder(pipe.vae, prepared.spec).encode(condition.last.frame[None])
            self._front = [(latents, condition.num_frames - 1)]

    @torch.no_grad()
    def __call__(self, x: Latents, t: float) -> Latents:
        """Velocity at 0 < t <= 1, float32."""
        x = x.to(self._device)
        state = x if self._given is None else torch.cat([self._given.to(x), x], dim=1)
        tokens = torch.cat([*(pack(latents.to(x)) for latents, _ in self._front), pack(state)])
        batch = self._texts.shape[0]
        coded = pack(x).shape[0]
        times = timestep(t, self._device).expand(batch, 1)
        if coded < tokens.shape[0]:
            known = torch.arange(tokens.shape[0], device=self._device) < tokens.shape[0] - coded
            times = torch.where(known, 0.0, times)
        elif not self._keyframes:
            times = times[:, 0]
        with self._model.cache_context("cond_uncond"):
            v = self._model(
                hidden_states=tokens[None].expand(batch, -1, -1).to(self._texts.dtype),
                encoder_hidden_states=self._texts,
                timestep=times,
                encoder_attention_mask=self._masks,
                return_dict=False,
                **self._places(state),
            )[0].float()
        if batch == 2:
            v = v[:1] + self._scale * (v[1:] - v[:1])
        return unpack(v[0, -coded:], tuple(x.shape))

    def _places(self, state: Latents) -> Arguments:
        temporal, spatial = self._factors
        if not self._keyframes:
            _, f, h, w = state.shape
            scale = (temporal / self._rate, spatial, spatial)
            return {"num_frames": f, "height": h, "width": w, "rope_interpolation_scale": scale}
        grids = [coordinates(latents, index, self._factors) for latents, index in self._front]
        places = torch.cat([*grids, coordinates(state, 0, self._factors)], dim=1).to(self._device)
        places[0] = places[0] * (1.0 / self._rate)
        return {"video_coords": places[None].expand(self._texts.shape[0], -1, -1)}


def coordinates(latents: Latents, index: int, factors: tuple[int, int]) -> Tensor:
    """Frame, row and column of each token in pixels, 3 s; the first frame of a GOP is a group of its own."""
    _, f, h, w = latents.shape
    temporal, spatial = factors
    axes = torch.meshgrid(torch.arange(f), torch.arange(h), torch.arange(w), indexing="ij")
    frame, row, column = (axis.reshape(-1) for axis in axes)
    frame = (frame * temporal + 1 - temporal).clamp(min=0) + index
    return torch.stack([frame, row * spatial, column * spatial]).float()
