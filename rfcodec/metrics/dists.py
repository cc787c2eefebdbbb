"""DISTS, the distance of frames as VGG16 sees their structure and texture."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, final

from rfcodec.errors import MissingWeights
from rfcodec.metrics.metric import Metric, PerFrame, Setup, optional
from rfcodec.metrics.weights import find_weights, hub_checkpoints, read_weights
from rfcodec.support.torchvision_repair import repair_torchvision
from rfcodec.types import Frame, Frames

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

VGG16_FILE = "vgg16-397923af.pth"
DISTS_FILE = "dists_weights.pt"
_LAYERS = ["3", "8", "15", "22", "29"]  # the last rectifier before each pooling of VGG16
_CHANNELS = [3, 64, 128, 256, 512, 512]


def dists_metric(setup: Setup) -> Metric:
    """DISTS (`Dists`), mean over frames."""
    return PerFrame("dists", Dists(setup.weights, setup.device))


@final
class Dists:
    """DISTS (Ding et al. 2020, arXiv 2004.07728) as piq computes it: 0 where frames are equal, larger is worse.

    Pictures whose short side exceeds 256 pixels are scaled down to it, as the paper's authors do. VGG16's features and
    the weights of DISTS are read from `weights_dir` or from PyTorch's hub cache; nothing is downloaded: raises
    MissingWeights, or ConfigError where piq is not installed.
    """

    def __init__(self, weights_dir: Path | None = None, device: str = "cpu") -> None:
        repair_torchvision()
        piq = optional("piq", "piq", "piq")
        self._device = device
        self._model = _load_dists(piq, *_dists_files(weights_dir)).to(device)

    def __call__(self, reference: Frames, test: Frames) -> list[float]:
        """Distance of each pair of frames."""
        import torch

        with torch.inference_mode():
            return [float(self._model(*map(self._input, pair))) for pair in zip(reference, test, strict=True)]

    def _input(self, frame: Frame) -> "Tensor":
        import torch

        return torch.tensor(frame, device=self._device).permute(2, 0, 1)[None].float() / 255


def _dists_files(weights_dir: Path | None) -> tuple[Path, Path]:
    vgg16, scales = (find_weights(weights_dir, name, name) for name in (VGG16_FILE, DISTS_FILE))
    if vgg16 is None or scales is None:
        folder = weights_dir or "the folder of weights"
        raise MissingWeights(
            f"DISTS needs two files, and nothing is downloaded: put torchvision's {VGG16_FILE} and {DISTS_FILE} of piq's "
            f"release v0.4.1 into {folder} or into {hub_checkpoints()}"
        )
    return vgg16, scales


def _load_dists(piq: ModuleType, vgg16: Path, scales: Path) -> "Module":
    """What piq.DISTS() makes, from given files; its own constructor would download."""
    features, channels = _vgg16_features(vgg16), read_weights(scales)
    try:
        weights = [part for name in ("alpha", "beta") for part in channels[name].split(_CHANNELS, 1)]
    except (KeyError, IndexError, RuntimeError) as error:
        raise MissingWeights(f"{scales}: holds no weights of DISTS ({error}); replace the file") from error
    model = piq.DISTS.__new__(piq.DISTS)
    options = {"layers": _LAYERS, "weights": weights, "replace_pooling": True, "allow_layers_weights_mismatch": True}
    piq.ContentLoss.__init__(model, features, **options)
    return model.eval()


def _vgg16_features(file: Path) -> "Module":
    import torch
    from torchvision.models import vgg16

    with torch.device("meta"):
        features = vgg16(weights=None).features
    weights = {name.removeprefix("features."): value for name, value in read_weights(file).items() if "features." in name}
    try:
        features.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        raise MissingWeights(f"{file}: holds no features of VGG16 ({error}); replace the file") from error
    return features
