"""What the caller has set of torch and NumPy reaches neither the stream nor the frames, and is as it was afterwards."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

import rfcodec
from rfcodec.support.steady import steadily


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "device": lambda: torch.device("meta"),
    "deterministic": deterministic,
    "numpy": lambda: np.errstate(all="raise"),
}


def state():
    """All that a caller can see of it."""
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "numpy": np.geterr(),
    }


@pytest.fixture(scope="module", params=["gaussian", "tiny-fast"])
def plain(request):
    """Frames, settings, and what they come to with nothing set."""
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), dtype=np.uint8)
    settings = {"backbone": request.param, "preset": "fast", "bpp": 1, "steps": 6}
    stream = rfcodec.compress(frames, **settings)
    return frames, settings, stream, rfcodec.decompress(stream)


@pytest.mark.parametrize("name", STATES)
def test_bytes_and_frames_are_the_same_in_every_state(plain, name):
    frames, settings, stream, decoded = plain
    with STATES[name]():
        before = state()
        assert rfcodec.compress(frames, **settings) == stream
        pieces = []
        for piece in rfcodec.decode(stream):
            assert state() == before
            pieces.append(piece.frames)
        assert state() == before
    np.testing.assert_array_equal(np.concatenate(pieces), decoded)


def test_what_fails_leaves_the_state_as_it_was(plain):
    frames, settings, stream, _ = plain
    with default_dtype(torch.float64):
        before = state()
        with pytest.raises(rfcodec.errors.RfcodecError):
            rfcodec.compress(frames, **settings | {"mode": "no such mode"})
        with pytest.raises(rfcodec.errors.RfcodecError):
            list(rfcodec.decode(stream[:-30]))
        assert state() == before


def test_a_generator_that_is_left_is_closed_at_once():
    closed = []

    @steadily
    def items():
        try:
            yield torch.get_default_dtype()
            yield None
        finally:
            closed.append(True)

    with default_dtype(torch.float64):
        made = items()
        assert next(made) == torch.float32
        made.close()
    assert closed


def test_the_compiler_of_torch_is_not_imported(process):
    code = "import sys\nfrom rfcodec.support.steady import steady_arithmetic\nwith steady_arithmetic():\n    pass\n"
    done = process("-c", code + "print('torch._dynamo' in sys.modules)")
    assert done.out.split() == ["False"], done.err
