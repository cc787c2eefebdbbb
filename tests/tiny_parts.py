"""Tiny, randomly initialised parts of the video pipelines, built in code: tokenizers, encoders of text and images, VAEs."""

import re

from rfcodec.support.torchvision_repair import repair_torchvision

repair_torchvision()

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import AddedToken  # noqa: E402
from tokenizers.pre_tokenizers import ByteLevel  # noqa: E402

TEXT_DIM = 32
IMAGE_DIM = 8
_VOCABULARY = 300  # room for every tokenizer below
_CHARACTERS = [chr(code) for code in range(33, 127)]
_SPACE = "\u2581"


def t5_tokenizer():
    """One token a character, as all of these, so that prompts of different words differ."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (_SPACE, -2.0)] + [(c, -3.0) for c in _CHARACTERS]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def clip_tokenizer():
    tokens = [*_CHARACTERS, *[c + "</w>" for c in _CHARACTERS], "<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(vocab=_numbered(tokens), merges=[], model_max_length=77)


def llama_tokenizer():
    tokens = _numbered(["<unk>", "<s>", "</s>", "<pad>", _SPACE, *_CHARACTERS])
    return transformers.LlamaTokenizer(vocab=tokens, merges=[], pad_token="<pad>", add_bos_token=True)


def gemma_tokenizer():
    tokens = _numbered(["<pad>", "<eos>", "<bos>", "<unk>", _SPACE, *_CHARACTERS])
    return transformers.GemmaTokenizer(vocab=tokens, merges=[], add_bos_token=True, model_max_length=1024)


def qwen_tokenizer():
    specials = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|im_start|>", "<|im_end|>"]
    tokens = _numbered([*sorted(ByteLevel.alphabet()), "<|endoftext|>", *specials])
    tokenizer = transformers.Qwen2Tokenizer(vocab=tokens, merges=[])
    tokenizer.add_tokens(specials, special_tokens=True)
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def qwen_processor():
    images, videos = transformers.Qwen2VLImageProcessor(), transformers.Qwen2VLVideoProcessor()
    return transformers.Qwen2VLProcessor(image_processor=images, tokenizer=qwen_tokenizer(), video_processor=videos)


def byt5_tokenizer():
    return transformers.ByT5Tokenizer()


def _numbered(tokens):
    return {token: index for index, token in enumerate(tokens)}


def learn_template(tokenizer, template, count):
    """Makes what precedes the prompt in the template `count` tokens long, which is where the pipelines cut it off."""
    before, after = (_split_specials(text) for text in template.split("{}"))
    message = max(before, key=len)
    # its last characters remain one token each
    single = count - len(before)
    words = [text[:-single] if text is message else text for text in before]
    tokenizer.add_tokens([AddedToken(word, normalized=False, special=True) for word in words + after])
    return tokenizer


def _split_specials(text):
    return [part for part in re.split(r"(<[^<>]+>)", text) if part]


def _t5_sizes(vocabulary):
    return {"vocab_size": vocabulary, "d_model": TEXT_DIM, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 4}


def t5_encoder(vocabulary=_VOCABULARY):
    return transformers.T5EncoderModel(transformers.T5Config(**_t5_sizes(vocabulary)))


def byt5_encoder():
    return t5_encoder(384)


def umt5_encoder():
    return transformers.UMT5EncoderModel(transformers.UMT5Config(**_t5_sizes(_VOCABULARY)))


def _decoder_sizes(layers=3):
    """Hunyuan takes the third last of the hidden states; the start is far from 0, as in trained models."""
    sizes = {"hidden_size": TEXT_DIM, "intermediate_size": 32, "num_hidden_layers": layers, "vocab_size": _VOCABULARY}
    return sizes | {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}


def llama_encoder(tokenizer):
    config = transformers.LlamaConfig(**_decoder_sizes(), pad_token_id=tokenizer.pad_token_id)
    return transformers.LlamaModel(config)


def llava_encoder(tokenizer):
    """Sees a picture as 576 tokens, the number written into the pipeline's template."""
    text = transformers.LlamaConfig(**_decoder_sizes(), pad_token_id=tokenizer.pad_token_id)
    config = transformers.LlavaConfig(
        vision_config=_clip_vision_config(24),
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        image_seq_length=576,
        vision_feature_layer=-2,
    )
    return transformers.LlavaForConditionalGeneration(config)


# the default ids of start and end are beyond the tiny vocabulary
_NO_ENDS = {"bos_token_id": None, "eos_token_id": None}


def _qwen_sizes():
    return (
        _decoder_sizes()
        | _NO_ENDS
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}}
    )


def qwen_encoder():
    return transformers.Qwen2_5_VLTextModel(transformers.Qwen2_5_VLTextConfig(**_qwen_sizes()))


def qwen_vision_encoder():
    vision = {"depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 1, "out_hidden_size": TEXT_DIM}
    config = transformers.Qwen2_5_VLConfig(text_config=_qwen_sizes(), vision_config=vision | {"fullatt_block_indexes": [0]})
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def gemma_encoder():
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.Gemma3Config(
        text_config=_decoder_sizes(layers=2) | {"head_dim": 8},
        vision_config=vision | {"image_size": 8, "patch_size": 4},
        mm_tokens_per_image=4,
    )
    return transformers.Gemma3ForConditionalGeneration(config)


def clip_encoder(tokenizer):
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_DIM,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_factor=10.0,
    )
    return transformers.CLIPTextModel(config)


def _clip_vision_config(image_size):
    sizes = {"hidden_size": IMAGE_DIM, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    return transformers.CLIPVisionConfig(
        **sizes, projection_dim=IMAGE_DIM, image_size=image_size, patch_size=1, initializer_factor=10.0
    )


def clip_vision(image_size=4):
    """image_size^2 + 1 tokens."""
    return transformers.CLIPVisionModel(_clip_vision_config(image_size))


def clip_vision_with_projection(image_size=4):
    return transformers.CLIPVisionModelWithProjection(_clip_vision_config(image_size))


def clip_image_processor(image_size=4):
    crop = {"height": image_size, "width": image_size}
    return transformers.CLIPImageProcessor(size={"shortest_edge": image_size}, crop_size=crop)


def siglip_vision():
    """27 x 27 = 729 tokens, the number written into the pipeline."""
    sizes = {"hidden_size": IMAGE_DIM, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**sizes, image_size=27, patch_size=1))


def siglip_image_processor():
    return transformers.SiglipImageProcessor(size={"height": 27, "width": 27})


def _statistics(channels):
    """A mean and a standard deviation for each channel, far enough from 0 and 1 that leaving one out shows."""
    step = torch.arange(channels) / channels
    return {"latents_mean": (0.6 * step - 0.4).tolist(), "latents_std": (0.5 + 1.5 * step).tolist()}


def _with_statistics(vae, channels):
    """Fills the buffers in which the LTX autoencoders keep what others keep in their configuration."""
    for name, values in _statistics(channels).items():
        getattr(vae, name).copy_(torch.tensor(values))
    return vae


def _vivid(vae):
    """Layers that keep the variance: by default they fade a picture, and most of all the last one of a clip."""
    for name, parameter in vae.named_parameters():
        if name.endswith("weight") and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return vae


def _almost_sure(last, channels, gain=2.0):
    """Spreads the means that this layer makes; its log variances are low, as trained ones are, but visible in a sample."""
    last.weight.data[:channels] *= gain
    last.weight.data[channels:] *= 0.1
    last.bias.data[channels:] = -4.0


def wan_vae():
    """4x8x8 and 16 channels, with the mean and standard deviation of the real one."""
    sizes = {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "temperal_downsample": [False, True, True]}
    vae = diffusers.AutoencoderKLWan(**sizes, z_dim=16)
    _almost_sure(_vivid(vae).quant_conv, 16)
    return vae


def wan22_vae():
    """4x16x16 and 48 channels; the statistics are our own."""
    sizes = {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "temperal_downsample": [False, True, True]}
    patches = {"patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16}
    vae = diffusers.AutoencoderKLWan(**sizes, **patches, z_dim=48, is_residual=True, **_statistics(48))
    _almost_sure(_vivid(vae).quant_conv, 48)
    return vae


def ltx_vae():
    """8x32x32 and 128 channels, as the real one; the statistics are our own."""
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=128,
        block_out_channels=(4, 4, 4, 4),
        decoder_block_out_channels=(4, 4, 4, 4),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
    )
    _almost_sure(_vivid(vae).encoder.conv_out.conv, 128)
    return _with_statistics(vae, 128)


def ltx2_vae():
    """8x32x32 and 128 channels, as the real one; the statistics are our own."""
    vae = diffusers.AutoencoderKLLTX2Video(
        latent_channels=128,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        # two of the four stages scale in one way only, which the constructor does not take into account
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    _almost_sure(_vivid(vae).encoder.conv_out.conv, 128)
    return _with_statistics(vae, 128)


def ltx2_audio_vae():
    """2 channels of 8 / 4 mel bins, which makes tokens of 4 numbers (of 128 in the real one)."""
    return diffusers.AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1,), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=8
    )


def hunyuan_vae():
    """4x8x8 and 16 channels, with the scaling factor of the real one."""
    vae = diffusers.AutoencoderKLHunyuanVideo(block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4)
    _almost_sure(_vivid(vae).quant_conv, 16)
    return vae


def hunyuan15_vae():
    """4x16x16 and 32 channels, with the scaling factor of the real one."""
    vae = diffusers.AutoencoderKLHunyuanVideo15(block_out_channels=(8, 8, 16, 32, 64), layers_per_block=1)
    _almost_sure(_vivid(vae).encoder.conv_out.conv, 32, gain=1.0)
    return vae


def mochi_vae():
    """6x8x8 and 12 channels; the real scaling factor is 1. Group norms of 32 keep it from being smaller."""
    channels = (32, 32, 32, 32)
    vae = diffusers.AutoencoderKLMochi(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        layers_per_block=(1, 1, 1, 1, 1),
        scaling_factor=0.8,
        **_statistics(12),
    )
    return _vivid(vae)
