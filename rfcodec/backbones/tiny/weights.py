"""The weights that ship in the package: read, checked against their card, written by training."""

import hashlib
import itertools
import json
import math
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, final

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load, save

from rfcodec.backbones.tiny.network import TinyNetwork
from rfcodec.errors import MissingWeights
from rfcodec.flow.path import time_of_snr
from rfcodec.support.files import replacing
from rfcodec.types import InformationProfile


@final
class Card(BaseModel):
    """What is known of a file of weights: its hash, whence it is, and what was measured on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: str
    bytes: int
    parameters: int
    widths: tuple[int, ...]
    trained_on: str
    licence: str
    compute: str
    tail_share: float
    tail_end: float
    log_snr: tuple[float, ...] = ()
    shares: dict[str, tuple[float, ...]] = {}  # of the Gaussian prior's mmse at log_snr, for each kind of condition

    def profile(self, kind: str, prior_mmse: Callable[[float], float]) -> InformationProfile | None:
        """The Gaussian prior's, of which the network leaves the shares that were measured on clips for training."""
        shares = self.shares.get(kind)
        if shares is None:
            return None
        mmse = (s * prior_mmse(time_of_snr(math.exp(u))) for u, s in zip(self.log_snr, shares, strict=True))
        # an error never grows with the signal; what was measured on a few crops may
        return InformationProfile(self.log_snr, tuple(itertools.accumulate(mmse, min)))


def folder() -> Path:
    """Where the weights of the package lie."""
    return Path(str(files("rfcodec.backbones.tiny"))) / "weights"


def read_card(name: str, where: Path | None = None) -> Card:
    """The card of a model; raises MissingWeights where it is not there or damaged."""
    path = (where or folder()) / f"{name}.json"
    if not path.is_file():
        raise MissingWeights(f"{path} is not there: install rfcodec again, its wheel carries the weights of {name}")
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise MissingWeights(f"{path} is damaged: install rfcodec again") from error


def read_network(name: str, where: Path | None = None) -> tuple[TinyNetwork, Card]:
    """The network, in float32; raises MissingWeights where its file is not there or not what its card says."""
    card, path = read_card(name, where), (where or folder()) / f"{name}.safetensors"
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise MissingWeights(
            f"{path} ({len(data)} bytes) is not the file of {card.bytes} bytes that its card names: install rfcodec again"
        )
    network = TinyNetwork(card.widths)
    network.load_state_dict({key: value.float() for key, value in load(data).items()})
    return network.eval().requires_grad_(False), card


def write_network(name: str, network: TinyNetwork, facts: dict[str, Any], where: Path | None = None) -> Card:
    """Stores weights in half precision, and their card beside them."""
    data = save({key: value.to(torch.float16).contiguous() for key, value in network.state_dict().items()})
    count = sum(parameter.numel() for parameter in network.parameters())
    card = Card(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), parameters=count, widths=network.widths, **facts)
    target = where or folder()
    for suffix, content in (("safetensors", data), ("json", (json.dumps(card.model_dump(), indent=1) + "\n").encode())):
        with replacing(target / f"{name}.{suffix}", parents=True) as part:
            part.write_bytes(content)
    return card
