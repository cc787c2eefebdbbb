"""How many operations one evaluation of a transformer takes, counted on the meta device: shapes alone, no numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch.utils.flop_counter import FlopCounterMode

from rfcodec.backbones.diffusers.untyped import Arguments, Model

TEXT_OF_HUNYUAN = 256
TEXT_OF_HUNYUAN15 = 1000 + 256 + 729  # of the prompt, of glyphs, of the image
IMAGE_TOKENS_OF_WAN = 257


@final
@dataclass(frozen=True)
class Call:
    """What a transformer is called with: latents c f h w of `frames` frames, `text` tokens, one time or one per token."""

    shape: tuple[int, int, int, int]
    frames: int
    text: int
    times_of_tokens: bool
    fps: float

    def grid(self, config: Model) -> tuple[int, int, int]:
        """Tokens in time, height and width."""
        patch = config.patch_size
        f, h, w = patch if isinstance(patch, tuple | list) else (getattr(config, "patch_size_t", 1), patch, patch)
        return self.shape[1] // f, self.shape[2] // h, self.shape[3] // w

    def tokens(self, config: Model) -> int:
        """Tokens of video."""
        return math.prod(self.grid(config))


def count_operations(model: Model, call: Call) -> tuple[float | None, str]:
    """10^12 floating-point operations of one evaluation, multiplications and additions; or None and why."""
    kind = type(model).__name__
    if kind not in CALLS:
        return None, f"how a {kind} is called is not known here"
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            CALLS[kind](model, call)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        return None, f"a {kind} of these sizes cannot be run without weights: {str(error).splitlines()[0]}"
    return counter.get_total_flops() / 1e12, ""


def hidden_width(config: Model) -> int:
    """Width of a token inside a transformer."""
    return config.model_dim if "model_dim" in config else config.num_attention_heads * config.attention_head_dim


def _empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(*shape, device="meta", dtype=dtype)


def _wan(model: Model, call: Call) -> None:
    config = model.config
    times = (1, call.tokens(config)) if call.times_of_tokens else (1,)
    more: Arguments = {}
    if config.image_dim:
        images = 2 if config.pos_embed_seq_len else 1
        more["encoder_hidden_states_image"] = _empty(images, IMAGE_TOKENS_OF_WAN, config.image_dim)
    if "vace_layers" in config:
        more["control_hidden_states"] = _empty(1, config.vace_in_channels, *call.shape[1:])
        more["control_hidden_states_scale"] = _empty(len(config.vace_layers))
    video = _empty(1, config.in_channels, *call.shape[1:])
    model(video, _empty(*times), _empty(1, call.text, config.text_dim), **more)


def _ltx(model: Model, call: Call) -> None:
    config, grid = model.config, call.grid(model.config)
    text, mask = _empty(1, call.text, config.caption_channels), _empty(1, call.text)
    model(_empty(1, math.prod(grid), config.in_channels), text, _empty(1), mask, *grid, rope_interpolation_scale=(1, 1, 1))


def _ltx2(model: Model, call: Call) -> None:
    config, (f, h, w) = model.config, call.grid(model.config)
    audio = round(call.frames / call.fps * config.audio_sampling_rate / config.audio_hop_length / config.audio_scale_factor)
    text, mask = _empty(1, call.text, config.caption_channels), _empty(1, call.text)
    model(
        hidden_states=_empty(1, f * h * w, config.in_channels),
        audio_hidden_states=_empty(1, audio, config.audio_in_channels),
        encoder_hidden_states=text,
        audio_encoder_hidden_states=text,
        timestep=_empty(1),
        sigma=_empty(1),
        encoder_attention_mask=mask,
        audio_encoder_attention_mask=mask,
        num_frames=f,
        height=h,
        width=w,
        fps=call.fps,
        audio_num_frames=audio,
    )


def _hunyuan(model: Model, call: Call) -> None:
    config, text = model.config, TEXT_OF_HUNYUAN
    video, words = _empty(1, config.in_channels, *call.shape[1:]), _empty(1, text, config.text_embed_dim)
    guidance = _empty(1) if config.guidance_embeds else None
    model(video, _empty(1), words, _empty(1, text), _empty(1, config.pooled_projection_dim), guidance)


def _hunyuan15(model: Model, call: Call) -> None:
    # block by block, because the whole sorts its texts by the values of their masks
    width, tokens, text = hidden_width(model.config), call.tokens(model.config), TEXT_OF_HUNYUAN15
    angles = model.rope(_empty(1, model.config.in_channels, *call.shape[1:]))
    mask = _empty(1, text, dtype=torch.bool)
    for block in model.transformer_blocks:
        block(_empty(1, tokens, width), _empty(1, text, width), _empty(1, width), mask, angles)


def _mochi(model: Model, call: Call) -> None:
    # block by block, because the whole opens an autocast, which the meta device does not have
    config, width, tokens = model.config, hidden_width(model.config), call.tokens(model.config)
    angles = _empty(tokens, config.num_attention_heads, config.attention_head_dim // 2)
    mask = torch.ones(1, call.text, dtype=torch.bool)  # a real one: its values say which tokens there are
    for block in model.transformer_blocks:
        words = _empty(1, call.text, config.pooled_projection_dim)
        block(_empty(1, tokens, width), words, _empty(1, width), mask, (angles, angles))


def _kandinsky(model: Model, call: Call) -> None:
    config, (_, f, h, w) = model.config, call.shape
    channels = 2 * config.in_visual_dim + 1 if config.visual_cond else config.in_visual_dim
    places = [torch.arange(count, device="meta") for count in call.grid(config)]
    words, pooled = _empty(1, call.text, config.in_text_dim), _empty(1, config.in_text_dim2)
    model(_empty(1, f, h, w, channels), words, _empty(1), pooled, places, torch.arange(call.text, device="meta"))


CALLS: dict[str, Callable[[Model, Call], None]] = {
    "WanTransformer3DModel": _wan,
    "WanVACETransformer3DModel": _wan,
    "SkyReelsV2Transformer3DModel": _wan,
    "LTXVideoTransformer3DModel": _ltx,
    "LTX2VideoTransformer3DModel": _ltx2,
    "HunyuanVideoTransformer3DModel": _hunyuan,
    "HunyuanVideo15Transformer3DModel": _hunyuan15,
    "MochiTransformer3DModel": _mochi,
    "Kandinsky5Transformer3DModel": _kandinsky,
}
