import dataclasses
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from rfcodec.bitstream import fields
from rfcodec.bitstream.headers import (
    MOST_PIXELS,
    EndMark,
    GopHeader,
    SequenceHeader,
    StillHeader,
    TrajectoryHeader,
    read_aspect,
    write_aspect,
)
from rfcodec.coding.engine import Engine
from rfcodec.coding.header import make_header, open_backbone
from rfcodec.coding.intra import TrajectoryFrames
from rfcodec.config import RuntimeConfig, StreamConfig, TrajectoryConfig
from rfcodec.errors import InvalidField
from rfcodec.types import Identity, VideoFormat

FORMAT = VideoFormat(1280, 720, 97, Fraction(30000, 1001))
IDENTITY = Identity("gaussian", bytes(range(8)), "cpu float32")
BACKBONE = SimpleNamespace(identity=IDENTITY, tail_share=0.3)
HEADER = make_header(FORMAT, StreamConfig(backbone="gaussian"), BACKBONE)


def changed(**settings):
    return replace(HEADER.trajectory, **settings)


def test_a_header_comes_back():
    assert fields.read_whole(SequenceHeader, fields.write(HEADER)) == HEADER


def test_fields_stand_in_the_order_of_the_format():
    """Byte for byte, with another value in every field: what reads what it wrote sees no exchange."""
    texts = {"backbone": "b", "arithmetic": "n", "backbone_options": "o=1", "prompt": "p", "extensions": (("ab", b"\7"),)}
    family = {"solver": "euler_maruyama", "diffusion": "power", "eta": 0.012, "gain": 0.006, "power": 0.007, "steps": 11}
    path = TrajectoryHeader(**family, ode_tail=8, tail_order=2, bit_ramp=3, shift=0.009)
    whole = {"mode": 2, "still": 3, "codebook": 4, "codebook_parameters": b"\5", "seed": 10, "weights": b"\14\15"}
    video = {"width": 17, "height": 18, "num_frames": 19, "fps_numerator": 20, "fps_denominator": 21, "gop": 22}
    header = SequenceHeader(**video, **whole, **texts, trajectory=path)
    sizes, plugins = bytes([17, 18, 19, 20, 21, 22]), bytes([2, 3, 4, 1, 5])
    trajectory = bytes([1, 1, 12, 6, 7, 11, 8, 2, 3, 9]) + bytes([10])
    names = b"\2b" + b"\2\14\15" + b"\2n" + b"\6o=1" + b"\2p" + b"\2ab\1\7"
    assert fields.write(header) == sizes + plugins + trajectory + names
    gop = GopHeader(index=1, symbol_bits=2, levels=(3, 5), digest=b"\7\10\11")
    assert fields.write(gop) == bytes([1, 2, 2, 3, 2, 3, 7, 8, 9])
    assert fields.write(StillHeader(symbol_bits=2, levels=(3, 5))) == bytes([2, 2, 3, 2])
    end = EndMark(total=0x0706050403020100, index=0x13121110, num_frames=0x23222120)
    assert fields.write(end) == bytes([*range(8), *range(0x10, 0x14), *range(0x20, 0x24)])


def test_a_header_is_a_few_dozen_bytes():
    assert len(fields.write(HEADER)) < 100
    gop = GopHeader(3, 9000, tuple(range(100, 290, 10)), bytes(4))
    assert len(fields.write(gop)) < 40


@pytest.mark.parametrize("aspect", [(16, 11), (11, 16), (1, 65535), (65535, 1), (64, 45)])
def test_the_aspect_of_pixels_comes_back(aspect):
    video = replace(FORMAT, sample_aspect=Fraction(*aspect))
    header = make_header(video, StreamConfig(backbone="gaussian"), BACKBONE)
    found = fields.read_whole(SequenceHeader, fields.write(header))
    assert (found, found.format) == (header, video)


def test_square_pixels_cost_no_byte_and_others_ten():
    aspect = make_header(replace(FORMAT, sample_aspect=Fraction(16, 11)), StreamConfig(backbone="gaussian"), BACKBONE)
    assert HEADER.extensions == ()
    assert aspect.extensions == (("aspect", bytes([16, 11])),)
    assert len(fields.write(aspect)) == len(fields.write(HEADER)) + 10


@pytest.mark.parametrize(
    ("aspect", "near"), [((100003, 100000), (1, 1)), ((10**9, 3), (65535, 1)), ((3, 10**9), (1, 65535))]
)
def test_an_aspect_that_does_not_fit_is_brought_near(aspect, near):
    assert read_aspect(write_aspect(Fraction(*aspect))) == pytest.approx(Fraction(*near), rel=1e-4)


@pytest.mark.parametrize(
    "payload", [b"", b"\1", b"\0\1", b"\1\0", b"\1\1", b"\2\4", b"\3\2\1", b"\x80\x80\4\1", b"\x81\0\2", b"\xff" * 9]
)
def test_an_aspect_that_is_none_is_an_invalid_field(payload):
    plain = fields.write(HEADER)
    with pytest.raises(InvalidField):
        fields.read_whole(SequenceHeader, plain + b"\6aspect" + bytes([len(payload)]) + payload)


def test_the_header_gives_back_the_format():
    assert HEADER.format == FORMAT
    assert HEADER.format.pixels == 1280 * 720 * 97


def test_coded_steps_are_those_before_the_tail():
    header = make_header(
        FORMAT, StreamConfig(backbone="gaussian", trajectory=TrajectoryConfig(steps=12, ode_tail=5)), BACKBONE
    )
    assert header.trajectory.coded_steps == 7


@pytest.mark.parametrize(("steps", "ode_tail"), [(6, 6), (2, 2), (3, 999)])
def test_a_tail_leaves_at_least_one_coded_step(steps, ode_tail):
    with pytest.raises(InvalidField, match="ode_tail"):
        replace(HEADER.trajectory, steps=steps, ode_tail=ode_tail)


def test_a_gop_of_too_many_pixels_is_refused():
    side = 32768
    assert replace(HEADER, width=side, height=MOST_PIXELS // side, gop=1)
    with pytest.raises(InvalidField, match="too much for one GOP"):
        replace(HEADER, width=side, height=MOST_PIXELS // side, gop=2)
    # a short video has no long GOP
    assert replace(HEADER, width=side, height=MOST_PIXELS // side, gop=4096, num_frames=1)


def test_hostile_sizes_are_refused_when_read():
    bits = fields.write(HEADER)
    size = fields.varint(1280) + fields.varint(720)
    assert bits.startswith(size)
    with pytest.raises(InvalidField):
        fields.read_whole(SequenceHeader, fields.varint(65535) + fields.varint(65535) + bits[len(size) :])


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": 65536},
        {"num_frames": -1},
        {"fps_denominator": 0},
        {"gop": 4097},
        {"mode": 128},
        {"trajectory": changed(solver="heun")},
        {"trajectory": changed(eta=100.001)},
        {"trajectory": changed(gain=0.0001)},
        {"trajectory": changed(steps=1, ode_tail=0)},
        {"trajectory": changed(tail_order=3)},
        {"trajectory": changed(bit_ramp=5)},
        {"trajectory": None},
        {"extensions": (("a b", b""),)},
        {"extensions": (("b", b""), ("a", b""))},
        {"extensions": (("a", b""), ("a", b""))},
        {"extensions": (("x" * 17, b""),)},
        {"seed": 2**62},
        {"weights": bytes(9)},
        {"backbone": "x" * 256},
        {"prompt": "é" * 32768},
    ],
)
def test_values_outside_their_range_are_not_written(change):
    with pytest.raises(InvalidField):
        fields.write(replace(HEADER, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"width": 1},
        {"seed": 2**62 - 1},
        {"prompt": "x" * 65535},
        {"trajectory": changed(shift=1000.0, eta=0.001)},
        {"num_frames": 0},
    ],
)
def test_ends_of_ranges_come_back(change):
    header = replace(HEADER, **change)
    assert fields.read_whole(SequenceHeader, fields.write(header)) == header


def test_ids_of_names_are_fixed_for_ever():
    one = fields.write(changed(solver="posterior", diffusion="eta"))
    two = fields.write(changed(solver="euler_maruyama", diffusion="power"))
    assert [(a, b) for a, b in zip(one, two, strict=True) if a != b] == [(0, 1), (0, 1)]


def test_the_trajectory_of_the_stream_has_the_fields_and_ranges_of_the_settings():
    """Two declarations, one meaning: a value is legal in both or in neither."""
    names = [item.name for item in dataclasses.fields(TrajectoryHeader)]
    assert names == list(TrajectoryConfig.model_fields)
    probes = {
        "eta": (0.0, 100.0, 100.001), "gain": (0.0, 100.0, 100.001), "power": (0.0, 100.0, 100.001),
        "steps": (8, 500, 501), "ode_tail": (1, 0, 19), "tail_order": (1, 2, 3, 0), "bit_ramp": (0, 4, 5),
        "shift": (0.0, 1000.0, 1000.001), "solver": ("posterior", "euler_maruyama", "heun"),
        "diffusion": ("eta", "power", "linear"),
    }  # fmt: skip
    assert set(probes) == set(names)
    for name, values in probes.items():
        for value in values:
            assert legal_setting(name, value) == legal_field(name, value), (name, value)


def legal_setting(name, value):
    try:
        TrajectoryConfig(**{name: value})
    except ValidationError:
        return False
    return True


def legal_field(name, value):
    try:
        fields.write(changed(**{name: value}))
    except InvalidField:
        return False
    return True


@pytest.mark.parametrize(
    "trajectory",
    [
        TrajectoryConfig(),
        TrajectoryConfig(solver="euler_maruyama", diffusion="power", gain=2.5, power=1.5, bit_ramp=2, shift=3.125),
    ],
)
def test_an_engine_has_the_settings_that_made_the_header(trajectory):
    stream = StreamConfig(backbone="gaussian", trajectory=trajectory)
    backbone = open_backbone("gaussian", "", RuntimeConfig())
    header = make_header(VideoFormat(16, 16, 3, Fraction(25)), stream, backbone)
    engine = Engine(fields.read_whole(SequenceHeader, fields.write(header)), backbone, TrajectoryFrames)
    assert engine.trajectory == trajectory.model_copy(update={"ode_tail": trajectory.tail_steps(backbone.tail_share)})


@pytest.mark.parametrize(
    ("steps", "share", "tail"),
    [(20, 0.3, 6), (8, 0.3, 3), (4, 0.3, 2), (3, 0.3, 1), (2, 0.9, 1), (20, 0.2, 4), (8, 0.2, 2), (4, 0.2, 1)],
)
def test_a_tail_that_is_not_told_is_a_share_rounded_up(steps, share, tail):
    assert TrajectoryConfig(steps=steps).tail_steps(share) == tail
    assert TrajectoryConfig(steps=steps, ode_tail=1).tail_steps(share) == 1


def test_gop_headers_come_back():
    for header in (GopHeader(0, 0, (), b""), GopHeader(2**31 - 1, 2**40, tuple(range(1, 500)), bytes(32))):
        assert fields.read_whole(GopHeader, fields.write(header)) == header


@pytest.mark.parametrize(
    "header",
    [
        GopHeader(2**31, 1, (), b""),
        GopHeader(0, 2**40 + 1, (), b""),
        GopHeader(0, 1, (5, 5), b""),
        GopHeader(0, 1, (), bytes(33)),
    ],
)
def test_illegal_gop_headers_are_not_written(header):
    with pytest.raises(InvalidField):
        fields.write(header)


def test_the_end_mark_has_one_size():
    sizes = {len(fields.write(EndMark(n, n, n))) for n in (1, 255, 2**31 - 1)}
    assert sizes == {16}
