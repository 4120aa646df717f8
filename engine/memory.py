"""How much memory this process holds. Knows Linux; elsewhere it knows the peak only."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Return the resident memory of this process.

    Source: proc_pid_statm(5): the second number is resident pages; getrusage(2): the peak,
    in KiB but on macOS in bytes.
    """
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
