"""Settings: what the decoder must know, what is the encoder's effort, and where it runs."""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

OptionValue = str | int | float


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TrajectoryConfig(_Config):
    """The SDE and its grid."""

    solver: Literal["posterior", "euler_maruyama"] = Field(default="posterior", description="solver of the SDE")
    diffusion: Literal["eta", "power"] = Field(default="eta", description="g = eta sqrt(2t/(1-t)), or gain t^power")
    eta: float = Field(default=1.0, ge=0, le=100, description="eta of the family eta: 1 is DDPM, 0 the ODE")
    gain: float = Field(default=3.0, ge=0, le=100, description="gain of the family power")
    power: float = Field(default=2.0, ge=0, le=100, description="power of t in the family power")
    steps: int = Field(default=20, ge=2, le=500, description="model evaluations of a GOP")
    ode_tail: int | None = Field(
        default=None, ge=1, le=499, description="closing steps without bits; default: the backbone's share, rounded up"
    )
    tail_order: int = Field(default=2, ge=1, le=2, description="order of the closing steps")
    bit_ramp: int = Field(default=1, ge=0, le=4, description="growth of bits: coded step k has a share (k + 1)^bit_ramp")
    shift: float = Field(default=0.0, ge=0, le=1000, description="shift of the uniform grid; 0: equal information")

    def tail_steps(self, share: float) -> int:
        """Closing steps without bits: as told, or a share of all, rounded up."""
        return self.ode_tail or min(math.ceil(share * self.steps), self.steps - 1)


class CodebookConfig(_Config):
    """Which codebook, and its fields."""

    name: str = "trellis"
    parameters: dict[str, int] = Field(default_factory=dict)


class StreamConfig(_Config):
    """What the decoder must know; written whole into the sequence header."""

    mode: str = Field(default="t2v", description="conditioning plugin")
    backbone: str = Field(default="tiny", description="backbone")
    backbone_options: dict[str, OptionValue] = Field(default_factory=dict, description="options of the backbone")
    gop: int = Field(default=33, ge=1, le=4096, description="most frames of a GOP")
    still: str = Field(default="avif", description="still coder of reference frames")
    prompt: str = Field(default="", description="text that conditions every GOP")
    seed: int = Field(default=42, ge=0, lt=2**62, description="seed of all noise")
    codebook: CodebookConfig = CodebookConfig()
    trajectory: TrajectoryConfig = TrajectoryConfig()


class EncoderConfig(_Config):
    """How the encoder spends its budget; nothing of this is needed to decode."""

    bpp: float | None = Field(default=None, gt=0, le=1e6, description="bits per pixel of the whole file")
    kbps: float | None = Field(default=None, gt=0, le=1e9, description="the same budget in kilobits per second")
    bytes: int | None = Field(default=None, gt=0, le=2**37, description="the same budget in bytes")
    digest_bytes: int = Field(default=4, ge=0, le=32, description="length of the hash of the latents of each GOP")
    profile: Literal["pilot", "backbone"] = Field(
        default="pilot", description="information profile: measured on each GOP, or the backbone's own where it has one"
    )
    efficiency: float | None = Field(default=None, gt=0, le=1, description="planned efficiency; default: the codebook's")
    information_share: float = Field(
        default=0.85,
        gt=0,
        le=1,
        description="share of the information that the bits can carry that the grid is planned for",
    )
    tail_end: float | None = Field(
        default=None, gt=0, lt=1, description="time from which the ODE tail jumps to 0; default: the backbone's"
    )
    reference_weight: float = Field(default=0.5, ge=0, le=1000, description="bits of a reference frame, in GOPs' worth")
    spectral_emphasis: float = Field(
        default=0.3, ge=0, le=1, description="exponent of the power of a band in its weight in the choice; 0: none"
    )
    roi: Any = Field(
        default=None,
        description="mask of the region of interest: path of a picture or of a video, or an array; white counts",
    )
    roi_gain: float = Field(default=3.0, gt=0, le=100, description="weight of the region over the rest in the choice")
    carried_weight: float = Field(
        default=1.5, ge=0, le=1000, description="weight of the latent frames that the next GOP continues"
    )
    correction_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of a GOP's bits for the correction of its carried frames; what it leaves stays unused",
    )


class RuntimeConfig(_Config):
    """Where the model runs, and how a decoder shows what it decodes; nothing of this changes the stream or its digests."""

    device: str = Field(default="cpu", description="torch device")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; default: torch's own")
    weights: Any = Field(
        default=None,
        description="the backbone on this machine: a folder, a hub id, a pipeline or a Backbone; default: by name",
    )
    overrides: dict[str, OptionValue] = Field(
        default_factory=dict, description="options of the backbone that this machine sets otherwise than the stream"
    )
    offload: Literal["none", "model", "group", "sequential"] = Field(
        default="none", description="which parts of a pipeline wait in main memory for their turn on the device"
    )
    jobs: int = Field(default=1, ge=1, le=4096, description="workers that share the GOPs, where these are independent")
    executor: str = Field(default="local", description="where those workers run")
    executor_options: dict[str, str] = Field(default_factory=dict, description="options of the executor")
    realism: float = Field(
        default=1.0,
        ge=0,
        le=2,
        description="shown by a decoder: 0 the picture of least error, 1 the stream's own, 2 livelier",
    )
    closing_steps: int | None = Field(
        default=None, ge=1, le=40, description="closing steps of what a decoder shows; default: the stream's own tail"
    )
