"""What a metric is: it is fed with frames of a clip, in order, and says its values at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol, final, runtime_checkable

import numpy as np

from rfcodec.errors import ConfigError
from rfcodec.metrics.planes import PlaneFiles
from rfcodec.types import Frames, VideoFormat


@runtime_checkable
class Metric(Protocol):
    """A measure of quality that streams; raises ConfigError, MissingWeights or InputError where it cannot be taken."""

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures the next frames, any number of them."""
        ...

    def series(self) -> dict[str, list[float]]:
        """One value a frame by name; empty where a metric has none."""
        ...

    def values(self) -> dict[str, float]:
        """Values of the whole clip by name."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Setup:
    """What a metric is told before the first frame.

    `seams` are the first frames of every GOP but the first; `weights` is a folder; `planes` writes frames for FFmpeg.
    """

    video: VideoFormat
    seams: tuple[int, ...]
    weights: Path | None
    device: str
    planes: PlaneFiles

    @property
    def short_side(self) -> int:
        """Width or height in pixels, whichever is less."""
        return min(self.video.width, self.video.height)


@final
class PerFrame:
    """A metric that looks at one pair of frames at a time; its value is the mean over the frames."""

    def __init__(self, name: str, measure: Callable[[Frames, Frames], list[float]]) -> None:
        self._name, self._measure = name, measure
        self._values: list[float] = []

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures the next frames."""
        self._values.extend(self._measure(reference, test))

    def series(self) -> dict[str, list[float]]:
        """The values measured so far."""
        return {self._name: self._values}

    def values(self) -> dict[str, float]:
        """Mean of the values measured so far."""
        return {self._name: float(np.mean(self._values))}


def optional(module: str, package: str, install: str) -> ModuleType:
    """Imports what not every installation has; raises ConfigError, which says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"needs the package {package}: pip install {install} ({error})") from error
