"""Weights of networks that measure: files that lie on this machine, never downloaded."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from rfcodec.errors import MissingWeights

if TYPE_CHECKING:
    from torch import Tensor


def find_weights(weights_dir: str | Path | None, name: str, hub_name: str) -> Path | None:
    """The file `name` of `weights_dir`, else `hub_name` of PyTorch's hub cache, else None; nothing is downloaded."""
    candidates = [hub_checkpoints() / hub_name]
    if weights_dir is not None:
        candidates.insert(0, Path(weights_dir) / name)
    return next((file for file in candidates if file.is_file()), None)


def hub_checkpoints() -> Path:
    """The folder in which PyTorch's hub keeps weights."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def read_weights(file: Path) -> dict[str, "Tensor"]:
    """Tensors of a safetensors or PyTorch file by name; raises MissingWeights where it cannot be read."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise MissingWeights(f"{file}: cannot be read ({error}); replace the file") from error
