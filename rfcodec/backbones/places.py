"""Where a backbone takes reference frames."""

from collections.abc import Sequence

from rfcodec.errors import UnsupportedCondition
from rfcodec.protocols import Condition, Places

WORDS = {
    "none": "no frame",
    "first": "a first frame",
    "last": "a last frame",
    "first+last": "first and last frame",
    "any": "frames anywhere",
}


def covers(takes: Sequence[Places], places: Places) -> bool:
    """Whether references may stand there: `any` covers all places."""
    return places in takes or "any" in takes


def refuse_places(name: str, takes: Sequence[Places], condition: Condition) -> None:
    """Raises UnsupportedCondition where the references of a condition stand where the backbone takes none."""
    if not covers(takes, condition.places):
        raise UnsupportedCondition(
            f"{name} cannot be given {WORDS[condition.places]}: it takes "
            f"{' or '.join(WORDS[places] for places in sorted(takes))}; choose another mode or backbone"
        )
