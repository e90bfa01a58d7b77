"""Who gets which report when, and what was delivered. Kept in the state store.

A schedule is due once for every day, week or month of its time zone, at a local time after the
period's end; the row of that delivery is made once (its key is unique), whoever asks how often.

    daily, 07:00, Europe/Berlin, period 2026-10-25 (25 hours)  -> due 2026-10-26 07:00 +01:00
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from analytics.errors import QueryRefused
from analytics.limits import (
    REPORT_CATCH_UP_MAX,
    REPORT_DELIVERIES_SHOWN_MAX,
    REPORT_RECIPIENTS_MAX,
    REPORT_SCHEDULES_MAX,
)
from analytics.report_content import Audience, last_period
from analytics.timerange import TimeRange
from analytics.windows import WindowKind, window_of
from storage.state import report_deliveries, report_schedules

Format = Literal["pdf", "csv"]

_ADDRESS = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,190}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class ReportSchedule:
    """One report that is sent again and again."""

    audience: Audience
    name: str
    """Owner team, or consumer."""
    period: WindowKind
    zone: str = "UTC"
    """IANA name; days, weeks and months are its, and so is `send_at`."""
    send_at: str = "07:00"
    """Local time of the day after the period's last. Rows that come later are not in it."""
    channel: str = ""
    """E-mail channel of the alert channels file; '' = the only one there."""
    recipients: tuple[str, ...] = ()
    """Addresses; none = those of the channel."""
    formats: tuple[Format, ...] = ("pdf", "csv")
    skip_empty: bool = False
    """Whether a period without any request is left unsent."""
    tenant: str = "default"
    author: str = ""
    created_at: datetime | None = None
    id: int | None = None
    """None = not stored yet."""

    def validate(self) -> None:
        """Raises QueryRefused with one sentence about the first thing that is wrong."""
        if self.audience not in ("owner", "consumer"):
            raise QueryRefused("a report is for an owner or a consumer")
        if self.period not in ("day", "week", "month"):
            raise QueryRefused("a report's period is day, week or month")
        if not _TIME.fullmatch(self.send_at):
            raise QueryRefused(f"{self.send_at[:10]!r} is no time of day; use e.g. 07:00")
        if len(self.recipients) > REPORT_RECIPIENTS_MAX:
            raise QueryRefused(f"a report goes to at most {REPORT_RECIPIENTS_MAX} addresses")
        for address in self.recipients:
            if not _ADDRESS.fullmatch(address):
                raise QueryRefused(f"{address[:60]!r} is no e-mail address")
        if not set(self.formats) <= {"pdf", "csv"}:
            raise QueryRefused("a report is attached as pdf, csv, both or neither")
        zone_named(self.zone)

    def due_at(self, period: TimeRange) -> datetime:
        """When the report of a period is to be sent, UTC. A local time that the clocks skip is
        taken as if they had not been set forward."""
        zone = zone_named(self.zone)
        day = period.end.astimezone(zone).date()
        hours, minutes = map(int, self.send_at.split(":"))
        return datetime.combine(day, time(hours, minutes), zone).astimezone(UTC)

    def next_at(self, now: datetime) -> datetime:
        """When the next report is due, after `now`."""
        zone = zone_named(self.zone)
        period = last_period(self.period, now, zone)
        while (due := self.due_at(period)) <= now:
            period = window_of(self.period, period.end, zone)
        return due

    def periods_due(self, now: datetime) -> list[TimeRange]:
        """Periods whose time to be sent has come, oldest first: the last REPORT_CATCH_UP_MAX, so
        that a long outage does not end in a flood; none that was due before the schedule was."""
        zone, found = zone_named(self.zone), []
        period = last_period(self.period, now, zone)
        for _ in range(REPORT_CATCH_UP_MAX):
            due = self.due_at(period)
            if self.created_at is not None and due < self.created_at:
                break
            if due <= now:
                found.append(period)
            period = window_of(self.period, period.start - timedelta(microseconds=1), zone)
        return found[::-1]


@dataclass(frozen=True, slots=True)
class ReportDelivery:
    """One report of one period, sent or still to be."""

    id: int
    key: str
    """The same for every attempt; the mail's Message-ID is made from it."""
    schedule_id: int
    period: TimeRange
    attempts: int
    next_attempt_at: datetime
    delivered_at: datetime | None
    skipped_at: datetime | None
    dead_at: datetime | None
    error: str | None

    @property
    def state(self) -> Literal["delivered", "skipped", "failed", "waiting"]:
        if self.delivered_at is not None:
            return "delivered"
        if self.skipped_at is not None:
            return "skipped"
        return "failed" if self.dead_at is not None else "waiting"


list_of = list  # the store has a method of that name


class ReportScheduleStore:
    """Reads and writes schedules and deliveries of one tenant."""

    def __init__(self, state: sa.Engine, *, tenant: str = "default") -> None:
        self._state = state
        self._tenant = tenant

    def add(self, schedule: ReportSchedule, *, now: datetime) -> ReportSchedule:
        """Store a schedule; the stored one has its id. Raises QueryRefused."""
        schedule.validate()
        with self._state.begin() as connection:
            count = connection.execute(
                sa.select(sa.func.count()).where(report_schedules.c.tenant == self._tenant)
            ).scalar_one()
            if count >= REPORT_SCHEDULES_MAX:
                raise QueryRefused(f"there are {count} schedules already; remove some first")
            inserted = connection.execute(
                sa.insert(report_schedules).values(
                    tenant=self._tenant,
                    audience=schedule.audience,
                    name=schedule.name,
                    period=schedule.period,
                    zone=schedule.zone,
                    send_at=schedule.send_at,
                    channel=schedule.channel,
                    recipients=json.dumps(schedule.recipients),
                    formats=json.dumps(schedule.formats),
                    skip_empty=int(schedule.skip_empty),
                    author=schedule.author,
                    created_at=now.timestamp(),
                )
            )
            new_id = inserted.inserted_primary_key
            assert new_id is not None
        return replace(schedule, id=int(new_id[0]), tenant=self._tenant, created_at=now)

    def list(self) -> list[ReportSchedule]:
        """Every schedule, oldest first."""
        query = sa.select(report_schedules).where(report_schedules.c.tenant == self._tenant)
        with self._state.connect() as connection:
            rows = connection.execute(query.order_by(report_schedules.c.id))
            return [_schedule(row) for row in rows.mappings()]

    def get(self, schedule_id: int) -> ReportSchedule | None:
        return next((s for s in self.list() if s.id == schedule_id), None)

    def remove(self, schedule_id: int) -> bool:
        """Forget a schedule and what it has not sent yet. False = there is none of that id."""
        with self._state.begin() as connection:
            gone = connection.execute(
                sa.delete(report_schedules).where(
                    report_schedules.c.id == schedule_id,
                    report_schedules.c.tenant == self._tenant,
                )
            ).rowcount
            if gone:
                connection.execute(
                    sa.delete(report_deliveries).where(
                        report_deliveries.c.schedule_id == schedule_id,
                        report_deliveries.c.delivered_at.is_(None),
                    )
                )
        return bool(gone)

    def enqueue_due(self, now: datetime) -> int:
        """Make a delivery for every period that is due and has none yet; how many were made."""
        made = 0
        for schedule in self.list():
            for period in schedule.periods_due(now):
                key = f"report:{schedule.id}:{period.start:%Y-%m-%dT%H:%M}"
                made += self._enqueue(schedule, period, key, now)
        return made

    def run_now(self, schedule_id: int, *, now: datetime) -> str:
        """Send the last period's report once more, now; its key. Raises QueryRefused."""
        schedule = self.get(schedule_id)
        if schedule is None:
            raise QueryRefused(f"there is no schedule {schedule_id}")
        period = last_period(schedule.period, now, zone_named(schedule.zone))
        key = f"report:{schedule_id}:{period.start:%Y-%m-%dT%H:%M}:{int(now.timestamp())}"
        self._enqueue(schedule, period, key, now)
        return key

    def waiting(self, now: datetime) -> Sequence[tuple[ReportSchedule, ReportDelivery]]:
        """Deliveries whose next attempt is due, oldest period first, with their schedules."""
        schedules = {s.id: s for s in self.list()}
        query = (
            sa.select(report_deliveries)
            .where(
                report_deliveries.c.delivered_at.is_(None),
                report_deliveries.c.skipped_at.is_(None),
                report_deliveries.c.dead_at.is_(None),
                report_deliveries.c.next_attempt_at <= now.timestamp(),
                report_deliveries.c.schedule_id.in_(schedules),
            )
            .order_by(report_deliveries.c.period_start, report_deliveries.c.id)
        )
        with self._state.connect() as connection:
            found = [_delivery(row) for row in connection.execute(query).mappings()]
        return [(schedules[delivery.schedule_id], delivery) for delivery in found]

    def deliveries(self, schedule_id: int | None = None) -> list_of[ReportDelivery]:
        """The newest deliveries, newest first; of one schedule or of all."""
        ids = [s.id for s in self.list() if schedule_id in (None, s.id)]
        query = (
            sa.select(report_deliveries)
            .where(report_deliveries.c.schedule_id.in_(ids))
            .order_by(report_deliveries.c.id.desc())
            .limit(REPORT_DELIVERIES_SHOWN_MAX)
        )
        with self._state.connect() as connection:
            return [_delivery(row) for row in connection.execute(query).mappings()]

    def mark(self, delivery_id: int, **columns: object) -> None:
        """Write what became of an attempt: columns of `report_deliveries`."""
        with self._state.begin() as connection:
            connection.execute(
                sa.update(report_deliveries)
                .where(report_deliveries.c.id == delivery_id)
                .values(**columns)
            )

    def _enqueue(
        self, schedule: ReportSchedule, period: TimeRange, key: str, now: datetime
    ) -> bool:
        """False = it is there already. Two processes that try at once make one."""
        with self._state.connect() as connection:
            known = sa.select(report_deliveries.c.id).where(report_deliveries.c.key == key)
            if connection.execute(known).first() is not None:
                return False
        try:
            with self._state.begin() as connection:
                connection.execute(
                    sa.insert(report_deliveries).values(
                        key=key,
                        schedule_id=schedule.id,
                        period_start=period.start.timestamp(),
                        period_end=period.end.timestamp(),
                        created_at=now.timestamp(),
                        attempts=0,
                        next_attempt_at=now.timestamp(),
                    )
                )
        except IntegrityError:
            return False
        return True


def zone_named(name: str) -> tzinfo:
    """Raises QueryRefused for what is no time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise QueryRefused(f"no time zone is called {name[:40]!r}; use e.g. Europe/Berlin") from err


def _schedule(row: sa.RowMapping) -> ReportSchedule:
    values: dict[str, Any] = dict(row)
    values["recipients"] = tuple(json.loads(values["recipients"]))
    values["formats"] = tuple(json.loads(values["formats"]))
    values["skip_empty"] = bool(values["skip_empty"])
    values["created_at"] = _moment(values["created_at"])
    return ReportSchedule(**values)


def _delivery(row: sa.RowMapping) -> ReportDelivery:
    start, end = _moment(row["period_start"]), _moment(row["period_end"])
    next_at = _moment(row["next_attempt_at"])
    assert start is not None
    assert end is not None
    assert next_at is not None
    return ReportDelivery(
        id=row["id"],
        key=row["key"],
        schedule_id=row["schedule_id"],
        period=TimeRange(start, end),
        attempts=row["attempts"],
        next_attempt_at=next_at,
        delivered_at=_moment(row["delivered_at"]),
        skipped_at=_moment(row["skipped_at"]),
        dead_at=_moment(row["dead_at"]),
        error=row["error"],
    )


def _moment(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)
