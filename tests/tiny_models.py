"""Every supported video pipeline of diffusers, tiny and randomly initialised: built in code, without a network."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import diffusers
import tiny_parts as parts
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.pipelines import ltx2

_TIME = r"norm\w*\.linear\.weight"
_SHORT_PROMPTS = r"attn2\.(norm_q|to_v)\.weight"


def build(name: str) -> DiffusionPipeline:
    """The pipeline of that id, with the same weights on every call; leaves the global generator alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipe = BUILDERS[name]()
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save(name: str, folder: Path) -> Path:
    """Writes the pipeline of that id where `DiffusionPipeline.from_pretrained` finds it."""
    build(name).save_pretrained(folder)
    return folder


def _lively(model, std=0.3):
    """Gives values to what starts as zeros and would leave a branch of the model dead."""
    for parameter in model.parameters():
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=std)
    return model


def _amplified(model, names, gain):
    """Lets a few words, or one picture, be noticed among hundreds of tokens of padding."""
    for name, parameter in model.named_parameters():
        if re.search(names, name):
            parameter.data.mul_(gain)
    return model


def _wan_transformer(kind="WanTransformer3DModel", **options):
    sizes = {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "num_layers": 2, "rope_max_seq_len": 64}
    model = getattr(diffusers, kind)(text_dim=parts.TEXT_DIM, freq_dim=32, **sizes, **options)
    return _amplified(_lively(model), _SHORT_PROMPTS, 4.0)


def _with_umt5(pipeline, shift, vae=parts.wan_vae, **components):
    """Wan and its relatives; their checkpoints come with UniPC."""
    return getattr(diffusers, pipeline)(
        tokenizer=parts.t5_tokenizer(),
        text_encoder=parts.umt5_encoder(),
        vae=vae(),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift),
        **components,
    )


def _wan_t2v():
    return _with_umt5("WanPipeline", 3.0, transformer=_wan_transformer())


def _sighted(**options):
    """The transformer that takes 16 channels of noise, 4 of mask and 16 of known frames, and the tokens of CLIP."""
    image = {"image_dim": parts.IMAGE_DIM, "added_kv_proj_dim": 24}
    return _wan_transformer(in_channels=36, out_channels=16, **image, **options)


def _wan_i2v(shift=3.0, **options):
    towers = {"image_encoder": parts.clip_vision(), "image_processor": parts.clip_image_processor()}
    return _with_umt5("WanImageToVideoPipeline", shift, transformer=_sighted(**options), **towers)


# 4 x 4 patches and a class token, for each of the two pictures
_TWO_PICTURES = 2 * (4 * 4 + 1)


def _wan_vace():
    transformer = _wan_transformer("WanVACETransformer3DModel", vace_layers=[0, 1])
    _amplified(transformer, r"vace_patch_embedding|vace_blocks\.\d\.proj_out", 3.0)
    return _with_umt5("WanVACEPipeline", 3.0, transformer=transformer)


def _two_experts(pipeline, boundary, **options):
    experts = {"transformer": _wan_transformer(**options), "transformer_2": _wan_transformer(**options)}
    return _with_umt5(pipeline, 3.0, boundary_ratio=boundary, **experts)


def _wan22_ti2v(pipeline):
    transformer = _wan_transformer(in_channels=48, out_channels=48)
    return _with_umt5(pipeline, 5.0, vae=parts.wan22_vae, transformer=transformer, expand_timesteps=True)


def _skyreels_t2v():
    return _with_umt5("SkyReelsV2Pipeline", 1.0, transformer=_wan_transformer("SkyReelsV2Transformer3DModel"))


def _skyreels_i2v(**options):
    towers = {"image_encoder": parts.clip_vision_with_projection(), "image_processor": parts.clip_image_processor()}
    transformer = _sighted(kind="SkyReelsV2Transformer3DModel", **options)
    return _with_umt5("SkyReelsV2ImageToVideoPipeline", 1.0, transformer=transformer, **towers)


_SHIFT_BY_SIZE = {
    "use_dynamic_shifting": True,
    "base_image_seq_len": 1024,
    "max_image_seq_len": 4096,
    "base_shift": 0.95,
    "max_shift": 2.05,
    "shift_terminal": 0.1,
}


def _ltx(pipeline, **scheduler):
    sizes = {"num_attention_heads": 2, "attention_head_dim": 12, "cross_attention_dim": 24, "num_layers": 2}
    transformer = diffusers.LTXVideoTransformer3DModel(caption_channels=parts.TEXT_DIM, **sizes)
    return getattr(diffusers, pipeline)(
        scheduler=FlowMatchEulerDiscreteScheduler(**scheduler),
        vae=parts.ltx_vae(),
        text_encoder=parts.t5_encoder(),
        tokenizer=parts.t5_tokenizer(),
        transformer=_amplified(_lively(transformer), _SHORT_PROMPTS, 4.0),
    )


def _ltx2_transformer():
    audio = {
        "audio_in_channels": 4,
        "audio_out_channels": 4,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 8,
        "audio_cross_attention_dim": 16,
    }
    sizes = {"num_attention_heads": 2, "attention_head_dim": 16, "cross_attention_dim": 32, "num_layers": 2}
    transformer = diffusers.LTX2VideoTransformer3DModel(caption_channels=parts.TEXT_DIM, **sizes, **audio)
    return _amplified(_lively(transformer), _SHORT_PROMPTS, 4.0)


def _ltx2_connectors():
    both = {
        "num_attention_heads": 2,
        "attention_head_dim": parts.TEXT_DIM // 2,
        "num_layers": 1,
        "num_learnable_registers": 8,
    }
    options = {f"{stream}_connector_{key}": value for stream in ("video", "audio") for key, value in both.items()}
    # the encoder has two layers, and its embedding counts as one
    return ltx2.LTX2TextConnectors(caption_channels=parts.TEXT_DIM, text_proj_in_factor=3, **options)


def _ltx2_vocoder():
    upsampling = {"upsample_kernel_sizes": [4, 4], "upsample_factors": [2, 2]}
    return ltx2.LTX2Vocoder(
        in_channels=16, hidden_channels=8, **upsampling, resnet_kernel_sizes=[3], resnet_dilations=[[1, 3, 5]]
    )


def _ltx2(pipeline):
    return getattr(diffusers, pipeline)(
        scheduler=FlowMatchEulerDiscreteScheduler(**_SHIFT_BY_SIZE),
        vae=parts.ltx2_vae(),
        audio_vae=parts.ltx2_audio_vae(),
        text_encoder=parts.gemma_encoder(),
        tokenizer=parts.gemma_tokenizer(),
        connectors=_ltx2_connectors(),
        transformer=_ltx2_transformer(),
        vocoder=_ltx2_vocoder(),
    )


def _hunyuan_transformer(**options):
    sizes = {"num_attention_heads": 2, "attention_head_dim": 10, "num_layers": 1, "num_single_layers": 1}
    text = {"text_embed_dim": parts.TEXT_DIM, "pooled_projection_dim": parts.TEXT_DIM, "num_refiner_layers": 1}
    model = diffusers.HunyuanVideoTransformer3DModel(**sizes, **text, rope_axes_dim=(2, 4, 4), **options)
    return _amplified(_lively(model), _TIME, 3.0)


def _hunyuan(pipeline, encoder, **components):
    kind = getattr(diffusers, pipeline)
    template = inspect.signature(kind.encode_prompt).parameters["prompt_template"].default
    # the pipeline counts the start of text, which the tokenizer adds
    tokenizer = parts.learn_template(parts.llama_tokenizer(), template["template"], template["crop_start"] - 1)
    pooling = parts.clip_tokenizer()
    return kind(
        text_encoder=encoder(tokenizer),
        tokenizer=tokenizer,
        vae=parts.hunyuan_vae(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=parts.clip_encoder(pooling),
        tokenizer_2=pooling,
        **components,
    )


def _hunyuan_t2v():
    return _hunyuan("HunyuanVideoPipeline", parts.llama_encoder, transformer=_hunyuan_transformer())


def _hunyuan_i2v(**options):
    sighted = {"image_processor": parts.clip_image_processor(24), "transformer": _hunyuan_transformer(**options)}
    return _hunyuan("HunyuanVideoImageToVideoPipeline", parts.llava_encoder, **sighted)


def _hunyuan15_transformer(task):
    sizes = {"num_attention_heads": 2, "attention_head_dim": 10, "num_layers": 2, "num_refiner_layers": 1}
    embeddings = {"text_embed_dim": parts.TEXT_DIM, "text_embed_2_dim": parts.TEXT_DIM, "image_embed_dim": parts.IMAGE_DIM}
    model = diffusers.HunyuanVideo15Transformer3DModel(
        **sizes, **embeddings, rope_axes_dim=(2, 4, 4), target_size=64, task_type=task
    )
    return _amplified(_lively(model), _TIME, 3.0)


def _hunyuan15(pipeline, task, shift, **components):
    pipe = getattr(diffusers, pipeline)(
        text_encoder=parts.qwen_encoder(),
        tokenizer=parts.qwen_tokenizer(),
        transformer=_hunyuan15_transformer(task),
        vae=parts.hunyuan15_vae(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        text_encoder_2=parts.byt5_encoder(),
        tokenizer_2=parts.byt5_tokenizer(),
        guider=diffusers.ClassifierFreeGuidance(guidance_scale=6.0),
        **components,
    )
    template = (
        f"<|im_start|>system\n{pipe.system_message}<|im_end|>\n<|im_start|>user\n{{}}<|im_end|>\n<|im_start|>assistant\n"
    )
    parts.learn_template(pipe.tokenizer, template, pipe.prompt_template_encode_start_idx)
    return pipe


def _hunyuan15_i2v():
    eyes = {"image_encoder": parts.siglip_vision(), "feature_extractor": parts.siglip_image_processor()}
    return _hunyuan15("HunyuanVideo15ImageToVideoPipeline", "i2v", 5.0, **eyes)


def _mochi_t2v():
    sizes = {"num_attention_heads": 2, "attention_head_dim": 12, "num_layers": 2, "pooled_projection_dim": 16}
    transformer = diffusers.MochiTransformer3DModel(text_embed_dim=parts.TEXT_DIM, time_embed_dim=16, **sizes)
    return diffusers.MochiPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
        vae=parts.mochi_vae(),
        text_encoder=parts.t5_encoder(),
        tokenizer=parts.t5_tokenizer(),
        transformer=_lively(transformer),
    )


def _kandinsky5_transformer():
    text = {"in_text_dim": parts.TEXT_DIM, "in_text_dim2": parts.TEXT_DIM, "num_text_blocks": 1}
    sizes = {"time_dim": 16, "model_dim": 20, "ff_dim": 32, "num_visual_blocks": 2, "axes_dims": (2, 4, 4)}
    # the state carries 17 more channels, which tell the known frames
    model = diffusers.Kandinsky5Transformer3DModel(in_visual_dim=16, out_visual_dim=16, visual_cond=True, **text, **sizes)
    # the pooled words share the modulation with the time, and would drown it
    return _amplified(_lively(model, std=0.2), r"pooled_text_embeddings\.norm", 0.2)


def _kandinsky5(pipeline):
    pooling = parts.clip_tokenizer()
    pipe = getattr(diffusers, pipeline)(
        transformer=_kandinsky5_transformer(),
        vae=parts.hunyuan_vae(),
        text_encoder=parts.qwen_vision_encoder(),
        tokenizer=parts.qwen_processor(),
        text_encoder_2=parts.clip_encoder(pooling),
        tokenizer_2=pooling,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
    )
    parts.learn_template(pipe.tokenizer.tokenizer, pipe.prompt_template, pipe.prompt_template_encode_start_idx)
    return pipe


BUILDERS: dict[str, Callable[[], DiffusionPipeline]] = {
    "wan-t2v": _wan_t2v,
    "wan-i2v": _wan_i2v,
    "wan-flf2v": partial(_wan_i2v, shift=16.0, pos_embed_seq_len=_TWO_PICTURES),
    "wan-vace": _wan_vace,
    "wan22-t2v": partial(_two_experts, "WanPipeline", 0.875),
    "wan22-i2v": partial(_two_experts, "WanImageToVideoPipeline", 0.9, in_channels=36, out_channels=16),
    "wan22-ti2v": partial(_wan22_ti2v, "WanImageToVideoPipeline"),
    "wan22-ti2v-t2v": partial(_wan22_ti2v, "WanPipeline"),
    "skyreels-t2v": _skyreels_t2v,
    "skyreels-i2v": _skyreels_i2v,
    "skyreels-flf2v": partial(_skyreels_i2v, pos_embed_seq_len=_TWO_PICTURES),
    "ltx-t2v": partial(_ltx, "LTXPipeline", **_SHIFT_BY_SIZE),
    "ltx-i2v": partial(_ltx, "LTXImageToVideoPipeline", **_SHIFT_BY_SIZE),
    # has a grid of its own, and gives no mu for a shift by size
    "ltx-condition": partial(_ltx, "LTXConditionPipeline"),
    "ltx2-t2v": partial(_ltx2, "LTX2Pipeline"),
    "ltx2-i2v": partial(_ltx2, "LTX2ImageToVideoPipeline"),
    "ltx2-condition": partial(_ltx2, "LTX2ConditionPipeline"),
    "hunyuan-t2v": _hunyuan_t2v,
    "hunyuan-i2v": partial(_hunyuan_i2v, in_channels=33, guidance_embeds=False, image_condition_type="latent_concat"),
    "hunyuan-i2v-replace": partial(_hunyuan_i2v, image_condition_type="token_replace"),
    "hunyuan15-t2v": partial(_hunyuan15, "HunyuanVideo15Pipeline", "t2v", 5.0),
    "hunyuan15-i2v": _hunyuan15_i2v,
    "mochi-t2v": _mochi_t2v,
    "kandinsky5-t2v": partial(_kandinsky5, "Kandinsky5T2VPipeline"),
    "kandinsky5-i2v": partial(_kandinsky5, "Kandinsky5I2VPipeline"),
}
