"""TOML files that people write."""

import tomllib
from typing import Any, Protocol

from rfcodec.errors import ConfigError


class Text(Protocol):
    """A file that can be read as text: a path, or a resource of a package."""

    def read_text(self, encoding: str) -> str:
        """All of it."""
        ...


def read_toml(file: Text) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError where it cannot be read or is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # of UTF-8, of TOML, of numbers with too many digits, of depth
        raise ConfigError(f"{file}: cannot be read as TOML: {error}") from error
