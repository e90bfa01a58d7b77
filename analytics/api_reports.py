"""HTTP: reports to look at or fetch, and the schedules by which they are mailed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from analytics.api_deps import Ask, Known, Zone
from analytics.report_schedules import (
    Format,
    ReportDelivery,
    ReportSchedule,
    ReportScheduleStore,
)
from analytics.reports import Audience, owners, render_report
from analytics.windows import WindowKind

router = APIRouter(prefix="/api/v1/analytics", tags=["reports"])

Shape = Literal["html", "csv", "pdf"]
_TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8",
          "pdf": "application/pdf"}  # fmt: skip


class ReportNames(BaseModel):
    owners: list[str]
    consumers: list[str]


class ScheduleIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    audience: Audience
    name: str = Field(max_length=200, description="Owner team, or consumer.")
    period: WindowKind
    zone: str = Field("UTC", max_length=64, description="IANA name of a time zone.")
    send_at: str = Field("07:00", description="Local time after the period's end.")
    channel: str = Field("", max_length=200, description="E-mail channel; '' = the only one.")
    recipients: list[str] = Field(default_factory=list, description="None = the channel's.")
    formats: list[Format] = ["pdf", "csv"]
    skip_empty: bool = False


class ScheduleBody(ScheduleIn):
    id: int
    author: str
    created_at: datetime
    next_at: datetime = Field(description="When the next report is due.")


class DeliveryBody(BaseModel):
    id: int
    schedule_id: int
    period_start: datetime
    period_end: datetime
    state: str = Field(description="waiting, delivered, skipped (nothing to tell) or failed.")
    attempts: int
    next_attempt_at: datetime
    delivered_at: datetime | None
    error: str | None


class RunBody(BaseModel):
    key: str


def _schedules(request: Request, ask: Ask) -> ReportScheduleStore:
    """Schedules name everybody: who may see only some rows has none."""
    if ask.session.scope is not None:
        raise HTTPException(403, "Schedules are for people who may see every API and consumer.")
    if request.app.state.state_engine is None:
        raise HTTPException(404, "This server keeps no report schedules.")
    return ReportScheduleStore(request.app.state.state_engine, tenant=ask.tenant)


Schedules = Annotated[ReportScheduleStore, Depends(_schedules)]


@router.get("/reports")
def report_names(catalog: Known) -> ReportNames:
    """Whom there are reports for."""
    return ReportNames(owners=owners(catalog), consumers=sorted(c.name for c in catalog.consumers))


@router.get("/reports/schedules")
def schedules(store: Schedules) -> list[ScheduleBody]:
    """Every schedule, oldest first."""
    return [_body(s) for s in store.list()]


@router.post("/reports/schedules", status_code=201)
def add_schedule(store: Schedules, catalog: Known, wanted: ScheduleIn) -> ScheduleBody:
    """Mail a report after every day, week or month of a time zone."""
    schedule = ReportSchedule(
        **{
            **wanted.model_dump(),
            "recipients": tuple(wanted.recipients),
            "formats": tuple(wanted.formats),
        }
    )
    now = datetime.now(UTC)
    schedule.validate()
    known = owners(catalog) if wanted.audience == "owner" else [c.name for c in catalog.consumers]
    if wanted.name not in known:
        raise HTTPException(400, f"the catalog has no {wanted.audience} {wanted.name[:60]!r}")
    return _body(store.add(schedule, now=now))


@router.delete("/reports/schedules/{schedule_id}", status_code=204)
def remove_schedule(store: Schedules, schedule_id: int) -> None:
    """No more mails of it, waiting ones included."""
    if not store.remove(schedule_id):
        raise HTTPException(404, f"there is no schedule {schedule_id}")


@router.post("/reports/schedules/{schedule_id}/run", status_code=202)
def run_schedule(store: Schedules, schedule_id: int) -> RunBody:
    """Mail the last period's report once more; it is sent within a minute."""
    if store.get(schedule_id) is None:
        raise HTTPException(404, f"there is no schedule {schedule_id}")
    return RunBody(key=store.run_now(schedule_id, now=datetime.now(UTC)))


@router.get("/reports/deliveries")
def deliveries(store: Schedules, schedule_id: int | None = None) -> list[DeliveryBody]:
    """What was sent and what is waiting, newest first."""
    return [_delivery(d) for d in store.deliveries(schedule_id)]


@router.get("/reports/{audience}", response_class=Response)
def report(
    ask: Ask,
    catalog: Known,
    zone: Zone,
    audience: Audience,
    name: Annotated[str, Query(max_length=200, description="Owner team, or consumer.")],
    period: Annotated[WindowKind, Query(description="The last whole one.")] = "week",
    format: Shape = "html",
) -> Response:
    """The report of the last whole day, week or month, as mail would bring it."""
    found = render_report(ask, catalog, audience, name, period, now=datetime.now(UTC), zone=zone)
    body: str | bytes = found.pdf if format == "pdf" else getattr(found, format)
    headers = {}
    if format != "html":
        headers["Content-Disposition"] = f'attachment; filename="gatelens-report.{format}"'
    return Response(body, media_type=_TYPES[format], headers=headers)


def _body(schedule: ReportSchedule) -> ScheduleBody:
    return ScheduleBody.model_validate(
        {**asdict(schedule), "next_at": schedule.next_at(datetime.now(UTC))},
        extra="ignore",
    )


def _delivery(found: ReportDelivery) -> DeliveryBody:
    return DeliveryBody(
        id=found.id,
        schedule_id=found.schedule_id,
        period_start=found.period.start,
        period_end=found.period.end,
        state=found.state,
        attempts=found.attempts,
        next_attempt_at=found.next_attempt_at,
        delivered_at=found.delivered_at,
        error=found.error,
    )
