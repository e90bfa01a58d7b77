"""Reports by mail: what an API owner or a consumer gets each day, week or month.

`render_report` gives HTML for the body and CSV for the attachment, from the functions the screens
use, so the numbers are the same. Who gets them and how they are sent is the jobs role's business.
Mail programs run no scripts and load no style sheets: tables and inline styles only.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

import polars as pl

from analytics.errors import QueryRefused
from analytics.export import to_csv
from analytics.filters import Filters
from analytics.query import Analytics
from analytics.quota import QuotaUsage, quota_usage
from analytics.results import Overview
from analytics.timerange import TimeRange
from analytics.windows import WindowKind, window_of
from storage.catalog import Catalog

Audience = Literal["owner", "consumer"]

ROWS_MAX = 50
"""Rows of each table in the mail; the attachment has them all, up to the room's limits."""

_CELL = 'style="padding:4px 10px;border-bottom:1px solid #ddd;text-align:{}"'


@dataclass(frozen=True, slots=True)
class Report:
    subject: str
    html: str
    """Body of the mail; nothing in it is loaded from elsewhere."""
    csv: str
    """Attachment: one row per API, version and route (owner) or API and status (consumer)."""
    period: TimeRange
    empty: bool
    """Whether there was no request at all: such a report may be left unsent."""


@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def last_period(kind: WindowKind, now: datetime, zone: tzinfo = UTC) -> TimeRange:
    """The last whole day, week or month that is over."""
    current = window_of(kind, now, zone)
    return window_of(kind, current.start - timedelta(microseconds=1), zone)


def owners(catalog: Catalog) -> list[str]:
    """Everyone the catalog names as owner of an API, by name."""
    return sorted({api.owner for api in catalog.apis if api.owner})


def render_report(
    analytics: Analytics,
    catalog: Catalog,
    audience: Audience,
    name: str,
    kind: WindowKind,
    *,
    now: datetime,
    zone: tzinfo = UTC,
) -> Report:
    """The report of the last whole period, for an owner of APIs or for one consumer.

    A consumer sees its own calls alone. Raises QueryRefused for a name the catalog does not have.
    """
    period = last_period(kind, now, zone)
    filters = _filters(analytics, catalog, audience, name)
    overview = analytics.overview(period, filters)
    if audience == "owner":
        tables = _owner_tables(analytics, period, filters)
        details = analytics.usage(period, filters, by=("api", "api_version", "route"))
    else:
        quotas = [
            u
            for u in quota_usage(analytics, catalog, now=now, zone=zone, filters=filters)
            if u.consumer == name
        ]
        tables = _consumer_tables(analytics, period, filters, quotas, zone)
        details = analytics.usage(period, filters, by=("api", "route", "status_code"))
    title = (
        f"{name}: API {'report' if audience == 'owner' else 'use'}, {_period(period, kind, zone)}"
    )
    tables = [_headline(overview), *tables]
    complete = analytics.completeness(period)
    note = _note(complete.complete, complete.silent_gateways)
    return Report(
        subject=_one_line(title),
        html=_page(title, tables, note),
        csv=to_csv(details),
        period=period,
        empty=overview.requests == 0,
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


def _headline(found: Overview) -> _Table:
    before = found.previous
    assert before is not None
    rows = [
        ("Requests", _count(found.requests), _change(found.requests, before.requests)),
        ("Errors", _percent(found.error_rate), f"before: {_percent(before.error_rate)}"),
        ("95 % answered within", _ms(found.p95_ms), f"before: {_ms(before.p95_ms)}"),
        ("Consumers", _count(found.consumers), _change(found.consumers, before.consumers)),
    ]
    return _Table("At a glance", ("", "This period", "Against the one before"), rows)


def _owner_tables(analytics: Analytics, period: TimeRange, filters: Filters) -> list[_Table]:
    tables = []
    for title, by in (("APIs", "api"), ("Consumers", "consumer"), ("Routes", "route")):
        frame = analytics.breakdown(period, filters, by=by, limit=ROWS_MAX)
        tables.append(_breakdown(title, frame, by))
    return tables


def _consumer_tables(
    analytics: Analytics,
    period: TimeRange,
    filters: Filters,
    quotas: Sequence[QuotaUsage],
    zone: tzinfo,
) -> list[_Table]:
    rows = [
        (
            f"{u.kind}, {u.plan}",
            f"{_count(u.used)} of {_count(u.limit)} ({u.percent:.1f} %)",
            _exhausted(u, zone),
        )
        for u in quotas
    ]
    tables = [_Table("Quotas now", ("Window", "Used", "Expected to run out"), rows)] if rows else []
    tables.append(_breakdown("APIs", analytics.breakdown(period, filters, by="api"), "api"))
    failed = analytics.breakdown(period, filters, by="outcome")
    tables.append(_breakdown("How calls ended", failed, "outcome"))
    return tables


def _exhausted(usage: QuotaUsage, zone: tzinfo) -> str:
    if usage.remaining == 0:
        return "used up"
    if usage.forecast is None or usage.forecast.exhausted_at is None:
        return "not in this window"
    return f"{usage.forecast.exhausted_at.astimezone(zone):%Y-%m-%d %H:%M}"


def _breakdown(title: str, frame: pl.DataFrame, by: str) -> _Table:
    rows = [
        (
            "(none)" if row[by] is None else str(row[by]),
            _count(row["requests"]),
            _percent(row["share"]),
            "new" if row["growth"] is None else f"{row['growth']:+.1%}",
            _percent(row["error_rate"]),
            _ms(row["p95_ms"]),
        )
        for row in frame.iter_rows(named=True)
    ]
    return _Table(title, ("", "Requests", "Share", "Growth", "Errors", "p95"), rows)


def _note(complete: bool, silent: Sequence[str]) -> str:
    parts = []
    if not complete:
        parts.append("Some requests of the period are not in the rollups yet; numbers may grow.")
    if silent:
        parts.append(f"Silent before the period's end: {', '.join(silent)}.")
    return " ".join(parts) or "All requests that were received in the period are counted."


def _page(title: str, tables: Sequence[_Table], note: str) -> str:
    body = "".join(_table_html(table) for table in tables)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title></head>"
        '<body style="font-family:sans-serif;color:#222;max-width:760px">'
        f'<h1 style="font-size:20px">{html.escape(title)}</h1>{body}'
        f'<p style="color:#666">{html.escape(note)}</p></body></html>'
    )


def _table_html(table: _Table) -> str:
    head = _row_html(table.columns, "th")
    rows = "".join(_row_html(row, "td") for row in table.rows)
    if not table.rows:
        rows = f'<tr><td colspan="{len(table.columns)}">No requests.</td></tr>'
    return (
        f'<h2 style="font-size:16px">{html.escape(table.title)}</h2>'
        f'<table style="border-collapse:collapse;font-size:14px">{head}{rows}</table>'
    )


def _row_html(cells: Sequence[str], tag: str) -> str:
    shown = [
        f"<{tag} {_CELL.format('left' if n == 0 else 'right')}>{html.escape(cell)}</{tag}>"
        for n, cell in enumerate(cells)
    ]
    return f"<tr>{''.join(shown)}</tr>"


def _period(period: TimeRange, kind: WindowKind, zone: tzinfo) -> str:
    first = period.start.astimezone(zone)
    last = (period.end - timedelta(microseconds=1)).astimezone(zone)
    if kind == "day":
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m}" if kind == "month" else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _one_line(text: str) -> str:
    """A subject must not carry a line break: it would begin another header."""
    return " ".join(text.split())[:200]


def _count(value: int) -> str:
    return f"{value:,}"


def _percent(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2%}"


def _ms(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.0f} ms"


def _change(now: int, before: int) -> str:
    return "none before" if not before else f"{now / before - 1:+.1%}"
