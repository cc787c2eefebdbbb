"""Options of backbones: fields of `backbone_options`, checked by name and value."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rfcodec.errors import ConfigError

Options = TypeVar("Options", bound="BackboneOptions")


class BackboneOptions(BaseModel):
    """What a subclass lists is legal, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls: type[Options], options: Mapping[str, str]) -> Options:
        """Options by name; raises ConfigError with the legal ones."""
        try:
            return cls(**options)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            legal = ", ".join(cls.model_fields) or "none"
            raise ConfigError(f"backbone_options: {faults}; legal names: {legal}") from None
