"""Words of a command line: the legal name that a wrong one was meant to be."""

import pytest

from rfcodec.support.words import nearest

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
