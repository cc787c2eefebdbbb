"""Text embeddings: computed once a text, kept on disk, so that a codec run rarely loads a text encoder."""

import hashlib
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
import PIL.Image
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rfcodec.backbones.diffusers.untyped import Pipeline
from rfcodec.errors import MissingWeights, OutputError
from rfcodec.support.files import replacing

EMPTY = hashlib.blake2s(digest_size=8).hexdigest()  # digest of no text encoder at all
NOTHING = "none"  # key of an embedding that is None
PLACES = ("device", "dtype", "prompt_embeds", "negative_prompt_embeds")  # arguments that do not change what is computed
logger = logging.getLogger(__name__)


Encoder = Callable[..., Any]


@final
class PromptMemo:
    """Stands in for encode_prompt of pipelines. `open_encoder` gives the true one of a class, which may have to be loaded.

    Results are kept in memory and, for texts, in a file of `folder` named after the model, the class and the arguments.
    """

    def __init__(self, open_encoder: Callable[[type], Encoder], model: str, text: str, folder: Path | None) -> None:
        """`model` and `text` tell models and text encoders apart; a file of another text encoder is made anew."""
        self._open, self._model, self._text, self._folder = open_encoder, model, text, folder
        self._known: dict[str, tuple[Tensor | None, ...]] = {}

    def standing_in(self, pipe: Pipeline) -> Encoder:
        """A function with the arguments and the result of the pipeline's encode_prompt."""
        kind, device, signature = type(pipe), pipe._execution_device, inspect.signature(pipe.encode_prompt)

        def encode_prompt(*args: Any, **options: Any) -> Any:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            found = [item if item is None else item.to(device) for item in self._find(kind, bound)]
            return tuple(found) if len(found) > 1 else found[0]

        return encode_prompt

    def _find(self, kind: type, bound: inspect.BoundArguments) -> tuple[Tensor | None, ...]:
        facts = sorted((name, _describe(value)) for name, value in bound.arguments.items() if name not in PLACES)
        key = hashlib.blake2s(repr((self._model, kind.__name__, facts)).encode(), digest_size=16).hexdigest()
        plain = not any(isinstance(value, PIL.Image.Image | Tensor) for value in bound.arguments.values())
        if key not in self._known:
            kept = self._read(key) if plain else None
            self._known[key] = kept or self._compute(kind, bound)
            if plain and not kept:
                self._write(key, self._known[key])
        return self._known[key]

    def _compute(self, kind: type, bound: inspect.BoundArguments) -> tuple[Tensor | None, ...]:
        with torch.no_grad():
            result = self._open(kind)(*bound.args, **bound.kwargs)
        items = result if isinstance(result, tuple) else (result,)
        return tuple(item if item is None else item.detach().cpu() for item in items)

    def _path(self, key: str) -> Path | None:
        return self._folder / f"{key}.safetensors" if self._folder else None

    def _read(self, key: str) -> tuple[Tensor | None, ...] | None:
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                named, text = {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get("text")  # noqa: SIM118
        except (OSError, SafetensorError):
            return None  # a damaged file of the cache is as good as none
        if self._text not in ("", EMPTY, text):
            return None
        return tuple(None if name.endswith(NOTHING) else named[name] for name in sorted(named))

    def _write(self, key: str, items: tuple[Tensor | None, ...]) -> None:
        path = self._path(key)
        if path is None:
            return
        named = {
            f"{i:02d}" if item is not None else f"{i:02d}{NOTHING}": torch.zeros(1) if item is None else item.contiguous()
            for i, item in enumerate(items)
        }
        try:
            with replacing(path, parents=True) as part:
                save_file(named, part, metadata={"text": self._text})
        except OutputError as error:
            logger.info("text embeddings are not kept: %s", error)


def no_encoder(where: str) -> Callable[[type], Encoder]:
    """An `open_encoder` for a pipeline without text encoder."""

    def fail(kind: type) -> Encoder:
        raise MissingWeights(f"{where} has no text encoder and the embeddings of this prompt are not cached: load it whole")

    return fail


def _describe(value: object) -> str:
    if isinstance(value, PIL.Image.Image):
        value = np.asarray(value)
    if isinstance(value, Tensor):
        value = value.detach().cpu().float().numpy()
    if isinstance(value, np.ndarray):
        return hashlib.blake2s(np.ascontiguousarray(value).tobytes()).hexdigest()
    return repr(value)
