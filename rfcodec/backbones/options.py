"""Options of backbones: fields of `backbone_options`, checked by name and value."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from rfcodec.errors import ConfigError
from rfcodec.support.words import nearest

Options = TypeVar("Options", bound="BackboneOptions")


class BackboneOptions(BaseModel):
    """What a subclass lists is legal, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls: type[Options], options: Mapping[str, object]) -> Options:
        """Options by name; raises ConfigError with the legal names, or with what is wrong with a value."""
        refuse_unknown(options, cls.model_fields)
        try:
            return cls(**options)
        except ValidationError as error:
            raise ConfigError("; ".join(map(_fault, error.errors()))) from None


def refuse_unknown(options: Iterable[str], legal: Iterable[str]) -> None:
    """Raises ConfigError for the first option that is none of the legal names."""
    names = list(legal)
    for name in options:
        if name not in names:
            known = f"none of the legal names: {', '.join(names)}" if names else "unknown: this backbone has no options"
            raise ConfigError(f"backbone_options.{name} is {known}{nearest(name, names)}")


def _fault(error: ErrorDetails) -> str:
    if not error["loc"]:  # of the options together
        return f"backbone_options: {error.get('ctx', {}).get('error', error['msg'])}"
    said = error["msg"].replace("Input should", "it should")
    return f"backbone_options.{'.'.join(map(str, error['loc']))} is {error['input']!r}: {said}"
