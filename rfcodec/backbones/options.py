"""Options of backbones: fields of `backbone_options`, checked by name and value."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rfcodec.errors import ConfigError
from rfcodec.support.settings import explain
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
            raise ConfigError(explain(cls, error, "backbone_options.")) from None


def refuse_unknown(options: Iterable[str], legal: Iterable[str]) -> None:
    """Raises ConfigError for the first option that is none of the legal names."""
    names = list(legal)
    for name in options:
        if name not in names:
            known = f"none of the legal names: {', '.join(names)}" if names else "unknown: this backbone has no options"
            raise ConfigError(f"backbone_options.{name} is {known}{nearest(name, names)}")
