"""Reference frames at any position: in the stream, in conditions, and in the backbones that take them."""

from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar, final

import numpy as np
import pytest

import rfcodec
from conditioning.spans import read_references, write_reference
from rfcodec import registry
from rfcodec.bitstream.fields import ByteReader
from rfcodec.codec import open_encoder
from rfcodec.config import RuntimeConfig
from rfcodec.errors import UnsupportedCondition
from rfcodec.presets import configure
from rfcodec.protocols import Condition, Known, Reference
from rfcodec.types import GopSpan, VideoFormat

POSITIONS = (0, 3, 7)
SMALL = {"backbone": "gaussian", "mode": "keyed", "still": "png", "gop": 9, "steps": 5}


@final
class Keyed:
    """Disjoint GOPs with stills at frames 0, 3 and 7, where they have these."""

    ID: ClassVar[int] = 101
    chained: ClassVar[bool] = False
    corrector = None

    def __init__(self, still, prompt):
        self._still, self._prompt = still, prompt

    def plan(self, num_frames, gop) -> Iterator[GopSpan]:
        for index, start in enumerate(range(0, num_frames, gop)):
            stop = min(start + gop, num_frames)
            yield GopSpan(index, start, stop, references=sum(place < stop - start for place in POSITIONS))

    def emit(self, frames, span, max_bytes, previous):
        places = [place for place in POSITIONS if place < len(frames)]
        return b"".join(write_reference(self._still, place, frames[place], max_bytes // len(places)) for place in places)

    def read(self, side_info, span, previous):
        return Known(self._prompt, read_references(self._still, ByteReader(side_info), span, needed=(0,)))


@pytest.fixture
def keyed():
    with registry.registered("conditioners", "keyed", Keyed):
        yield


def test_a_mode_may_place_references_within_its_gops(keyed, clip):
    data = rfcodec.compress(clip, bytes=40000, **SMALL)
    pieces = list(rfcodec.decode(data))
    assert [piece.digest_ok for piece in pieces] == [True, True]
    frames = np.concatenate([piece.frames for piece in pieces]).astype(float)
    errors = np.square(frames - clip).mean((1, 2, 3))
    sent = [*POSITIONS, 9, 12]  # the second GOP begins at frame 9
    others = [number for number in range(len(clip)) if number not in sent]
    assert errors[sent].max() < errors[others].min()


@pytest.mark.parametrize("name", ["gaussian", "gaussian-latent", "tiny"])
def test_a_backbone_takes_the_places_that_it_names_and_refuses_all_others(name):
    backbone = registry.load("backbones", name)(RuntimeConfig(), {})
    count = 1 + 3 * backbone.geometry.temporal
    frame = np.full((32, 32, 3), 90, np.uint8)
    for positions in ((), (0,), (count - 1,), (0, count - 1), (2,), (0, 1), (0, 2, count - 1)):
        condition = Condition(count, 32, 32, references=tuple(Reference(frame, 1.0, place) for place in positions))
        if condition.places in backbone.takes:
            backbone.prepare(condition)
        else:
            with pytest.raises(UnsupportedCondition, match=f"{name} cannot be given"):
                backbone.prepare(condition)


@pytest.mark.parametrize("name", ["gaussian", "gaussian-latent"])
def test_a_reference_counts_most_where_it_stands(name, make_clip):
    """The error of the first estimate is least in the latent frame of the reference, and grows with the distance."""
    backbone = registry.load("backbones", name)(RuntimeConfig(), {})
    groups, frames = 6, make_clip(1 + 6 * backbone.geometry.temporal, 64, 48)
    count, place = len(frames), 1 + 3 * backbone.geometry.temporal - 1
    prior = backbone.prepare(Condition(count, 64, 48, references=(Reference(frames[place], 0.5, place),)))
    left = prior.frame_mmse(1.0).mean(0)
    where = backbone.geometry.latent_frame(place)
    assert where == 3 == int(np.argmin(left))
    assert (np.diff(left[: where + 1]) < 0).all()
    assert (np.diff(left[where:]) > 0).all()
    assert len(left) == groups + 1


def test_references_within_one_latent_frame_are_taken_together(make_clip):
    backbone = registry.load("backbones", "gaussian-latent")(RuntimeConfig(), {})
    frames = make_clip(9, 64, 48)
    both = tuple(Reference(frames[place], 0.5, place) for place in (5, 6))
    prior = backbone.prepare(Condition(9, 64, 48, references=both))
    assert np.isfinite(prior.frame_mmse(1.0)).all()
    assert int(np.argmin(prior.frame_mmse(1.0).mean(0))) == 2


@pytest.mark.parametrize(
    ("name", "frames", "positions"),
    [("gaussian", 4, [0, 3]), ("gaussian-latent", 4, [0, 4]), ("gaussian-latent", 5, [0, 4]), ("gaussian-latent", 1, [0])],
)
def test_the_last_reference_stands_at_the_last_frame_of_legal_count(name, frames, positions, make_clip):
    """Padding repeats the last frame, and a lone frame is first and last at once."""
    stream, effort = configure("default", {"backbone": name, "mode": "flf2v", "still": "png", "gop": 9, "bytes": 9000})
    engine = open_encoder(VideoFormat(32, 24, frames, Fraction(25)), stream, effort, RuntimeConfig())
    (span,) = engine.spans()
    side_info = engine.conditioner.emit(make_clip(frames, 32, 24), span, 4000, None)
    condition = engine.condition(side_info, span, None)
    assert [reference.position for reference in condition.references] == positions
    assert condition.num_frames == engine.backbone.geometry.padded_frames(frames)
