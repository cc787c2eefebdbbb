"""Between the state of a pipeline and latents c f h w of which the coded ones are the last frames."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from rfcodec.backbones.diffusers.specs import PipelineSpec
from rfcodec.protocols import Latents, Shape


@final
@dataclass(frozen=True)
class Layout:
    """Where the coded latents, of shape c f h w, stand in a state that may hold known frames and foreign tokens too.

    Known frames come before the coded ones, channels that are no latents after them. A pipeline that packs its state into
    tokens b s c may still step on frames.
    """

    spec: PipelineSpec
    shape: Shape
    total: int  # latent frames, known ones included

    def take(self, state: Tensor) -> Latents:
        """The coded part of a state."""
        c, f, _, _ = self.shape
        if state.ndim == 3:
            return unpack(state[0, self._tokens(state)], self.shape)
        if self.spec.layout == "channels_last":
            return state[0, -f:, :, :, :c].permute(3, 0, 1, 2)
        return state[0, :c, -f:]

    def place(self, state: Tensor, latents: Latents) -> Tensor:
        """The state with its coded part replaced."""
        c, f, _, _ = self.shape
        state = state.clone()
        if state.ndim == 3:
            state[0, self._tokens(state)] = pack(latents).to(state.dtype)
        elif self.spec.layout == "channels_last":
            state[0, -f:, :, :, :c] = latents.permute(1, 2, 3, 0).to(state.dtype)
        else:
            state[0, :c, -f:] = latents.to(state.dtype)
        return state

    def _tokens(self, state: Tensor) -> slice:
        _, f, h, w = self.shape
        stop = state.shape[1] if self.spec.extra == "before" else min(self.total * h * w, state.shape[1])
        return slice(stop - f * h * w, stop)


def pack(latents: Latents) -> Tensor:
    """Latents c f h w to tokens (f h w) c."""
    return latents.permute(1, 2, 3, 0).reshape(-1, latents.shape[0])


def unpack(tokens: Tensor, shape: tuple[int, ...]) -> Latents:
    """Inverse of `pack`."""
    c, f, h, w = shape
    return tokens.reshape(f, h, w, c).permute(3, 0, 1, 2)
