"""What an app developer is told: whether a limit is near, which calls fail, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
from dash import html

from analytics.query import Overview
from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Head,
    badge,
    count_cell,
    errors_cell,
    latency_cell,
    table,
    when,
)
from dashboards.figures.limits import LIMITS
from dashboards.panels.failure_words import reason
from dashboards.panels.quota_panels import at_risk

ROWS_SHOWN = 10


def limited_calls(outcomes: pl.DataFrame) -> int:
    """Calls that a limit refused. outcomes: outcome, requests."""
    return int(outcomes.filter(pl.col("outcome").is_in(list(LIMITS)))["requests"].sum())


def advice(now: Overview, limited: int, quotas: Sequence[QuotaUsage]) -> Component:
    """One sentence about what matters most."""
    risky = next((u for u in quotas if at_risk(u)), None)
    if risky is not None and risky.percent >= 100:
        text, tone = f"This {risky.kind}'s quota is used up: calls are refused.", "bad"
    elif risky is not None:
        ahead = risky.forecast.exhausted_at if risky.forecast else None
        runs_out = f", about {fmt.minute(ahead)}" if ahead else ""
        text, tone = f"At this pace the {risky.kind}'s quota runs out early{runs_out}.", "warn"
    elif now.requests and limited / now.requests > 0.01:
        share = fmt.percent(limited / now.requests)
        text, tone = f"{share} of your calls met a limit: spread them out.", "warn"
    elif now.error_rate is not None and now.error_rate > 0.01:
        text, tone = "The API fails more often than it should; its owners see this, too.", "warn"
    elif not now.requests:
        text, tone = "No call of yours was seen in this time range.", ""
    else:
        text, tone = "All is well: no limit is near, and calls go through.", "good"
    return html.Div(text, className=f"gl-note gl-advice {tone}", role="status")


def why_table(rows: pl.DataFrame) -> Component:
    """What failed, where, and what to do about it."""
    failing = rows.filter(
        ~pl.col("outcome").is_in(["ok", "redirect"]) & (pl.col("requests") > 0)
    ).sort("requests", descending=True)
    lines = [
        [
            badge(
                str(row["status_code"] or "no answer"),
                "bad" if row["outcome"] == "server_error" else "warn",
            ),
            html.Div(
                [
                    html.Div(fmt.plain(row["route"] or "(no route)", 60), className="gl-mono"),
                    html.Div(reason(row["outcome"], row["status_code"]), className="gl-sub"),
                ]
            ),
            count_cell(row["requests"]),
        ]
        for row in failing.head(ROWS_SHOWN).iter_rows(named=True)
    ]
    heads = (Head("Status"), Head("Where, and what to do"), Head("Calls", True))
    return table(heads, lines, empty="No call failed in this time range.")


def routes_table(rows: pl.DataFrame) -> Component:
    lines = [
        [
            html.Span(fmt.plain(row["route"] or "(no route)", 60), className="gl-mono"),
            count_cell(row["requests"]),
            errors_cell(row["error_rate"]),
            latency_cell(row["p95_ms"]),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (Head("Route"), Head("Calls", True), Head("Errors", True), Head("p95", True))
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def failing_table(rows: pl.DataFrame, now: datetime) -> Component:
    lines = [
        [
            when(row["time"], now),
            badge(
                str(row["status_code"] or "no answer"),
                "bad" if row["outcome"] == "server_error" else "warn",
            ),
            html.Span(
                f"{row['method'] or ''} {fmt.plain(row['path'] or row['route'] or '', 60)}",
                className="gl-mono",
                title=reason(row["outcome"], row["status_code"]),
            ),
            html.Span(
                fmt.plain(row["request_id"] or row["trace_id"] or fmt.MISSING, 40),
                className="gl-mono",
            ),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (Head("When"), Head("Status"), Head("Call"), Head("Request id"))
    return table(heads, lines, empty="No call failed in this time range.")
