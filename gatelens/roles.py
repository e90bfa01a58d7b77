"""What each role runs. One function a role; each blocks until it is asked to stop."""

from __future__ import annotations

import os
import signal
import threading
import time

import structlog

from gatelens.settings import Settings

log = structlog.get_logger(__name__)

REPORTS_EVERY_S = 30.0
"""How often reports that are due are looked for."""

JOBS_NICENESS = 5
"""Rollups and upkeep give way to intake when all processors are busy."""

DASHBOARDS_NICENESS = 5
"""So do screens: a chart may wait, what a gateway sends must not."""

JOBS_STOP_WITHIN_S = 2.0
"""How long a running job may take to finish its step when the role is asked to stop."""


def run_collector(settings: Settings) -> None:
    """OTLP and access logs in, durable, into the lake."""
    # Kernels are compiled when their modules are imported.
    log.info("preparing_decoders", note="a first start compiles them, which can take a minute")
    from collector.main import run

    run(settings.collector, settings.storage_settings, settings.catalog)


def run_dashboards(settings: Settings) -> None:
    """Screens for people and the query API."""
    from dashboards.serving.server import run

    os.nice(DASHBOARDS_NICENESS)
    run(settings.dashboard, settings.storage_settings, settings.catalog, settings.alerting)


def run_jobs(settings: Settings) -> None:
    """Rollups, alert rules, delivery of notifications and the upkeep of the lake, on a schedule.

    One process: all of it is small and reads what the collector has committed. Two such processes
    by mistake do each job once (leases in the state store).
    """
    from alerting.build import build_alerting
    from alerting.channels import load_delivery
    from alerting.report_mail import ReportMail
    from analytics.main import build_scheduler
    from analytics.query import Analytics, CollectorTimes, Policy
    from gatelens.upkeep import UPKEEP_EVERY_S, LakeKeeper
    from storage.catalog import load_catalog
    from storage.lake import Lake
    from storage.session import ReadSession
    from storage.state import open_state

    os.nice(JOBS_NICENESS)
    storage = settings.storage_settings
    lake = Lake(storage)
    session = ReadSession(lake, tenant=settings.alerting.tenant)
    catalog = load_catalog(settings.catalog)
    scheduler = build_scheduler(storage, settings.analytics)
    state = open_state(storage)
    analytics = Analytics(session, policy=Policy.of(catalog), collectors=CollectorTimes(state))
    alerting = build_alerting(settings.alerting, state, analytics, catalog, lake=lake)
    mail = ReportMail(
        state,
        analytics,
        catalog,
        load_delivery(settings.alerting.channels_path).channels,
        check_lease=scheduler.check_lease,
    )
    scheduler.add("alert_rules", alerting.tick, every_s=settings.alerting.evaluate_interval_s)
    scheduler.add("reports", mail.tick, every_s=REPORTS_EVERY_S)
    scheduler.add("lake_upkeep", LakeKeeper(lake).tick, every_s=UPKEEP_EVERY_S)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    scheduler.start()
    log.info("jobs_started")
    stopping.wait()
    started = time.monotonic()

    # A rollup and its place are one commit, an alert's state and its notice one transaction: what
    # runs too long to wait for is simply left, and done again by the next start.
    def close() -> None:
        scheduler.stop()
        alerting.close()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(JOBS_STOP_WITHIN_S)
    log.info("jobs_stopped", took_s=round(time.monotonic() - started, 2), left=closing.is_alive())
    if closing.is_alive():
        os._exit(0)  # pool threads would otherwise be waited for
