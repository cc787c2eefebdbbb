"""The protocols that plugins implement; the core knows nothing else of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from rfcodec.types import Frame, Frames, Geometry, GopSpan, Identity, InformationProfile, NoiseAddress

Latents = Float[Tensor, "c f h w"]
Shape = tuple[int, ...]  # c f h w
Prepared = TypeVar("Prepared")  # what a codebook has computed ahead of a step, or a backbone of a condition


@dataclass(frozen=True)
class Reference:
    """A reference frame as the decoder sees it, and its root mean square error in 8-bit grey levels (0 = exact)."""

    frame: Frame
    rmse: float


@dataclass(frozen=True)
class Condition:
    """All that conditions a GOP; None and "" mean unconditional. num_frames, width and height are legal sizes."""

    num_frames: int
    width: int
    height: int
    text: str = ""
    first: Reference | None = None
    last: Reference | None = None


class State(NamedTuple):
    """Where a trajectory is: x c f h w, float32, and time and x0_hat of the closing step before, where there was one."""

    x: Latents
    earlier: tuple[float, Latents] | None = None


@runtime_checkable
class Step(Protocol):
    """One step of the trajectory; whoever loops calls it once per model evaluation, in order, and hands the state on."""

    time_grid: Sequence[float]

    def start(self, shape: Shape) -> State:
        """State at time_grid[0]."""
        ...

    def __call__(self, k: int, state: State, v: Latents) -> State:
        """State at time_grid[k + 1], from the state and the velocity v at time_grid[k]."""
        ...


@runtime_checkable
class Backbone(Protocol):
    """A rectified-flow video model with its autoencoder."""

    geometry: Geometry
    identity: Identity
    tail_share: float  # share of the evaluations that the ODE tail takes where nothing else is told, rounded up
    tail_end: float  # measured time from which the ODE tail best jumps to 0: earlier is smoother, later is livelier

    def encode(self, frames: Frames) -> Latents:
        """Frames of legal size to latents: posterior mode, normalised, float32."""
        ...

    def decode(self, latents: Latents) -> Frames:
        """Latents to frames."""
        ...

    def condition(self, condition: Condition) -> Any:
        """Prepares what the model needs of a condition; raises UnsupportedCondition, never ignores."""
        ...

    def profile(self, condition: Any) -> InformationProfile | None:
        """What is known of mmse(t) beforehand; None where nothing is."""
        ...

    def run(self, condition: Any, step: Step) -> Latents:
        """Drives the trajectory: calls `step` once per model evaluation and returns the state at t = 0."""
        ...


@runtime_checkable
class Codebook(Protocol[Prepared]):
    """White noise out of symbols, chosen to point in a direction. Subclasses are frozen dataclasses of stream fields."""

    ID: ClassVar[int]
    efficiency: ClassVar[float]  # nominal share of the Gaussian bound, for planning

    def usable_bits(self, shape: Shape, bits: int) -> int:
        """The most bits <= `bits` that one step can spend; 0 if it cannot spend any."""
        ...

    def least_bits(self, shape: Shape) -> int:
        """The fewest bits that one step can spend."""
        ...

    def prepare(
        self, address: NoiseAddress, shape: Shape, bits: int, search: bool, before: Prepared | None = None
    ) -> Prepared | None:
        """What `choose` (with `search`) or `noise` needs beside its direction or symbols, perhaps None; has no effect.

        `before` is what was prepared for another step, whose parts may be shared. Called from another thread.
        """
        ...

    def choose(
        self, address: NoiseAddress, direction: Latents, bits: int, prepared: Prepared | None = None
    ) -> tuple[int, Latents]:
        """Symbols (an integer below 2**bits) and the white noise they name, aligned with `direction`.

        The same with and without what was prepared for this address.
        """
        ...

    def noise(
        self, address: NoiseAddress, shape: Shape, bits: int, symbols: int, prepared: Prepared | None = None
    ) -> Latents:
        """The noise that the symbols name, equal bit for bit to that of `choose`; with bits = 0 plain white noise."""
        ...


@runtime_checkable
class IntraCoder(Protocol):
    """The backbone as a coder of single frames, lent by the core to still coders."""

    def encode(self, frame: Frame, max_bytes: int) -> bytes:
        """The frame as a GOP of its own, in at most max_bytes or in the fewest that carry anything."""
        ...

    def decode(self, data: bytes) -> Frame:
        """The frame; raises BitstreamError on damaged data."""
        ...


@runtime_checkable
class StillCoder(Protocol):
    """Codes reference frames of one size; made by `Coder(width, height, intra)`."""

    ID: ClassVar[int]

    def encode(self, frame: Frame, max_bytes: int) -> bytes:
        """The best coding of at most max_bytes or, where none is that small, the smallest there is."""
        ...

    def decode(self, data: bytes) -> Frame:
        """The frame; raises BitstreamError on damaged data."""
        ...


@runtime_checkable
class Corrector(Protocol):
    """Codes what is left between target and final latents: the least distortion that fits a number of bytes."""

    def encode(self, residual: Latents, max_bytes: int) -> bytes:
        """A coding of the residual in at most max_bytes."""
        ...

    def decode(self, data: bytes, shape: Shape) -> Latents:
        """The correction that those bytes stand for."""
        ...


@runtime_checkable
class Decoded(Protocol):
    """A GOP as both sides hold it after its trajectory."""

    @property
    def condition(self) -> Condition:
        """What conditioned it, reference frames at their true size."""
        ...

    @property
    def frames(self) -> Frames:
        """Its frames, at the true size."""
        ...


@runtime_checkable
class Conditioner(Protocol):
    """Plans GOPs and turns what conditions them into bytes and back; made by `Mode(still, prompt)`."""

    ID: ClassVar[int]
    chained: ClassVar[bool]  # whether a GOP needs the one before
    corrector: Corrector | None

    def plan(self, num_frames: int, gop: int) -> Iterator[GopSpan]:
        """The GOPs of a video of num_frames, each of at most `gop` frames."""
        ...

    def emit(self, frames: Frames, span: GopSpan, max_bytes: int, previous: Decoded | None) -> bytes:
        """Encoder only: codes what conditions the GOP, its references in about max_bytes."""
        ...

    def condition(self, side_info: bytes, span: GopSpan, previous: Decoded | None) -> dict[str, Any]:
        """What the side information says, as the fields text, first and last of a Condition."""
        ...
