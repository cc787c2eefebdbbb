"""A finished sweep folder for tests: two clips, three codec curves, three anchors, a ceiling and a floor, all made up.

It has what real sweeps have: a metric that was not measured, a failed job, a curve that turns back, one that overlaps no
anchor, anchors without latents, a protocol with a rate of its own, words that HTML must escape.
"""

import hashlib
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from rfcodec.evaluation.report.pictures import picture

FPS = Fraction(30000, 1001)
CLIPS = {"carphone": 0.0, "big buck <bunny>": 1.5}  # name, and how much easier than the first, in dB
METRICS = ("psnr", "ms_ssim", "lpips", "vmaf", "e_warp", "e_warp_source", "seam")
LADDER = (0.01, 0.02, 0.04, 0.08)
CODECS = {"gaussian i2v trellis": 1.0, "gaussian i2v topm": 0.1, "gaussian t2v trellis": -0.6}
ANCHORS = {"x265 slow": (-1.8, "x265"), "SVT-AV1 preset 4": (-0.9, "svt-av1"), "VVC medium": (0.0, "vvc")}
SHARES = {"sequence header": 0.04, "GOP headers": 0.02, "side information": 0.3, "symbols": 0.6, "index and end": 0.04}
VERSIONS = {"rfcodec": "0.1.0", "torch": "2.13.0", "ffmpeg": "9.0.2"}
HARDWARE = {"cpu": "sample CPU", "cores": 2, "device": "cpu"}
BLANK = {"dists": "needs piq and vgg16.safetensors in the weights folder"}


def write_sweep(folder, *, size=(96, 54), frames=17, pictures=True, clips=CLIPS, metrics=METRICS):
    """Writes the folder and returns it."""
    sweep = _Sweep(Path(folder), size, frames, pictures, metrics)
    for index, (clip, ease) in enumerate(clips.items()):
        sweep.clip(clip, ease, moving_picture(frames, size[0], size[1], index))
    sweep.close()
    return Path(folder)


def moving_picture(frames, width, height, seed=0):
    """Sliding waves with a bright ball: uint8 `t y x 3`."""
    t, y, x = np.meshgrid(np.arange(frames), np.arange(height), np.arange(width), indexing="ij")
    waves = [np.sin((x * (1 + c) + y * (2 - c) * (1 + seed)) * 9 / width + t * 0.21 * (1 + c)) for c in range(3)]
    texture = np.sin(x * 1.9 + seed) * np.sin(y * 1.7 + t * 0.3) * 0.25
    ball = np.hypot(x - width * (0.2 + 0.6 * t / frames), y - height / 2) < height / 5
    bright = np.stack([wave * 0.6 + texture for wave in waves], axis=-1) + ball[..., None] * [0.9, 0.5, -0.2]
    return (np.clip(bright / 2.4 + 0.5, 0, 1) * 255).astype(np.uint8)


def coarse(frames, block, levels):
    """A reconstruction: blocks of one colour, few levels, so that low rates look low."""
    rows, columns = (np.arange(n) // block * block for n in frames.shape[1:3])
    step = 256 // levels
    frames = frames.astype(np.int32)
    return np.minimum(frames[:, rows][:, :, columns] // step * step + step // 2, 255).astype(np.uint8)


class _Sweep:
    def __init__(self, folder, size, frames, pictures, metrics):
        self.folder, self.size, self.frames, self.pictures, self.metrics = folder, size, frames, pictures, metrics
        self.clips = {}
        for name in ("points", "streams", "failures"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def clip(self, clip, ease, source):
        drawn = picture([source], self.folder, f"source-{len(self.clips)}", FPS) if self.pictures else {}
        self.clips[clip] = {"video": self.video, "pictures": drawn, "sha256": hashlib.sha256(source).hexdigest()}
        pairs = [(c, ease + gain, "codec", None) for c, gain in CODECS.items()]
        pairs += [(c, ease + gain, "anchor", codec) for c, (gain, codec) in ANCHORS.items()]
        for curve, gain, role, codec in pairs:
            for rung, bpp in enumerate(LADDER):
                self.point(clip, curve, role, _rate(curve, bpp), gain, codec, source, rung)
        self.point(clip, "gaussian autoencoder", "ceiling", 0.0, ease + 9, None, source, 5)
        self.point(clip, "gaussian t2v without bits", "floor", 0.0, ease - 14, None, source, 0)

    @property
    def video(self):
        return {"width": self.size[0], "height": self.size[1], "num_frames": self.frames, "fps": str(FPS)}

    def point(self, clip, curve, role, bpp, gain, codec, source, rung):
        key = hashlib.sha256(f"{clip} {curve} {bpp}".encode()).hexdigest()[:16]
        drawn = {}
        if self.pictures:
            drawn = picture([coarse(source, 6 - rung, 4 + 4 * rung)], self.folder, key, FPS)
        size = round(bpp * math.prod(source.shape[:3]) / 8)
        metrics = {name: value for name, value in quality(curve, role, bpp, gain).items() if name in self.metrics}
        point = {
            "schema": 1,
            "key": key,
            "job": {"clip": clip, "curve": curve, "bpp": bpp},
            "clip": clip,
            "curve": curve,
            "role": role,
            "method": {"codec": codec} if codec else {"backbone": "gaussian", "mode": curve.split()[1]},
            "knob": {"name": "qp" if codec else "bpp", "value": 50 - 5 * rung if codec else bpp},
            "protocol": "honest",
            "video": self.video,
            "seams": [self.frames // 2],
            "stream": {"sha256": key * 4, "bytes": size, "bytes_by_purpose": _purposes(role, size)},
            "rate": _rates(bpp, role, curve),
            "metrics": metrics,
            "series": _series(metrics, self.frames),
            "blank": BLANK,
            "commands": [f"ffmpeg -i source.y4m -c:v {codec} -qp {50 - 5 * rung} out.bin"] if codec else [],
            "cost": _cost(role),
            "pictures": drawn,
            "versions": VERSIONS,
            "hardware": HARDWARE,
            "host": "sample",
            "when": "2026-01-02T03:04:05Z",
        }
        _write(self.folder / "points" / f"{key}.json", point)
        if bpp:
            (self.folder / "streams" / f"{key}.{'rfv' if role == 'codec' else 'bin'}").write_bytes(bytes(size))

    def close(self):
        _write(self.folder / "clips.json", self.clips)
        _write(
            self.folder / "sweep.json", {"name": "sample sweep", "dataset": "sample", "bpp": LADDER, "backbone": "gaussian"}
        )
        error = "BudgetTooSmall: 0.005 bpp are 12 bytes, the mode needs 40: raise --bpp"
        failure = {"key": "f" * 16, "clip": "carphone", "curve": "gaussian i2v trellis", "error": error}
        _write(self.folder / "failures" / f"{'f' * 16}.json", failure)


def quality(curve, role, bpp, gain):
    """Smooth made-up curves; t2v's LPIPS turns back at the end."""
    octaves = math.log2(bpp / 0.02) if role in ("codec", "anchor") else 1.0
    better = gain + 2.2 * octaves
    lpips = 0.34 * 2 ** (-0.17 * better) + (0.03 if role == "anchor" else 0)
    if "t2v" in curve and bpp == LADDER[-1]:
        lpips += 0.12
    return {
        "psnr": 27.0 + better,
        "ms_ssim": 1 - 0.08 * 2 ** (-0.22 * better),
        "lpips": lpips,
        "vmaf": max(0.0, min(100.0, 52 + 6.5 * better - (8 if role == "codec" else 0))),
        "e_warp_source": 0.0045,
        "e_warp": 0.0047 + 0.002 * 2 ** (-0.2 * better),
        "seam": 1 + 0.3 * 2 ** (-0.3 * better),
    }


def _rate(curve, bpp):
    """Anchors miss the ladder a little; one curve lies far above it."""
    if "x265" in curve:
        return bpp * 1.04
    return bpp * (12 if "VVC" in curve else 1)


def _rates(bpp, role, curve):
    latents = {"bits_per_dim": bpp * 1.3 if role == "codec" else None}
    return {"bpp": bpp, **latents, "kbps": bpp * 250, "paper_bpp": bpp / 3 if curve == "gaussian i2v topm" else None}


def _series(metrics, frames):
    wave = [math.sin(i * 0.9) + (1.5 if i == frames // 2 else 0) for i in range(frames)]
    frame_by_frame = [name for name in ("psnr", "ms_ssim", "lpips", "vmaf") if name in metrics]
    return {name: [metrics[name] * (1 - 0.02 * w) for w in wave] for name in frame_by_frame}


def _purposes(role, size):
    return {name: round(size * share) for name, share in SHARES.items()} if role == "codec" else {"stream": size}


def _cost(role):
    codec = role != "anchor"
    return {
        "encode_seconds": 21.5 if codec else 0.8,
        "decode_seconds": 10.25 if codec else 0.05,
        "encode_evaluations": 40 if codec else None,
        "decode_evaluations": 20 if codec else None,
        "peak_memory_bytes": 1_400_000_000 if codec else None,
    }


def _write(path, content):
    path.write_text(json.dumps(content))
