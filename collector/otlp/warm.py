"""Compiles every kernel, or loads it from numba's cache, before the ports say they are ready.

The kernels have explicit signatures and are compiled when their modules are imported: some seconds
the first time on a machine, well under one second from the cache beside the modules (or in the
user's cache folder where the package is not writable; NUMBA_CACHE_DIR moves it).
"""

from __future__ import annotations

import time

from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES
from collector.otlp.machine import compiling_s
from collector.payload import Payload


def warm_kernels() -> float:
    """Run everything once. Returns the seconds that this and compiling or loading took."""
    start = time.perf_counter()
    now = time.time_ns()
    for otlp in (OTLP_TRACES, OTLP_LOGS, OTLP_METRICS):
        payload = Payload(b"", otlp.name, "protobuf", "", None, now, "")
        otlp.validate(payload)
        otlp.decode([payload])
    return sum(compiling_s) + time.perf_counter() - start
