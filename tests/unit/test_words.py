"""Words of a command line: the legal name that a wrong one was meant to be."""

import pickle

import pytest

from rfcodec.errors import BackboneMismatch, InvalidField, UnknownPlugin
from rfcodec.support.words import nearest, printable

LEGAL = ("guidance_scale", "negative_prompt", "dtype")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("guidance", " (did you mean 'guidance_scale'?)"),
        ("dtpye", " (did you mean 'dtype'?)"),
        ("negative", " (did you mean 'negative_prompt'?)"),
        ("colour", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_offered_where_one_is_near(given, said):
    assert nearest(given, LEGAL) == said


def test_names_may_come_from_anything_that_can_be_looped_over():
    assert nearest("b1", {"a1": 1, "b12": 2}) == " (did you mean 'b12'?)"
    assert nearest("a", iter(())) == ""


HOSTILE = "a\x1b]52;c;eA==\x07\x1b[2J\r\n\x9b31m\u202e\u200b\u2028\x00\ud800b\U000e0041"


def test_text_from_a_file_is_printable():
    shown = printable(HOSTILE)
    assert shown.isprintable()
    assert shown == (r"a\x1b]52;c;eA==\x07\x1b[2J\r\n\x9b31m\u202e\u200b\u2028\x00\ud800b\U000e0041")
    assert printable("Ein Bär läuft 跑 🐻") == "Ein Bär läuft 跑 🐻"


@pytest.mark.parametrize("text", ["x" * 10**6, "\x1b" * 500, "\x1b" * 60, "x" * 201, "x" * 200])
def test_printable_text_is_bounded(text):
    shown = printable(text)
    assert len(shown) <= 200
    assert (shown == text) == (text == "x" * 200)
    assert text == "x" * 200 or shown.endswith(f"({len(text)} characters)")
    assert len(printable(text, 5)) <= 5


@pytest.mark.parametrize("error", [BackboneMismatch, InvalidField, UnknownPlugin])
def test_a_printed_exception_is_one_bounded_line_whatever_it_quotes(error):
    raised = error(f"the stream needs {HOSTILE}{'x' * 1_500_000}")
    for shown in (str(raised), repr(raised), str(pickle.loads(pickle.dumps(raised)))):
        assert shown.isprintable()
        assert len(shown) < 2500
