"""What every velocity of our own shares: text embeddings, guidance, caches."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.prepared import PreparedCondition
from rfcodec.backbones.diffusers.untyped import Model


def timestep(t: float, device: torch.device) -> Tensor:
    """1000 t as diffusers computes it: t in float32 first."""
    return torch.tensor(t, dtype=torch.float32, device=device) * 1000.0


def embed_text(prepared: PreparedCondition, options: DiffusersOptions) -> Any:
    """What the pipeline's encode_prompt says of the texts, as its own call would ask for them."""
    return prepared.pipeline.encode_prompt(
        prompt=prepared.condition.text,
        negative_prompt=options.negative_prompt,
        do_classifier_free_guidance=options.guidance_scale > 1,
        max_sequence_length=prepared.arguments["max_sequence_length"],
        device=prepared.pipeline._execution_device,
    )


def guided(model: Model, call: Callable[[Any], Tensor], texts: tuple[Any, Any], scale: float) -> Tensor:
    """v_uncond + scale (v_text - v_uncond) of two calls; without the second at scale 1 or less."""
    with model.cache_context("cond"):
        conditional = call(texts[0])
    if scale <= 1:
        return conditional
    with model.cache_context("uncond"):
        unconditional = call(texts[1])
    return unconditional + scale * (conditional - unconditional)
