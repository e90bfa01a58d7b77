"""Five times what the collector can take: memory, goodput, and how long the admitted wait.

    python -m benchmarks.bench_overload [--seconds 200] [--rss-mb 700]

First as many connections as it serves well, for its peak; then as many as have several times the
memory budget under way. Each sends the next request as soon as it is answered, whatever the answer,
so that what is refused comes again at once. Held: no more memory than allowed, at least 80 % of the
peak's records acknowledged, 99 of 100 of those within five seconds, and every one of them in the
lake. Exit code 1 where that is not so.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench_collector import Server, send_http, serve
from benchmarks.collector_corpus import corpus
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

BATCH = 1000
WELL, OVERLOADED = 16, 640
"""Connections; a batch of 1,000 spans has 430 kB, and the budget in flight is 128 MiB."""
WAIT_S_MAX = 5.0
GOODPUT_MIN = 0.8


@dataclass
class Window:
    """What happened over some time."""

    accepted_s: float
    """Records acknowledged, a second."""
    offered_s: float
    """Requests, acknowledged or refused, a second."""
    p99_s: float
    """Of the acknowledged; the bound of the histogram's bucket."""
    rss_mb: float


def acks(server: Server) -> dict[float, float]:
    """Upper bound in seconds -> acknowledgements within it, since the start."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/metrics") as answer:
        text = answer.read().decode()
    found = re.findall(r'ack_seconds_bucket\{le="(\S+?)",transport="http"\} (\S+)', text)
    return {float(bound): float(count) for bound, count in found}


def load(server: Server, bodies: list[bytes], seconds: int, connections: int, cpu: str) -> Window:
    accepted = server.metric("gatelens_collector_records_accepted_total")
    before, started = acks(server), time.time()
    sent = send_http(server, "spans", bodies, seconds, connections, False, cpu)
    took = time.time() - started
    accepted = server.metric("gatelens_collector_records_accepted_total") - accepted
    waits = {bound: count - before.get(bound, 0) for bound, count in acks(server).items()}
    most = 0.99 * max(waits.values())
    p99 = min((bound for bound, count in waits.items() if count >= most), default=float("nan"))
    return Window(accepted / took, sent.requests / sent.seconds, p99, server.peak_rss_mb())


def shown(server: Server, bodies: list[bytes], seconds: int, connections: int, cpu: str) -> Window:
    """The window, printed; everything is in the lake afterwards."""
    found = load(server, bodies, seconds, connections, cpu)
    print(
        f"{connections:4} senders {found.offered_s:10,.0f} {found.accepted_s:10,.0f} "
        f"{found.p99_s:10g} {found.rss_mb:12.0f}",
        flush=True,
    )
    server.settle()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=200)
    parser.add_argument("--rss-mb", type=float, default=700)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--sender-cpu", default="1")
    args = parser.parse_args()
    bodies = corpus("spans", BATCH)
    print(f"{'':12} {'requests/s':>10} {'spans/s':>10} {'ack p99 s':>10} {'peak RSS MB':>12}")
    with tempfile.TemporaryDirectory(prefix="gatelens-bench-") as name:
        folder = Path(name) / "data"
        with serve(folder, args.server_cpu) as server:
            load(server, bodies, 2, WELL, args.sender_cpu)
            peak = shown(server, bodies, 20, WELL, args.sender_cpu)
            over = shown(server, bodies, args.seconds, OVERLOADED, args.sender_cpu)
            accepted = server.metric("gatelens_collector_records_accepted_total")
        session = ReadSession(Lake(StorageSettings(data_dir=folder)))
        rows = session.query("SELECT count(*) n FROM spans")["n"][0].as_py()
    goodput, times = over.accepted_s / peak.accepted_s, over.offered_s * BATCH / peak.accepted_s
    print(f"{times:.1f} times the peak offered for {args.seconds} s, {goodput:.0%} of it taken;")
    print(f"{rows:,.0f} rows of {accepted:,.0f} acknowledged are in the lake")
    held = rows == accepted and over.rss_mb <= args.rss_mb and goodput >= GOODPUT_MIN
    return 0 if held and over.p99_s <= WAIT_S_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
