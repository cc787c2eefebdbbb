"""How close frames are sample by sample: PSNR of RGB and of YCbCr, MS-SSIM; values of each frame, and their means."""

from typing import TYPE_CHECKING

import numpy as np

from rfcodec.errors import FrameSizeError
from rfcodec.metrics.metric import Metric, PerFrame, Setup
from rfcodec.types import Frames
from rfcodec.video.colour import Planes, split_planes

if TYPE_CHECKING:
    from torch import Tensor

PSNR_CAP = 100.0
MS_SSIM_WINDOW = 11
YUV_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)


def psnr(reference: Frames, test: Frames) -> float:
    """Mean over frames of 10 log10(255^2 / mse) in dB, mse over all RGB samples of a frame.

    A frame counts at most 100 dB, so that identical frames have a value and the mean stays finite.
    Raises FrameSizeError where the shapes differ.
    """
    return float(np.mean(psnr_series(reference, test)))


def ms_ssim(reference: Frames, test: Frames) -> float | None:
    """Mean over frames of RGB MS-SSIM (five scales), in 0..1; None where the short side is 32 pixels or less.

    The Gaussian window has 11 samples where the short side exceeds 160 pixels, else the largest odd number that fits
    (w - 1) 16 < side: values of smaller pictures compare with each other only. Raises FrameSizeError where the shapes
    differ.
    """
    series = ms_ssim_series(reference, test)
    return None if series is None else float(np.mean(series))


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


def weighted_psnr(reference: Planes, test: Planes) -> float:
    """(6 Y + Cb + Cr) / 8 of the PSNR of planes, as JCT-VC weights it; each counts at most 100 dB."""
    return sum(weight * samples_psnr(x, y) for weight, x, y in zip(YUV_WEIGHTS, reference, test, strict=True))


def psnr_metric(_: Setup) -> Metric:
    """PSNR of RGB in dB, mean over frames (`psnr`)."""
    return PerFrame("psnr", psnr_series)


def psnr_yuv_metric(setup: Setup) -> Metric:
    """PSNR of YCbCr in dB, mean over frames of `weighted_psnr`, in 4:2:0, 8 bits, limited range, peak 255."""
    size = (setup.video.width, setup.video.height)
    values: list[float] = []

    def measure(reference: Frames, test: Frames) -> list[float]:
        pairs = zip(*setup.planes.convert(len(values), reference, test), strict=True)
        measured = [weighted_psnr(split_planes(x, *size), split_planes(y, *size)) for x, y in pairs]
        values.extend(measured)
        return measured

    return PerFrame("psnr_yuv", measure)


def ms_ssim_metric(setup: Setup) -> Metric:
    """MS-SSIM of RGB in 0..1, mean over frames (`ms_ssim`); raises FrameSizeError where no window fits."""
    size = (setup.video.width, setup.video.height)
    if ms_ssim_window(*size) is None:
        raise FrameSizeError(f"needs more than 32 pixels in each direction, not {size[0]}x{size[1]}")
    return PerFrame("ms_ssim", lambda reference, test: ms_ssim_series(reference, test, setup.device) or [])


def _frame_ms_ssim(reference: np.ndarray, test: np.ndarray, window: int, device: str) -> float:
    import pytorch_msssim
    import torch

    with torch.inference_mode():
        x, y = to_tensor(reference, device), to_tensor(test, device)
        return float(pytorch_msssim.ms_ssim(x, y, data_range=255, win_size=window))


def to_tensor(frame: np.ndarray, device: str) -> "Tensor":
    """A frame as 1 c y x of float32 in 0..255."""
    import torch

    return torch.tensor(frame, device=device).permute(2, 0, 1)[None].float()
