"""What each role runs. One function a role; each blocks until it is asked to stop."""

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime

import structlog

from gatelens.settings import Settings

log = structlog.get_logger(__name__)


def run_collector(settings: Settings) -> None:
    """OTLP and access logs in, durable, into the lake."""
    from collector.main import run

    run(settings.collector, settings.storage_settings, settings.catalog)


def run_dashboards(settings: Settings) -> None:
    """Screens for people and the query API."""
    from dashboards.server import run

    run(settings.dashboard, settings.storage_settings, settings.catalog)


def run_jobs(settings: Settings) -> None:
    """Rollups, alert rules, delivery of notifications and the upkeep of the lake, on a schedule.

    One process: all of it is small and reads what the collector has committed. Two such processes
    by mistake do each job once (leases in the state store).
    """
    from alerting.main import build_alerting
    from storage.maintenance import Maintenance

    from analytics.main import build_scheduler

    storage = settings.storage_settings
    scheduler = build_scheduler(storage, settings.analytics)
    alerting = build_alerting(settings.alerting, storage, settings.catalog)
    maintenance = Maintenance(storage)
    scheduler.add(
        "alert_rules",
        lambda: alerting.evaluate_once(datetime.now(UTC)),
        every_s=settings.alerting.evaluate_interval_s,
    )
    scheduler.add("lake_upkeep", maintenance.run_once, every_s=10)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    scheduler.start()
    alerting.start_delivery()
    log.info("jobs_started")
    stopping.wait()
    started = time.monotonic()
    scheduler.stop()
    alerting.stop_delivery()
    log.info("jobs_stopped", took_s=round(time.monotonic() - started, 2))
