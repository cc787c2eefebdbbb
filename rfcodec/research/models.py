"""Pretrained architectures with random weights: what a model costs, without fetching it."""

from typing import Any

import torch

from rfcodec.backbones.diffusers.families import pipeline_class
from rfcodec.backbones.diffusers.library import diffusers
from rfcodec.backbones.diffusers.machine import DTYPES
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.pipeline import DiffusersBackbone
from rfcodec.backbones.diffusers.prompts import PromptMemo
from rfcodec.backbones.diffusers.sources import Checkpoint, checkpoints
from rfcodec.backbones.diffusers.specs import built_in
from rfcodec.types import Identity

__all__ = ["diffusers", "random_backbone", "random_model"]

TOKENS = 512


def random_model(checkpoint: Checkpoint, dtype: torch.dtype, device: str) -> Any:
    """The transformer of a checkpoint with random weights."""
    settings = dict(checkpoint.transformer)
    kind = getattr(diffusers, settings.pop("class"))
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return kind(**settings).eval()
    finally:
        torch.set_default_dtype(before)


def random_backbone(name: str, dtype: str, device: str) -> DiffusersBackbone:
    """A backbone of that architecture: random weights, no text encoder, a small VAE that is not used."""
    checkpoint = checkpoints()[name]
    spec = next(spec for spec in built_in() if spec.id == checkpoint.family)
    vae = diffusers.AutoencoderKLWan(base_dim=3, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    parts = {"tokenizer": None, "text_encoder": None, "vae": vae, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler()}
    model = random_model(checkpoint, DTYPES[dtype], device)
    pipe = pipeline_class(spec.pipeline)(transformer=model, **parts)
    embeddings = torch.zeros(1, TOKENS, model.config.text_dim)
    prompts = PromptMemo(lambda kind: lambda *_, **__: (embeddings, None), name, "", None)
    options = DiffusersOptions(dtype=dtype)  # type: ignore[arg-type]
    return DiffusersBackbone((spec,), pipe, Identity(name, b"", ""), options, prompts)
