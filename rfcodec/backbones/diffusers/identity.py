"""Who a model is: a hash over the tensors of the parts that compute velocities and latents."""

import hashlib
import inspect
import json
import mmap
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from rfcodec.backbones.diffusers.library import diffusers
from rfcodec.backbones.diffusers.untyped import Arguments, Pipeline
from rfcodec.errors import MissingWeights

SAMPLES = 32  # values taken of each tensor, evenly spread
DIGEST_BYTES = 8
VARIANT = re.compile(r"\.(fp16|bf16|fp32|fp8|ema)(-\d+-of-\d+)?\.safetensors$|-\d+-of-\d+\.\w+\.safetensors$")
NOT_HASHED = ("text_encoder", "tokenizer", "scheduler", "feature_extractor", "image_processor", "safety", "vocoder")
SETTINGS = ("latents_mean", "latents_std", "scaling_factor", "shift_factor", "boundary_ratio", "expand_timesteps")
LONGEST_HEADER = 100_000_000  # bytes, as the format has it
SECOND_EXPERT = "transformer_2"
TORCH_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def is_hashed(component: str) -> bool:
    """Whether a component's weights make the model: text encoders may be absent, and what they say shows in the digest."""
    return not component.startswith(NOT_HASHED)


def weights_digest(tensors: Iterable[tuple[str, tuple[int, ...], bytes]]) -> bytes:
    """Hash of (name, shape, sampled values as bfloat16) of all tensors, so that copies in other precisions agree."""
    found = hashlib.blake2s(digest_size=DIGEST_BYTES)
    for name, shape, samples in sorted(tensors):
        found.update(repr((name, shape)).encode() + samples)
    return found.digest()


def folder_tensors(folder: Path, parts: Sequence[str], empty: bool = False) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    """The tensors of some components in a model folder, read from their safetensors files without loading them.

    Copies in another precision beside the full ones ("x.fp16.safetensors") are left out. Raises MissingWeights for weights
    in another format, and where nothing is found unless that may be.
    """
    found = False
    for part in sorted(parts):
        files = sorted((folder / part).glob("*.safetensors"))
        if not files and any((folder / part).glob("*.bin")):
            raise MissingWeights(f"{folder / part} holds weights as .bin; save the model with safe_serialization")
        plain = [path for path in files if not VARIANT.search(path.name)]
        for path in plain or files:
            for name, shape, samples in _file_tensors(path):
                found = True
                yield f"{part}.{name}", shape, samples
    if not (found or empty):
        raise MissingWeights(f"{folder} has no safetensors weights in its component folders; save it with save_pretrained")


def folder_fingerprint(folder: Path, parts: Sequence[str], gguf: str = "") -> str:
    """Hash of the model of a folder as it lies there: its tensors, sampled, and its configuration files, whole."""
    hashed = [name for name in parts if is_hashed(name)]
    configs = (folder / name for name in ("model_index.json", *(f"{part}/config.json" for part in hashed)))
    settings = [(str(path.relative_to(folder)), (), path.read_bytes()) for path in configs if path.is_file()]
    return weights_digest(chain(folder_tensors(folder, hashed), gguf_tensors(gguf), settings)).hex()


def gguf_tensors(path: str) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    """A GGUF file as if it were one tensor: its size and pieces of its content."""
    if path:
        size = Path(path).stat().st_size
        pieces = []
        with Path(path).open("rb") as file:
            for i in range(SAMPLES):
                file.seek(i * size // SAMPLES)
                pieces.append(file.read(4096))
        yield "gguf", (size,), b"".join(pieces)


def settings_of(pipe: Pipeline) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    """The settings that change what the same tensors compute, as if they were tensors."""
    owners = {"pipeline": pipe} | {name: part for name, part in pipe.components.items() if is_hashed(name)}
    for owner, part in owners.items():
        yield from _settings(owner, lambda name, part=part: getattr(getattr(part, "config", None), name, None))


def folder_settings(folder: Path, index: Arguments, kind: Pipeline) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    """`settings_of` of the pipeline of a model folder, from its JSON files and the defaults of its classes.

    Nothing is loaded, so that a model is known before it is.
    """
    parts = {part: entry[1] for part, entry in index.items() if isinstance(entry, list) and entry[0]}
    one_expert = {} if SECOND_EXPERT in parts else {"boundary_ratio": None}
    yield from _settings("pipeline", _told(kind, index | one_expert))
    for part, name in parts.items():
        file = folder / part / "config.json"
        if is_hashed(part) and file.is_file():
            yield from _settings(part, _told(getattr(diffusers, name, None), json.loads(file.read_text())))


def _settings(owner: str, told: Callable[[str], object]) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    for name in SETTINGS:
        if value := told(name):
            yield f"{owner}.config.{name}", (), repr(value).encode()


def _told(kind: Any, config: Arguments) -> Callable[[str], object]:
    """A setting by name: what the file says, else the default of the class, which says what settings there are."""
    if kind is None:
        return config.get
    legal = inspect.signature(kind.__init__).parameters
    return lambda name: config.get(name, legal[name].default) if name in legal else None


def module_tensors(components: Mapping[str, object]) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    """The tensors of live components: the same as those of the folder that they were loaded from."""
    for component, module in components.items():
        if isinstance(module, torch.nn.Module) and is_hashed(component):
            for name, tensor in module.state_dict().items():
                if isinstance(tensor, Tensor):
                    flat = tensor.detach().reshape(-1)
                    yield f"{component}.{name}", tuple(tensor.shape), _bytes(flat[_places(flat.numel()).to(flat.device)])


def _places(count: int) -> Int64[Tensor, "n"]:
    return torch.arange(min(count, SAMPLES)) * count // max(min(count, SAMPLES), 1)


def _bytes(values: Tensor) -> bytes:
    if values.is_floating_point():
        return values.cpu().to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    return values.cpu().to(torch.int64).numpy().tobytes()


def _file_tensors(path: Path) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        size = struct.unpack("<Q", data[:8])[0]
        if size > min(len(data) - 8, LONGEST_HEADER):
            raise MissingWeights(f"{path} is no safetensors file: its header tells of {size} bytes")
        for name, entry in json.loads(data[8 : 8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            if not 8 + size <= begin <= end <= len(data):
                raise MissingWeights(f"{path} ends before its tensor {name!r}: fetch it again")
            shape = tuple(entry["shape"])
            count = int(np.prod(shape)) if shape else 1
            width = (end - begin) // max(count, 1)
            raw = b"".join(data[begin + i * width : begin + (i + 1) * width] for i in _places(count).tolist())
            yield name, shape, _as_samples(raw, entry["dtype"])


def _as_samples(raw: bytes, kind: str) -> bytes:
    if kind not in TORCH_TYPES or not raw:
        return raw
    return _bytes(torch.frombuffer(bytearray(raw), dtype=TORCH_TYPES[kind]))
