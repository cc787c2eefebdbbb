"""The state of torch and NumPy in which all arithmetic of the codec runs, whatever the caller has set."""

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import ParamSpec, TypeVar, cast

import numpy as np
import torch

Item = TypeVar("Item")
Arguments = ParamSpec("Arguments")
AUTOCAST = ("cpu", "cuda")
_END = object()


@contextmanager
def steady_arithmetic() -> Iterator[None]:
    """Default type float32 on the CPU, no autocast, no inference mode, kernels as torch chooses them, NumPy's warnings.

    Streams depend on the last digits, so that a caller's settings must not reach them. What was set before is restored.
    Default type and determinism are values of the process: other threads see them change.
    """
    dtype, warn_only = torch.get_default_dtype(), torch.is_deterministic_algorithms_warn_only_enabled()
    # setting it imports torch's compiler, which takes seconds
    deterministic = torch.are_deterministic_algorithms_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.device("cpu"))
        for device in AUTOCAST:
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        try:
            torch.set_default_dtype(torch.float32)
            if deterministic:
                torch.use_deterministic_algorithms(False)
            yield
        finally:
            torch.set_default_dtype(dtype)
            if deterministic:
                torch.use_deterministic_algorithms(True, warn_only=warn_only)


def steadily(make: Callable[Arguments, Iterator[Item]]) -> Callable[Arguments, Iterator[Item]]:
    """Decorator of a generator function: each item is made in `steady_arithmetic`, between them the caller's state holds."""

    @functools.wraps(make)
    def steady(*args: Arguments.args, **named: Arguments.kwargs) -> Iterator[Item]:
        items = make(*args, **named)
        try:
            while True:
                with steady_arithmetic():
                    item = next(items, _END)
                if item is _END:
                    return
                yield cast(Item, item)
        finally:
            cast(Generator[Item], items).close()

    return steady
