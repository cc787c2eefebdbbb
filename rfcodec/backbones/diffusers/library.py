"""The diffusers library, imported in the one order that works everywhere, and untyped as it is."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rfcodec.support.torchvision_repair import repair_torchvision

repair_torchvision()

diffusers: Any = importlib.import_module("diffusers")


@contextmanager
def quiet() -> Iterator[None]:
    """Within it diffusers keeps its advice to itself."""
    log = diffusers.utils.logging
    before = log.get_verbosity()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(before)


@contextmanager
def bars_on_terminals() -> Iterator[None]:
    """Within it diffusers and transformers draw progress bars on terminals alone."""
    if sys.stderr.isatty():
        yield
        return
    logs = [importlib.import_module(f"{name}.utils.logging") for name in ("diffusers", "transformers")]
    shown = [log.is_progress_bar_enabled() for log in logs]
    for log in logs:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, before in zip(logs, shown, strict=True):
            if before:
                log.enable_progress_bar()
