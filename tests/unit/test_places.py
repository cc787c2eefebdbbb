"""Where a backbone takes reference frames."""

import pytest

from rfcodec.backbones.places import covers, refuse_places
from rfcodec.errors import UnsupportedCondition
from rfcodec.protocols import Condition


def test_any_covers_every_place():
    for places in ("none", "first", "last", "first+last", "any"):
        assert covers(("any",), places)
    assert not covers(("none", "first"), "last")
    with pytest.raises(UnsupportedCondition, match="x cannot be given no frame: it takes a first frame"):
        refuse_places("x", ("first",), Condition(5, 8, 8))
