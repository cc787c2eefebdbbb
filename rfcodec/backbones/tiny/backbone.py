"""The tiny backbones behind the protocol: video in pixels, a Gaussian prior, and a network that corrects it."""

import hashlib
from typing import Literal, final

import numpy as np
import scipy
import torch
from pydantic import Field

from rfcodec.backbones.gaussian.backbone import GaussianBackbone, pixel_backbone
from rfcodec.backbones.gaussian.transforms import PixelTransform
from rfcodec.backbones.openers import Facts, Offer, Options, Size, offering
from rfcodec.backbones.options import BackboneOptions
from rfcodec.backbones.places import refuse_places
from rfcodec.backbones.tiny.denoiser import FRAME_UNIT, GREY_UNIT, LARGEST_LOG_SNR, SLOWER, Denoiser, PriorBank
from rfcodec.backbones.tiny.network import EDGES, REACH, TinyNetwork
from rfcodec.backbones.tiny.weights import Card, read_card, read_network
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, UnsupportedCondition
from rfcodec.flow.rollout import rollout
from rfcodec.protocols import Condition, Frames, Latents, Places, Step
from rfcodec.types import Identity, InformationProfile

# what decides x0_hat beside the weights
CONSTANTS = (SLOWER, GREY_UNIT, FRAME_UNIT, LARGEST_LOG_SNR, REACH, EDGES)


@final
class TinyOptions(BackboneOptions):
    """Fields of `backbone_options` in the stream."""

    dtype: Literal["float32", "bfloat16"] = Field(default="float32", description="precision of the network")


@final
class TinyBackbone:
    """A learned denoiser in pixels: any size, best from 64 x 64 up and for GOPs of 9 to 33 frames. Knows no text."""

    takes: tuple[Places, ...] = ("none", "first", "last", "first+last")

    def __init__(self, name: str, network: TinyNetwork, card: Card, options: TinyOptions) -> None:
        self._bank = PriorBank()
        self._gaussian = self._bank.backbones[0]
        self._network, self._device = network, next(network.parameters()).device
        self._bfloat16 = options.dtype == "bfloat16"
        self.card = card
        self.geometry = self._gaussian.geometry
        self.tail_share, self.tail_end = card.tail_share, card.tail_end
        libraries = f"torch {torch.__version__} numpy {np.__version__} scipy {scipy.__version__}"
        words = f"{_arithmetic(self._device)} {options.dtype} {libraries}"
        self.identity = Identity(name, _digest(card, self._gaussian), words)

    def encode(self, frames: Frames) -> Latents:
        """Orthonormal change of colour."""
        return self._gaussian.encode(frames).to(self._device)

    def decode(self, latents: Latents) -> Frames:
        """The change of colour undone."""
        return self._gaussian.decode(latents.cpu())

    def prepare(self, condition: Condition) -> Denoiser:
        """The denoiser given the references; raises UnsupportedCondition for text and for references in between."""
        if condition.text:
            raise UnsupportedCondition(f"the {self.identity.name} backbone knows no text: leave the prompt empty")
        refuse_places(self.identity.name, self.takes, condition)
        return Denoiser(self._network, self._bank.estimator(condition), self._bfloat16)

    def profile(self, prepared: Denoiser) -> InformationProfile | None:
        """As the card of the weights has it; None where nothing was measured."""
        return self.card.profile(prepared.kind, prepared.prior.mmse)

    def run(self, prepared: Denoiser, step: Step) -> Latents:
        """Loops over the learned velocity."""
        return rollout(prepared.velocity, prepared.shape, step)


def _offers(name: str) -> dict[str, Offer]:
    def describe(options: Options, size: Size) -> Facts:
        TinyOptions.read(options)
        card = read_card(name)
        facts = {"kind": "learned, its weights are in the package", "licence": card.licence}
        facts |= {"takes": list(TinyBackbone.takes), "geometry": PixelTransform.geometry}
        return facts | {"shipped": card.model_dump(include={"bytes", "sha256", "parameters", "trained_on", "compute"})}

    def fingerprint(options: Options) -> str:
        return _digest(read_card(name), pixel_backbone(RuntimeConfig(), {})).hex()

    return {"describe": describe, "fingerprint": fingerprint}


@offering(**_offers("tiny"))
def tiny_backbone(runtime: RuntimeConfig, options: Options) -> TinyBackbone:
    """Video in pixels, a small network trained by this project on openly licensed clips.

    Raises BackboneError where the device is none of this machine's, ConfigError and MissingWeights.
    """
    return _open("tiny", runtime, options)


@offering(**_offers("tiny-fast"))
def tiny_fast_backbone(runtime: RuntimeConfig, options: Options) -> TinyBackbone:
    """The tiny backbone, trained further for few evaluations: `--preset fast`.

    Raises what `tiny_backbone` does.
    """
    return _open("tiny-fast", runtime, options)


def _digest(card: Card, prior: GaussianBackbone) -> bytes:
    """Of all that decides x0_hat."""
    known = bytes.fromhex(card.sha256) + prior.spectrum.digest + repr(CONSTANTS).encode()
    return hashlib.blake2s(known, digest_size=8).digest()


def _arithmetic(device: torch.device) -> str:
    if device.type == "cuda":
        precision = "-tf32" if torch.backends.cudnn.allow_tf32 else ""
        return f"{torch.cuda.get_device_name(device).replace(' ', '-')}{precision}"
    return f"cpu-{torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else device.type


def _open(name: str, runtime: RuntimeConfig, options: Options) -> TinyBackbone:
    chosen = TinyOptions.read(options)
    network, card = read_network(name)
    try:
        network = network.to(torch.device(runtime.device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise BackboneError(f"the network cannot be put on {runtime.device}: {reason}; name another device") from error
    return TinyBackbone(name, network, card, chosen)
