"""The Python interface: arrays and videos in, frames out GOP by GOP."""

import warnings
import zlib
from dataclasses import replace
from fractions import Fraction
from itertools import zip_longest

import numpy as np
import pytest
import torch

import rfcodec
from rfcodec import api, codec
from rfcodec.bitstream import fields
from rfcodec.bitstream.container import (
    END_BYTES,
    PREAMBLE,
    closing_units,
    read_gops,
    read_preamble,
    read_units,
)
from rfcodec.bitstream.fields import ByteReader
from rfcodec.bitstream.records import Unit, UnitType
from rfcodec.bitstream.recovery import salvage_units
from rfcodec.coding.decoded import DecodedGop
from rfcodec.coding.watcher import Watcher
from rfcodec.errors import (
    ArithmeticWarning,
    BackboneMismatch,
    DamageWarning,
    FrameRangeError,
    InvalidField,
    TruncatedStream,
    UnsupportedFeature,
)
from rfcodec.stream.playback import record_size
from rfcodec.types import VideoFormat

MODES = ["t2v", "i2v", "flf2v"]
SMALL = {"backbone": "gaussian", "gop": 5, "trajectory__steps": 6, "trajectory__ode_tail": 2}


class Recorder(Watcher):
    """Keeps the latents of each GOP."""

    def __init__(self):
        self.latents, self.spans, self.sizes, self.steps, self.sources = [], [], [], 0, []

    def step(self, report):
        assert report.mse > 0
        assert 0 <= report.k < report.n == 4
        assert report.bits > 0
        assert report.x0_hat.ndim == 4
        self.steps += 1

    def gop(self, decoded, source, size):
        self.latents.append(decoded.latents.clone())
        self.spans.append(decoded.span)
        self.sizes.append(size)
        self.sources.append(source)


def frames_of(path, **more):
    return np.concatenate([piece.frames for piece in api.decode(path, **more)])


def records_of(path):
    reader = ByteReader(path.read_bytes())
    read_preamble(reader)
    return list(read_gops(read_units(reader)))


@pytest.fixture
def stream(clip, tmp_path):
    """The clip in T2V."""
    rfcodec.encode(clip, tmp_path / "a.rfv", mode="t2v", bytes=3000, **SMALL)
    return tmp_path / "a.rfv"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backbone", ["gaussian", "gaussian-latent"])
def test_arrays_in_and_out(mode, backbone, clip, tmp_path):
    path = tmp_path / "a.rfv"
    sent, received = Recorder(), Recorder()
    result = rfcodec.encode(clip, str(path), mode=mode, bytes=3000, watcher=sent, **SMALL | {"backbone": backbone})
    assert (result.path, result.size) == (path, path.stat().st_size)
    assert result.bpp == 8 * result.size / clip[..., 0].size
    pieces = list(rfcodec.decode(str(path), watcher=received))
    assert np.concatenate([piece.frames for piece in pieces]).shape == clip.shape
    assert all(piece.digest_ok and piece.intact for piece in pieces)
    for ours, theirs in zip_longest(sent.latents, received.latents):
        assert torch.equal(ours, theirs)
    assert sent.spans == received.spans
    assert sent.sizes == received.sizes == [record_size(record) for record in records_of(path)]
    assert sent.steps == 4 * len(sent.spans)
    assert all(np.array_equal(source, clip[s.start : s.stop]) for source, s in zip(sent.sources, sent.spans, strict=True))
    assert received.sources == [None] * len(received.spans)


@pytest.mark.parametrize("mode", MODES)
def test_more_bits_give_a_better_picture(mode, clip, tmp_path):
    errors = []
    for budget in (1200, 6000):
        rfcodec.encode(clip, tmp_path / "a.rfv", mode=mode, bytes=budget, **SMALL)
        errors.append(np.square(frames_of(tmp_path / "a.rfv").astype(float) - clip).mean())
    assert errors[1] < 0.8 * errors[0]


def test_encoding_twice_gives_the_same_bytes(clip, stream, tmp_path):
    rfcodec.encode(clip, tmp_path / "b.rfv", mode="t2v", bytes=3000, **SMALL)
    assert (tmp_path / "b.rfv").read_bytes() == stream.read_bytes()


def test_global_generators_neither_matter_nor_move(clip, stream, tmp_path):
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    rfcodec.encode(clip, tmp_path / "b.rfv", mode="t2v", bytes=3000, **SMALL)
    assert (tmp_path / "b.rfv").read_bytes() == stream.read_bytes()
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_a_video_of_ones_own(clip, tmp_path):
    class Reversed:
        format = VideoFormat(64, 48, 13, Fraction(30000, 1001))

        def __init__(self):
            self.asked = []

        def read(self, start, stop):
            self.asked.append((start, stop))
            return clip[::-1][start:stop]

    video = Reversed()
    result = rfcodec.encode(video, tmp_path / "a.rfv", mode="i2v", bytes=3000, **SMALL)
    assert result.format == api.read_format(tmp_path / "a.rfv") == video.format
    assert video.asked == [(0, 5), (4, 9), (8, 13)]
    array = rfcodec.ArrayVideo(clip[::-1], Fraction(30000, 1001))
    rfcodec.encode(array, tmp_path / "b.rfv", mode="i2v", bytes=3000, **SMALL)
    assert (tmp_path / "a.rfv").read_bytes() == (tmp_path / "b.rfv").read_bytes()


@pytest.mark.parametrize(("mode", "starts"), [("t2v", [0, 5, 10]), ("i2v", [0, 5, 9]), ("flf2v", [0, 5, 9])])
def test_frames_come_gop_by_gop(mode, starts, clip, tmp_path):
    rfcodec.encode(clip, tmp_path / "a.rfv", mode=mode, bytes=3000, **SMALL)
    seen = Recorder()
    pieces = rfcodec.decode(tmp_path / "a.rfv", watcher=seen)
    assert seen.spans == []
    for number, start in enumerate(starts):
        piece = next(pieces)
        assert piece.start == start
        assert len(seen.spans) == number + 1
        assert len(piece.frames) == [*starts[1:], 13][number] - start
    assert next(pieces, None) is None


@pytest.mark.parametrize(("mode", "gops"), [("t2v", [1]), ("flf2v", [1]), ("i2v", [0, 1])])
def test_seeking_decodes_no_more_than_it_must(mode, gops, clip, tmp_path):
    rfcodec.encode(clip, tmp_path / "a.rfv", mode=mode, bytes=3000, **SMALL)
    seen = Recorder()
    pieces = list(rfcodec.decode(tmp_path / "a.rfv", frames=(6, 8), watcher=seen))
    assert [span.index for span in seen.spans] == gops
    assert [(piece.start, len(piece.frames)) for piece in pieces] == [(6, 2)]
    assert np.array_equal(pieces[0].frames, frames_of(tmp_path / "a.rfv")[6:8])


@pytest.mark.parametrize("frames", [(0, 14), (5, 5), (6, 5), (-1, 4), (13, None)])
def test_frames_that_do_not_exist(frames, stream):
    with pytest.raises(FrameRangeError, match="0:13"):
        list(rfcodec.decode(stream, frames=frames))


def test_gops_are_independent(clip, tmp_path):
    other = clip.copy()
    other[:5] = 255 - other[4::-1]
    for name, frames in {"a": clip, "b": other}.items():
        rfcodec.encode(frames, tmp_path / name, mode="t2v", bytes=3000, **SMALL)
    ours, theirs = records_of(tmp_path / "a"), records_of(tmp_path / "b")
    assert ours[0].symbols != theirs[0].symbols
    assert ours[1:] == theirs[1:]
    assert len(ours) == 3


def other_identity(monkeypatch, **changes):
    def opened(*arguments, **more):
        backbone = real(*arguments, **more)
        backbone.identity = replace(backbone.identity, **changes)
        return backbone

    real = codec.open_backbone
    monkeypatch.setattr(codec, "open_backbone", opened)


def test_other_weights_are_refused(stream, monkeypatch):
    other_identity(monkeypatch, weights=b"\x01\x02\x03\x04\x05\x06\x07\x08")
    with pytest.raises(BackboneMismatch, match="0102030405060708"):
        next(rfcodec.decode(stream))


def test_another_arithmetic_with_equal_latents_is_a_line_in_the_log(stream, monkeypatch, caplog):
    expected = frames_of(stream)
    other_identity(monkeypatch, arithmetic="cuda bfloat16")
    with caplog.at_level("INFO", "rfcodec"):
        assert np.array_equal(frames_of(stream), expected)
    (said,) = caplog.messages
    assert "decoded with 'cuda bfloat16'" in said
    assert said.endswith("the latents of all 3 GOPs agree")


def test_another_arithmetic_with_other_latents_is_a_warning(stream, monkeypatch):
    other_identity(monkeypatch, arithmetic="cuda bfloat16")
    monkeypatch.setattr(DecodedGop, "digest", lambda gop, size: bytes(size))
    with pytest.warns(ArithmeticWarning, match="cuda bfloat16.*frame 0 has other latents") as warned:
        frames_of(stream)
    assert len(warned) == 1


def test_another_arithmetic_without_a_digest_is_a_warning(clip, tmp_path, monkeypatch):
    rfcodec.encode(clip, tmp_path / "a.rfv", bytes=3000, digest_bytes=0, **SMALL)
    other_identity(monkeypatch, arithmetic="cuda bfloat16")
    with pytest.warns(ArithmeticWarning, match="cuda bfloat16.*frame 0 has no digest"):
        frames_of(tmp_path / "a.rfv")


def test_nothing_warns_in_everyday_use(clip, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rfcodec.encode(clip, tmp_path / "a.rfv", bytes=3000, **SMALL)
        frames_of(tmp_path / "a.rfv")


def test_without_a_digest_nothing_is_known(clip, tmp_path):
    rfcodec.encode(clip, tmp_path / "a.rfv", bytes=3000, digest_bytes=0, **SMALL)
    assert [piece.digest_ok for piece in rfcodec.decode(tmp_path / "a.rfv")] == [None] * 3


def rewritten(stream, path, told=None, **changes):
    """The stream with another sequence header, and the index and end mark that fit it."""
    reader = ByteReader(stream.read_bytes())
    header = read_preamble(reader)
    units = [Unit(UnitType.SEQUENCE, fields.write(replace(header, **changes)))]
    units += [unit for unit in read_units(reader) if unit.type != UnitType.INDEX]
    data, offsets = bytearray(PREAMBLE), []
    for unit in units:
        offsets += [len(data)] if unit.type == UnitType.GOP else []
        data += unit.write()
    count = header.num_frames if told is None else told
    path.write_bytes(data + closing_units(tuple(offsets), len(data), count))
    return path


def test_an_extension_that_may_be_skipped_is_skipped(stream, tmp_path):
    extended = rewritten(stream, tmp_path / "b.rfv", extensions=(("loudness", b"of another release"),))
    assert extended.stat().st_size > stream.stat().st_size
    assert np.array_equal(frames_of(extended), frames_of(stream))
    assert "loudness" in str(rfcodec.info(extended).lines)


def test_an_extension_that_must_be_known_is_refused_by_name(stream, tmp_path):
    extended = rewritten(stream, tmp_path / "b.rfv", extensions=(("Layers", b""),))
    with pytest.raises(UnsupportedFeature, match=r"'Layers'.*newer"):
        frames_of(extended)


@pytest.mark.parametrize("mode", ["t2v", "i2v", "flf2v"])
def test_the_number_of_frames_may_stand_in_the_end_mark_alone(clip, tmp_path, mode):
    """As a live stream has it: whole files, seeking and files without their end."""
    rfcodec.encode(clip, tmp_path / "known.rfv", bytes=4000, **SMALL | {"mode": mode})
    expected = frames_of(tmp_path / "known.rfv")
    path = rewritten(tmp_path / "known.rfv", tmp_path / "open.rfv", told=len(clip), num_frames=0)
    assert np.array_equal(frames_of(path), expected)
    assert np.array_equal(frames_of(path, frames=(6, None)), expected[6:])
    assert rfcodec.info(path).header.num_frames == len(clip)
    cut = tmp_path / "cut.rfv"
    cut.write_bytes(path.read_bytes()[:-END_BYTES])
    with pytest.raises(TruncatedStream, match="end mark"):
        frames_of(cut)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        found = frames_of(cut, partial=True)
    assert len(found) >= len(expected)  # the last GOP may have been shorter: nothing says so
    assert np.array_equal(found[: len(expected) - 4], expected[: len(expected) - 4])


def test_an_end_mark_without_frames_is_no_end_mark(stream, tmp_path):
    data = bytearray(stream.read_bytes())
    data[-8:-4] = bytes(4)
    data[-4:] = zlib.crc32(data[-END_BYTES:-4]).to_bytes(4, "little")
    (tmp_path / "b.rfv").write_bytes(data)
    for read in (rfcodec.info, frames_of):
        with pytest.raises(InvalidField, match="num_frames is 0"):
            read(tmp_path / "b.rfv")


def test_a_short_file_cannot_ask_for_many_gops(stream, tmp_path):
    many = rewritten(stream, tmp_path / "b.rfv", told=2_000_000, num_frames=2_000_000, gop=1)
    for ask in (rfcodec.info, frames_of, lambda path: frames_of(path, partial=True)):
        with pytest.raises(TruncatedStream, match="2000000 frames need"):
            ask(many)


def test_wrong_lengths_of_symbols_keep_salvage_small(stream):
    """Each such unit ends at the next GOP, so that no record holds the rest of the file."""
    reader = ByteReader(stream.read_bytes())
    read_preamble(reader)
    start, units = reader.position, list(read_units(reader))
    gop = next(unit for unit in units if unit.type == UnitType.GOP).write()
    damaged = stream.read_bytes()[:start] + 200 * (gop + bytes([UnitType.SYMBOLS]) + fields.varint(10**6) + bytes(60))
    reader = ByteReader(damaged)
    reader.position = start
    held = sum(len(unit.payload) for unit in salvage_units(reader))
    assert held < 2 * len(damaged)


def test_an_end_mark_that_contradicts_the_header_is_refused(stream, tmp_path):
    with pytest.raises(InvalidField, match="counts 12 frames, the header 13"):
        frames_of(rewritten(stream, tmp_path / "b.rfv", told=12))


def test_info_opens_no_model(stream, monkeypatch):
    monkeypatch.delattr(codec, "open_backbone")
    seen = rfcodec.info(stream)
    assert seen.size == stream.stat().st_size == sum(seen.bytes_by_purpose.values())
    assert [record.header.index for record in seen.gops] == [0, 1, 2]
    assert {line.name: line.value for line in seen.lines}["codebook"] == "trellis"


def test_the_package_is_light(process):
    heavy = "{'torch', 'diffusers', 'scipy', 'transformers', 'numpy', 'av'} & set(sys.modules)"
    code = f"import sys, rfcodec; a = {heavy}; import rfcodec.cli.app; print(sorted(a), sorted({heavy}))"
    outcome = process("-c", code)
    assert (outcome.status, outcome.out.strip()) == (0, "[] []"), outcome.err


def test_public_names_exist():
    for name in rfcodec.__all__:
        assert getattr(rfcodec, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = rfcodec.nonsense
