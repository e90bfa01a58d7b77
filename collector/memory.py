"""Telling glibc's allocator to keep the large buffers of decoding instead of returning them.

Every batch makes and frees arrays of megabytes. By default glibc maps those afresh each time and
the kernel zeroes them page by page. With the settings below the memory of one batch serves the
next. pyarrow is told to take its memory from here, too: its own allocator, mimalloc, gives pages
back after every batch (5,000 page faults a batch) and keeps 100 MB more at the peak.
"""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

KEEP_BYTES = 128 * 1024 * 1024
"""Free memory kept at the top of the heap; more is returned to the system."""

MAP_BYTES = 256 * 1024 * 1024
"""Blocks from this size on are still mapped on their own."""

ARENAS = 2
"""Heaps that threads share: each would otherwise keep a batch's memory of its own."""


def keep_large_buffers() -> bool:
    """Set the allocator up for this process; False where it is not glibc. Call before threads."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = (
        (_M_MMAP_THRESHOLD, MAP_BYTES),
        (_M_TRIM_THRESHOLD, KEEP_BYTES),
        (_M_ARENA_MAX, ARENAS),
    )
    if not all(mallopt(parameter, value) for parameter, value in settings):
        return False
    pa.set_memory_pool(pa.system_memory_pool())
    return True
