"""Peak memory of one job, on whichever device holds more of it."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import final

RESET = "5"  # of /proc/self/clear_refs: the high-water mark begins anew (Linux)


@final
class PeakMemory:
    """Begins to watch when made. On a GPU, what torch allocated there; else the process's resident memory.

    Where the system cannot begin anew (not Linux), the peak is that of the whole process.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._cuda = device.startswith("cuda")
        if self._cuda:
            import torch

            torch.cuda.init()  # the counters of a numbered device are not there before
            torch.cuda.reset_peak_memory_stats(device)
        self._device = device
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text(RESET)

    def peak(self) -> int:
        """Bytes."""
        if self._cuda:
            import torch

            return torch.cuda.max_memory_allocated(self._device)
        try:
            status = Path("/proc/self/status").read_text()
            return 1024 * int(status.partition("VmHWM:")[2].split()[0])
        except (OSError, IndexError):
            import resource  # which Windows has not

            unit = 1 if sys.platform == "darwin" else 1024
            return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
