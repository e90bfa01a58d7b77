"""What a month costs each consumer, from its metered requests and the price of its plan.

Counted are the requests that use up a quota (`quota.COUNTED`); `pricing.py` says which lines they
make. A month that is closed (`close_month`) keeps the lines it was closed with, whatever comes
later: its invoice can be made again to the cent after late rows or a new price. What late rows
changed is told beside it, as an adjustment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

import polars as pl
import pyarrow as pa

from analytics.errors import QueryRefused
from analytics.filters import Filters
from analytics.frames import to_frame
from analytics.pricing import LineItem, LineKind, has_price, line_items
from analytics.query import Analytics
from analytics.quota import counted_requests
from analytics.timerange import TimeRange
from analytics.windows import window_of
from storage.catalog import Catalog, Plan
from storage.lake import Lake
from storage.schemas import TABLES

__all__ = ["Adjustment", "Invoice", "LineItem", "LineKind", "close_month", "invoices", "line_items"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What rows that came after the month was closed would have changed."""

    requests: int
    """Counted requests now minus then; late rows make it positive."""
    amount: Decimal
    """To be charged (or, negative, credited) beside the closed invoice: at the plan's prices of
    today, the month as counted now minus the month as counted then."""


@dataclass(frozen=True, slots=True)
class Invoice:
    consumer: str
    plan: str
    product: str | None
    currency: str
    month: TimeRange
    closed: bool
    """False = the month is not over yet; numbers will grow."""
    requests: int
    lines: tuple[LineItem, ...]
    closed_at: datetime | None = None
    """When the month was closed for good; None = counted just now."""
    adjustment: Adjustment | None = None
    """None = nothing came late, or not closed for good."""

    @property
    def total(self) -> Decimal:
        """Sum of the lines; without the adjustment."""
        return sum((line.amount for line in self.lines), Decimal("0.00"))


def invoices(
    analytics: Analytics,
    catalog: Catalog,
    month: datetime,
    *,
    now: datetime,
    zone: tzinfo = UTC,
    tenant: str = "",
) -> list[Invoice]:
    """Invoices of the calendar month that holds `month`, by consumer; only plans with a price.

    Of a month that was closed in this zone: the invoices as closed, with adjustments.
    """
    window = window_of("month", month, zone)
    current = _counted(analytics, catalog, window, now, tenant)
    closed = _closed(analytics, window)
    if not closed:
        return current
    return [_adjusted(invoice, catalog, current) for invoice in closed]


def close_month(
    lake: Lake,
    analytics: Analytics,
    catalog: Catalog,
    month: datetime,
    *,
    now: datetime,
    zone: tzinfo = UTC,
) -> list[Invoice]:
    """Keep the invoices of a month that is over, for good; returns them.

    Doing it twice, or twice at once, keeps the first. Raises QueryRefused before the month's end.
    """
    window = window_of("month", month, zone)
    if now < window.end:
        raise QueryRefused("the month is not over; close it after its last day")
    counted = _counted(analytics, catalog, window, now, analytics.tenant)
    rows = _rows(counted, analytics.tenant, now)
    app_id = f"close/{analytics.tenant}/{window.start.isoformat()}"
    lake.table("billing_lines").append(rows, app_id=app_id, app_version=1)
    return invoices(analytics, catalog, month, now=now, zone=zone, tenant=analytics.tenant)


def invoice_frame(found: Sequence[Invoice]) -> pl.DataFrame:
    """One row per line, for export: amounts as text, so that no program rounds them."""
    rows = [
        {
            "consumer": i.consumer,
            "plan": i.plan,
            "product": i.product,
            "month_start": i.month.start,
            "month_end": i.month.end,
            "currency": i.currency,
            "line": number,
            "kind": line.kind,
            "quantity": line.quantity,
            "unit_price": str(line.unit_price),
            "amount": str(line.amount),
        }
        for i in found
        for number, line in enumerate(_with_adjustment(i), start=1)
    ]
    times = {"month_start": pl.Datetime("us", "UTC"), "month_end": pl.Datetime("us", "UTC")}
    names = ("consumer", "plan", "product", "month_start", "month_end", "currency", "line", "kind",
             "quantity", "unit_price", "amount")  # fmt: skip
    schema = {n: times.get(n, pl.Int64 if n in ("line", "quantity") else pl.String) for n in names}
    return pl.DataFrame(rows, schema=schema)


@dataclass(frozen=True, slots=True)
class _Line:
    kind: str
    quantity: int
    unit_price: Decimal | str
    amount: Decimal


def _with_adjustment(invoice: Invoice) -> list[LineItem | _Line]:
    lines: list[LineItem | _Line] = list(invoice.lines)
    if invoice.adjustment is not None:
        late = invoice.adjustment
        lines.append(_Line("adjustment", late.requests, "", late.amount))
    return lines


def _counted(
    analytics: Analytics, catalog: Catalog, window: TimeRange, now: datetime, tenant: str
) -> list[Invoice]:
    plans = _priced_plans(catalog)
    counts = counted_requests(analytics, plans, window, Filters(tenant=tenant))
    return [
        Invoice(
            consumer=name,
            plan=plan.name,
            product=plan.product,
            currency=plan.currency,
            month=window,
            closed=now >= window.end,
            requests=counts[name],
            lines=tuple(line_items(plan, counts[name])),
        )
        for name, plan in sorted(plans.items())
    ]


def _priced_plans(catalog: Catalog) -> Mapping[str, Plan]:
    plans = {c.name: catalog.plan(c.plan) for c in catalog.consumers}
    return {name: plan for name, plan in plans.items() if plan is not None and has_price(plan)}


def _rows(found: Sequence[Invoice], tenant: str, now: datetime) -> pa.Table:
    rows = [
        {
            "time": i.month.start,
            "tenant": tenant,
            "month_end": i.month.end,
            "closed_at": now,
            "consumer": i.consumer,
            "plan": i.plan,
            "product": i.product,
            "currency": i.currency,
            "line": number,
            "kind": line.kind,
            "quantity": line.quantity,
            "unit_price": str(line.unit_price),
            "amount": str(line.amount),
            "requests": i.requests,
        }
        for i in found
        for number, line in enumerate(i.lines, start=1)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["billing_lines"].arrow_schema)


def _closed(analytics: Analytics, window: TimeRange) -> list[Invoice]:
    """Invoices as they were closed, by consumer; none = the month was not closed in this zone."""
    table = analytics.session.query(
        "SELECT * FROM billing_lines WHERE time = $start AND month_end = $end "
        "ORDER BY consumer, line",
        {"start": window.start, "end": window.end},
        start=window.start,
        end=window.end,
    )
    found = []
    for (consumer,), rows in to_frame(table).group_by("consumer", maintain_order=True):
        first = rows.row(0, named=True)
        found.append(
            Invoice(
                consumer=str(consumer),
                plan=first["plan"],
                product=first["product"],
                currency=first["currency"],
                month=window,
                closed=True,
                requests=first["requests"],
                lines=tuple(
                    LineItem(
                        r["kind"], r["quantity"], Decimal(r["unit_price"]), Decimal(r["amount"])
                    )
                    for r in rows.iter_rows(named=True)
                ),
                closed_at=first["closed_at"],
            )
        )
    return found


def _adjusted(invoice: Invoice, catalog: Catalog, current: Sequence[Invoice]) -> Invoice:
    """The closed invoice with what came late; one whose plan is gone is left as it was."""
    plan = catalog.plan(invoice.plan)
    now = next((i for i in current if i.consumer == invoice.consumer), None)
    if plan is None or now is None or now.requests == invoice.requests:
        return invoice
    then = sum((line.amount for line in line_items(plan, invoice.requests)), Decimal("0.00"))
    later = sum((line.amount for line in line_items(plan, now.requests)), Decimal("0.00"))
    return Invoice(
        consumer=invoice.consumer,
        plan=invoice.plan,
        product=invoice.product,
        currency=invoice.currency,
        month=invoice.month,
        closed=True,
        requests=invoice.requests,
        lines=invoice.lines,
        closed_at=invoice.closed_at,
        adjustment=Adjustment(now.requests - invoice.requests, later - then),
    )
