"""The Gaussian backbones: a prior and a linear transform behind the protocol of all backbones."""

from importlib.resources import files
from pathlib import Path
from typing import final

import numpy as np
import scipy

from rfcodec.backbones.gaussian.prior import GaussianPrior, KnownFrame
from rfcodec.backbones.gaussian.spectrum import Spectrum
from rfcodec.backbones.gaussian.transforms import BlockTransform, PixelTransform, Transform
from rfcodec.backbones.openers import Facts, Offer, Options, Size, offering
from rfcodec.backbones.options import refuse_unknown
from rfcodec.config import RuntimeConfig
from rfcodec.errors import UnsupportedCondition
from rfcodec.flow.rollout import rollout
from rfcodec.protocols import Condition, Frames, Latents, Places, Reference, Step
from rfcodec.types import Geometry, Identity, InformationProfile

PIXEL, LATENT = "pixel.json", "latent.json"  # tables of the spectra


@final
class GaussianBackbone:
    """Exact in everything: velocity, conditioning on reference frames anywhere, information. Knows no text."""

    takes: tuple[Places, ...] = ("none", "first", "last", "first+last", "any")

    def __init__(self, name: str, spectrum: Spectrum, transform: Transform, tail: tuple[float, float]) -> None:
        self.geometry = transform.geometry
        self.spectrum = spectrum
        self.tail_share, self.tail_end = tail
        arithmetic = f"cpu float32 numpy {np.__version__} scipy {scipy.__version__}"
        self.identity = Identity(name, spectrum.digest, arithmetic)
        self._transform = transform

    def encode(self, frames: Frames) -> Latents:
        """Frames of legal size to latents."""
        return self._transform.encode(frames)

    def decode(self, latents: Latents) -> Frames:
        """Latents to frames."""
        return self._transform.decode(latents)

    def prepare(self, condition: Condition) -> GaussianPrior:
        """The prior given the references, whose error it takes into account; raises UnsupportedCondition for text."""
        if condition.text:
            raise UnsupportedCondition(f"the {self.identity.name} backbone knows no text: leave the prompt empty")
        shape = self.geometry.latent_shape(condition.num_frames, condition.width, condition.height)
        groups: dict[int, list[Reference]] = {}
        for reference in condition.references:
            groups.setdefault(self.geometry.latent_frame(reference.position), []).append(reference)
        return GaussianPrior(self.spectrum, shape, tuple(self._known(place, group) for place, group in groups.items()))

    def profile(self, prepared: GaussianPrior) -> InformationProfile:
        """Closed form."""
        return prepared.profile()

    def run(self, prepared: GaussianPrior, step: Step) -> Latents:
        """Loops over the closed-form velocity."""
        return rollout(prepared.velocity, prepared.shape, step)

    def _known(self, place: int, group: list[Reference]) -> KnownFrame:
        # references within one latent frame: their mean is what is known of it
        latents = np.mean([self._transform.encode_still(reference.frame) for reference in group], axis=0)
        error = self._transform.error_gain * np.mean([max(reference.rmse, 0.25) ** 2 for reference in group])
        return KnownFrame(place, latents, np.where(self._transform.motion & (place > 0), np.inf, error))


def slower(backbone: GaussianBackbone, share: float) -> GaussianBackbone:
    """The pixel backbone whose frames change at a share of the usual rate."""
    spectrum = backbone.spectrum.model_copy(update={"rate": share * backbone.spectrum.rate})
    return GaussianBackbone(backbone.identity.name, spectrum, PixelTransform(), (backbone.tail_share, backbone.tail_end))


def _spectrum(table: str) -> Spectrum:
    return Spectrum.load(Path(str(files("rfcodec.backbones.gaussian") / table)))


def _offers(table: str, geometry: Geometry) -> dict[str, Offer]:
    def describe(options: Options, size: Size) -> Facts:
        refuse_unknown(options, ())
        facts = {"kind": "closed form, no weights", "licence": "Apache-2.0, as rfcodec"}
        return facts | {"takes": list(GaussianBackbone.takes), "geometry": geometry}

    return {"describe": describe, "fingerprint": lambda options: _spectrum(table).digest.hex()}


@offering(**_offers(PIXEL, PixelTransform.geometry))
def pixel_backbone(runtime: RuntimeConfig, options: Options) -> GaussianBackbone:
    """Video in pixels of decorrelated colour, with a spectrum fitted to natural video. Runs on the CPU."""
    refuse_unknown(options, ())
    return GaussianBackbone("gaussian", _spectrum(PIXEL), PixelTransform(), (0.2, 0.15))


@offering(**_offers(LATENT, BlockTransform.geometry))
def latent_backbone(runtime: RuntimeConfig, options: Options) -> GaussianBackbone:
    """Sixteen nearly white channels in the geometry of Wan latents. Runs on the CPU."""
    refuse_unknown(options, ())
    return GaussianBackbone("gaussian-latent", _spectrum(LATENT), BlockTransform(), (0.3, 0.33))
