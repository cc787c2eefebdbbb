"""LPIPS, the distance of frames as AlexNet sees them."""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from jaxtyping import Float

from rfcodec.errors import FrameSizeError, MissingWeights
from rfcodec.metrics.fidelity import check_pair, to_tensor
from rfcodec.metrics.metric import Metric, PerFrame, Setup
from rfcodec.metrics.weights import find_weights, hub_checkpoints, read_weights
from rfcodec.support.torchvision_repair import repair_torchvision
from rfcodec.types import Frame, Frames

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

LPIPS_MIN_SIDE = 31
ALEXNET_FILE = "alexnet_imagenet1k_v1_features.safetensors"
ALEXNET_HUB_FILE = "alexnet-owt-7be5be79.pth"


def lpips_metric(setup: Setup) -> Metric:
    """LPIPS (`Lpips`), mean over frames; raises MissingWeights, or FrameSizeError below 31 pixels."""
    return PerFrame("lpips", lpips_network(setup.weights, setup.device))


@lru_cache(maxsize=1)
def lpips_network(weights_dir: Path | None, device: str) -> "Lpips":
    """LPIPS, kept since it takes a second to make; raises MissingWeights."""
    return Lpips(weights_dir, device)


@final
class Lpips:
    """LPIPS 0.1 (Zhang et al. 2018, arXiv 1801.03924) with AlexNet: 0 where frames are equal, larger is worse.

    The linear layers come with the lpips package. AlexNet's features are read from `weights_dir`, or from PyTorch's hub
    cache where torchvision has put them. Nothing is downloaded: raises MissingWeights, which says what goes where.
    """

    def __init__(self, weights_dir: str | Path | None = None, device: str = "cpu") -> None:
        self._device = device
        self._model = _load_lpips(_alexnet_file(weights_dir)).to(device)

    @staticmethod
    def available(weights_dir: str | Path | None = None) -> bool:
        """Whether the weights are on this machine."""
        try:
            _alexnet_file(weights_dir)
        except MissingWeights:
            return False
        return True

    def __call__(self, reference: Frames, test: Frames) -> list[float]:
        """Distance of each pair of frames; raises FrameSizeError where shapes differ or a side is below 31 pixels."""
        import torch

        check_pair(reference, test)
        if min(reference.shape[1:3]) < LPIPS_MIN_SIDE:
            raise FrameSizeError(f"LPIPS needs {LPIPS_MIN_SIDE} pixels in each direction, not {reference.shape[1:3]}")
        with torch.inference_mode():
            return [float(self._model(*self._inputs(pair))) for pair in zip(reference, test, strict=True)]

    def distance(self, reference: "Tensor", test: "Tensor") -> "Tensor":
        """Distances of pictures n 3 h w in [-1, 1], through which a gradient flows."""
        return self._model(reference, test).ravel()

    def patch_features(self, frame: Frame) -> Float[np.ndarray, "n 192"]:
        """What AlexNet's second convolution sees, rectified: a row for each patch of 51 x 51 pixels, 8 pixels apart."""
        import torch

        model: Any = self._model  # lpips does not annotate its parts
        with torch.inference_mode():
            x = model.scaling_layer(to_tensor(frame, self._device) / 127.5 - 1)
            return model.net.slice2(model.net.slice1(x))[0].flatten(1).T.cpu().numpy()

    def _inputs(self, pair: tuple[np.ndarray, np.ndarray]) -> list["Tensor"]:
        return [to_tensor(frame, self._device) / 127.5 - 1 for frame in pair]


def _alexnet_file(weights_dir: str | Path | None) -> Path:
    file = find_weights(weights_dir, ALEXNET_FILE, ALEXNET_HUB_FILE)
    if file is not None:
        return file
    folder = weights_dir or "a folder that you name as weights_dir"
    raise MissingWeights(
        f"LPIPS needs AlexNet's features, and nothing is downloaded: put {ALEXNET_FILE} (torchvision's names, "
        f"features.0.weight and so on) into {folder}, or torchvision's {ALEXNET_HUB_FILE} into {hub_checkpoints()}"
    )


def _load_lpips(file: Path) -> "Module":
    repair_torchvision()
    import lpips

    with warnings.catch_warnings():
        # lpips calls torchvision with an argument that the latter would like to be rid of.
        warnings.simplefilter("ignore", UserWarning)
        # pnet_rand keeps lpips from downloading; the strict load below leaves none of those random values.
        model = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    weights = read_weights(file)
    try:
        model.net.load_state_dict({name: weights[_feature(name)] for name in model.net.state_dict()}, strict=True)
    except (KeyError, RuntimeError) as error:
        raise MissingWeights(f"{file}: holds no AlexNet features ({error}); replace the file") from error
    return model.eval().requires_grad_(False)


def _feature(name: str) -> str:
    """Torchvision's name of a parameter of lpips: slice2.3.weight is features.3.weight."""
    return "features." + name.split(".", 1)[1]
