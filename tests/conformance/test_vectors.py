"""Streams that were written once: every release reads them alike, and a release of equal arithmetic writes them alike.

`name.rfv` is the stream, `name.json` what is in it, `frames.npz` every second row of the decoded frames of all, as
differences modulo 256 along the row. Regenerated only on purpose, by `pytest tests/conformance --regenerate`; the
changelog says why.
"""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import PIL.features
import pytest
import scipy.fft
import torch
from torch.nn import functional

from rfcodec import api
from rfcodec.bitstream import fields, symbols
from rfcodec.bitstream.container import PREAMBLE, read_gops, read_preamble, read_units
from rfcodec.bitstream.fields import ByteReader
from rfcodec.codec import open_decoder
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ArithmeticWarning
from rfcodec.types import NoiseAddress

FOLDER = Path(__file__).parent
FRAMES = FOLDER / "frames.npz"
MOST_BYTES, MOST_FRAME_BYTES = 2000, 60000
MOST_DIFFERENCE, MOST_RMS = 1, 0.05
FEW = {"trajectory.steps": 5, "trajectory.ode_tail": 2}
VECTORS = {
    "t2v": (6, {"mode": "t2v", "gop": 3, "bytes": 1000, **FEW}),
    "i2v": (7, {"mode": "i2v", "gop": 4, "still": "avif", "bytes": 1500, "correction_share": 0.15, **FEW}),
    "flf2v": (7, {"mode": "flf2v", "gop": 4, "still": "trajectory", "bytes": 1500, **FEW}),
    "gvcc": (5, {"mode": "t2v", "gop": 5, "codebook.k": 32, "codebook.m": 4, **FEW}),
    "latent": (9, {"mode": "i2v", "gop": 5, "still": "trajectory", "backbone": "gaussian-latent", "bytes": 700, **FEW}),
    "tiny": (2, {"mode": "t2v", "gop": 2, "backbone": "tiny", "bytes": 400, **FEW}),
}
WIDTH, HEIGHT = 48, 32


def fingerprint(*pieces):
    """Sixteen hexadecimal digits of the bytes of arrays and strings."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece if isinstance(piece, bytes) else np.ascontiguousarray(piece).tobytes())
    return found.hexdigest()[:16]


def rounding():
    """How this machine rounds in what the encoder does most; two machines of one profile may differ in it."""
    values = (np.arange(3 * 5 * 48 * 32) * 2654435761 % 65536 / 32768 - 1).reshape(3, 5, 32, 48)
    spectrum = scipy.fft.dctn(values.astype(np.float32), axes=(2, 3), norm="ortho")
    square = values[0, :, 0, :5] @ values[0, :, 0, :5].T
    kernel = torch.from_numpy(values[:, :, :32, :32].reshape(96, 5, 32).transpose(0, 2, 1)[:, :, :3, None].copy())
    planes = torch.from_numpy(values.reshape(5, 3, 32, 48)[:, :1].repeat(32, axis=1)).float()
    return fingerprint(
        functional.conv2d(planes, kernel.float().expand(-1, -1, -1, 3), padding=1).numpy(),
        spectrum,
        scipy.fft.rfft(spectrum.reshape(60, -1), axis=1),
        np.matmul(square.astype(np.float32), spectrum.reshape(3, 5, -1)),
        np.linalg.eigh(square + square.T)[1],
    )


def encode(name, make_clip, folder):
    count, settings = VECTORS[name]
    settings = {"backbone": "gaussian"} | settings
    named = {key.replace(".", "__"): value for key, value in settings.items()}
    path, preset = folder / f"{name}.rfv", "gvcc" if name == "gvcc" else "default"
    api.encode(make_clip(count, WIDTH, HEIGHT), path, preset=preset, **named)
    return path


def parse(path):
    """What the bytes say, without a model."""
    reader = ByteReader(path.read_bytes())
    header = read_preamble(reader)
    start = reader.position
    units = list(read_units(reader))
    reader.position = start
    return header, units, list(read_gops(read_units(reader)))


def readable(record):
    values = {line.name: line.value for line in fields.describe(record)}
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


def describe(path):
    """The part of name.json that comes from the bytes alone."""
    header, units, records = parse(path)
    gops = [
        readable(record.header)
        | {part: fingerprint(getattr(record, part)) for part in ("side_info", "symbols", "correction")}
        for record in records
    ]
    found = {
        "bytes": path.stat().st_size,
        "preamble": PREAMBLE.hex(),
        "header": readable(header),
        "units": [[int(unit.type), len(unit.payload)] for unit in units],
        "gops": gops,
    }
    return json.loads(json.dumps(found))


def noise(path):
    """Hash of the noise at the start of each GOP and in its first and last coded step."""
    header, _, records = parse(path)
    engine = open_decoder(header, RuntimeConfig())
    found = {}
    for record, span in zip(records, engine.spans(), strict=True):
        shape = engine.shape(span.num_frames)
        bits = engine.gop_plan(record.header, shape).step_bits
        values = symbols.unpack(record.symbols, bits)
        for step, width, value in ((0, 0, 0), (1, bits[0], values[0]), (len(bits), bits[-1], values[-1])):
            atom = engine.codebook.noise(NoiseAddress(header.seed, span.index, step), shape, width, value)
            found[f"{span.index}/{step}"] = fingerprint(atom.numpy().astype("<f4"))
    return found


def decode(path):
    """The frames; on another arithmetic the bounds of a vector say what may differ, not the decoder's warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArithmeticWarning)
        return np.concatenate([piece.frames for piece in api.decode(path)])


def regenerate(make_clip):
    decoded = {}
    for name in VECTORS:
        path = encode(name, make_clip, FOLDER)
        decoded[name] = decode(path)
        more = {
            "noise": noise(path),
            "means": decoded[name].mean(axis=(1, 2, 3)).round(4).tolist(),
            "rounding": rounding(),
            "avif": PIL.features.version("avif"),
        }
        (FOLDER / f"{name}.json").write_text(json.dumps(describe(path) | more, indent=1) + "\n")
    differences = {name: np.diff(frames[:, ::2], axis=2, prepend=np.uint8(0)) for name, frames in decoded.items()}
    np.savez_compressed(FRAMES, **differences)


@pytest.fixture(scope="module", params=VECTORS)
def vector(request, make_clip):
    """(name, path, what name.json says)."""
    if request.config.getoption("--regenerate") and request.param == next(iter(VECTORS)):
        regenerate(make_clip)
    path = FOLDER / f"{request.param}.rfv"
    return request.param, path, json.loads(path.with_suffix(".json").read_text())


def test_the_bytes_say_what_they_said(vector):
    _, path, recorded = vector
    found = describe(path)
    assert found == {key: recorded[key] for key in found}


def test_the_noise_is_what_it_was(vector):
    _, path, recorded = vector
    assert noise(path) == recorded["noise"]


def test_the_frames_are_what_they_were(vector):
    name, path, recorded = vector
    with np.load(FRAMES) as file:
        expected = np.cumsum(file[name], axis=2, dtype=np.uint8)
    frames = decode(path)
    assert frames.mean(axis=(1, 2, 3)) == pytest.approx(recorded["means"], abs=MOST_RMS)
    difference = frames[:, ::2].astype(float) - expected
    assert np.abs(difference).max() <= MOST_DIFFERENCE
    assert np.sqrt(np.square(difference).mean()) <= MOST_RMS


def test_the_encoder_writes_the_same_bytes(vector, make_clip, tmp_path):
    name, path, recorded = vector
    header, _, _ = parse(path)
    here = open_decoder(header, RuntimeConfig()).backbone.identity.arithmetic
    if (here, rounding()) != (header.arithmetic, recorded["rounding"]):
        pytest.skip(f"recorded with {header.arithmetic}, this is {here} or another processor")
    if name == "i2v" and PIL.features.version("avif") != recorded["avif"]:
        pytest.skip(f"recorded with AVIF {recorded['avif']}, this is {PIL.features.version('avif')}")
    assert encode(name, make_clip, tmp_path).read_bytes() == path.read_bytes()


def test_vectors_are_small_and_complete():
    assert {path.stem for path in FOLDER.glob("*.rfv")} == {path.stem for path in FOLDER.glob("*.json")} == set(VECTORS)
    assert all(path.stat().st_size < MOST_BYTES for path in FOLDER.glob("*.rfv"))
    assert FRAMES.stat().st_size < MOST_FRAME_BYTES


def test_vectors_use_every_part_of_the_syntax():
    parsed = {name: parse(FOLDER / f"{name}.rfv") for name in VECTORS}
    headers = {name: header for name, (header, _, _) in parsed.items()}
    assert {header.mode for header in headers.values()} == {1, 2, 3}
    assert {header.codebook for header in headers.values()} == {1, 3}
    assert {header.trajectory.solver for header in headers.values()} == {"posterior", "euler_maruyama"}
    assert {header.trajectory.diffusion for header in headers.values()} == {"eta", "power"}
    assert headers["gvcc"].trajectory.shift > 0
    assert {kind for _, units, _ in parsed.values() for kind in (unit.type for unit in units)} == {2, 3, 4, 5, 6}
