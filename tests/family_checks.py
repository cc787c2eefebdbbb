"""What every family of pipelines must show: parity with the pipeline itself, and decoding in a fresh process.

`python tests/family_checks.py` prints the table of families and checks; the suite runs the same ones.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import tiny_models
import torch

from rfcodec import api
from rfcodec.backbones.diffusers.loading import open_live
from rfcodec.backbones.diffusers.patches import mode_only, replaced
from rfcodec.backbones.diffusers.scheduler import EulerOnGrid
from rfcodec.backbones.diffusers.specs import built_in
from rfcodec.coding.header import open_backbone
from rfcodec.config import RuntimeConfig
from rfcodec.protocols import Condition, Reference, State
from rfcodec.video.reader import ArrayVideo

GRID = (1.0, 0.83, 0.55, 0.21, 0.0)
TOLERANCE = 1e-5
MODES = {"none": "t2v", "first": "i2v", "first+last": "flf2v"}
PROMPT = "a ship"
FEW = {"trajectory__steps": 5, "trajectory__ode_tail": 2, "codebook__memory": 4}


def frames_of(count, width, height):
    """Soft colours that move, uint8 t y x 3."""
    t, y, x = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    waves = [np.sin(x / 9 + t / 3), np.sin(y / 7 - t / 4), np.sin((x + y) / 11)]
    return np.rint(128 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def conditions(name):
    """The known frames that the tiny model of that name takes."""
    return next(spec.takes for spec in built_in() if spec.id == spec_of(name))


def spec_of(name):
    return {"wan22-t2v": "wan-t2v", "wan22-ti2v-t2v": "wan22-ti2v-text"}.get(name, name)


def condition_of(backbone, known, groups=2, text=PROMPT):
    """A condition of `groups` latent frames after the first, with the smallest square that all families can take."""
    count, side = 1 + groups * backbone.geometry.temporal, 64
    frames = frames_of(count, side, side)
    if known == "any":
        return Condition(count, side, side, text, tuple(Reference(frames[place], 0.0, place) for place in (0, 2)))
    first, last = (Reference(frames[place], 0.0) if word in known else None for word, place in (("first", 0), ("last", -1)))
    return Condition.between((count, side, side), text, first, last)


@dataclass
class EulerStep:
    """The ODE: x' = x + (s - t) v, from a given noise."""

    noise: torch.Tensor
    time_grid: tuple[float, ...] = GRID

    def start(self, shape):
        assert tuple(self.noise.shape) == tuple(shape)
        return State(self.noise)

    def __call__(self, k, state, v):
        return State(state.x + (self.time_grid[k + 1] - self.time_grid[k]) * v)


def noise_for(shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def ours(pipe, known, driver, **options):
    """Our driver in ODE mode: (coded latents, prepared condition, backbone)."""
    backbone = open_live(pipe, {"driver": driver, **options})
    prepared = backbone.prepare(condition_of(backbone, known))
    latents = backbone.run(prepared, EulerStep(noise_for(prepared.shape)))
    return latents[:, latents.shape[1] - prepared.shape[1] :], prepared, backbone


class Watched(EulerOnGrid):
    """Euler of diffusers on our grid, which remembers what it made."""

    last = None

    def step(self, model_output, timestep, sample, **_):
        # LTXCondition hands the negative velocity together with times of each token, which diffusers undoes for it
        sign = -1 if self.spec.id == "ltx-condition" else 1
        self.last = super().step(sign * model_output, timestep, sample)[0]
        return (self.last,)


def theirs(prepared, backbone, output_type="latent"):
    """The pipeline's own result on the same grid, from the same noise: frames t y x 3 in 0..1, or latents.

    Latents are the coded frames alone, as a pair: what it returns, and what its last step made.
    """
    pipe, spec = prepared.pipeline, prepared.spec
    scheduler = Watched()
    scheduler.grid, scheduler.spec = GRID, spec
    if spec.guidance == "guider":
        pipe.guider = pipe.guider.new(guidance_scale=backbone.options.guidance_scale)
    with replaced(pipe, "scheduler", scheduler), mode_only(pipe.vae), drawn(pipe, prepared):
        result = pipe(
            **prepared.arguments,
            num_inference_steps=len(GRID) - 1,
            output_type=output_type,
            return_dict=False,
            generator=torch.Generator(),
        )[0]
    if output_type != "latent":
        return np.asarray(result)[0]
    return canonical(result, prepared, backbone), canonical(scheduler.last, prepared, backbone, stepped=True)


@contextmanager
def drawn(pipe, prepared):
    """What the pipeline's module draws in the shape of its state is our noise."""
    module = importlib.import_module(type(pipe).__module__)
    c, _, h, w = prepared.shape
    noise = noise_for(prepared.shape)
    known = 0 if prepared.given is None else prepared.given.shape[1]
    whole = torch.cat([torch.zeros(c, known, h, w), noise], 1)
    tokens = whole.permute(1, 2, 3, 0).reshape(-1, c)
    original, once = module.randn_tensor, []

    def draw(shape, *args, **options):
        if not once:
            for state in (whole, whole.permute(1, 2, 3, 0)):
                if tuple(shape[1:]) == tuple(state.shape):
                    once.append(shape)
                    return state[None].clone()
            if len(shape) == 3 and shape[2] == c and shape[1] >= len(tokens):
                once.append(shape)
                return torch.cat([tokens, torch.zeros(shape[1] - len(tokens), c)])[None]
        return original(shape, *args, **options)

    audio = getattr(pipe, "prepare_audio_latents", None)
    module.randn_tensor = draw
    try:
        if audio is None:
            yield
        else:
            from rfcodec.backbones.diffusers.patches import unchanging

            with replaced(pipe, "prepare_audio_latents", unchanging(audio)):
                yield
    finally:
        module.randn_tensor = original
    assert once, "the pipeline never drew its state"


def canonical(state, prepared, backbone, stepped=False):
    """The coded latents c f h w in a pipeline's result."""
    c, f, h, w = prepared.shape
    if state.ndim == 3:
        tokens = state[0]
        if prepared.spec.extra == "after":
            total = f + (0 if prepared.given is None else prepared.given.shape[1])
            tokens = tokens[: total * h * w]
        return tokens[-f * h * w :].reshape(f, h, w, c).permute(3, 0, 1, 2)
    if prepared.spec.layout == "channels_last":
        return state[0, -f:, :, :, :c].permute(3, 0, 1, 2)
    if prepared.spec.family == "ltx2" and not stepped:
        mean, std, scale = backbone._autoencoder._statistics(state)
        state = ((state[0] - mean) * scale / std)[None]
    return state[0, :, -f:]


def relative(found, expected):
    """||found - expected|| / ||expected||, over the frames that both have."""
    f = min(found.shape[1], expected.shape[1])
    found, expected = found[:, -f:].double(), expected[:, -f:].double()
    return float((found - expected).norm() / expected.norm())


def parity(name, known, **options):
    """Relative distance of our driver from the pipeline's own result."""
    pipe = tiny_models.build(name)
    found, prepared, backbone = ours(pipe, known, "pipeline", **options)
    result, last = theirs(prepared, backbone)
    # Kandinsky's image pipeline alters the first frames of its result, even as latents
    return relative(found, last if name == "kandinsky5-i2v" else result)


def decoding(name, known):
    """Largest difference in grey levels between our decoded frames and the pipeline's own; None where it alters them."""
    if name == "kandinsky5-i2v":
        return None
    pipe = tiny_models.build(name)
    backbone = open_live(pipe, {"driver": "pipeline"})
    prepared = backbone.prepare(condition_of(backbone, known))
    frames = backbone.decode(backbone.run(prepared, EulerStep(noise_for(prepared.shape))))
    expected = theirs(prepared, backbone, "np")
    # Hunyuan's image pipeline leaves out the group of the known frame
    count = min(len(frames), len(expected))
    return int(np.abs(frames[-count:].astype(int) - np.rint(expected[-count:] * 255).astype(int)).max())


def native_parity(name, known, **options):
    """Relative distance of the native velocity from the driven pipeline; None where there is none."""
    pipe = tiny_models.build(name)
    found, prepared, _ = ours(pipe, known, "native", **options)
    if not prepared.spec.native:
        return None
    return relative(found, ours(pipe, known, "pipeline", **options)[0])


DECODE = """
import json, sys, numpy as np
from rfcodec import api
report = []
for path, model in zip(sys.argv[1::2], sys.argv[2::2]):
    pieces = list(api.decode(path, backbone=model))
    np.save(path + ".npy", np.concatenate([piece.frames for piece in pieces]))
    report.append([piece.digest_ok for piece in pieces])
print("REPORT" + json.dumps(report))
"""


def round_trips(names, folder):
    """{(name, known frames): whether a fresh process decodes what the encoder reconstructed, to the last bit}."""
    done = {}
    for name in names:
        model = tiny_models.save(name, Path(folder) / name)
        done |= {(name, known): encode(model, known, Path(folder)) for known in conditions(name) if known in MODES}
    words = [str(word) for (name, _), (path, _) in done.items() for word in (path, Path(folder) / name)]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DECODE, *words]
    run = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    report = json.loads(run.stdout.rpartition("REPORT")[2])
    agree = {}
    for (case, (path, frames)), digests in zip(done.items(), report, strict=True):
        agree[case] = all(digests) and len(digests) == 2 and np.array_equal(np.load(f"{path}.npy"), frames)
    return agree


class Keep(api.Watcher):
    """Keeps what the encoder reconstructs."""

    def __init__(self):
        self.shown = []

    def gop(self, decoded, source, size):
        self.shown.append(decoded.shown.copy())


def encode(model, known, folder):
    """Two GOPs of 72 x 56 pixels, sizes that no model has, and the encoder's reconstruction of them."""
    path = folder / f"{model.name}-{known}.rfv"
    geometry = open_backbone(str(model), "", RuntimeConfig()).geometry
    gop = 1 + geometry.temporal * max(geometry.least - 1, 1)
    frames = frames_of(gop + geometry.temporal - 1, 72, 56)
    keep = Keep()
    prompt = "" if known == "first" else PROMPT
    api.encode(
        ArrayVideo(frames, Fraction(25)),
        path,
        backbone=str(model),
        mode=MODES[known],
        still="png",
        bytes=60000,
        gop=gop,
        prompt=prompt,
        watcher=keep,
        **FEW,
    )
    return path, np.concatenate(keep.shown)


def main():
    """Prints the table; exits with 1 if a check fails."""
    from rich.console import Console
    from rich.table import Table

    heads = "driver - pipeline", "native - driver", "grey levels", "fresh process"
    table = Table("model", "known frames", *heads)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        names = sys.argv[1:] or list(tiny_models.BUILDERS)
        equal = round_trips(names, folder)
        for name in names:
            for known in conditions(name):
                driven, native = parity(name, known), native_parity(name, known)
                same = equal.get((name, known))
                good &= driven < TOLERANCE and (native or 0) < TOLERANCE and same is not False
                levels = decoding(name, known)
                good &= (levels or 0) <= 1
                shown = "-" if native is None else f"{native:.1e}"
                verdict = {True: "equal", False: "DIFFERS", None: "-"}[same]
                table.add_row(name, known, f"{driven:.1e}", shown, "-" if levels is None else str(levels), verdict)
    Console().print(table)
    sys.exit(not good)


if __name__ == "__main__":
    main()
