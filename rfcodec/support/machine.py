"""What this machine has left: free memory, within the limits of a container."""

from contextlib import suppress
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
# limit, usage, and the name of what the kernel takes back at need; of version 2, then 1
FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory() -> int:
    """Bytes that this process can have: what the system has free, or less where a control group has less."""
    free = psutil.virtual_memory().available
    with suppress(OSError):
        for line in MEMBERSHIP.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                # a limit may be set on any group above; inside a container its own group is the top
                parts = Path(path).parts[1:]
                folders = [CGROUPS.joinpath(controllers, *parts[:depth]) for depth in range(len(parts) + 1)]
                free = min(free, *(_left(folder, free) for folder in folders))
    return free


def _left(folder: Path, otherwise: int) -> int:
    for limit, usage, reclaimable in FILES:
        with suppress(OSError, ValueError):  # a limit may be the word max
            left = int((folder / limit).read_text()) - int((folder / usage).read_text())
            pages = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return max(0, left + int(pages.get(reclaimable, 0)))
    return otherwise
