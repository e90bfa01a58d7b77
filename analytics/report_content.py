"""What a report says: numbers, charts and tables of one period, for an owner of APIs or a consumer.

Made from the functions the screens use, so the numbers are the same. How it looks is the business
of `report_html.py` and `report_pdf.py`; who gets it when, of `report_schedules.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

import polars as pl

from analytics.billing import invoices
from analytics.buckets import quantiles_by
from analytics.errors import QueryRefused
from analytics.filters import Filters
from analytics.query import Analytics
from analytics.quota import QuotaUsage, quota_usage
from analytics.report_text import (
    bytes_text,
    change_text,
    count_text,
    growth_text,
    ms_text,
    one_line,
    percent_text,
    period_text,
)
from analytics.results import Completeness, Overview
from analytics.scope import narrow_catalog, owner_scope
from analytics.slo import slo_statuses
from analytics.timerange import TimeRange
from analytics.windows import WindowKind, window_of
from storage.catalog import Catalog

Audience = Literal["owner", "consumer"]

ROWS_MAX = 25
"""Rows of each table; the attached CSV has them all, up to the room's limits."""

BARS_MAX = 8
"""Bars of a ranking."""


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the numbers on top."""

    label: str
    value: str
    change: str
    """Against the period before, in words; '' = nothing to compare with."""
    good: bool | None = None
    """Whether the change is for the better; None = neither."""


@dataclass(frozen=True, slots=True)
class Chart:
    """columns: one bar per label and, stacked, series. lines: one line per series. bars: a ranking,
    lying bars, one per label. Values None = not measured: a gap."""

    title: str
    kind: Literal["columns", "lines", "bars"]
    unit: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[float | None, ...]], ...]
    """(name, a value per label)."""


@dataclass(frozen=True, slots=True)
class ReportTable:
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ReportContent:
    title: str
    """One line: whose report and of when."""
    subtitle: str
    audience: Audience
    name: str
    period: TimeRange
    period_label: str
    numbers: tuple[KeyNumber, ...]
    charts: tuple[Chart, ...]
    tables: tuple[ReportTable, ...]
    note: str
    """How complete the numbers are."""
    details: pl.DataFrame
    """For the CSV: per API, version and route (owner) or API, route and status (consumer)."""
    empty: bool
    """Whether there was no request at all: such a report may be left unsent."""


def last_period(kind: WindowKind, now: datetime, zone: tzinfo = UTC) -> TimeRange:
    """The last whole day, week or month that is over."""
    current = window_of(kind, now, zone)
    return window_of(kind, current.start - timedelta(microseconds=1), zone)


def owners(catalog: Catalog) -> list[str]:
    """Everyone the catalog names as owner of an API, by name."""
    return sorted({api.owner for api in catalog.apis if api.owner})


def build_report(
    analytics: Analytics,
    catalog: Catalog,
    audience: Audience,
    name: str,
    kind: WindowKind,
    *,
    now: datetime,
    zone: tzinfo = UTC,
    period: TimeRange | None = None,
) -> ReportContent:
    """The report of a whole period (default: the last one) for an owner of APIs or one consumer.

    A consumer sees its own calls alone. Raises QueryRefused for a name the catalog does not have.
    """
    period = period or last_period(kind, now, zone)
    before = window_of(kind, period.start - timedelta(microseconds=1), zone)
    filters = _filters(analytics, catalog, audience, name)
    found, earlier = (analytics.overview(p, filters, previous=False) for p in (period, before))
    times = _over_time(analytics, period, kind, filters, zone)
    if audience == "owner":
        charts, tables = _owner_parts(analytics, catalog, name, period, before, filters, now)
        details = analytics.usage(period, filters, by=("api", "api_version", "route"))
    else:
        charts, tables = _consumer_parts(
            analytics, catalog, name, period, before, filters, kind, now, zone
        )
        details = analytics.usage(period, filters, by=("api", "route", "status_code"))
    label = period_text(period, kind, zone)
    return ReportContent(
        title=one_line(f"{name}: API {'report' if audience == 'owner' else 'use'}, {label}"),
        subtitle=_subtitle(catalog, audience, filters, zone),
        audience=audience,
        name=name,
        period=period,
        period_label=label,
        numbers=_numbers(analytics, found, earlier, period, before, filters, audience),
        charts=(*times, *charts),
        tables=tuple(tables),
        note=_note(analytics.completeness(period, filters)),
        details=details,
        empty=found.requests == 0,
    )


def _filters(analytics: Analytics, catalog: Catalog, audience: Audience, name: str) -> Filters:
    if audience == "consumer":
        if catalog.consumer(name=name) is None:
            raise QueryRefused(f"the catalog has no consumer called {name[:60]!r}")
        return Filters(tenant=analytics.tenant, consumer=(name,))
    apis = tuple(api.name for api in catalog.apis if api.owner == name)
    if not apis:
        raise QueryRefused(f"no API of the catalog is owned by {name[:60]!r}")
    return Filters(tenant=analytics.tenant, api=apis)


def _subtitle(catalog: Catalog, audience: Audience, filters: Filters, zone: tzinfo) -> str:
    if audience == "owner":
        shown = ", ".join(filters.api[:6]) + (", ..." if len(filters.api) > 6 else "")
        return f"{shown}. Days in {zone}."
    consumer = catalog.consumer(name=filters.consumer[0])
    plan = "no plan" if consumer is None or consumer.plan is None else f"plan {consumer.plan}"
    return f"{plan}. Days in {zone}."


def _numbers(
    analytics: Analytics,
    found: Overview,
    before: Overview,
    period: TimeRange,
    earlier: TimeRange,
    filters: Filters,
    audience: Audience,
) -> tuple[KeyNumber, ...]:
    numbers = [
        KeyNumber(
            "Requests",
            count_text(found.requests),
            change_text(found.requests, before.requests),
            _better(found.requests, before.requests),
        ),
        KeyNumber(
            "Errors",
            percent_text(found.error_rate),
            f"before: {percent_text(before.error_rate)}",
            _better(before.error_rate, found.error_rate),
        ),
        KeyNumber(
            "95 % answered within",
            ms_text(found.p95_ms),
            f"before: {ms_text(before.p95_ms)}",
            _better(before.p95_ms, found.p95_ms),
        ),
    ]
    if audience == "owner":
        consumers = change_text(found.consumers, before.consumers)
        good = _better(found.consumers, before.consumers)
        return (*numbers, KeyNumber("Consumers", count_text(found.consumers), consumers, good))
    sent, was = (_bytes_sent(analytics, p, filters) for p in (period, earlier))
    change = "" if sent is None or was is None else change_text(sent, was)
    return (*numbers, KeyNumber("Data received", bytes_text(sent), change))


def _better(one: float | None, other: float | None) -> bool | None:
    """Whether one is above the other by a hundredth at least; None = about equal, or unknown."""
    if one is None or other is None or abs(one - other) <= 0.01 * max(abs(one), abs(other)):
        return None
    return one > other


def _bytes_sent(analytics: Analytics, period: TimeRange, filters: Filters) -> float | None:
    value: float | None = analytics.measure("response_bytes", period, filters)["value"][0]
    return value


def _over_time(
    analytics: Analytics, period: TimeRange, kind: WindowKind, filters: Filters, zone: tzinfo
) -> tuple[Chart, Chart]:
    """Requests and latency per local hour (a day's report) or local day.

    Days are put together from whole UTC hours: in a zone of half hours they begin half an hour off.
    """
    step = "%H:%M" if kind == "day" else "%m-%d"
    key = pl.col("time").dt.convert_time_zone(str(zone)).dt.strftime(step).alias("label")
    usage = analytics.usage(period, filters, interval_s=3600)
    # in order of time; the hour that comes twice when clocks are set back is one column
    rows = usage.with_columns(key).group_by("label", maintain_order=True).agg(
        pl.col("requests", "errors").sum(), pl.col("requests").count().alias("known")
    )  # fmt: skip
    labels = tuple(rows["label"])
    failed = _values(rows, "errors")
    fine = tuple(
        None if all_ is None or bad is None else all_ - bad
        for all_, bad in zip(_values(rows, "requests"), failed, strict=True)
    )
    counts = analytics.latency_histogram(period, filters, interval_s=3600).with_columns(key)
    by_label = quantiles_by(counts.drop("time"), ("label",), (0.5, 0.95))
    known = {row["label"]: row for row in by_label.iter_rows(named=True)}
    lines = tuple(
        (name, tuple(known[label][column] if label in known else None for label in labels))
        for name, column in (("median", "p50_ms"), ("95 %", "p95_ms"))
    )
    each = "hour" if kind == "day" else "day"
    return (
        Chart(f"Requests per {each}", "columns", "requests", labels,
              (("answered", fine), ("failed", failed))),
        Chart(f"Time to answer per {each}", "lines", "ms", labels, lines),
    )  # fmt: skip


def _values(rows: pl.DataFrame, column: str) -> tuple[float | None, ...]:
    pairs = rows.select(column, "known").iter_rows()
    return tuple(None if not known else float(value) for value, known in pairs)


def _owner_parts(
    analytics: Analytics,
    catalog: Catalog,
    owner: str,
    period: TimeRange,
    before: TimeRange,
    filters: Filters,
    now: datetime,
) -> tuple[list[Chart], list[ReportTable]]:
    frames = {
        by: analytics.breakdown(period, filters, by=by, limit=ROWS_MAX, compare=before)
        for by in ("api", "consumer", "route", "outcome")
    }
    charts = [_ranking("Largest consumers", frames["consumer"], "consumer")]
    tables = [
        _breakdown("APIs", frames["api"], "api"),
        _breakdown("Consumers", frames["consumer"], "consumer"),
        _breakdown("Routes", frames["route"], "route"),
        _breakdown("How calls ended", frames["outcome"], "outcome"),
    ]
    mine = narrow_catalog(catalog, owner_scope(catalog, owner))
    if mine.slos:
        rows = [
            (
                s.slo.name,
                f"{s.slo.objective:.2%}",
                percent_text(s.count.ratio),
                percent_text(s.budget_left),
                f"{s.slo.window_days} days",
            )
            for s in slo_statuses(analytics, mine, now=min(now, period.end))
        ]
        columns = ("Objective", "Target", "Reached", "Budget left", "Over")
        tables.insert(1, ReportTable("Objectives at the end of the period", columns, rows))
    return charts, tables


def _consumer_parts(
    analytics: Analytics,
    catalog: Catalog,
    name: str,
    period: TimeRange,
    before: TimeRange,
    filters: Filters,
    kind: WindowKind,
    now: datetime,
    zone: tzinfo,
) -> tuple[list[Chart], list[ReportTable]]:
    apis = analytics.breakdown(period, filters, by="api", limit=ROWS_MAX, compare=before)
    outcomes = analytics.breakdown(period, filters, by="outcome", limit=ROWS_MAX, compare=before)
    everyone = quota_usage(analytics, catalog, now=now, zone=zone, filters=filters)
    quotas = [usage for usage in everyone if usage.consumer == name]
    tables = []
    if quotas:
        rows = [_quota_row(usage, zone) for usage in quotas]
        tables.append(ReportTable("Quotas now", ("Window", "Used", "Expected to run out"), rows))
    tables.append(_breakdown("APIs", apis, "api"))
    tables.append(_breakdown("How calls ended", outcomes, "outcome"))
    if kind == "month":
        tables += _invoice_tables(analytics, catalog, name, period, now, zone)
    return [_ranking("APIs used", apis, "api")], tables


def _quota_row(usage: QuotaUsage, zone: tzinfo) -> tuple[str, str, str]:
    used = f"{count_text(usage.used)} of {count_text(usage.limit)} ({usage.percent:.1f} %)"
    return f"{usage.kind}, {usage.plan}", used, _exhausted(usage, zone)


def _exhausted(usage: QuotaUsage, zone: tzinfo) -> str:
    if usage.remaining == 0:
        return "used up"
    if usage.forecast is None or usage.forecast.exhausted_at is None:
        return "not in this window"
    return f"{usage.forecast.exhausted_at.astimezone(zone):%Y-%m-%d %H:%M}"


def _invoice_tables(
    analytics: Analytics,
    catalog: Catalog,
    name: str,
    period: TimeRange,
    now: datetime,
    zone: tzinfo,
) -> list[ReportTable]:
    """The month's costs, line by line; nothing for a plan without a price."""
    tables = []
    for invoice in invoices(analytics, catalog, period.start, now=now, zone=zone):
        if invoice.consumer != name or invoice.month != period:
            continue
        rows: list[tuple[str, ...]] = [
            (line.kind, count_text(line.quantity), str(line.unit_price), str(line.amount))
            for line in invoice.lines
        ]
        rows.append(("total", count_text(invoice.requests), "", str(invoice.total)))
        columns = ("Line", "Quantity", "Price", f"Amount, {invoice.currency}")
        tables.append(ReportTable(f"Costs, plan {invoice.plan}", columns, rows))
    return tables


def _ranking(title: str, frame: pl.DataFrame, by: str) -> Chart:
    top = frame.head(BARS_MAX)
    values = tuple(float(n) for n in top["requests"])
    return Chart(title, "bars", "requests", _names(top, by), (("requests", values),))


def _names(frame: pl.DataFrame, by: str) -> tuple[str, ...]:
    return tuple("(none)" if name is None else str(name) for name in frame[by])


def _breakdown(title: str, frame: pl.DataFrame, by: str) -> ReportTable:
    rows = [
        (
            name,
            count_text(row["requests"]),
            percent_text(row["share"]),
            growth_text(row["growth"]),
            percent_text(row["error_rate"]),
            ms_text(row["p95_ms"]),
        )
        for name, row in zip(_names(frame, by), frame.iter_rows(named=True), strict=True)
    ]
    return ReportTable(title, ("", "Requests", "Share", "Growth", "Errors", "p95"), rows)


def _note(found: Completeness) -> str:
    parts = []
    if not found.complete:
        parts.append("Some requests of the period are not in the rollups yet; numbers may grow.")
    if found.silent_gateways:
        parts.append(f"Silent before the period's end: {', '.join(found.silent_gateways)}.")
    minutes = math.ceil(found.outages.seconds / 60)
    if minutes:
        parts.append(
            f"No collector took data for {minutes:,} min of the period: what was not sent again "
            "later is missing."
        )
    return " ".join(parts) or "All requests that were received in the period are counted."
