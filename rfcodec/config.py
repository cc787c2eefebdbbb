"""Settings of the stream (which a decoder must know), of the encoder, and of the machine that runs it."""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

OptionValue = str | int | float


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TrajectoryConfig(_Config):
    """The SDE and its time grid; the trajectory record of the sequence header has the same fields."""

    solver: Literal["posterior", "euler_maruyama"] = Field(default="posterior", description="solver of the SDE")
    diffusion: Literal["eta", "power"] = Field(default="eta", description="g = eta sqrt(2t/(1-t)), or gain t^power")
    eta: float = Field(default=1.0, ge=0, le=100, description="eta of the family eta: 1 is DDPM, 0 the ODE")
    gain: float = Field(default=3.0, ge=0, le=100, description="gain of the family power")
    power: float = Field(default=2.0, ge=0, le=100, description="power of t in the family power")
    steps: int = Field(default=20, ge=2, le=500, description="model evaluations of a GOP")
    ode_tail: int | None = Field(
        default=None, ge=1, le=499, description="closing steps without bits; default: the backbone's tail_share, rounded up"
    )
    tail_order: int = Field(default=2, ge=1, le=2, description="order of the closing steps")
    bit_ramp: int = Field(default=1, ge=0, le=4, description="growth of bits: coded step k has a share (k + 1)^bit_ramp")
    shift: float = Field(default=0.0, ge=0, le=1000, description="shift of the uniform grid; 0: equal information")

    def tail_steps(self, share: float) -> int:
        """Closing steps without bits: ode_tail, or `share` of all steps rounded up, which leaves at least one coded step."""
        return self.ode_tail or min(math.ceil(share * self.steps), self.steps - 1)


class CodebookConfig(_Config):
    """Name of the codebook, and those of its fields that differ from their defaults."""

    name: str = "trellis"
    parameters: dict[str, int] = Field(default_factory=dict)


class StreamConfig(_Config):
    """What the decoder must know; the sequence header holds all of it."""

    mode: str = Field(default="t2v", description="mode, one of those that `rfcodec modes` lists")
    backbone: str = Field(default="tiny", description="name, hub id or folder of the backbone")
    backbone_options: dict[str, OptionValue] = Field(default_factory=dict, description="options of the backbone")
    gop: int = Field(default=33, ge=1, le=4096, description="most frames of a GOP")
    still: str = Field(default="avif", description="still coder of reference frames")
    prompt: str = Field(default="", description="text that conditions every GOP")
    seed: int = Field(default=42, ge=0, lt=2**62, description="seed of all noise")
    codebook: CodebookConfig = CodebookConfig()
    trajectory: TrajectoryConfig = TrajectoryConfig()


class EncoderConfig(_Config):
    """The budget, and how the encoder spends it; a decoder needs none of this."""

    bpp: float | None = Field(default=None, gt=0, le=1e6, description="bits per pixel of the whole file")
    kbps: float | None = Field(default=None, gt=0, le=1e9, description="the same budget in kilobits per second")
    bytes: int | None = Field(default=None, gt=0, le=2**37, description="the same budget in bytes")
    digest_bytes: int = Field(default=4, ge=0, le=32, description="length of the hash of the latents of each GOP")
    profile: Literal["pilot", "backbone"] = Field(
        default="pilot", description="information profile: measured on each GOP, or the backbone's own where it has one"
    )
    efficiency: float | None = Field(default=None, gt=0, le=1, description="planned efficiency; default: the codebook's")
    information_share: float = Field(
        default=0.85,  # docs/tiny.md, section 4, Settings; benchmarks/results/codebooks/ablation.json
        gt=0,
        le=1,
        description="the grid is planned for this share of the information that the bits can carry",
    )
    tail_end: float | None = Field(
        default=None, gt=0, lt=1, description="time from which the ODE tail's last step goes to 0; default: the backbone's"
    )
    # benchmarks/results/clips/split-gaussian.json
    reference_weight: float = Field(
        default=0.5, ge=0, le=1000, description="weight of a reference frame in the split of the bytes; a full GOP has 1"
    )
    # docs/coding.md, section 5; docs/tiny.md, section 4, Settings
    spectral_emphasis: float = Field(
        default=0.3, ge=0, le=1, description="weight of a band in the choice is its power to this exponent; 0: all alike"
    )
    roi: Any = Field(
        default=None,
        description="mask of the region of interest, white inside: path of a picture or of a video, or an array",
    )
    roi_gain: float = Field(default=3.0, gt=0, le=100, description="weight of the region in the choice; the rest has 1")
    # docs/adr/0007-tail-frames-by-weight-not-by-correction.md
    carried_weight: float = Field(
        default=1.5, ge=0, le=1000, description="weight in the choice of the latent frames that the next GOP continues"
    )
    correction_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of a GOP's bits for the correction of its carried frames; bits left over stay unused",
    )


class RuntimeConfig(_Config):
    """Where the model runs, and how a decoder displays; none of this changes the stream or its digests."""

    device: str = Field(default="cpu", description="torch device")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; default: torch's own")
    weights: Any = Field(
        default=None,
        description="the backbone on this machine: a folder, a hub id, a pipeline or a Backbone; default: by name",
    )
    overrides: dict[str, OptionValue] = Field(
        default_factory=dict, description="options of the backbone that this machine sets otherwise than the stream"
    )
    fetch: bool = Field(default=False, description="whether weights that are not on this machine may be fetched")
    offload: Literal["none", "model", "group", "sequential"] = Field(
        default="none", description="parts of a pipeline that are in main memory until the device needs them"
    )
    jobs: int = Field(default=1, ge=1, le=4096, description="workers that code independent GOPs at the same time")
    executor: str = Field(default="local", description="executor that runs the workers")
    executor_options: dict[str, str] = Field(default_factory=dict, description="options of the executor")
    realism: float = Field(
        default=1.0,
        ge=0,
        le=2,
        description="display of a decoder: 0 the picture of least error, 1 the stream's own, above 1 more texture",
    )
    closing_steps: int | None = Field(
        default=None, ge=1, le=40, description="steps of the ODE tail that a decoder displays; default: the stream's"
    )
