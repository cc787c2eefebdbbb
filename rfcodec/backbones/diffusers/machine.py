"""Fitting a pipeline to a machine: precision, device, offload, VAE tiles, attention, quantisation, compilation."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import torch

from rfcodec.backbones.diffusers.library import diffusers, quiet
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.untyped import Arguments, Model, Pipeline, Settings
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, ConfigError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ALIGNMENT = 64  # bytes
MODELS = ("transformer", "transformer_2")
QUANTIZERS = {
    "bnb-8bit": ("bitsandbytes", "BitsAndBytesConfig", {"load_in_8bit": True}),
    "bnb-4bit": ("bitsandbytes", "BitsAndBytesConfig", {"load_in_4bit": True}),
    "int8": ("torchao", "TorchAoConfig", {"quant_type": "Int8WeightOnlyConfig"}),
    "float8": ("torchao", "TorchAoConfig", {"quant_type": "Float8WeightOnlyConfig"}),
    "gguf": ("gguf", "GGUFQuantizationConfig", {}),
}


def load_settings(folder: Path, options: DiffusersOptions, parts: Settings) -> Arguments:
    """Arguments of from_pretrained; `parts` are components given beforehand, None for those left out.

    Precision is set at load, so that layers that must stay float32 do. Raises BackboneError without the quantiser's package.
    """
    settings = {"dtype": {"default": DTYPES[options.dtype], "vae": DTYPES[options.vae_dtype]}, **parts}
    if options.quantization == "none" or "transformer" in parts:
        return settings
    config = _quantizer(options)
    if options.quantization == "gguf":
        return settings | {"transformer": _from_gguf(folder, options, config)}
    mapping = {name: config for name in MODELS if (folder / name).is_dir()}
    return settings | {"quantization_config": diffusers.PipelineQuantizationConfig(quant_mapping=mapping)}


def settle(pipe: Pipeline, runtime: RuntimeConfig, options: DiffusersOptions) -> Pipeline:
    """The pipeline, ready to run; raises ConfigError or BackboneError for what this machine or model cannot do."""
    if options.vae_tiling:
        pipe.vae.enable_tiling()
    if options.vae_slicing:
        pipe.vae.enable_slicing()
    for model in models_of(pipe):
        _set_attention(model, options.attention_backend)
        if options.compile:
            _compile(model)
    if getattr(pipe.config, "boundary_ratio", None) and getattr(pipe, "transformer_2", None) is None:
        # some converted models of one expert name the time at which the other takes over
        pipe.register_to_config(boundary_ratio=None)
    _align(pipe)
    try:
        _place(pipe, runtime)
    except (RuntimeError, ValueError, ImportError) as error:
        raise BackboneError(
            f"the pipeline cannot be put on {runtime.device} (offload {runtime.offload}): {error}"
        ) from error
    return pipe


def models_of(pipe: Pipeline) -> list[Model]:
    """The transformers of a pipeline."""
    return [model for model in (getattr(pipe, name, None) for name in MODELS) if model is not None]


def _compile(model: Model) -> None:
    try:
        model.compile_repeated_blocks()
    except (ValueError, RuntimeError, AttributeError) as error:
        raise ConfigError(f"backbone_options.compile is set: {error}") from error


def _align(pipe: Pipeline) -> None:
    # weights that lie in a mapped file take other kernels than those at aligned addresses, and give other last digits
    for part in pipe.components.values():
        for tensor in (*part.parameters(), *part.buffers()) if isinstance(part, torch.nn.Module) else ():
            if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT:
                tensor.data = tensor.data.clone()


def _set_attention(model: Model, backend: str) -> None:
    # always, because a backend set on one model becomes the default of every later one
    with quiet():
        try:
            model.set_attention_backend(backend)
        except (ValueError, RuntimeError, ImportError, KeyError) as error:
            raise ConfigError(f"backbone_options.attention_backend is {backend!r}: {error}") from error


def _place(pipe: Pipeline, runtime: RuntimeConfig) -> None:
    if runtime.offload == "group":
        pipe.enable_group_offload(onload_device=torch.device(runtime.device), offload_type="leaf_level")
    elif runtime.offload != "none" and runtime.device == "cpu":
        raise ConfigError(f"offload {runtime.offload} needs a device other than cpu: name one, or use offload none")
    elif runtime.offload == "model":
        pipe.enable_model_cpu_offload(device=runtime.device)
    elif runtime.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=runtime.device)
    else:
        pipe.to(runtime.device)


def _quantizer(options: DiffusersOptions) -> Any:
    package, name, settings = QUANTIZERS[options.quantization]
    if importlib.util.find_spec(package) is None:
        raise BackboneError(f"quantization {options.quantization} needs the package {package}: pip install {package}")
    if options.quantization == "bnb-4bit":
        settings = settings | {"bnb_4bit_compute_dtype": DTYPES[options.dtype]}
    if package == "torchao":
        kinds = importlib.import_module("torchao.quantization")
        settings = {"quant_type": getattr(kinds, settings["quant_type"])()}
    if options.quantization == "gguf":
        settings = {"compute_dtype": DTYPES[options.dtype]}
    return getattr(diffusers, name)(**settings)


def _from_gguf(folder: Path, options: DiffusersOptions, config: Any) -> Any:
    if not options.gguf:
        raise ConfigError("quantization is gguf, but backbone_options.gguf names no file")
    index = diffusers.DiffusionPipeline.load_config(folder)
    kind = getattr(diffusers, index["transformer"][1])
    try:
        return kind.from_single_file(
            options.gguf,
            quantization_config=config,
            config=str(folder),
            subfolder="transformer",
            dtype=DTYPES[options.dtype],
        )
    except (OSError, ValueError, AttributeError) as error:
        raise BackboneError(f"{options.gguf} cannot be loaded as {kind.__name__}: {error}") from error
