"""A start after a crash that left a large log behind: how fast it is read back, and for how much
memory."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.collector_corpus import MARK, corpus
from collector.wal import Append
from collector.wal_record import WalRecord
from tests.collector.core.doors import eventually
from tests.collector.core.logs import open_log
from tests.collector.core.process import CollectorProcess, counts
from tests.collector.core.test_memory_attacks import MB, Cost

SPANS = 1000
PEAK_MB_MAX = 600
MB_PER_CPU_S_MIN = 20
"""Of processor time, so that a busy machine does not matter."""


def _fill(folder: Path, size: int) -> tuple[int, int]:
    """A log of at least `size` bytes as a crash leaves it: requests, bytes of bodies."""
    bodies = corpus("spans", SPANS)
    at = bodies[0].index(MARK.encode())
    wal, outcomes = open_log(folder, fsync="off")
    wal.start()
    number = total = 0
    while total < size:
        number += 1
        body = bodies[number % len(bodies)]
        body = body[:at] + b"%016x" % number + body[at + 16 :]
        record = WalRecord(
            sequence=0,
            wire_body=body,
            encoding="identity",
            body_bytes=len(body),
            records=SPANS,
            digest=number.to_bytes(16, "big"),
            format="otlp_traces",
            content="protobuf",
            tenant="default",
            environment=None,
            received_unix_nano=time.time_ns(),
            origin="192.0.2.1",
        )
        wal.append(Append(record))
        outcomes.wait(number)
        total += len(body)
    wal.close()
    return number, total


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_log_of_two_gigabytes_is_read_back_at_a_bounded_cost(tmp_path: Path) -> None:
    requests, total = _fill(tmp_path / "wal", int(os.environ.get("REPLAY_MB", "2048")) * MB)
    collector = CollectorProcess(tmp_path)
    started = time.monotonic()
    collector.start()
    ready_s = time.monotonic() - started
    with Cost(collector) as cost:
        eventually(lambda: b"wal_lag_requests 0.0" in collector.get("/metrics")[1], 3000)
    took_s = time.monotonic() - started
    peak_mb = cost.peak_rss / MB
    sys.stdout.write(
        f"{total / MB:,.0f} MB, {requests * SPANS:,} spans: ready after {ready_s:.1f} s, all of it "
        f"in the lake after {took_s:.0f} s ({total / MB / took_s:.0f} MB/s; {cost.cpu_s:.0f} s of "
        f"a processor), peak RSS {peak_mb:.0f} MB\n"
    )
    collector.terminate()
    assert counts(tmp_path)["spans"][0] == requests * SPANS
    assert peak_mb < PEAK_MB_MAX
    assert total / MB / cost.cpu_s > MB_PER_CPU_S_MIN
