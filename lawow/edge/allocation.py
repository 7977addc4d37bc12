"""How the C library gives memory back to the kernel: not at once, in a worker.

A call with a list of 1 MiB needs six blocks of that size for a moment. By default glibc maps and unmaps each,
and the kernel clears and faults in every page again: 736 faults and 3.5 of 4 ms, as measured.
"""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h


def keep_freed_memory(most_bytes: int) -> bool:
    """Keep up to so much freed memory for the next block; False where the C library has no such setting.

    All threads share it: Python's lock lets one of them allocate at a time, so arenas of their own only lose
    what another thread has freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    settings = ((M_TRIM_THRESHOLD, most_bytes), (M_MMAP_THRESHOLD, most_bytes), (M_ARENA_MAX, 1))
    return mallopt is not None and all(mallopt(name, value) for name, value in settings)
