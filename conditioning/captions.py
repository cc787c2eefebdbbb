"""Captioners: an image- or video-to-text model writes the prompt from frames of the source.

frames ──▶ captioner ──▶ one line of text ──▶ prompt in the sequence header ──▶ conditions every GOP

Only the encoder runs one; a decoder reads the prompt and needs no captioner.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image

from rfcodec.errors import ConfigError, InputError, MissingWeights
from rfcodec.protocols import Frames
from rfcodec.support.torchvision_repair import repair_torchvision

AUTO = "Salesforce/blip-image-captioning-base"  # 0.25 billion parameters, BSD-3-Clause
MOST_TOKENS = 64
MOST_PICTURES = 4  # separate pictures take many tokens of a chat model's context
SENTENCE = (
    "in one sentence of at most 40 words: who or what is seen, what happens, where, and how the camera moves. "
    "Answer with that sentence alone."
)
ASK_VIDEO = f"Describe this video {SENTENCE}"
ASK_PICTURES = f"These pictures are frames of one video, in order. Describe the video {SENTENCE}"
BY_HAND = "or write the prompt by hand with --prompt"
# errors of transformers for a folder or an architecture that is no captioner
MODEL_FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, ImportError, RuntimeError)


@final
class TransformersCaptioner:
    """A model of transformers that writes text about pictures: BLIP, GIT and the like, or a chat model that takes pictures.

    `model` is a folder, a hub id or "auto"; `device` is torch's. The model is opened for each caption and freed after it,
    so that the backbone has the memory. Greedy search: equal frames give equal words on one machine.
    """

    def __init__(self, model: str, device: str) -> None:
        self._name = AUTO if model == "auto" else model
        self._device = device

    def caption(self, frames: Frames) -> str:
        """One line of text about frames in temporal order.

        Chat models get all frames as a video, or at most MOST_PICTURES as pictures; others get the middle frame. Raises
        MissingWeights, ConfigError for a model that writes no captions, InputError for an empty caption.
        """
        with _quiet():
            processor, model = self._open()
            try:
                text = _write(processor, model, frames)
            except MODEL_FAULTS as error:
                raise ConfigError(
                    f"{self._name} does not caption ({_short(error)}): name another model, {BY_HAND}"
                ) from error
        line = " ".join(text.split())
        if not line:
            raise InputError(f"{self._name} finds no words for this video; name another model, {BY_HAND}")
        return line

    def _open(self) -> tuple[Any, Any]:
        from transformers import AutoModelForImageTextToText, AutoProcessor
        from transformers.utils.hub import cached_file

        # half precision is slow on a CPU, and lacks some operators there
        dtype = "float32" if self._device == "cpu" else "auto"
        try:
            # the calls below raise the same error for a missing model and for one that is no captioner
            cached_file(self._name, "config.json")
            processor = AutoProcessor.from_pretrained(self._name, trust_remote_code=False)
            model: Any = AutoModelForImageTextToText.from_pretrained(self._name, dtype=dtype, trust_remote_code=False)
            return processor, model.eval().to(self._device)
        except OSError as error:
            raise MissingWeights(self._where(error)) from error
        except MODEL_FAULTS as error:
            raise ConfigError(
                f"{self._name} cannot be opened as a captioner ({_short(error)}): name another, {BY_HAND}"
            ) from error

    def _where(self, error: OSError) -> str:
        if Path(self._name).exists():
            return f"the captioner in {self._name} cannot be read ({_short(error)}): name another, {BY_HAND}"
        return (
            f"the captioner {self._name} is not on this machine and cannot be fetched ({type(error).__name__}): "
            f"with a network `hf download {self._name}` fetches it; or name the folder that holds it, {BY_HAND}"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers without progress bars and advice, which would mix with the output of the command line."""
    repair_torchvision()
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _write(processor: Any, model: Any, frames: Frames) -> str:
    if getattr(processor, "chat_template", None):
        inputs = _chat_inputs(processor, frames)
    else:
        inputs = processor(images=Image.fromarray(frames[len(frames) // 2]), return_tensors="pt")
    tokens = model.generate(
        **inputs.to(model.device, model.dtype), do_sample=False, num_beams=1, max_new_tokens=MOST_TOKENS
    )[0]
    asked = inputs["input_ids"][0] if "input_ids" in inputs else tokens[:0]
    # decoder-only models repeat the prompt
    if tokens[: len(asked)].equal(asked.to(tokens.device)):
        tokens = tokens[len(asked) :]
    return processor.decode(tokens, skip_special_tokens=True)


def _chat_inputs(processor: Any, frames: Frames) -> Any:
    if getattr(processor, "video_processor", None) and "video" in str(processor.chat_template):
        # some templates write the time of each frame; it is not known here, so one a second is given
        times = {"total_num_frames": len(frames), "fps": 1.0, "frames_indices": [*range(len(frames))]}
        media: dict[str, Any] = {"videos": [frames], "video_metadata": [times], "do_sample_frames": False}
        content = [{"type": "video"}, {"type": "text", "text": ASK_VIDEO}]
    else:
        places = np.linspace(0, len(frames) - 1, min(len(frames), MOST_PICTURES)).round().astype(int)
        media = {"images": [[Image.fromarray(frames[place]) for place in places]]}
        content = [*({"type": "image"} for _ in places), {"type": "text", "text": ASK_PICTURES}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    begins = processor.tokenizer.bos_token
    # where the template writes the first token, the tokenizer must not add another
    more = {"add_special_tokens": False} if begins and text.startswith(begins) else {}
    return processor(text=[text], return_tensors="pt", **media, **more)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
