"""The inside of the codec for researchers: what experiments and `benchmarks/` are made of, in one place.

plugins     `registered` makes a codebook, conditioner or still coder known without a package, in a `with` block;
            `registry.load` and `registry.names` find plugins; `Backbone`, `Codebook`, `Conditioner`, `Corrector`,
            `StillCoder`, `Decoded`, `Step` are protocols, `State` is what steps hand on, `uint` declares a codebook's
            field in the header
trajectory  `TrajectoryStep` is the only SDE step, driven by a `GopPlan` (time grid and bits of each step) and a noise
            object: `ChooseNoise` (encoder, with an `Emphasis`), `ReplayNoise` (decoder); `rollout` calls a step
rates       `Steps` and `split_bits` share bits among steps
grids       `shifted_grid`, `information_levels`, `tail_levels`, `within_range`, `levels_to_grid`
paths       `clean_to_velocity`, `amplitude_snr`, `time_of_snr`
oracles     `GaussianPrior`, with `pixel_backbone` and `latent_backbone`: velocities in closed form
models      `open_backbone` by name, folder or hub id; `write_options` makes the words that it takes; `WrappedBackbone`
            sees every velocity of another backbone and may change it
codec       `Watcher` sees every GOP as it is coded; `StreamConfig`, `EncoderConfig`, `RuntimeConfig`, `TrajectoryConfig`
types       `NoiseAddress`, `Identity`, `InformationProfile`, `GopSpan`, `VideoFormat`, `Condition`, `Reference`, `Frames`,
            `Latents`, `Shape`; errors: `BudgetTooSmall`

`rfcodec.research.models` builds pretrained architectures with random weights, `rfcodec.research.training` has the clips
that tiny was trained on, `rfcodec.research.tiny` its parts. Names here follow the code: they change with it, where those
of `rfcodec` do not.
"""

from rfcodec import registry
from rfcodec.backbones.gaussian.backbone import latent_backbone, pixel_backbone
from rfcodec.backbones.gaussian.prior import GaussianPrior
from rfcodec.bitstream.fields import uint
from rfcodec.coding.header import open_backbone, write_options
from rfcodec.coding.watcher import Watcher
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig, TrajectoryConfig
from rfcodec.errors import BudgetTooSmall
from rfcodec.flow.path import amplitude_snr, clean_to_velocity, time_of_snr
from rfcodec.flow.rollout import rollout
from rfcodec.flow.time_grid import information_levels, levels_to_grid, shifted_grid, tail_levels, within_range
from rfcodec.protocols import (
    Backbone,
    Codebook,
    Condition,
    Conditioner,
    Corrector,
    Decoded,
    Latents,
    Reference,
    Shape,
    State,
    Step,
    StillCoder,
)
from rfcodec.registry import registered
from rfcodec.research.wrapped import WrappedBackbone
from rfcodec.trajectory.noise import ChooseNoise, Emphasis, ReplayNoise
from rfcodec.trajectory.rate import Steps, split_bits
from rfcodec.trajectory.step import GopPlan, TrajectoryStep
from rfcodec.types import Frames, GopSpan, Identity, InformationProfile, NoiseAddress, VideoFormat

__all__ = [
    "Backbone",
    "BudgetTooSmall",
    "ChooseNoise",
    "Codebook",
    "Condition",
    "Conditioner",
    "Corrector",
    "Decoded",
    "Emphasis",
    "EncoderConfig",
    "Frames",
    "GaussianPrior",
    "GopPlan",
    "GopSpan",
    "Identity",
    "InformationProfile",
    "Latents",
    "NoiseAddress",
    "Reference",
    "ReplayNoise",
    "RuntimeConfig",
    "Shape",
    "State",
    "Step",
    "Steps",
    "StillCoder",
    "StreamConfig",
    "TrajectoryConfig",
    "TrajectoryStep",
    "VideoFormat",
    "Watcher",
    "WrappedBackbone",
    "amplitude_snr",
    "clean_to_velocity",
    "information_levels",
    "latent_backbone",
    "levels_to_grid",
    "open_backbone",
    "pixel_backbone",
    "registered",
    "registry",
    "rollout",
    "shifted_grid",
    "split_bits",
    "tail_levels",
    "time_of_snr",
    "uint",
    "within_range",
    "write_options",
]
