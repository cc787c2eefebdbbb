"""Whether this machine has the device that is asked for, before anything is opened for it."""

from typing import Any

from rfcodec.errors import ConfigError

CPU = "cpu"


def check_device(name: str) -> None:
    """Raises ConfigError where torch knows no such device or this machine has none."""
    if name == CPU:
        return
    import torch  # not loaded for --help

    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"there is no device {name!r}; there are: {', '.join(_here())}") from None
    if device.type == CPU:
        return
    module: Any = getattr(torch, device.type, None)
    if not (hasattr(module, "is_available") and module.is_available()):
        raise ConfigError(f"this machine has no device {name!r} that torch can use; it has: {', '.join(_here())}")
    count = module.device_count()
    if device.index is not None and device.index >= count:
        raise ConfigError(f"device {name!r} does not exist: this machine has {device.type}:0 to {device.type}:{count - 1}")


def _here() -> list[str]:
    import torch

    names = [CPU]
    for kind in ("cuda", "mps", "xpu"):
        module = getattr(torch, kind, None)
        if module is not None and module.is_available():
            names += [f"{kind}:{index}" for index in range(module.device_count())]
    return names
