"""The options of a pretrained pipeline: all that a decoder must repeat to compute the same numbers."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from rfcodec.backbones.diffusers.specs import all_specs
from rfcodec.backbones.options import BackboneOptions
from rfcodec.errors import ConfigError


class DiffusersOptions(BackboneOptions):
    """Fields of `backbone_options` in the stream. What is not given stands at its default and costs no bytes."""

    guidance_scale: float = Field(
        default=1.0, ge=1, le=100, description="of classifier-free guidance; 1: off, at half the cost"
    )
    guidance_scale_2: float | None = Field(default=None, ge=1, le=100, description="that of the second expert")
    negative_prompt: str = Field(default="", max_length=1000, description="text that guidance leads away from")
    frame_rate: int | None = Field(default=None, ge=1, le=1000, description="frames per second the model is told")
    driver: Literal["auto", "native", "pipeline"] = Field(
        default="auto", description="own velocity where there is one, or the pipeline through its scheduler"
    )
    pipeline: str = Field(
        default="", max_length=100, pattern=r"^\w*$", description="class to load instead of the one that the model names"
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="precision of the model")
    vae_dtype: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="precision of the VAE")
    vae_tiling: bool = Field(default=False, description="VAE in tiles: less memory, other digits")
    vae_slicing: bool = Field(default=False, description="VAE slice by slice")
    attention_backend: str = Field(default="native", max_length=50, description="attention backend of diffusers")
    compile: bool = Field(default=False, description="torch.compile of the repeated blocks")
    quantization: Literal["none", "bnb-8bit", "bnb-4bit", "int8", "float8", "gguf"] = Field(
        default="none", description="quantisation of the transformer: bitsandbytes, torchao, or a GGUF file"
    )
    gguf: str = Field(default="", max_length=500, description="the GGUF file, with quantization=gguf")
    reuse: int = Field(default=1, ge=1, le=8, description="steps that one model evaluation serves, by keeping x0_hat")
    cache: Literal["none", "taylorseer", "magcache"] = Field(default="none", description="cache of the transformer")
    cache_interval: int = Field(default=3, ge=2, le=100, description="evaluations between full ones, of taylorseer")
    cache_warmup: int = Field(default=3, ge=1, le=500, description="full evaluations at the start")
    mag_ratios: str = Field(
        default="", max_length=3000, description="of magcache: magnitude ratios of the model, separated by commas"
    )

    @model_validator(mode="after")
    def _each_has_an_effect(self) -> "DiffusersOptions":
        guided = ("guidance_scale above 1", self.guidance_scale > 1)
        needs = {
            "guidance_scale_2": guided,
            "negative_prompt": guided,
            "gguf": ("quantization=gguf", self.quantization == "gguf"),
            "mag_ratios": ("cache=magcache", self.cache == "magcache"),
        }
        for name, (need, met) in needs.items():
            if getattr(self, name) and not met:
                raise ValueError(f"{name} has no effect without {need}")
        return self

    def arithmetic_words(self) -> str:
        """What of the computing is not at its default, for the arithmetic."""
        words = [self.dtype]
        quiet = {"guidance_scale", "guidance_scale_2", "negative_prompt", "frame_rate"}
        quiet |= {"pipeline", "dtype", "gguf", "mag_ratios", "reuse"}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name not in quiet and value != field.default:
                words.append(f"{name}={value:d}" if isinstance(value, bool) else f"{name}={value}")
        return " ".join(words)


def refuse_machine_options(options: Mapping[str, str]) -> None:
    """Raises ConfigError for an option of a stream that opens a file, fetches or builds code, or loads a foreign class."""
    asked = DiffusersOptions.read(options)
    known = {"", *(spec.pipeline.rpartition(":")[2] for spec in all_specs())}
    refused = {
        "gguf": bool(asked.gguf),
        "compile": asked.compile,
        "attention_backend": "hub" in asked.attention_backend,
        "pipeline": asked.pipeline not in known,
    }
    for name, is_refused in refused.items():
        if is_refused:
            raise ConfigError(
                f"the stream sets backbone_options.{name}={options[name]}, which you alone may: repeat it with --override "
                f"{name}=VALUE if you trust it (overrides=... in Python), or set another value"
            )
