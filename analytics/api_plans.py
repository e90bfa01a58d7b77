"""HTTP questions that need the catalog: quotas, objectives, consumers, invoices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from analytics.answers import Format, as_file, listed
from analytics.api_deps import Ask, Known, Narrowed, Range, Zone
from analytics.billing import Invoice, invoice_frame, invoices
from analytics.consumers import ConsumerChanges, consumer_changes
from analytics.forecast_models import ForecastModel
from analytics.quota import quota_usage
from analytics.scope import only_consumer
from analytics.slo import slo_statuses
from analytics.timerange import parse_time

router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"])


class QuotaRow(BaseModel):
    consumer: str
    group: str | None
    plan: str
    product: str | None
    window: str = Field(description="day, week or month.")
    window_start: datetime
    window_end: datetime
    limit: int
    used: int
    remaining: int
    percent: float
    refused: int
    exhausted_at: datetime | None = Field(description="Expected; null = lasts the window.")
    exhausted_earliest: datetime | None = Field(description="Lower end of the 80 % interval.")
    exhausted_latest: datetime | None
    used_at_end: float | None
    forecast_error: float | None = Field(description="Mean relative error of last week's days.")
    naive_error: float | None = Field(description="The same of repeating the week before.")


class SloRow(BaseModel):
    name: str
    api: str
    kind: str
    objective: float
    window_days: int
    good: int
    total: int
    ratio: float | None
    met: bool | None = Field(description="null = nothing measured.")
    budget_left: float | None = Field(description="1 = untouched; negative = overdrawn.")
    burn_rates: dict[str, float | None]
    coverage: float


class ConsumersBody(BaseModel):
    active: list[str]
    new: list[str]
    returning: list[str]
    retained: list[str]
    lost: list[str]
    retention: float | None


class InvoiceLine(BaseModel):
    kind: str
    quantity: int
    unit_price: Decimal
    amount: Decimal


class InvoiceBody(BaseModel):
    consumer: str
    plan: str
    product: str | None
    currency: str
    month_start: datetime
    month_end: datetime
    closed: bool
    closed_at: datetime | None = Field(None, description="When it was closed for good.")
    requests: int
    lines: list[InvoiceLine]
    total: Decimal = Field(description="Sum of the lines, without the adjustment.")
    adjustment_requests: int | None = Field(None, description="Counted since the month closed.")
    adjustment_amount: Decimal | None = None


@router.get("/quota", response_model=list[QuotaRow])
def quota(
    ask: Ask,
    catalog: Known,
    zone: Zone,
    consumer: Annotated[str | None, Query(max_length=200)] = None,
    forecast: bool = True,
    model: Annotated[
        ForecastModel, Query(description="mstl needs the extra gatelens[forecast].")
    ] = "seasonal",
    format: Format = "json",
) -> Any:
    """Every consumer against its plan's limits, fullest first, with the date they run out."""
    if consumer is not None:
        catalog = only_consumer(catalog, consumer)
    found = quota_usage(
        ask, catalog, now=datetime.now(UTC), zone=zone, forecast=forecast, model=model
    )
    rows = [
        QuotaRow(
            consumer=u.consumer,
            group=u.group,
            plan=u.plan,
            product=u.product,
            window=u.kind,
            window_start=u.window.start,
            window_end=u.window.end,
            limit=u.limit,
            used=u.used,
            remaining=u.remaining,
            percent=u.percent,
            refused=u.refused,
            exhausted_at=u.forecast.exhausted_at if u.forecast else None,
            exhausted_earliest=u.forecast.earliest if u.forecast else None,
            exhausted_latest=u.forecast.latest if u.forecast else None,
            used_at_end=u.forecast.used_at_end if u.forecast else None,
            forecast_error=u.forecast.error if u.forecast else None,
            naive_error=u.forecast.naive_error if u.forecast else None,
        )
        for u in found
    ]
    return listed(QuotaRow, rows, "quota", format)


@router.get("/slos", response_model=list[SloRow])
def slos(ask: Ask, catalog: Known, format: Format = "json") -> Any:
    """Every objective of the catalog: budget left and how fast it burns, most burnt first."""
    rows = [
        SloRow(
            name=s.slo.name,
            api=s.slo.api,
            kind=s.slo.kind,
            objective=s.slo.objective,
            window_days=s.slo.window_days,
            good=s.count.good,
            total=s.count.total,
            ratio=s.count.ratio,
            met=s.met,
            budget_left=s.budget_left,
            burn_rates=s.burn_rates,
            coverage=s.coverage,
        )
        for s in slo_statuses(ask, catalog, now=datetime.now(UTC))
    ]
    return listed(SloRow, rows, "slos", format)


@router.get("/consumers", response_model=ConsumersBody)
def consumers(
    ask: Ask, time_range: Range, filters: Narrowed, format: Format = "json"
) -> ConsumersBody | Response:
    """Who is active, new, returning, retained and lost, against the equal range before. A file has
    a row per consumer and a column per list."""
    found = consumer_changes(ask, time_range, filters)
    if format != "json":
        return as_file(_changes_frame(found), "consumers", format)
    return ConsumersBody.model_validate(found, from_attributes=True)


def _changes_frame(found: ConsumerChanges) -> pl.DataFrame:
    lists = {name: set(getattr(found, name)) for name in _LISTS}
    names = sorted(set().union(*lists.values()))
    columns = {name: [n in members for n in names] for name, members in lists.items()}
    return pl.DataFrame(
        {"consumer": names, **columns},
        schema={"consumer": pl.String, **dict.fromkeys(_LISTS, pl.Boolean)},
    )


_LISTS = ("active", "new", "returning", "retained", "lost")


@router.get("/invoices", response_model=list[InvoiceBody])
def monthly_invoices(
    ask: Ask,
    catalog: Known,
    zone: Zone,
    month: Annotated[str, Query(max_length=64, description="Any time in the month.")] = "now",
    format: Format = "json",
) -> list[InvoiceBody] | Response:
    """What a calendar month costs each consumer with a priced plan; lines add up to the cent.

    A month that was closed stays as it was; late rows are told as its adjustment.
    """
    now = datetime.now(UTC)
    found = invoices(ask, catalog, parse_time(month, now=now), now=now, zone=zone)
    if format != "json":
        return as_file(invoice_frame(found), "invoices", format)
    return [_invoice_body(invoice) for invoice in found]


def _invoice_body(i: Invoice) -> InvoiceBody:
    late = i.adjustment
    return InvoiceBody(
        consumer=i.consumer,
        plan=i.plan,
        product=i.product,
        currency=i.currency,
        month_start=i.month.start,
        month_end=i.month.end,
        closed=i.closed,
        closed_at=i.closed_at,
        requests=i.requests,
        lines=[InvoiceLine.model_validate(line, from_attributes=True) for line in i.lines],
        total=i.total,
        adjustment_requests=None if late is None else late.requests,
        adjustment_amount=None if late is None else late.amount,
    )
