"""HTTP questions about who uses the APIs and whether their plan suits them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, BeforeValidator, Field

from analytics.answers import Format, as_file, listed, rows_frame
from analytics.api_deps import Ask, Known, Narrowed, Range, Zone
from analytics.api_traces import decode_cursor, encode_cursor
from analytics.clients import unique_clients
from analytics.consumers import active_by_calendar, active_consumers, cohorts
from analytics.filters import Dimension
from analytics.gateway_quota import gateway_quotas, side_by_side
from analytics.headroom import rate_headroom
from analytics.plan_fit import entitlement_use, plan_fits
from analytics.quota import quota_usage
from analytics.windows import WindowKind

router = APIRouter(prefix="/api/v1/analytics", tags=["consumers and plans"])


class SeenRow(BaseModel):
    name: str
    requests: int
    errors: int
    first_seen: datetime = Field(description="To the minute, hour or day, by the range's age.")
    last_seen: datetime


class SeenPage(BaseModel):
    by: str
    rows: list[SeenRow]
    next_cursor: str | None = Field(description="For the next page; null = this is the last.")


class CohortRow(BaseModel):
    cohort: datetime = Field(description="First week (from Monday) in the range.")
    week: int = Field(description="Weeks since; 0 = the first.")
    consumers: int
    share: float


class ActiveRow(BaseModel):
    time: datetime
    consumers: int


class ClientsRow(BaseModel):
    group: dict[str, str | int | None]
    clients: int
    error: float = Field(description="Relative, three standard deviations; 0 = exact.")
    requests: int


class PeakBody(BaseModel):
    requests: int
    at: datetime


def _finite(share: float) -> float | None:
    """JSON has no infinity."""
    return None if share == float("inf") else share


class HeadroomRow(BaseModel):
    consumer: str
    plan: str
    limit_per_minute: int | None
    limit_per_second: int | None
    minute: PeakBody | None
    second: PeakBody | None
    minutes_over: int
    refused: int
    share: Annotated[float | None, BeforeValidator(_finite)] = Field(
        description="Of the limit at the peak; null = a limit of 0."
    )


class PlanFitRow(BaseModel):
    consumer: str
    plan: str
    requests: int
    fit: str = Field(description="fits, too_small, too_large, dearer, idle or early.")
    cost: Decimal | None
    better: str | None
    better_cost: Decimal | None


class EntitlementRow(BaseModel):
    product: str
    entitled: int
    active: int
    requests: int
    quota: int | None
    without_plan: list[str]
    requests_without_plan: int


class GatewayQuotaRow(BaseModel):
    consumer: str
    window: str
    limit: int
    used: int = Field(description="By our count.")
    gateway: str | None
    gateway_at: datetime | None
    gateway_used: int | None
    gateway_remaining: int | None
    difference: int | None = Field(description="Gateway's count minus ours.")


@router.get("/seen", response_model=SeenPage)
def seen(
    ask: Ask,
    time_range: Range,
    filters: Narrowed,
    by: Dimension = "consumer",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    format: Format = "json",
) -> SeenPage | Response:
    """Every value of a dimension by name, with when it was first and last seen, page by page (a
    file is one page)."""
    after = None if cursor is None else decode_cursor(cursor)[1]
    frame = ask.seen(time_range, filters, by=by, after=after, limit=limit + 1)
    rows = [
        SeenRow.model_validate({**row, "name": row[by]})
        for row in frame.head(limit).iter_rows(named=True)
    ]
    if format != "json":
        return as_file(rows_frame(SeenRow, rows), f"seen-{by}", format)
    more = frame.height > limit
    return SeenPage(
        by=by,
        rows=rows,
        next_cursor=encode_cursor(time_range.start, rows[-1].name) if more else None,
    )


@router.get("/consumers/cohorts", response_model=list[CohortRow])
def consumer_cohorts(
    ask: Ask, time_range: Range, filters: Narrowed, format: Format = "json"
) -> Any:
    """Weekly retention: of the consumers first seen in a week, how many came back when."""
    found = cohorts(ask, time_range, filters)
    return listed(CohortRow, found.to_dicts(), "cohorts", format)


@router.get("/consumers/active", response_model=list[ActiveRow])
def consumers_active(
    ask: Ask,
    time_range: Range,
    filters: Narrowed,
    zone: Zone,
    interval: Annotated[int, Query(ge=3600, description="Seconds.")] = 86_400,
    per: Annotated[
        WindowKind | None, Query(description="Calendar windows of the zone, instead of interval.")
    ] = None,
    format: Format = "json",
) -> Any:
    """Distinct consumers per day, week or month of a time zone, or per interval; exact."""
    if per is None:
        found = active_consumers(ask, time_range, filters, interval_s=interval)
    else:
        found = active_by_calendar(ask, time_range, filters, kind=per, zone=zone)
    return listed(ActiveRow, found.to_dicts(), "active-consumers", format)


@router.get("/clients", response_model=list[ClientsRow])
def clients(
    ask: Ask,
    time_range: Range,
    filters: Narrowed,
    by: Annotated[list[str] | None, Query(max_length=5)] = None,
    format: Format = "json",
) -> Any:
    """Distinct client addresses; over many rows estimated, with the error that may have."""
    rows = [
        ClientsRow(
            group={name: row[name] for name in by or ()},
            clients=row["clients"],
            error=row["error"],
            requests=row["requests"],
        )
        for row in unique_clients(ask, time_range, filters, by=by or ()).to_dicts()
    ]
    return listed(ClientsRow, rows, "clients", format)


@router.get("/headroom", response_model=list[HeadroomRow])
def headroom(
    ask: Ask, catalog: Known, time_range: Range, filters: Narrowed, format: Format = "json"
) -> Any:
    """How near consumers come to their rate limits: busiest minute and second, nearest first."""
    found = rate_headroom(ask, catalog, time_range, filters)
    return listed(HeadroomRow, found, "headroom", format)


@router.get("/plan-fit", response_model=list[PlanFitRow])
def plan_fit(ask: Ask, catalog: Known, format: Format = "json") -> Any:
    """Consumers on the wrong plan by their last 30 days, with the plan that would suit them."""
    found = plan_fits(ask, catalog, now=datetime.now(UTC))
    return listed(PlanFitRow, found, "plan-fit", format)


@router.get("/entitlements", response_model=list[EntitlementRow])
def entitlements(
    ask: Ask, catalog: Known, time_range: Range, filters: Narrowed, format: Format = "json"
) -> Any:
    """Per product: who may use it, who does, and who does without a plan for it."""
    found = entitlement_use(ask, catalog, time_range, filters)
    return listed(EntitlementRow, found, "entitlements", format)


@router.get("/quota/gateways", response_model=list[GatewayQuotaRow])
def quota_by_gateways(ask: Ask, catalog: Known, format: Format = "json") -> Any:
    """Our count of each quota beside the newest numbers a gateway reported for it."""
    now = datetime.now(UTC)
    ours = quota_usage(ask, catalog, now=now, forecast=False)
    rows = [
        GatewayQuotaRow(
            consumer=pair.ours.consumer,
            window=pair.ours.kind,
            limit=pair.ours.limit,
            used=pair.ours.used,
            gateway=pair.gateway.gateway if pair.gateway else None,
            gateway_at=pair.gateway.at if pair.gateway else None,
            gateway_used=pair.gateway.used if pair.gateway else None,
            gateway_remaining=pair.gateway.remaining if pair.gateway else None,
            difference=pair.difference,
        )
        for pair in side_by_side(ours, gateway_quotas(ask, now=now))
    ]
    return listed(GatewayQuotaRow, rows, "quota-gateways", format)
