"""Where things are kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """RFCODEC_CACHE, or rfcodec in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    return Path(os.environ.get("RFCODEC_CACHE", "") or base / "rfcodec")
