"""Compiles every kernel, or loads it from numba's cache, before the ports say they are ready.

The kernels have explicit signatures and are compiled when their modules are imported: some seconds
the first time on a machine, well under one second from the cache beside the modules (or in the
user's cache folder where the package is not writable; NUMBA_CACHE_DIR moves it).
"""

from __future__ import annotations

import time


def warm_kernels() -> float:
    """Import and run all kernels once. Returns the seconds it took."""
    start = time.perf_counter()
    from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES
    from collector.payload import Payload

    now = time.time_ns()
    for otlp in (OTLP_TRACES, OTLP_LOGS, OTLP_METRICS):
        payload = Payload(b"", otlp.name, "protobuf", "", None, now, "")
        otlp.validate(payload)
        otlp.decode([payload])
    return time.perf_counter() - start
