"""`python -m sample_data`: history, live traffic or the committed files."""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sample_data.company import DEFAULT_SEED
from sample_data.history import write_history
from sample_data.live import LiveTraffic
from sample_data.scenario import DEMO_RATE_PER_S
from sample_data.write_files import FILES_DIR, write_files
from storage.lake import Lake
from storage.settings import StorageSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the three; the exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "history":
        return _history(options)
    if options.command == "live":
        return _live(options)
    for path in write_files(options.folder):
        sys.stdout.write(f"{path}  {path.stat().st_size} bytes\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sample_data", description="Traffic of Waypost, a fictional API company."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    history = commands.add_parser("history", help="write days of requests straight into the lake")
    history.add_argument("--data", type=Path, default=Path("gatelens-data"), help="data folder")
    history.add_argument("--days", type=float, default=7.0)
    history.add_argument("--requests-per-day", type=int, default=200_000)
    history.add_argument("--spans-hours", type=float, default=0.0, help="hours with spans and logs")
    history.add_argument("--until", type=_moment, default=None, help="ISO time; default now")
    history.add_argument("--seed", type=int, default=DEFAULT_SEED)
    live = commands.add_parser("live", help="send live traffic to a collector until Ctrl-C")
    live.add_argument("--http", default="http://127.0.0.1:4318", help="OTLP/HTTP base URL")
    live.add_argument("--grpc", default="127.0.0.1:4317", help="OTLP/gRPC host:port")
    live.add_argument(
        "--rate", type=float, default=DEMO_RATE_PER_S, help="calls per second, mean of a week"
    )
    live.add_argument("--seed", type=int, default=DEFAULT_SEED)
    files = commands.add_parser("files", help="write the small committed files anew")
    files.add_argument("--folder", type=Path, default=FILES_DIR)
    return parser


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _history(options: argparse.Namespace) -> int:
    report = write_history(
        Lake(StorageSettings(data_dir=options.data)),
        days=options.days,
        until=options.until or dt.datetime.now(dt.UTC),
        requests_per_day=options.requests_per_day,
        seed=options.seed,
        spans_hours=options.spans_hours,
        progress=lambda done, hours: _say(f"\r{done} of {hours} hours"),
    )
    _say(f"\r{report.requests} requests, {report.spans} spans and {report.logs} logs written\n")
    return 0


def _live(options: argparse.Namespace) -> int:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    live = LiveTraffic(options.http, options.grpc, rate_per_s=options.rate, seed=options.seed)
    live.start()
    while not stopping.wait(1.0):
        counts = live.counts
        _say(f"\r{counts.spans_calls} calls as spans, {counts.nginx_lines} as log lines")
    live.stop()
    _say("\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
