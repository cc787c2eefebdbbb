"""rfcodec: a zero-shot video codec engine. A pretrained rectified-flow video model is the codec.

The five nouns are Video, StreamConfig, EncoderConfig, Unit and Frames; the two verbs are `encode` and `decode`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "encode": "rfcodec.api",
    "decode": "rfcodec.api",
    "info": "rfcodec.api",
    "caption": "rfcodec.api",
    "configure": "rfcodec.presets",
    "open_video": "rfcodec.video.reader",
    "ArrayVideo": "rfcodec.video.reader",
    "StreamConfig": "rfcodec.config",
    "EncoderConfig": "rfcodec.config",
    "RuntimeConfig": "rfcodec.config",
    "RfcodecError": "rfcodec.errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that `import rfcodec` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'rfcodec' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
