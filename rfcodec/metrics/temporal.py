"""How steady a clip is over time: warping error along the source's motion, visibility of GOP seams."""

from typing import final

import numpy as np
from jaxtyping import Bool, Float

from rfcodec.errors import FrameRangeError, FrameSizeError, InputError
from rfcodec.metrics.metric import Setup, optional
from rfcodec.types import Frame, Frames

Flow = Float[np.ndarray, "y x 2"]
FLOW_MIN_SIDE = 16


@final
class WarpingError:
    """Warping error E_warp (Lai et al. 2018, arXiv 1808.00449, eq. 8) of the decoded clip, and of the source as its floor.

    Frame t is brought back to frame t - 1 along the optical flow of the source (DIS, Kroeger et al. 2016), and compared
    with it where nothing is occluded: mean squared difference of RGB in 0..1, mean over the pairs that have such pixels (at
    a scene cut there may be none). The series has the pair of frames t - 1 and t at t, and 0 at the first frame and where a
    pair does not count. It ranks no methods: a picture that is smoothed or stands still can have less of it than the source.
    Raises ConfigError where OpenCV is not installed, FrameSizeError below 16 pixels, FrameRangeError for a single frame.
    """

    def __init__(self, setup: Setup) -> None:
        self._cv2 = optional("cv2", "opencv-python-headless", "'rfcodec[benchmarks]'")
        if setup.short_side < FLOW_MIN_SIDE:
            raise FrameSizeError(f"needs {FLOW_MIN_SIDE} pixels in each direction, not {setup.short_side}")
        if setup.video.num_frames < 2:
            raise FrameRangeError("needs two frames or more")
        self._flow = self._cv2.DISOpticalFlow_create(self._cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        columns, rows = (np.arange(side, dtype=np.float32) for side in (setup.video.width, setup.video.height))
        self._grid = np.stack(np.meshgrid(columns, rows), -1)
        self._previous: tuple[Frame, Frame] | None = None
        self._test: list[float] = []
        self._source: list[float] = []
        self._pairs = 0

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures the next frames."""
        for pair in zip(reference, test, strict=True):
            errors = self._errors(self._previous, pair) if self._previous else None
            self._pairs += errors is not None
            for series, error in zip((self._source, self._test), errors or (0.0, 0.0), strict=True):
                series.append(error)
            self._previous = (pair[0].copy(), pair[1].copy())

    def series(self) -> dict[str, list[float]]:
        """Errors of every frame against the one before."""
        return {"e_warp": self._test, "e_warp_source": self._source}

    def values(self) -> dict[str, float]:
        """Means over the pairs of frames; raises InputError where no pair counts."""
        if not self._pairs:
            raise InputError("no frame shows anything of the one before")
        return {name: float(np.sum(errors)) / self._pairs for name, errors in self.series().items()}

    def _errors(self, before: tuple[Frame, Frame], after: tuple[Frame, Frame]) -> list[float] | None:
        """Errors of source and decoded clip; None where nothing is visible in both frames."""
        gray = [self._cv2.cvtColor(pair[0], self._cv2.COLOR_RGB2GRAY) for pair in (before, after)]
        forward, backward = self._flow.calc(*gray, None), self._flow.calc(*gray[::-1], None)
        target = self._grid + forward
        visible = visible_pixels(forward, self._warp(backward, target)) & inside_picture(target)
        if not visible.any():
            return None
        return [masked_error(x, self._warp(y, target), visible) for x, y in zip(before, after, strict=True)]

    def _warp(self, picture: np.ndarray, target: Flow) -> np.ndarray:
        """The picture's values at `target`, a pair of columns and rows for every pixel."""
        samples = picture.astype(np.float32)
        return self._cv2.remap(samples, target, None, self._cv2.INTER_LINEAR, borderMode=self._cv2.BORDER_REPLICATE)


def visible_pixels(forward: Flow, backward: Flow) -> Bool[np.ndarray, "y x"]:
    """Pixels that the next frame shows too, by flows there and back (the latter brought to this frame).

    |f + b|^2 <= 0.01 (|f|^2 + |b|^2) + 0.5, and no motion boundary: |df/dx|^2 + |df/dy|^2 <= 0.01 |f|^2 + 0.002 (Ruder et
    al. 2016, arXiv 1604.08610, eqs. 5 and 6).
    """
    length = _squared_length(forward)
    consistent = _squared_length(forward + backward) <= 0.01 * (length + _squared_length(backward)) + 0.5
    columns, rows = np.diff(forward, axis=1, append=forward[:, -1:]), np.diff(forward, axis=0, append=forward[-1:])
    return consistent & (_squared_length(columns) + _squared_length(rows) <= 0.01 * length + 0.002)


def inside_picture(target: Flow) -> Bool[np.ndarray, "y x"]:
    """Where a pair of column and row lies within the picture."""
    height, width = target.shape[:2]
    columns, rows = target[..., 0], target[..., 1]
    return (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)


def masked_error(reference: np.ndarray, test: np.ndarray, mask: Bool[np.ndarray, "y x"]) -> float:
    """Mean squared difference over masked pixels, one or more, samples 0..255 taken as 0..1."""
    squares = np.square(test - reference.astype(np.float32)).sum(-1)
    return float(squares[mask].mean(dtype=np.float64)) / (3 * 255**2)


def _squared_length(flow: Flow) -> Float[np.ndarray, "y x"]:
    return np.einsum("yxc,yxc->yx", flow, flow)


@final
class Seam:
    """Change of the coding error at GOP seams over that inside GOPs; 1 where a seam is no more visible than other frames.

    With e_t = test_t - source_t and D_t = mean over samples of (e_t - e_{t-1})^2: mean of D_t over seams divided by its
    mean over all other t >= 1. Raises FrameRangeError where there is no seam or nothing else.
    """

    def __init__(self, setup: Setup) -> None:
        if not setup.seams:
            raise FrameRangeError("one GOP only")
        if len(setup.seams) >= setup.video.num_frames - 1:
            raise FrameRangeError("every frame begins a GOP")
        self._seams = set(setup.seams)
        self._previous: np.ndarray | None = None
        self._changes: list[float] = []

    def add(self, reference: Frames, test: Frames) -> None:
        """Measures the next frames."""
        for source, decoded in zip(reference, test, strict=True):
            error = np.subtract(decoded, source, dtype=np.int16)
            if self._previous is not None:
                self._changes.append(float(np.square(error - self._previous, dtype=np.int32).mean()))
            self._previous = error

    def series(self) -> dict[str, list[float]]:
        """None: the ratio is the clip's."""
        return {}

    def values(self) -> dict[str, float]:
        """The ratio; raises InputError where the error changes at seams alone."""
        at_seams = np.isin(np.arange(1, len(self._changes) + 1), list(self._seams))
        changes = np.array(self._changes)
        seam, inside = changes[at_seams].mean(), changes[~at_seams].mean()
        if inside == 0 and seam > 0:
            raise InputError("the error does not change inside GOPs: there is nothing to compare seams with")
        return {"seam": float(seam / inside) if inside else 1.0}
