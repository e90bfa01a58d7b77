"""Telling glibc's allocator to keep the large buffers of decoding instead of returning them.

Every batch makes and frees arrays of megabytes. By default glibc maps those afresh each time and
the kernel zeroes them page by page. With the settings below the memory of one batch serves the
next. numpy's arrays come from here; pyarrow's own come from mimalloc, which this does not touch.
"""

from __future__ import annotations

import ctypes
import sys

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
    return all(mallopt(parameter, value) for parameter, value in settings)
