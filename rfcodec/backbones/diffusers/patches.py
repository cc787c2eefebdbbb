"""Small changes to a pipeline that last for one call."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from rfcodec.backbones.diffusers.layout import Layout
from rfcodec.backbones.diffusers.untyped import Model
from rfcodec.noise import normals
from rfcodec.protocols import Latents
from rfcodec.types import NoiseAddress

# of parts of a state that carry no video, such as audio: beyond every GOP and the stills (docs/bitstream.md, section 6)
BESIDE_THE_VIDEO = NoiseAddress(seed=0, gop=(1 << 32) + 1, step=0)


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Within it, the attribute of an object is `value`."""
    own = vars(owner)
    missing = object()
    before = own.get(name, missing)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if before is missing:
            object.__delattr__(owner, name)
        else:
            object.__setattr__(owner, name, before)


def mode_only(vae: Model) -> AbstractContextManager[None]:
    """Within it, posteriors of the VAE have one sample, their mode, and pictures its precision: several pipelines differ."""
    encode = vae.encode

    def encode_to_mode(pixels: Tensor, *args: Any, **options: Any) -> Any:
        # some pipelines hand over pictures in the precision of the text
        output = encode(pixels.to(vae.dtype), *args, **options)
        posterior = output[0] if isinstance(output, tuple) else output.latent_dist
        posterior.sample = lambda *_, **__: posterior.mode()
        return output

    return replaced(vae, "encode", encode_to_mode)


def starting_from(prepare: Callable[..., Any], layout: Layout, start: Latents) -> Callable[..., Any]:
    """prepare_latents, with our noise in place of what it drew."""

    def prepared(*args: Any, **options: Any) -> Any:
        drawn = prepare(*args, **options)
        if not isinstance(drawn, tuple):
            return layout.place(drawn, start)
        return layout.place(drawn[0], start), *drawn[1:]

    return prepared


def unchanging(make: Callable[..., Any]) -> Callable[..., Any]:
    """A method that draws noise, with the same noise every time: that of the address BESIDE_THE_VIDEO."""

    def addressed(*args: Any, **options: Any) -> Tensor:
        drawn: Tensor = make(*args, **options)
        return torch.from_numpy(normals(BESIDE_THE_VIDEO, drawn.numel())).reshape(drawn.shape).to(drawn)

    return addressed
