"""Synthetic clips for the tests of metrics, and one call that measures a pair of them."""

from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter

from rfcodec.metrics.collector import Measurer
from rfcodec.types import VideoFormat


def texture(y, x, seed=1):
    """Smooth noise that fills 0..255."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(y, x, 3)), (1.5, 1.5, 0))
    return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


def moving(t=8, y=64, x=80, step=1):
    """A window over a still texture, which moves to the right."""
    picture = texture(y, x + step * t)
    return np.stack([picture[:, step * i : step * i + x] for i in range(t)])


def noisy(clip, sigma=10, seed=2):
    return np.clip(clip + np.random.default_rng(seed).normal(0, sigma, clip.shape), 0, 255).astype(np.uint8)


def blurred(clip, sigma=1.5):
    return gaussian_filter(clip, (0, sigma, sigma, 0))


def clip_format(clip):
    return VideoFormat(clip.shape[2], clip.shape[1], len(clip), Fraction(30000, 1001))


def measure(names, reference, test, seams=(), weights=None, chunk=None):
    chunk = chunk or len(reference)
    with Measurer([names] if isinstance(names, str) else names, clip_format(reference), seams, weights) as measurer:
        for start in range(0, len(reference), chunk):
            measurer.add(reference[start : start + chunk], test[start : start + chunk])
        return measurer.result()
