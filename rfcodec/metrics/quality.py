"""Quality of decoded frames: PSNR, MS-SSIM and LPIPS per frame, and their means over the frames of a video."""

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from jaxtyping import Float

from rfcodec.errors import FrameSizeError, MissingWeights
from rfcodec.support.torchvision_repair import repair_torchvision
from rfcodec.types import Frame, Frames

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

PSNR_CAP = 100.0
MS_SSIM_WINDOW = 11
LPIPS_MIN_SIDE = 31
ALEXNET_FILE = "alexnet_imagenet1k_v1_features.safetensors"
ALEXNET_HUB_FILE = "alexnet-owt-7be5be79.pth"


def psnr(reference: Frames, test: Frames) -> float:
    """Mean over frames of 10 log10(255^2 / mse) in dB, mse over all RGB samples of a frame.

    A frame counts at most 100 dB, so that identical frames have a value and the mean stays finite.
    Raises FrameSizeError where the shapes differ.
    """
    return _mean(psnr_series(reference, test))


def ms_ssim(reference: Frames, test: Frames) -> float | None:
    """Mean over frames of RGB MS-SSIM (five scales), in 0..1; None where the short side is 32 pixels or less.

    The Gaussian window has 11 samples where the short side exceeds 160 pixels, else the largest odd number that fits
    (w - 1) 16 < side: values of smaller pictures compare with each other only. Raises FrameSizeError where the shapes
    differ.
    """
    series = ms_ssim_series(reference, test)
    return None if series is None else _mean(series)


def ms_ssim_window(width: int, height: int) -> int | None:
    """Side of the window that `ms_ssim` uses for that size, an odd number in 3..11; None where none fits."""
    largest = min(MS_SSIM_WINDOW, (min(width, height) - 1) // 16 + 1)
    odd = largest - (largest + 1) % 2
    return odd if odd >= 3 else None


def check_pair(reference: np.ndarray, test: np.ndarray) -> None:
    """Raises FrameSizeError unless both are uint8 of one shape (t, y, x, 3), not empty."""
    if reference.shape != test.shape or reference.ndim != 4 or reference.shape[-1] != 3 or 0 in reference.shape:
        raise FrameSizeError(f"frames {reference.shape} and {test.shape}: must both have one shape (t, y, x, 3)")
    if reference.dtype != np.uint8 or test.dtype != np.uint8:
        raise FrameSizeError(f"frames of {reference.dtype} and {test.dtype}: must be uint8")


def samples_psnr(reference: np.ndarray, test: np.ndarray) -> float:
    """10 log10(255^2 / mse) in dB over all samples of two uint8 arrays of one shape, at most 100."""
    squares = np.square(np.subtract(reference, test, dtype=np.int32)).sum(dtype=np.int64)
    if squares == 0:
        return PSNR_CAP
    return min(PSNR_CAP, float(10 * np.log10(255.0**2 * reference.size / squares)))


def psnr_series(reference: Frames, test: Frames) -> list[float]:
    """PSNR of each pair of frames in dB, at most 100; raises FrameSizeError where the shapes differ."""
    check_pair(reference, test)
    return [samples_psnr(*pair) for pair in zip(reference, test, strict=True)]


def ms_ssim_series(reference: Frames, test: Frames, device: str = "cpu") -> list[float] | None:
    """MS-SSIM of each pair of frames, None where `ms_ssim_window` is; raises FrameSizeError where the shapes differ."""
    check_pair(reference, test)
    window = ms_ssim_window(reference.shape[2], reference.shape[1])
    if window is None:
        return None
    # One frame at a time: five scales of a whole GOP in float32 would take gigabytes.
    return [_frame_ms_ssim(*pair, window, device) for pair in zip(reference, test, strict=True)]


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
            x = model.scaling_layer(_to_tensor(frame, self._device) / 127.5 - 1)
            return model.net.slice2(model.net.slice1(x))[0].flatten(1).T.cpu().numpy()

    def _inputs(self, pair: tuple[np.ndarray, np.ndarray]) -> list["Tensor"]:
        return [_to_tensor(frame, self._device) / 127.5 - 1 for frame in pair]


@final
class Quality:
    """Collects the quality of a video, fed with its frames GOP by GOP; keeps one number per frame and metric.

    Without `lpips` that metric is left out. MS-SSIM and LPIPS are None where the pictures are too small for them.
    """

    def __init__(self, lpips: Lpips | None = None, device: str = "cpu") -> None:
        self.series: dict[str, list[float]] = {}
        self._lpips, self._device = lpips, device

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures further frames; raises FrameSizeError where the shapes differ."""
        self._extend("psnr", psnr_series(reference, test))
        self._extend("ms_ssim", ms_ssim_series(reference, test, self._device))
        if self._lpips is not None and min(reference.shape[1:3]) >= LPIPS_MIN_SIDE:
            self._extend("lpips", self._lpips(reference, test))

    @property
    def num_frames(self) -> int:
        """Frames measured so far."""
        return len(self.series.get("psnr", []))

    @property
    def psnr(self) -> float | None:
        """Mean of the frames' PSNR in dB, each at most 100; None before the first frame."""
        return self.means().get("psnr")

    @property
    def ms_ssim(self) -> float | None:
        """Mean of the frames' MS-SSIM in 0..1, or None."""
        return self.means().get("ms_ssim")

    @property
    def lpips(self) -> float | None:
        """Mean of the frames' LPIPS, or None."""
        return self.means().get("lpips")

    def means(self) -> dict[str, float]:
        """Mean over frames of every metric that was measured, by name."""
        return {name: _mean(values) for name, values in self.series.items()}

    def _extend(self, name: str, values: list[float] | None) -> None:
        if values is not None:
            self.series.setdefault(name, []).extend(values)


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _frame_ms_ssim(reference: np.ndarray, test: np.ndarray, window: int, device: str) -> float:
    import pytorch_msssim
    import torch

    with torch.inference_mode():
        x, y = _to_tensor(reference, device), _to_tensor(test, device)
        return float(pytorch_msssim.ms_ssim(x, y, data_range=255, win_size=window))


def _to_tensor(frame: np.ndarray, device: str) -> "Tensor":
    import torch

    return torch.tensor(frame, device=device).permute(2, 0, 1)[None].float()


def find_weights(weights_dir: str | Path | None, name: str, hub_name: str) -> Path | None:
    """The file `name` of `weights_dir`, else `hub_name` of PyTorch's hub cache, else None; nothing is downloaded."""
    candidates = [hub_checkpoints() / hub_name]
    if weights_dir is not None:
        candidates.insert(0, Path(weights_dir) / name)
    return next((file for file in candidates if file.is_file()), None)


def hub_checkpoints() -> Path:
    """The folder in which PyTorch's hub keeps weights."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


def read_weights(file: Path) -> dict[str, "Tensor"]:
    """Tensors of a safetensors or PyTorch file by name; raises MissingWeights where it cannot be read."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise MissingWeights(f"{file}: cannot be read ({error}); replace the file") from error


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
