"""How close frames are sample by sample: PSNR of RGB and of YCbCr, MS-SSIM."""

from rfcodec.errors import FrameSizeError
from rfcodec.metrics.metric import Metric, PerFrame, Setup
from rfcodec.metrics.quality import ms_ssim_series, ms_ssim_window, psnr_series, samples_psnr
from rfcodec.types import Frames
from rfcodec.video.colour import Planes, split_planes

YUV_WEIGHTS = (6 / 8, 1 / 8, 1 / 8)


def psnr(_: Setup) -> Metric:
    """PSNR of RGB in dB, mean over frames of at most 100 dB each (`rfcodec.metrics.quality.psnr`)."""
    return PerFrame("psnr", psnr_series)


def psnr_yuv(setup: Setup) -> Metric:
    """PSNR of YCbCr in dB, (6 Y + Cb + Cr) / 8 as JCT-VC weights it, in 4:2:0, 8 bits, limited range, peak 255.

    Each plane of a frame counts at most 100.
    """
    size = (setup.video.width, setup.video.height)
    values: list[float] = []

    def measure(reference: Frames, test: Frames) -> list[float]:
        pairs = zip(*setup.planes.convert(len(values), reference, test), strict=True)
        measured = [_weighted_psnr(split_planes(x, *size), split_planes(y, *size)) for x, y in pairs]
        values.extend(measured)
        return measured

    return PerFrame("psnr_yuv", measure)


def _weighted_psnr(reference: Planes, test: Planes) -> float:
    return sum(weight * samples_psnr(x, y) for weight, x, y in zip(YUV_WEIGHTS, reference, test, strict=True))


def ms_ssim(setup: Setup) -> Metric:
    """MS-SSIM of RGB in 0..1 (`rfcodec.metrics.quality.ms_ssim`); raises FrameSizeError where no window fits."""
    size = (setup.video.width, setup.video.height)
    if ms_ssim_window(*size) is None:
        raise FrameSizeError(f"needs more than 32 pixels in each direction, not {size[0]}x{size[1]}")
    return PerFrame("ms_ssim", lambda reference, test: ms_ssim_series(reference, test, setup.device) or [])
