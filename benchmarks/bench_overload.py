"""Five times what the collector can take: memory, goodput, and how long the admitted wait.

    python -m benchmarks.bench_overload [--seconds 200] [--rss-mb 700] [--zip]

First as many connections as it serves well, for its peak; then as many as have several times the
memory budget under way. Each sends the next request as soon as it is answered, whatever the answer;
compressed (--zip) after a pause, so that about five times the peak is offered: uncompressed, a
sender on one processor cannot push as much. Held: no more memory than allowed, at least 80 % of the
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
WELL, OVERLOADED, OVERLOADED_ZIPPED = 16, 640, 2000
"""Connections; a batch of 1,000 spans has 430 kB, 60 kB compressed, and the budget in flight is
128 MiB."""
TIMES = 9
"""Of the peak, what compressed requests would be if none waited; those admitted wait a second."""
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


@dataclass
class Sender:
    """How the load is made."""

    server: Server
    bodies: list[bytes]
    cpu: str
    zipped: bool


def load(sender: Sender, seconds: int, connections: int, pause_ms: int = 0) -> Window:
    """`pause_ms`: of each connection, between an answer and its next request."""
    server = sender.server
    accepted = server.metric("gatelens_collector_records_accepted_total")
    before, started = acks(server), time.time()
    sent = send_http(
        server, "spans", sender.bodies, seconds, connections, sender.zipped, sender.cpu, pause_ms
    )
    took = time.time() - started
    accepted = server.metric("gatelens_collector_records_accepted_total") - accepted
    waits = {bound: count - before.get(bound, 0) for bound, count in acks(server).items()}
    most = 0.99 * max(waits.values())
    p99 = min((bound for bound, count in waits.items() if count >= most), default=float("nan"))
    return Window(accepted / took, sent.requests / sent.seconds, p99, server.peak_rss_mb())


def shown(sender: Sender, seconds: int, connections: int, pause_ms: int = 0) -> Window:
    """The window, printed; everything is in the lake afterwards."""
    found = load(sender, seconds, connections, pause_ms)
    print(
        f"{connections:4} senders {found.offered_s:10,.0f} {found.accepted_s:10,.0f} "
        f"{found.p99_s:10g} {found.rss_mb:12.0f}",
        flush=True,
    )
    sender.server.settle()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=200)
    parser.add_argument("--rss-mb", type=float, default=700)
    parser.add_argument("--zip", action="store_true", help="gzip, and 5 times the peak")
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--sender-cpu", default="1")
    args = parser.parse_args()
    bodies = corpus("spans", BATCH)
    print(f"{'':12} {'requests/s':>10} {'spans/s':>10} {'ack p99 s':>10} {'peak RSS MB':>12}")
    with tempfile.TemporaryDirectory(prefix="gatelens-bench-") as name:
        folder = Path(name) / "data"
        with serve(folder, args.server_cpu) as server:
            sender = Sender(server, bodies, args.sender_cpu, args.zip)
            load(sender, 2, WELL)
            peak = shown(sender, 20, WELL)
            connections, pause_ms = OVERLOADED, 0.0
            if args.zip:
                connections = OVERLOADED_ZIPPED
                pause_ms = connections * BATCH * 1000 / (TIMES * peak.accepted_s)
            over = shown(sender, args.seconds, connections, round(pause_ms))
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
