"""Peak memory of one job: of the process, and of the GPU where it runs there."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import final

RESET = "5"  # of /proc/self/clear_refs: the high-water mark begins anew (Linux)


@final
class PeakMemory:
    """Begins to watch when made: the process's resident memory, and what torch allocates on a GPU.

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
        """Bytes on the device that does the work."""
        return self.on_device() if self._cuda else self.resident()

    def on_device(self) -> int:
        """Bytes that torch had on the GPU; 0 where there is none."""
        if not self._cuda:
            return 0
        import torch

        return torch.cuda.max_memory_allocated(self._device)

    def resident(self) -> int:
        """Bytes of main memory that the process had."""
        try:
            status = Path("/proc/self/status").read_text()
            return 1024 * int(status.partition("VmHWM:")[2].split()[0])
        except (OSError, IndexError):
            import resource  # which Windows has not

            unit = 1 if sys.platform == "darwin" else 1024
            return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
