"""The protocols that plugins implement; the core knows nothing else of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from rfcodec.types import Frame, Frames, Geometry, GopSpan, Identity, InformationProfile, NoiseAddress

Latents = Float[Tensor, "c f h w"]
Shape = tuple[int, ...]  # c f h w
Places = Literal["none", "first", "last", "first+last", "any"]  # of references: `any` covers all others
Prepared = TypeVar("Prepared")  # what a codebook has computed ahead of a step, or a backbone of a condition


@dataclass(frozen=True)
class Reference:
    """A reference frame as the decoder sees it, its root mean square error in 8-bit grey levels (0 = exact), its place.

    `position` counts the frames of the GOP from 0.
    """

    frame: Frame
    rmse: float
    position: int = 0


@dataclass(frozen=True)
class Known:
    """What the side information of a GOP says: text, and reference frames by rising positions at their true size."""

    text: str = ""
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class Condition:
    """All that conditions a GOP; () and "" mean unconditional. num_frames, width and height are legal sizes.

    References stand at rising positions below num_frames.
    """

    num_frames: int
    width: int
    height: int
    text: str = ""
    references: tuple[Reference, ...] = ()

    @classmethod
    def between(
        cls, size: tuple[int, int, int], text: str = "", first: Reference | None = None, last: Reference | None = None
    ) -> "Condition":
        """A GOP of (num_frames, width, height) between a first and a last frame, wherever these stood before."""
        ends = {0: first, size[0] - 1: last} if size[0] > 1 else {0: first or last}
        return cls(*size, text, tuple(replace(end, position=place) for place, end in ends.items() if end))

    def at(self, position: int) -> Reference | None:
        """The reference at a position, None where there is none."""
        return next((reference for reference in self.references if reference.position == position), None)

    @property
    def first(self) -> Reference | None:
        """The reference at the first frame."""
        return self.at(0)

    @property
    def last(self) -> Reference | None:
        """The reference at the last frame; that of a lone frame is its first."""
        return self.at(self.num_frames - 1) if self.num_frames > 1 else None

    @property
    def places(self) -> Places:
        """Where its references stand."""
        between = {reference.position for reference in self.references} - {0, self.num_frames - 1}
        if between:
            return "any"
        if self.first and self.last:
            return "first+last"
        return "first" if self.first else "last" if self.last else "none"


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
class Backbone(Protocol[Prepared]):
    """A rectified-flow video model with its autoencoder."""

    geometry: Geometry
    identity: Identity
    takes: tuple[Places, ...]  # where the references of one condition may stand
    tail_share: float  # share of the evaluations that the ODE tail takes where nothing else is told, rounded up
    tail_end: float  # measured time from which the ODE tail best jumps to 0: an earlier one leaves less variance

    def encode(self, frames: Frames) -> Latents:
        """Frames of legal size to latents: posterior mode, normalised, float32."""
        ...

    def decode(self, latents: Latents) -> Frames:
        """Latents to frames."""
        ...

    def prepare(self, condition: Condition) -> Prepared:
        """What the model needs of a condition; raises UnsupportedCondition, never ignores."""
        ...

    def profile(self, prepared: Prepared) -> InformationProfile | None:
        """What is known of mmse(t) beforehand; None where nothing is."""
        ...

    def run(self, prepared: Prepared, step: Step) -> Latents:
        """Drives the trajectory: calls `step` once per model evaluation and returns the state at t = 0."""
        ...


AnyBackbone: TypeAlias = Backbone[Any]  # what it prepares is its own affair


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
    """Plans GOPs and turns what conditions them into bytes (`emit`) and back (`read`); made by `Mode(still, prompt)`."""

    ID: ClassVar[int]
    chained: ClassVar[bool]  # whether a GOP needs the one before
    corrector: Corrector | None

    def plan(self, num_frames: int, gop: int) -> Iterator[GopSpan]:
        """The GOPs of a video of num_frames, each of at most `gop` frames."""
        ...

    def emit(self, frames: Frames, span: GopSpan, max_bytes: int, previous: Decoded | None) -> bytes:
        """Encoder only: codes what conditions the GOP, its references in about max_bytes."""
        ...

    def read(self, side_info: bytes, span: GopSpan, previous: Decoded | None) -> Known:
        """What the side information says; raises BitstreamError on damaged bytes."""
        ...
