"""Pretrained rectified-flow pipelines of diffusers as backbones: driven through their scheduler, described by data."""

from rfcodec.backbones.diffusers.opener import PretrainedPipelines

open_pretrained = PretrainedPipelines()
