"""What each role runs. One function a role; each blocks until it is asked to stop."""

from __future__ import annotations

import signal
import threading
import time

import structlog

from gatelens.settings import Settings

log = structlog.get_logger(__name__)

UPKEEP_EVERY_S = 10.0
"""How often small files are looked for; work is proportional to what is new."""


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
    from alerting.build import build_alerting
    from analytics.main import build_scheduler
    from analytics.query import Analytics
    from storage.catalog import load_catalog
    from storage.lake import Lake
    from storage.maintenance import Maintenance
    from storage.session import ReadSession
    from storage.state import open_state

    storage = settings.storage_settings
    session = ReadSession(Lake(storage), tenant=settings.alerting.tenant)
    scheduler = build_scheduler(storage, settings.analytics)
    alerting = build_alerting(
        settings.alerting, open_state(storage), Analytics(session), load_catalog(settings.catalog)
    )
    scheduler.add("alert_rules", alerting.tick, every_s=settings.alerting.evaluate_interval_s)
    scheduler.add("lake_upkeep", Maintenance(storage).run_once, every_s=UPKEEP_EVERY_S)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    scheduler.start()
    log.info("jobs_started")
    stopping.wait()
    started = time.monotonic()
    scheduler.stop()
    alerting.close()
    session.close()
    log.info("jobs_stopped", took_s=round(time.monotonic() - started, 2))
