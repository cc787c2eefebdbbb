"""rfcodec: a zero-shot video codec engine. A pretrained rectified-flow video model is the codec.

The five nouns are Video, StreamConfig, EncoderConfig, Unit and Frames; the two verbs are `encode` and `decode`, with
`compress` and `decompress` for bytes in memory.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfcodec.api import Encoded, caption, compress, decode, decompress, encode, info
    from rfcodec.coding.watcher import StepReport, Watcher
    from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig
    from rfcodec.errors import RfcodecError
    from rfcodec.presets import configure
    from rfcodec.stream.info import StreamInfo
    from rfcodec.stream.playback import DecodedFrames
    from rfcodec.video.reader import ArrayVideo, Video, open_video
    from rfcodec.video.source import ReadOptions

__version__ = "0.1.0"

__all__ = [
    "ArrayVideo",
    "DecodedFrames",
    "Encoded",
    "EncoderConfig",
    "ReadOptions",
    "RfcodecError",
    "RuntimeConfig",
    "StepReport",
    "StreamConfig",
    "StreamInfo",
    "Video",
    "Watcher",
    "__version__",
    "caption",
    "compress",
    "configure",
    "decode",
    "decompress",
    "encode",
    "info",
    "open_video",
]

_HOMES = {
    "rfcodec.api": ("Encoded", "caption", "compress", "decode", "decompress", "encode", "info"),
    "rfcodec.coding.watcher": ("StepReport", "Watcher"),
    "rfcodec.config": ("EncoderConfig", "RuntimeConfig", "StreamConfig"),
    "rfcodec.errors": ("RfcodecError",),
    "rfcodec.presets": ("configure",),
    "rfcodec.stream.info": ("StreamInfo",),
    "rfcodec.stream.playback": ("DecodedFrames",),
    "rfcodec.video.reader": ("ArrayVideo", "Video", "open_video"),
    "rfcodec.video.source": ("ReadOptions",),
}


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that `import rfcodec` stays light."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'rfcodec' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, which notebooks complete."""
    return sorted(__all__)
