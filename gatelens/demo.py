"""`gatelens demo`: the real servers, and a fictional API company's traffic through the front doors.

The sender is a role of its own under the same supervisor. Nothing here writes to the lake except
the history of the first start, which nobody can have sent.
"""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import structlog
from rich.console import Console

from gatelens.settings import Settings
from gatelens.supervisor import Role, Supervisor
from gatelens.up import (
    check_ports_free,
    collector_url,
    dashboard_url,
    insecure_flag,
    role_command,
    run_until_signal,
    server_roles,
)

log = structlog.get_logger(__name__)
console = Console(highlight=False, soft_wrap=True)

HISTORY_NICENESS = 10
"""The past can wait while the servers start beside it."""

EXAMPLE_QUERY = "SELECT api, count(*) FROM requests GROUP BY api"
SAMPLE_DIR = Path(__file__).resolve().parent.parent / "sample_data"


def run_demo(settings: Settings, config: Path | None, *, days: int, rate_per_s: float) -> int:
    """Run servers and sample traffic until Ctrl-C; alerts are printed as they are delivered."""
    from sample_data.sink import NotificationSink

    check_ports_free(settings)
    log_dir = settings.data_dir / "logs"
    sink = NotificationSink(settings.data_dir / "notifications.jsonl", on_notification=_print_alert)
    sink.start()
    console.print(
        f"Starting gatelens with sample traffic (data in {settings.data_dir}; logs in {log_dir}). "
        "The first start also compiles the decoder."
    )
    traffic = role_command("demo-traffic", settings, config)
    supervisor = Supervisor(
        [
            *server_roles(settings, config),
            Role("traffic", (*traffic, "--days", str(days), "--rate", str(rate_per_s))),
        ],
        environment={**insecure_flag(settings), **demo_environment(settings, sink.url)},
        log_dir=log_dir,
        on_ready=lambda seconds: _print_ready(settings, seconds),
        on_restart=lambda role, code: console.print(
            f"{role} ended (exit {code}); restarting it. Its log: {log_dir / role}.log"
        ),
    )
    try:
        return run_until_signal(supervisor)
    finally:
        sink.stop()
        console.print("Stopped. The next start goes on with the same data.")


def demo_environment(settings: Settings, sink_url: str) -> dict[str, str]:
    """What the demo sets where the user has not: catalog, rules, our own sink as the channel."""
    environment = {
        "GATELENS_ALERTING_CHANNELS_PATH": str(SAMPLE_DIR / "demo_channels.yaml"),
        "GATELENS_DEMO_SINK_URL": sink_url,
    }
    if settings.catalog is None:
        environment["GATELENS_CATALOG"] = str(SAMPLE_DIR / "catalog.yaml")
    if not settings.alerting.rules_path:
        environment["GATELENS_ALERTING_RULES_PATH"] = str(SAMPLE_DIR / "demo_rules.yaml")
    return environment


def run_demo_traffic(settings: Settings, *, days: int, rate_per_s: float) -> None:
    """The sender's role: history once, then live traffic until asked to stop."""
    from sample_data.history import quota_used_so_far, write_demo_history
    from sample_data.live import LiveTraffic

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    storage = settings.storage_settings
    live = LiveTraffic(
        otlp_http_url=collector_url(settings),
        otlp_grpc_target=f"{settings.collector.host}:{settings.collector.grpc_port}",
        rate_per_s=rate_per_s,
        quota_used=quota_used_so_far(storage, datetime.now(UTC)),
    )
    live.start()
    os.nice(HISTORY_NICENESS)  # on Linux this thread alone: live traffic keeps its pace
    rows = write_demo_history(
        storage, days=days, until=live.started_at, rate_per_s=rate_per_s, stop=stopping.is_set
    )
    log.info("history_written", rows=rows)
    stopping.wait()
    live.stop()


def _print_ready(settings: Settings, seconds: float) -> None:
    collector = settings.collector
    console.print(
        f"\n[bold]Gatelens is up[/bold] after {seconds:.1f} s. Open "
        f"[bold]{dashboard_url(settings)}[/bold]\n"
        f"  collector   OTLP/gRPC {collector.host}:{collector.grpc_port}, "
        f"OTLP/HTTP {collector_url(settings)}, NGINX lines {collector_url(settings)}/ingest/nginx\n"
        f'  analysts    gatelens sql --data {settings.data_dir} "{EXAMPLE_QUERY}"\n'
        "  in about a minute one API's upstream fails for a while: watch Home and Alerts; "
        "notifications appear here\n"
        "  Ctrl-C stops everything; the data stays.\n"
    )


def _print_alert(summary: str) -> None:
    console.print(f"[bold]notification[/bold] {summary}")
