"""What every conditioner, still coder and corrector owes."""

import zlib
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conditioning.corrections import TransformCorrector, ZlibCorrector
from conditioning.spans import write_reference
from rfcodec import registry
from rfcodec.coding.engine import Engine
from rfcodec.coding.header import make_header, open_backbone
from rfcodec.coding.intra import TrajectoryFrames
from rfcodec.config import RuntimeConfig, StreamConfig, TrajectoryConfig
from rfcodec.errors import BitstreamError
from rfcodec.protocols import Condition
from rfcodec.types import GopSpan, VideoFormat

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

MODES = ["t2v", "i2v", "i2v-gvcc", "flf2v"]
STILLS = ["avif", "png", "trajectory"]
GOPS = (1, 2, 3, 4, 5, 8, 9, 17, 33, 4096)
# around whole numbers of GOPs, whether neighbours share a frame or not, and longer chains
LENGTHS = {n for gop in GOPS for whole in (gop, 2 * gop, 3 * gop) for n in range(whole - 3, whole + 3)} | {1, 2, 100}
PAIRS = [(n, gop) for gop in GOPS for n in sorted(LENGTHS) if 0 < n <= max(3 * gop + 2, 100)]
WIDTH, HEIGHT = 17, 11


def smooth_frames(count, width=WIDTH, height=HEIGHT):
    grid = np.stack(np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij"), -1)
    return np.rint(128 + 60 * np.sin(grid / 4 + grid.sum(-1, keepdims=True) / 9)).astype(np.uint8)


def open_still(name, width=WIDTH, height=HEIGHT):
    backbone = open_backbone("gaussian", "", RuntimeConfig())
    stream = StreamConfig(backbone="gaussian", trajectory=TrajectoryConfig(steps=5, ode_tail=2))
    header = make_header(VideoFormat(width, height, 9, Fraction(25)), stream, backbone)
    engine = Engine(header, backbone, TrajectoryFrames)
    return registry.load("stills", name)(width, height, TrajectoryFrames(engine))


def open_mode(name, still="png", prompt=""):
    return registry.load("conditioners", name)(open_still(still), prompt)


@dataclass
class FakeDecoded:
    """A GOP as it comes out of the decoder."""

    condition: Condition
    frames: np.ndarray


def test_ids_are_distinct_and_small():
    for kind in ("conditioners", "stills"):
        ids = [registry.load(kind, name).ID for name in registry.names(kind)]
        assert len(set(ids)) == len(ids)
        assert all(0 <= number <= 127 for number in ids)


def test_these_are_all_that_are_shipped():
    assert set(MODES) <= set(registry.names("conditioners"))
    assert set(STILLS) <= set(registry.names("stills"))


# Plans


def plan(mode, num_frames, gop):
    return list(registry.load("conditioners", mode)(None, "").plan(num_frames, gop))


def shows_every_frame_once(spans, num_frames, gop):
    assert [span.index for span in spans] == list(range(len(spans)))
    assert [f for span in spans for f in range(span.start + span.overlap, span.stop)] == list(range(num_frames))
    for span in spans:
        assert 1 <= span.num_frames <= gop
        assert span.num_shown >= 1
        assert 0 <= span.overlap < span.num_frames
        assert span.references >= 0
        assert span.carried >= 0
    assert spans[0].overlap == 0
    assert all(span.num_frames == gop for span in spans[:-1])


@pytest.mark.parametrize("mode", MODES)
def test_plans_show_every_frame_once(mode):
    for num_frames, gop in PAIRS:
        shows_every_frame_once(plan(mode, num_frames, gop), num_frames, gop)


@steady
@given(st.sampled_from(MODES), st.integers(1, 3000), st.integers(1, 4096))
def test_plans_of_any_length(mode, num_frames, gop):
    spans = plan(mode, num_frames, gop)
    assert spans[0].start == 0
    assert spans[-1].stop == num_frames
    assert all(one.stop - two.start == two.overlap for one, two in pairwise(spans))
    assert all(span.num_frames <= gop for span in spans)
    assert sum(span.num_shown for span in spans) == num_frames


def test_t2v_is_disjoint_and_pays_for_no_reference():
    for num_frames, gop in PAIRS:
        spans = plan("t2v", num_frames, gop)
        assert all(span.overlap == span.references == span.carried == 0 for span in spans), (num_frames, gop)
        assert len(spans) == -(-num_frames // gop), (num_frames, gop)


def test_i2v_pays_for_one_reference_and_has_tails_where_others_follow():
    for num_frames, gop in PAIRS:
        spans = plan("i2v", num_frames, gop)
        assert [span.references for span in spans] == [1] + [0] * (len(spans) - 1), (num_frames, gop)
        assert [bool(span.carried) for span in spans] == [True] * (len(spans) - 1) + [False], (num_frames, gop)


def test_flf2v_pays_for_each_boundary_once():
    for num_frames, gop in PAIRS:
        spans = plan("flf2v", num_frames, gop)
        boundaries = {span.start for span in spans} | {span.stop - 1 for span in spans}
        assert sum(span.references for span in spans) == len(boundaries), (num_frames, gop)
        assert all(span.carried == 0 for span in spans), (num_frames, gop)


@pytest.mark.parametrize("mode", ["i2v", "flf2v"])
def test_shared_frames_are_the_last_of_one_and_the_first_of_the_next(mode):
    spans = list(open_mode(mode).plan(97, 33))
    assert [(span.start, span.stop) for span in spans] == [(0, 33), (32, 65), (64, 97)]
    assert [span.overlap for span in spans] == [0, 1, 1]


# Side information


@pytest.mark.parametrize("mode", MODES)
def test_the_decoder_reads_what_the_encoder_emitted(mode):
    for num_frames, gop in ((1, 1), (1, 5), (2, 2), (4, 1), (9, 5), (10, 5), (7, 3)):
        reads_what_was_emitted(mode, num_frames, gop)


def reads_what_was_emitted(mode, num_frames, gop):
    frames, conditioner = smooth_frames(num_frames), open_mode(mode, prompt="a street")
    previous = None
    for span in conditioner.plan(num_frames, gop):
        source = frames[span.start : span.stop]
        before = source.copy()
        side_info = conditioner.emit(source, span, 10**4, previous)
        assert isinstance(side_info, bytes)
        np.testing.assert_array_equal(source, before)
        # another instance reads them: nothing but the bytes passes
        known = open_mode(mode, prompt="a street").read(side_info, span, previous)
        assert known.text == "a street"
        check_references(mode, span, known, source, previous)
        condition = Condition(span.num_frames, WIDTH, HEIGHT, known.text, known.references)
        previous = FakeDecoded(condition, np.clip(source.astype(int) + 6, 0, 255).astype(np.uint8))


def check_references(mode, span, known, source, previous):
    places = [reference.position for reference in known.references]
    first, last = (known.references[0], known.references[-1]) if places else (None, None)
    if mode == "t2v":
        assert places == []
    elif mode in ("i2v", "i2v-gvcc"):
        assert places == [0]
        if previous is None:
            np.testing.assert_array_equal(first.frame, source[0])
            assert first.rmse == 0
        else:
            np.testing.assert_array_equal(first.frame, previous.frames[-1])
            error = np.sqrt(np.mean((source[0].astype(float) - first.frame) ** 2))
            assert error <= first.rmse < error + 0.2501
    else:
        # png is exact, and the shared boundary is the one that was sent
        np.testing.assert_array_equal(first.frame, source[0])
        assert places == sorted({0, span.num_frames - 1})
        np.testing.assert_array_equal(last.frame, source[-1])
        assert last.rmse == 0


@pytest.mark.parametrize("mode", ["i2v", "flf2v"])
@pytest.mark.parametrize("still", STILLS)
def test_the_error_that_is_sent_is_that_of_the_still(mode, still):
    frames = smooth_frames(5)
    conditioner = open_mode(mode, still)
    span = next(iter(conditioner.plan(5, 5)))
    known = conditioner.read(conditioner.emit(frames, span, 500, None), span, None)
    for reference in known.references:
        error = np.sqrt(np.mean((frames[reference.position].astype(float) - reference.frame) ** 2))
        assert error <= reference.rmse < error + 0.2501


@pytest.mark.parametrize("max_bytes", [300, 1000, 5000])
def test_two_references_stay_within_the_budget(max_bytes):
    frames = smooth_frames(5, 64, 48)
    conditioner = registry.load("conditioners", "flf2v")(open_still("avif", 64, 48), "")
    span = next(iter(conditioner.plan(5, 5)))
    assert span.references == 2
    assert len(conditioner.emit(frames, span, max_bytes, None)) <= max_bytes


def test_a_chain_cannot_begin_in_its_middle():
    conditioner = open_mode("i2v")
    assert conditioner.chained
    span = list(conditioner.plan(9, 5))[1]
    with pytest.raises(BitstreamError, match="GOP 1"):
        conditioner.read(b"\0", span, None)


def test_flf2v_without_the_gop_before_keeps_what_it_holds_itself():
    frames, conditioner = smooth_frames(9), open_mode("flf2v")
    assert not conditioner.chained
    span = list(conditioner.plan(9, 5))[1]
    known = conditioner.read(conditioner.emit(frames[4:9], span, 5000, None), span, None)
    (last,) = known.references
    assert last.position == 4
    np.testing.assert_array_equal(last.frame, frames[-1])


@pytest.mark.parametrize("mode", ["i2v", "flf2v"])
def test_further_references_stand_anywhere_in_a_gop(mode):
    """A stream may hold more than the boundaries: they are read, and Gaussian backbones take them."""
    frames, conditioner = smooth_frames(9), open_mode(mode)
    span = next(iter(conditioner.plan(9, 9)))
    further = write_reference(open_still("png", WIDTH, HEIGHT), 3, frames[3], 5000)
    side_info = conditioner.emit(frames[:1] if mode == "i2v" else frames, span, 5000, None)
    if mode == "flf2v":
        first = write_reference(open_still("png", WIDTH, HEIGHT), 0, frames[0], 5000)
        side_info = first + further + side_info[len(first) :]
    else:
        side_info += further
    known = conditioner.read(side_info, span, None)
    assert [reference.position for reference in known.references] == ([0, 3] if mode == "i2v" else [0, 3, 8])
    np.testing.assert_array_equal(known.references[1].frame, frames[3])


@pytest.mark.parametrize("places", [(0, 0), (3, 1), (5,), (0, 9)])
def test_references_out_of_order_or_of_the_gop_are_refused(places):
    still = open_still("png", WIDTH, HEIGHT)
    side_info = b"".join(write_reference(still, place, smooth_frames(1)[0], 5000) for place in places)
    for mode in ("i2v", "flf2v"):
        conditioner = open_mode(mode)
        with pytest.raises(BitstreamError, match="out of order"):
            conditioner.read(side_info, next(iter(conditioner.plan(5, 5))), None)


def test_t2v_has_no_side_information():
    conditioner = open_mode("t2v")
    span = GopSpan(0, 0, 5)
    assert conditioner.emit(smooth_frames(5), span, 1000, None) == b""
    with pytest.raises(BitstreamError):
        conditioner.read(b"\0", span, None)


@pytest.mark.parametrize("mode", MODES)
@steady
@given(data=st.binary(max_size=60), index=st.integers(0, 2))
def test_any_side_information_is_a_condition_or_an_error_of_the_stream(mode, data, index):
    conditioner = open_mode(mode)
    span = list(conditioner.plan(13, 5))[index]
    previous = FakeDecoded(Condition(5, WIDTH, HEIGHT), smooth_frames(5)) if index else None
    try:
        known = conditioner.read(data, span, previous)
    except BitstreamError:
        return
    for reference in known.references:
        assert reference.frame.shape == (HEIGHT, WIDTH, 3)
        assert np.isfinite(reference.rmse)
        assert 0 <= reference.position < span.num_frames


@pytest.mark.parametrize("mode", ["i2v", "flf2v"])
def test_cut_side_information_is_refused(mode):
    conditioner = open_mode(mode)
    span = next(iter(conditioner.plan(5, 5)))
    side_info = conditioner.emit(smooth_frames(5), span, 5000, None)
    for length in range(0, len(side_info), 7):
        with pytest.raises(BitstreamError):
            conditioner.read(side_info[:length], span, None)


# Still coders


SIZES = [(17, 11), (64, 48), (9, 40), (97, 33)]


def has_its_size(still, size, max_bytes):
    coder, frame = open_still(still, *size), smooth_frames(1, *size)[0]
    decoded = coder.decode(coder.encode(frame, max_bytes))
    assert decoded.shape == frame.shape
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize("still", STILLS)
def test_stills_have_the_size_they_were_made_for(still):
    for size in (*SIZES, (1, 1), (2, 3)):
        has_its_size(still, size, 400)


@pytest.mark.parametrize("still", STILLS)
def test_the_smallest_coding_of_a_still_can_be_decoded(still):
    for size in SIZES:
        has_its_size(still, size, 1)


@pytest.mark.parametrize("still", STILLS)
def test_stills_are_deterministic_and_stand_in_their_bytes(still):
    frame = smooth_frames(1)[0]
    data = open_still(still).encode(frame, 300)
    assert data == open_still(still).encode(frame.copy(), 300)
    np.testing.assert_array_equal(open_still(still).decode(data), open_still(still).decode(data))


@pytest.mark.parametrize("size", [(17, 11), (64, 48)])
def test_png_is_exact_whatever_the_budget(size):
    frame = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    coder = open_still("png", *size)
    assert coder.encode(frame, 1) == coder.encode(frame, 10**6)
    np.testing.assert_array_equal(coder.decode(coder.encode(frame, 1)), frame)


@pytest.mark.parametrize("still", ["avif", "trajectory"])
@pytest.mark.parametrize("size", [(17, 11), (64, 48), (97, 33)])
def test_lossy_stills_fit_the_budget_or_are_the_smallest(still, size):
    coder, frame = open_still(still, *size), smooth_frames(1, *size)[0]
    budgets = [1, 60, 100, 250, 700, 3000]
    sizes = [len(coder.encode(frame, budget)) for budget in budgets]
    smallest = sizes[0]
    assert smallest < 100
    for budget, got in zip(budgets, sizes, strict=True):
        assert got <= max(budget, smallest)


@pytest.mark.parametrize("still", ["avif", "trajectory"])
def test_more_bytes_make_better_stills(still):
    coder, frame = open_still(still, 64, 48), smooth_frames(1, 64, 48)[0]
    errors = []
    for budget in (100, 250, 700, 3000):
        decoded = coder.decode(coder.encode(frame, budget)).astype(float)
        errors.append(np.mean((decoded - frame) ** 2))
    assert errors[-1] < 0.65 * errors[0]
    assert all(a >= 0.98 * b for a, b in pairwise(errors))


def test_avif_uses_its_budget():
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    coder = open_still("avif", 64, 48)
    for budget in (400, 1000, 2000):
        assert 0.85 * budget < len(coder.encode(frame, budget)) <= budget


def damaged(data, generator):
    octets, kind = bytearray(data), generator.integers(5)
    if kind == 0:
        return bytes(octets[: generator.integers(len(octets))])
    if kind == 1:
        octets[generator.integers(len(octets))] ^= int(generator.integers(1, 256))
    elif kind == 2:
        for _ in range(5):
            octets[generator.integers(len(octets))] = int(generator.integers(256))
    elif kind == 3:
        octets = octets + generator.bytes(9)
    else:
        octets = bytearray(generator.bytes(int(generator.integers(90))))
    return bytes(octets)


def decodes_or_refuses(coder, data):
    try:
        frame = coder.decode(data)
    except BitstreamError:
        return
    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert frame.dtype == np.uint8


@pytest.mark.parametrize(
    "still",
    [
        "avif",
        "png",
        "trajectory",
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_damaged_stills_are_pictures_or_errors_of_the_stream(still):
    coder, generator = open_still(still), np.random.default_rng(1)
    data = coder.encode(smooth_frames(1)[0], 300)
    for _ in range(300):
        decodes_or_refuses(coder, damaged(data, generator))


@pytest.mark.parametrize("still", STILLS)
def test_cut_stills_are_refused_or_partly_decoded(still):
    coder = open_still(still)
    data = coder.encode(smooth_frames(1)[0], 300)
    with pytest.raises(BitstreamError):
        coder.decode(b"")
    for length in range(1, len(data), 5):
        decodes_or_refuses(coder, data[:length])


@pytest.mark.parametrize("still", ["avif", "png"])
def test_stills_of_another_size_are_refused(still):
    data = open_still(still, 40, 24).encode(smooth_frames(1, 40, 24)[0], 600)
    with pytest.raises(BitstreamError, match="size"):
        open_still(still).decode(data)


def png_of_size(width, height):
    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(WIDTH + 1, HEIGHT), (6000, 4000)])
def test_a_png_of_another_size_is_refused_before_it_is_decoded(size):
    with pytest.raises(BitstreamError, match="size"):
        open_still("png").decode(png_of_size(*size))


@pytest.mark.parametrize("size", [(60000, 60000), (2**31 - 1, 2**31 - 1)])
def test_a_still_that_announces_a_huge_picture_is_refused(size):
    with pytest.raises(BitstreamError):
        open_still("png").decode(png_of_size(*size))


def test_an_avif_cannot_inflate_without_bound():
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflate.compress(bytes(10**7)) + deflate.flush()
    assert len(bomb) < 20_000
    with pytest.raises(BitstreamError):
        open_still("avif").decode(b"\0" + bomb)


# Correctors


def residual(shape=(3, 1, 24, 20), seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).cumsum(2).cumsum(3) * 0.05


@pytest.mark.parametrize("shape", [(3, 1, 24, 20), (3, 2, 11, 17), (16, 1, 6, 5)])
def test_corrections_fit_their_budget(shape):
    for max_bytes in (0, 1, 20, 37, 45, 100, 333, 2000):
        assert len(TransformCorrector().encode(residual(shape), max_bytes)) <= max_bytes


def test_the_error_falls_with_the_bytes():
    corrector, wanted = TransformCorrector(), residual()
    errors = [
        float((corrector.decode(corrector.encode(wanted, size), tuple(wanted.shape)) - wanted).square().mean())
        for size in (0, 60, 100, 200, 400, 800, 1600)
    ]
    assert errors[0] == pytest.approx(float(wanted.square().mean()))
    assert all(b < 0.8 * a for a, b in pairwise(errors))
    assert errors[-1] < 1e-3 * errors[0]


def test_a_correction_uses_its_budget():
    wanted = residual()
    for size in (100, 300, 900):
        assert 0.9 * size < len(TransformCorrector().encode(wanted, size)) <= size


def test_an_empty_budget_is_no_correction():
    assert TransformCorrector().encode(residual(), 0) == b""
    assert torch.equal(TransformCorrector().decode(b"", (3, 1, 4, 5)), torch.zeros(3, 1, 4, 5))


def test_encoding_leaves_the_residual_alone():
    wanted = residual()
    TransformCorrector().encode(wanted, 200)
    assert torch.equal(wanted, residual())


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3, 100.0])
def test_residuals_of_any_size_are_coded(scale):
    wanted = residual() * scale
    data = TransformCorrector().encode(wanted, 5000)
    error = (TransformCorrector().decode(data, tuple(wanted.shape)) - wanted).abs().max()
    assert float(error) <= max(0.02 * float(wanted.abs().max()), 2e-3)


@pytest.mark.parametrize("shape", [(3, 1, 11, 17), (2, 3, 1, 1), (1, 1, 1, 9)])
def test_corrections_of_odd_sizes(shape):
    wanted = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    decoded = TransformCorrector().decode(TransformCorrector().encode(wanted, 10**4), shape)
    assert tuple(decoded.shape) == shape
    assert decoded.dtype == torch.float32
    assert float((decoded - wanted).abs().max()) < 0.05


@pytest.mark.parametrize("corrector", [TransformCorrector(), ZlibCorrector()], ids=["transform", "zlib"])
@settings(steady, max_examples=200)
@given(seed=st.integers(0, 2**32))
def test_damaged_corrections_are_finite_or_errors_of_the_stream(corrector, seed):
    shape = (3, 1, 11, 17)
    data = damaged(corrector.encode(residual(shape), 1000), np.random.default_rng(seed))
    try:
        decoded = corrector.decode(data, shape)
    except BitstreamError:
        return
    assert tuple(decoded.shape) == shape
    assert bool(torch.isfinite(decoded).all())


@pytest.mark.parametrize("mode", MODES)
def test_only_chains_correct(mode):
    conditioner = open_mode(mode)
    assert (conditioner.corrector is not None) == conditioner.chained


@pytest.mark.parametrize("scale", [0.0, 1e-3, 100.0])
def test_the_residual_of_gvcc_has_eight_bits_a_sample(scale):
    wanted = residual() * scale
    data = ZlibCorrector().encode(wanted, 10**6)
    error = (ZlibCorrector().decode(data, tuple(wanted.shape)) - wanted).abs().amax((1, 2, 3))
    assert bool((error <= wanted.abs().amax((1, 2, 3)) / 127 / 2 + 1e-6 * scale).all())
    assert ZlibCorrector().encode(wanted, len(data)) == data
    assert ZlibCorrector().encode(wanted, len(data) - 1) == b""


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d[:-4], lambda d: d + b"x", lambda d: b"\xff" * 12 + d[12:]])
def test_a_residual_is_whole_and_alone(change):
    data = ZlibCorrector().encode(residual(), 10**6)
    with pytest.raises(BitstreamError):
        ZlibCorrector().decode(change(data), (3, 1, 24, 20))


def test_a_residual_that_inflates_to_more_is_refused():
    with pytest.raises(BitstreamError, match="levels"):
        ZlibCorrector().decode(bytes(12) + zlib.compress(bytes(10**7)), (3, 1, 4, 5))
