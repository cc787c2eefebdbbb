import math
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codebooks.channel import ChannelCodebook
from codebooks.chunked import ChunkedCodebook
from codebooks.gvcc import GvccCodebook
from codebooks.hadamard import HadamardCodebook
from codebooks.pursuit import PursuitCodebook
from codebooks.topm import TopMCodebook
from codebooks.trellis import TrellisCodebook
from conditioning.flf2v import FirstLastToVideo
from conditioning.i2v import ImageToVideo
from conditioning.t2v import TextToVideo
from rfcodec.config import EncoderConfig
from rfcodec.errors import ConfigError
from rfcodec.trajectory.rate import RatePlan, Steps, announced_bits, file_budget, split_bits
from rfcodec.types import GopSpan, VideoFormat

steady = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

HD = VideoFormat(1280, 720, 96, Fraction(24))
MODES = [TextToVideo, ImageToVideo, FirstLastToVideo]
CODEBOOKS = [TrellisCodebook(), TrellisCodebook(3, 6), TopMCodebook(k=512), GvccCodebook(k=512)]
CODEBOOKS += [PursuitCodebook(k=512), ChunkedCodebook(), HadamardCodebook(), ChannelCodebook()]
SHAPE = (4, 3, 20, 25)


def test_the_same_budget_in_three_words():
    # 96 frames at 24 a second are 4 seconds: 0.01 bpp = 884736 bits = 221.184 kbps
    by_bpp = file_budget(EncoderConfig(bpp=0.01), HD)
    assert by_bpp == 110592
    assert file_budget(EncoderConfig(kbps=221.184), HD) == by_bpp
    assert file_budget(EncoderConfig(bytes=110592), HD) == by_bpp


def test_budgets_are_rounded_down_exactly():
    # 0.07 and 29.97 have no exact binary form: decimals are meant
    assert file_budget(EncoderConfig(bpp=0.07), VideoFormat(100, 8, 1, Fraction(30))) == 7
    ntsc = VideoFormat(64, 64, 30000, Fraction(30000, 1001))
    assert file_budget(EncoderConfig(kbps=8), ntsc) == 1001 * 1000
    assert file_budget(EncoderConfig(kbps=0.1), VideoFormat(64, 64, 3, Fraction(3))) == 12


def test_bpp_counts_pixels_not_colour_samples():
    assert file_budget(EncoderConfig(bpp=8), VideoFormat(17, 11, 3, Fraction(1))) == 17 * 11 * 3


@pytest.mark.parametrize("given", [{"bpp": 0.1, "kbps": 3.0}, {"bpp": 0.1, "bytes": 5}, {"kbps": 1.0, "bytes": 5}])
def test_at_most_one_budget_may_be_given(given):
    with pytest.raises(ConfigError, match=f"not {' and '.join(given)}$"):
        file_budget(EncoderConfig(**given), HD)


def test_without_a_budget_there_is_none():
    assert file_budget(EncoderConfig(), HD) is None


@steady
@given(
    st.sampled_from(MODES),
    st.integers(1, 200),
    st.integers(1, 40),
    st.integers(0, 10**7),
    st.floats(0, 3),
    st.floats(0, 0.99),
)
def test_a_plan_hands_out_everything(mode, num_frames, gop, available, weight, share):
    spans = list(mode(None, "").plan(num_frames, gop))
    config = EncoderConfig(reference_weight=weight, correction_share=share)
    plan = RatePlan.make(spans, available, config)
    assert len(plan.budgets) == len(spans)
    assert sum(budget.total for budget in plan.budgets) == available
    assert sum(budget.share for budget in plan.budgets) == 1
    for span, budget in zip(spans, plan.budgets, strict=True):
        assert 0 <= budget.references <= budget.total
        assert 0 <= budget.correction <= budget.total - budget.references
        assert abs(budget.total - available * budget.share) < 1
        assert budget.total * budget.reference_share - 1 < budget.references <= budget.total * budget.reference_share
        assert bool(span.references) or budget.references == 0
        assert bool(span.carried) or budget.correction == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("available", [0, -5000])
def test_nothing_is_split_into_nothing(mode, available):
    spans = list(mode(None, "").plan(50, 9))
    assert all(budget.total == 0 for budget in RatePlan.make(spans, available, EncoderConfig()).budgets)


def test_gops_of_equal_length_get_equal_bytes():
    spans = list(TextToVideo(None, "").plan(99, 33))
    assert [b.total for b in RatePlan.make(spans, 30000, EncoderConfig()).budgets] == [10000] * 3


def test_frames_shown_are_what_counts():
    spans = [GopSpan(0, 0, 10), GopSpan(1, 9, 19, overlap=1), GopSpan(2, 19, 20)]
    budgets = RatePlan.make(spans, 2000, EncoderConfig()).budgets
    assert [b.total for b in budgets] == [1000, 900, 100]


def test_every_reference_is_worth_the_same():
    config = EncoderConfig(reference_weight=0.5)
    spans = list(FirstLastToVideo(None, "").plan(97, 33))
    budgets = RatePlan.make(spans, 10**6, config).budgets
    # the first GOP pays for two, each half of 33 frames' worth
    assert budgets[0].reference_share == Fraction(33, 66)
    assert budgets[1].reference_share == Fraction(16500, 48500)
    assert budgets[0].references == pytest.approx(2 * budgets[1].references, abs=2)


def test_the_tail_gets_its_share_of_what_references_leave():
    spans = list(ImageToVideo(None, "").plan(65, 33))
    first, last = RatePlan.make(spans, 10**6, EncoderConfig(correction_share=0.1)).budgets
    assert first.correction == int((first.total - first.references) * 0.1)
    assert last.correction == 0
    assert last.references == 0


@pytest.mark.parametrize("codebook", CODEBOOKS, ids=str)
@steady
@given(total=st.integers(0, 60_000), count=st.integers(1, 40), ramp=st.integers(0, 4))
def test_split_bits(codebook, total, count, ramp):
    steps = Steps(count, ramp)
    widths = split_bits(codebook, SHAPE, total, steps)
    assert len(widths) == count
    assert sum(widths) <= total
    assert all(codebook.usable_bits(SHAPE, width) == width for width in widths)


@pytest.mark.parametrize("codebook", CODEBOOKS, ids=str)
@steady
@given(total=st.integers(0, 60_000), count=st.integers(1, 40), ramp=st.integers(0, 4))
def test_a_header_says_what_splits_alike(codebook, total, count, ramp):
    steps = Steps(count, ramp)
    widths, said = split_bits(codebook, SHAPE, total, steps), announced_bits(codebook, SHAPE, total, steps)
    assert sum(widths) <= said <= total
    assert split_bits(codebook, SHAPE, said, steps) == widths
    if count * codebook.least_bits(SHAPE) <= total < count * codebook.usable_bits(SHAPE, 1 << 40):
        assert total - sum(widths) < quantum(codebook, widths[0])


def quantum(codebook, width):
    """What the next larger width costs more."""
    return next((more for more in range(1, 10_000) if codebook.usable_bits(SHAPE, width + more) > width), 10_000)


@pytest.mark.parametrize("codebook", CODEBOOKS, ids=str)
def test_bits_are_split_evenly_and_all_but_a_rest_is_spent(codebook):
    for total, count in [(1000, 7), (3000, 14), (251, 1), (777, 3)]:
        total = max(total, count * codebook.least_bits(SHAPE))
        widths = split_bits(codebook, SHAPE, total, Steps(count, 0))
        assert max(widths) - min(widths) <= quantum(codebook, min(widths)), (total, count)
        assert total - sum(widths) < quantum(codebook, widths[0]), (total, count)


def test_bits_grow_by_the_ramp():
    assert split_bits(TrellisCodebook(), SHAPE, 1400, Steps(14, 0)) == (100,) * 14
    assert split_bits(TrellisCodebook(), SHAPE, 1403, Steps(14, 0)) == (102,) + (100,) * 13
    assert split_bits(TrellisCodebook(), SHAPE, 600, Steps(3, 1)) == (100, 200, 300)
    assert split_bits(TrellisCodebook(), SHAPE, 1400, Steps(3, 2)) == (100, 400, 900)


def test_every_step_gets_the_least_that_it_can_spend():
    codebook = TopMCodebook(k=512)
    least = codebook.least_bits(SHAPE)
    widths = split_bits(codebook, SHAPE, 14 * least + 5, Steps(14, 4))
    assert widths == (least,) * 14


def test_what_a_full_step_leaves_goes_to_those_before_it():
    most = TrellisCodebook().usable_bits(SHAPE, 1 << 40)
    assert most == math.prod(SHAPE) // 8 * 2
    assert split_bits(TrellisCodebook(), SHAPE, 1 << 40, Steps(5, 1)) == (most,) * 5
    assert split_bits(TrellisCodebook(), SHAPE, 2 * most + 100, Steps(3, 3)) == (178, 1422, most)
