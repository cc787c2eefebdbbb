"""What a run needs before it is made, without weights: parameters, operations and memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rfcodec.backbones.diffusers.blueprint import Blueprint, blueprint, parameters
from rfcodec.backbones.diffusers.operations import TEXT_OF_HUNYUAN15, Call, count_operations, hidden_width
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.untyped import Model
from rfcodec.config import TrajectoryConfig
from rfcodec.types import Geometry

STEPS = TrajectoryConfig().steps
PROBES = 9  # evaluations by which the encoder measures the information profile of a GOP
TEXT_TOKENS, FRAME_RATE = 256, 24  # where a spec says nothing
GIGA = 1e9

BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
QUANTIZED = {"bnb-8bit": 1.0, "int8": 1.0, "float8": 1.0, "gguf": 1.0, "bnb-4bit": 0.5}
EMBEDDED_GUIDANCE = ("HunyuanVideoTransformer3DModel",)
BATCHED_GUIDANCE = ("LTX2VideoTransformer3DModel", "MochiTransformer3DModel")
MASKED_ATTENTION = ("HunyuanVideo15Transformer3DModel",)

LIVE_TENSORS, LIVE_TENSORS_OF_TIMES, LIVE_MASKS = 16, 16, 1.5
# values per pixel of a frame, frames at a time (0: all), side of a tile
VAE_LIVE = {
    "AutoencoderKLWan": (1300, 4, 256),
    "AutoencoderKLLTXVideo": (60, 0, 512),
    "AutoencoderKLLTX2Video": (45, 0, 512),
    "AutoencoderKLHunyuanVideo": (1230, 16, 256),
    "AutoencoderKLHunyuanVideo15": (900, 0, 256),
    "AutoencoderKLMochi": (960, 0, 256),
}
VAE_LIVE_ELSEWHERE = (1000, 0, 256)


@final
@dataclass(frozen=True)
class Memory:
    """Gigabytes (10^9 bytes) of the weights of each part, and of what is alive in an evaluation and in the VAE.

    An evaluation keeps 16 tokens x hidden x bytes x batch alive, as traced on Wan, LTX, Hunyuan, Mochi and Kandinsky with
    fused attention (11 to 19 there); 16 more where each token has its own time, one more for each control layer of VACE,
    and 1.5 bytes x tokens^2 of masks for HunyuanVideo-1.5. The VAE keeps a number of values per pixel, traced for each
    class, of the frames that it works on at a time, or of one tile with vae_tiling. All of it is rough, and attention that
    is not fused needs far more.
    """

    transformers: float
    vae: float
    text_encoders: float
    others: float
    evaluation: float
    vae_work: float
    largest_part: float
    largest_layer: float

    @property
    def work(self) -> float:
        """Activations at their highest: evaluations and the VAE take turns."""
        return max(self.evaluation, self.vae_work)

    @property
    def everything(self) -> float:
        """On the device if all parts stay there."""
        return self.without_text + self.text_encoders

    @property
    def without_text(self) -> float:
        """On the device once the text encoders are let go of, as here after each prompt."""
        return self.transformers + self.vae + self.others + self.work

    @property
    def embedding(self) -> float:
        """On the device while a prompt is embedded that no earlier run has left behind: all weights."""
        return self.everything - self.work

    @property
    def model_offload(self) -> float:
        """On the device with one part there at a time."""
        return self.largest_part + self.work

    @property
    def group_offload(self) -> float:
        """On the device with the weights of one layer there at a time."""
        return self.largest_layer + self.work


@final
@dataclass(frozen=True)
class Estimate:
    """What a model is, and what a GOP of it costs.

    Width, height and frames are padded to legal ones. `weights` counts 10^9 parameters: of one transformer, the VAE, all
    text encoders, all else. `tflop` is 10^12 operations of one pass of a transformer, None where it cannot be counted,
    and then `uncounted` says why; an evaluation is `guidance_factor` passes.
    """

    name: str
    family: str
    takes: tuple[str, ...]
    geometry: Geometry
    width: int
    height: int
    frames: int
    weights: Mapping[str, float]
    experts: int
    tflop: float | None
    uncounted: str
    evaluations: int
    probes: int
    guidance_factor: int
    memory: Memory

    @property
    def tflop_decode(self) -> float | None:
        """10^12 operations that decoding a GOP takes, without the VAE."""
        return None if self.tflop is None else self.tflop * self.guidance_factor * self.evaluations

    @property
    def tflop_encode(self) -> float | None:
        """10^12 operations that encoding takes: the decoder's, and those that measure the information profile."""
        return None if self.tflop is None else self.tflop * self.guidance_factor * (self.evaluations + self.probes)


def estimate(name_or_folder: str, width: int, height: int, frames: int, options: DiffusersOptions) -> Estimate:
    """The estimate for GOPs of that size, from a checkpoint's data or from the configuration files of a folder.

    Raises UnknownPlugin for a name that stands for nothing, MissingWeights where no configuration is on this machine.
    """
    plan = blueprint(name_or_folder)
    frames, (width, height) = plan.geometry.padded_frames(frames), plan.geometry.padded_size(width, height)
    call = _call(plan, plan.geometry.latent_shape(frames, width, height), frames, options)
    tflop, uncounted = count_operations(plan.transformer, call)
    doubled = options.guidance_scale > 1 and type(plan.transformer).__name__ not in EMBEDDED_GUIDANCE
    weights = {"transformer": parameters(plan.transformer), "vae": parameters(plan.vae)}
    weights |= {"text_encoders": plan.text, "others": plan.others}
    return Estimate(
        name=name_or_folder,
        family=plan.specs[0].family,
        takes=plan.takes,
        geometry=plan.geometry,
        width=width,
        height=height,
        frames=frames,
        weights={part: count / GIGA for part, count in weights.items()},
        experts=plan.experts,
        tflop=tflop,
        uncounted=uncounted,
        evaluations=-(-STEPS // options.reuse),
        probes=-(-PROBES // options.reuse),
        guidance_factor=2 if doubled else 1,
        memory=_memory(plan, call, (width * height, frames), options),
    )


def _call(plan: Blueprint, shape: tuple[int, int, int, int], frames: int, options: DiffusersOptions) -> Call:
    spec = plan.specs[0]
    text = int(spec.call.get("max_sequence_length", TEXT_TOKENS))
    each = any("expand_timesteps" in other.when for other in plan.specs)
    return Call(shape, frames, text, each, options.frame_rate or spec.frame_rate or FRAME_RATE)


def _memory(plan: Blueprint, call: Call, size: tuple[int, int], options: DiffusersOptions) -> Memory:
    width = BYTES[options.dtype]
    transformer = _weight_bytes(plan.transformer, options)
    vae = parameters(plan.vae) * BYTES[options.vae_dtype]
    layers = [parameters(layer) for layer in plan.transformer.modules() if not list(layer.children())]
    return Memory(
        transformers=plan.experts * transformer / GIGA,
        vae=vae / GIGA,
        text_encoders=plan.text * width / GIGA,
        others=plan.others * width / GIGA,
        evaluation=_evaluation_bytes(plan.transformer, call, options) / GIGA,
        vae_work=_vae_bytes(plan.vae, *size, options) / GIGA,
        largest_part=max(transformer, vae) / GIGA,
        largest_layer=max(layers) * width / GIGA,
    )


def _weight_bytes(model: Model, options: DiffusersOptions) -> float:
    if options.quantization == "gguf" and Path(options.gguf).is_file():
        return Path(options.gguf).stat().st_size
    width, matrices = BYTES[options.dtype], QUANTIZED.get(options.quantization, BYTES[options.dtype])
    kept = set(getattr(model, "_keep_in_fp32_modules", None) or ())  # as from_pretrained keeps them
    total = 0.0
    for name, parameter in model.named_parameters():
        lower = matrices if parameter.ndim == 2 else width
        total += parameter.numel() * (BYTES["float32"] if kept & set(name.split(".")) else lower)
    return total


def _evaluation_bytes(model: Model, call: Call, options: DiffusersOptions) -> float:
    kind, tokens = type(model).__name__, call.tokens(model.config)
    batch = 2 if options.guidance_scale > 1 and kind in BATCHED_GUIDANCE else 1
    tensors = LIVE_TENSORS + len(model.config.get("vace_layers", ()))
    tensors += LIVE_TENSORS_OF_TIMES if call.times_of_tokens else 0
    masks = LIVE_MASKS * (tokens + TEXT_OF_HUNYUAN15) ** 2 if kind in MASKED_ATTENTION else 0
    return batch * tensors * tokens * hidden_width(model.config) * BYTES[options.dtype] + masks


def _vae_bytes(vae: Model, pixels: int, frames: int, options: DiffusersOptions) -> float:
    values, at_once, tile = VAE_LIVE.get(type(vae).__name__, VAE_LIVE_ELSEWHERE)
    pixels = min(pixels, tile**2) if options.vae_tiling else pixels
    return values * pixels * min(frames, at_once or frames) * BYTES[options.vae_dtype]
