"""How real a clip looks, whatever the source's own details: distances between distributions of features."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
from jaxtyping import Float

from rfcodec.errors import FrameRangeError, FrameSizeError, MissingWeights
from rfcodec.metrics.lpips import LPIPS_MIN_SIDE, lpips_network
from rfcodec.metrics.metric import Setup
from rfcodec.types import Frames

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

KERNEL_FRAMES = 32
KERNEL_PATCHES = 2048
KERNEL_SEED = 20180101
I3D_FILE = "i3d_torchscript.pt"
I3D_SIDE = 224
FVD_FRAMES, FVD_HOP = 16, 8

Features = Float[np.ndarray, "n d"]


@final
class KernelDistance:
    """Kernel distance between the patches of both clips, as KID (Bińkowski et al. 2018, arXiv 1801.01401) on AlexNet.

    Patches of 51 x 51 pixels are described by the second convolution of the AlexNet of LPIPS, scaled to x.x / d = 1 as
    LPIPS does. At most 32 frames, evenly spread, give 2048 patches in all, at positions that depend on the number of the
    frame alone. Raises MissingWeights, or FrameSizeError below 31 pixels.
    """

    def __init__(self, setup: Setup) -> None:
        self._network = lpips_network(setup.weights, setup.device)
        if setup.short_side < LPIPS_MIN_SIDE:
            raise FrameSizeError(f"needs {LPIPS_MIN_SIDE} pixels in each direction, not {setup.short_side}")
        self._every = -(-setup.video.num_frames // KERNEL_FRAMES)
        self._patches = KERNEL_PATCHES // -(-setup.video.num_frames // self._every)
        self._count = 0
        self._features: tuple[list[Features], list[Features]] = ([], [])

    def add(self, reference: Frames, test: Frames) -> None:
        """Takes patches of the next frames."""
        for pair in zip(reference, test, strict=True):
            if self._count % self._every == 0:
                for features, frame in zip(self._features, pair, strict=True):
                    features.append(self._choose(unit_features(self._network.patch_features(frame))))
            self._count += 1

    def series(self) -> dict[str, list[float]]:
        """None: the distance is the clip's."""
        return {}

    def values(self) -> dict[str, float]:
        """The distance; 0 for equal clips, about 0 or a little less for clips of equal statistics."""
        return {"kernel_distance": polynomial_mmd(*map(np.concatenate, self._features))}

    def _choose(self, features: Features) -> Features:
        order = np.random.default_rng((KERNEL_SEED, self._count)).permutation(len(features))
        return features[order[: self._patches]]


def unit_features(features: Features) -> Features:
    """Rows scaled to a mean square of 1; 1e-10 keeps rows of zeros."""
    x = features.astype(np.float64)
    return x / np.sqrt(np.mean(x * x, 1, keepdims=True) + 1e-10)


def polynomial_mmd(x: Features, y: Features) -> float:
    """Unbiased MMD^2 of two sets of n rows with the kernel k(a, b) = (a.b / d + 1)^3.

    1 / (n (n - 1)) sum over i != j of k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i) (Gretton et al. 2012, JMLR 13,
    eq. 4): row i of both sets may show the same place, hence no k(x_i, y_i).
    """
    n, d = x.shape
    total = 0.0
    for a, b, sign in ((x, x, 1), (y, y, 1), (x, y, -2)):
        similarity = a @ b.T / d + 1
        kernel = similarity * similarity * similarity  # a power would take ten times as long
        total += sign * (kernel.sum() - np.trace(kernel))
    return float(total / (n * (n - 1)))


@final
class Fvd:
    """Fréchet video distance (Unterthiner et al. 2018, arXiv 1812.01717) between both clips' windows of 16 frames.

    Windows overlap by half. Frames are scaled to a short side of 224 pixels and cropped to a square, in -1..1; features
    are the logits of I3D (Kinetics-400) in the TorchScript form of StyleGAN-V. One clip has few windows: its value
    compares with that of the same clip only, and not with FVD over a data set. Raises MissingWeights, or FrameRangeError
    below two windows.
    """

    def __init__(self, setup: Setup) -> None:
        self._device = setup.device
        self._network = _load_i3d(setup.weights, setup.device)
        if setup.video.num_frames < FVD_FRAMES + FVD_HOP:
            raise FrameRangeError(f"needs {FVD_FRAMES + FVD_HOP} frames or more, not {setup.video.num_frames}")
        self._windows: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._features: tuple[list[Features], list[Features]] = ([], [])

    def add(self, reference: Frames, test: Frames) -> None:
        """Takes features of the windows that the next frames complete."""
        for pair in zip(reference, test, strict=True):
            for window, features, frame in zip(self._windows, self._features, pair, strict=True):
                window.append(square_picture(frame, self._device))
                if len(window) == FVD_FRAMES:
                    features.append(self._describe(window))
                    del window[:FVD_HOP]

    def series(self) -> dict[str, list[float]]:
        """None: the distance is the clip's."""
        return {}

    def values(self) -> dict[str, float]:
        """The distance, 0 for equal clips."""
        return {"fvd": frechet_distance(*map(np.concatenate, self._features))}

    def _describe(self, window: "list[Tensor]") -> Features:
        import torch

        try:
            with torch.inference_mode():
                x = torch.stack(window, 1)[None]
                found = self._network(x, rescale=False, resize=False, return_features=True)
                return found.double().flatten(1).cpu().numpy()
        except RuntimeError as error:
            raise MissingWeights(f"{I3D_FILE} is no I3D of StyleGAN-V: {str(error).strip()[-300:]}") from error


def square_picture(frame: np.ndarray, device: str = "cpu") -> "Tensor":
    """The middle square of a frame as `c y x` of 224 x 224 in -1..1, scaled bilinearly."""
    import torch

    x = torch.tensor(frame, device=device).permute(2, 0, 1)[None].float() / 127.5 - 1
    height, width = frame.shape[:2]
    size = [-(-side * I3D_SIDE // min(height, width)) for side in (height, width)]
    x = torch.nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False)[0]
    top, left = ((side - I3D_SIDE) // 2 for side in size)
    return x[:, top : top + I3D_SIDE, left : left + I3D_SIDE]


def frechet_distance(x: Features, y: Float[np.ndarray, "m d"]) -> float:
    """|m_x - m_y|^2 + Tr(C_x + C_y - 2 (C_x C_y)^(1/2)), C with n - 1 in the denominator.

    With centred rows A, B divided by (n - 1)^(1/2), Tr (C_x C_y)^(1/2) is the sum of the singular values of A B^T: exact
    where the covariances have no full rank.
    """
    a, b = ((rows - rows.mean(0)) / np.sqrt(len(rows) - 1) for rows in (x, y))
    common = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    distance = np.square(x.mean(0) - y.mean(0)).sum() + np.square(a).sum() + np.square(b).sum() - 2 * common
    return max(0.0, float(distance))


def _load_i3d(weights: Path | None, device: str) -> "Module":
    import torch

    file = (weights or Path()) / I3D_FILE
    if weights is None or not file.is_file():
        folder = weights or "the folder of weights"
        raise MissingWeights(
            f"FVD needs I3D as TorchScript, and nothing is downloaded: put StyleGAN-V's {I3D_FILE} into {folder}"
        )
    try:
        with warnings.catch_warnings():
            # PyTorch would like TorchScript to be gone; the network is published in no other form.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(str(file), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise MissingWeights(f"{file}: cannot be read ({error}); replace the file") from error
