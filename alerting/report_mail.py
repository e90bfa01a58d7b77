"""Scheduled reports as mail: what `analytics` has to say, sent by an e-mail channel, at least once.

    enqueue_due   one row per schedule and period (its key is unique), whoever asks how often
    waiting       rows to be tried now -> report -> message -> mail host -> row marked delivered

A crash between the mail host's OK and the mark sends the mail again, with the same Message-ID, so
that a mail program shows it once. The wait after a failure survives restarts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate

import sqlalchemy as sa
import structlog

from alerting.channel import ChannelConfig
from alerting.errors import AlertingError, DeliveryFailed
from alerting.limits import CHANNEL_BATCH_MAX, DELIVERY_ATTEMPTS_MAX, REPORT_TIMEOUT_S
from alerting.notify_email import message_id, one_line
from alerting.outbox import backoff_s
from alerting.smtp import send_message
from analytics.errors import QueryRefused
from analytics.query import Analytics
from analytics.report_schedules import (
    ReportDelivery,
    ReportSchedule,
    ReportScheduleStore,
    zone_named,
)
from analytics.reports import Report, render_report
from analytics.scheduler import Work
from storage.catalog import Catalog

log = structlog.get_logger(__name__)

Sender = Callable[[ChannelConfig, EmailMessage], None]


class ReportMail:
    """Sends what is due. One at work at a time: the jobs lease sees to that."""

    def __init__(
        self,
        state: sa.Engine,
        analytics: Analytics,
        catalog: Catalog,
        channels: Mapping[str, ChannelConfig],
        *,
        check_lease: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        send: Sender | None = None,
    ) -> None:
        """`check_lease` is called before every mail and may raise to give the round up."""
        self._store = ReportScheduleStore(state, tenant=analytics.tenant)
        self._analytics = analytics
        self._catalog = catalog
        self._channels = {c.name: c for c in channels.values() if c.type == "email"}
        self._check_lease = check_lease
        self._clock = clock
        self._rng = rng or random.Random()
        self._send = send or _send

    def tick(self) -> Work | None:
        """Send what is due; None = nothing was. Raises DeliveryFailed after the round when a report
        was given up, so that the job's history and health say so."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._store.enqueue_due(now)
        due = self._store.waiting(now)[:CHANNEL_BATCH_MAX]
        sent, lost = 0, []
        for schedule, delivery in due:
            self._check_lease()
            try:
                sent += self._deliver(schedule, delivery)
            except Exception as err:
                if self._failed(delivery, err):
                    lost.append(f"{schedule.name}: {_said(err)}")
        if lost:
            raise DeliveryFailed(f"Reports given up: {'; '.join(lost)}", retry=False)
        return Work(rows_in=len(due), rows_out=sent) if due else None

    def _deliver(self, schedule: ReportSchedule, delivery: ReportDelivery) -> bool:
        """True = sent; False = there was nothing to tell."""
        channel = self._channel(schedule)
        now = datetime.fromtimestamp(self._clock(), UTC)
        report = render_report(
            self._analytics,
            self._catalog,
            schedule.audience,
            schedule.name,
            schedule.period,
            now=now,
            zone=zone_named(schedule.zone),
            period=delivery.period,
        )
        if report.empty and schedule.skip_empty:
            self._store.mark(delivery.id, skipped_at=self._clock(), error=None)
            return False
        message = report_message(channel, schedule, delivery, report, self._clock())
        self._check_lease()  # a month's report takes seconds to make
        self._send(channel, message)
        self._store.mark(
            delivery.id,
            delivered_at=self._clock(),
            attempts=delivery.attempts + 1,
            error=None,
        )
        log.info("report_sent", key=delivery.key, name=schedule.name, channel=channel.name)
        return True

    def _channel(self, schedule: ReportSchedule) -> ChannelConfig:
        if schedule.channel in self._channels:
            return self._channels[schedule.channel]
        if not schedule.channel and len(self._channels) == 1:
            return next(iter(self._channels.values()))
        known = ", ".join(sorted(self._channels)) or "none"
        wanted = f"called {schedule.channel!r}" if schedule.channel else "that is the only one"
        raise DeliveryFailed(
            f"There is no e-mail channel {wanted}; the channels file has: {known}.", retry=True
        )

    def _failed(self, delivery: ReportDelivery, err: Exception) -> bool:
        """Note a failure; True when it was the last one."""
        attempts, said = delivery.attempts + 1, _said(err)
        hopeless = isinstance(err, QueryRefused) or (
            isinstance(err, DeliveryFailed) and not err.retry
        )
        if hopeless or attempts >= DELIVERY_ATTEMPTS_MAX:
            log.error("report_dead", key=delivery.key, error=said)
            self._store.mark(delivery.id, attempts=attempts, dead_at=self._clock(), error=said)
            return True
        wait_s = backoff_s(attempts, self._rng)
        log.warning("report_retried", key=delivery.key, attempt=attempts, wait_s=wait_s, error=said)
        self._store.mark(
            delivery.id, attempts=attempts, next_attempt_at=self._clock() + wait_s, error=said
        )
        return False


def report_message(
    channel: ChannelConfig,
    schedule: ReportSchedule,
    delivery: ReportDelivery,
    report: Report,
    now: float,
) -> EmailMessage:
    """Text and HTML, with the attachments the schedule asks for."""
    message = EmailMessage()
    message["Subject"] = one_line(report.subject)
    message["From"] = channel.sender
    message["To"] = ", ".join(schedule.recipients or channel.to)
    message["Date"] = formatdate(now)
    message["Message-ID"] = message_id(delivery.key)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Gatelens-Delivery"] = delivery.key
    message.set_content(report.text)
    message.add_alternative(report.html, subtype="html")
    stem = f"gatelens-report-{report.content.period_label.replace(' ', '-')}"
    if "pdf" in schedule.formats:
        message.add_attachment(
            report.pdf, maintype="application", subtype="pdf", filename=f"{stem}.pdf"
        )
    if "csv" in schedule.formats:
        message.add_attachment(report.csv, subtype="csv", filename=f"{stem}.csv")
    return message


def _send(channel: ChannelConfig, message: EmailMessage) -> None:
    send_message(channel, message, timeout_s=REPORT_TIMEOUT_S)


def _said(err: Exception) -> str:
    # anything that is not ours may carry a URL in its text: only its type is kept
    return str(err) if isinstance(err, AlertingError | QueryRefused) else type(err).__name__
