"""How am I doing? What the developer of an app sees: its own quota, calls, failures and why.

Rows are narrowed below every question (identity.py): nothing here names a consumer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import polars as pl
from dash import Dash, Input, Output, html

from analytics.query import Overview
from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import (
    Component,
    Head,
    Stat,
    badge,
    dot,
    number,
    page_head,
    panel,
    skeleton_rows,
    skeleton_stats,
    stat_row,
    table,
    time_chart,
    when,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.measured import axis_of, column_on, error_tone, over_all, rate_on
from dashboards.quota_panels import at_risk, quota_cards, quota_tone

ROWS_SHOWN = 10
FAILING_SHOWN = 20

OVER_TIME = "interval=auto&limit=10000"
"""Of the numbers behind a chart, as a file: in its steps, and all of them."""

_FORBIDDEN = 403

WHY = {
    "rate_limited": "Too many calls at once. Spread them out, and wait as Retry-After says.",
    "quota_exceeded": "The plan's quota is used up. Wait for the next window, or ask for more.",
    "unauthorized": "The key or token was missing, wrong or expired.",
    "aborted": "Your side closed the connection before the answer. Look at your timeouts.",
    "server_error": "Failed on the API's side. Trying again later, with a growing pause, helps.",
}
"""Outcome -> what it means for whoever calls, and what to do."""

_BY_STATUS = {
    400: "The API could not read the request. Its parameters or body do not fit.",
    403: "Known, but not allowed: your plan or scope does not cover this.",
    404: "There is nothing at this address; perhaps the id is old.",
    405: "This address exists, but not for this method.",
    409: "The request contradicts the state of things, e.g. it was done already.",
    413: "The body is too large.",
    415: "The Content-Type is not one the API takes.",
    422: "Well-formed, but a value cannot be used.",
}


def layout(data: Data) -> Component:
    who = identity.current()
    names = who.scope.consumers if who.scope else ()
    known = [data.catalog.consumer(name=name) for name in names]
    marks: list[Component] = []
    for consumer in known:
        if consumer is not None and consumer.plan:
            marks.append(badge(f"plan {consumer.plan}"))
    titles = [
        (c.title or c.name) if c is not None else name for c, name in zip(known, names, strict=True)
    ]
    shown: list[Component] = [
        html.Span([dot(data.consumer_colours.colour(name)), " ", fmt.plain(title, 60)])
        for name, title in zip(names, titles, strict=True)
    ]
    return html.Div(
        [
            page_head("How am I doing?", html.Span([*shown, *marks], className="gl-chips")),
            html.Div(skeleton_stats(5), id="me-stats"),
            html.Div(id="me-advice"),
            html.Div(
                [
                    panel("Quota", html.Div(skeleton_rows(3), id="me-quota"), className="w4"),
                    time_chart(
                        "Calls by API",
                        "me-apis",
                        note="requests per second",
                        file=f"usage?by=api&{OVER_TIME}",
                        height=220,
                        className="w8",
                    ),
                    panel(
                        "Why do my calls fail?",
                        html.Div(skeleton_rows(5), id="me-why"),
                        note="most frequent first",
                        className="w7 flush",
                    ),
                    time_chart(
                        "Answers by status",
                        "me-status",
                        note="per interval",
                        file=f"usage?by=status_code&{OVER_TIME}",
                        className="w5",
                    ),
                    time_chart(
                        "Latency",
                        "me-latency",
                        note="p50 and p95",
                        file="latency?interval=auto",
                        className="w6",
                    ),
                    time_chart(
                        "Refused by a limit",
                        "me-limited",
                        note="calls per second over a rate limit or quota",
                        file=f"usage?by=outcome&{OVER_TIME}",
                        className="w6",
                    ),
                    panel(
                        "Routes",
                        html.Div(skeleton_rows(6), id="me-routes"),
                        note="most called first",
                        className="flush",
                    ),
                    panel(
                        "Latest failing calls",
                        html.Div(skeleton_rows(6), id="me-failing"),
                        note="name the request id when you ask for help",
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ],
        className="gl-me",
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("me-stats", "children"),
        Output("me-advice", "children"),
        Output("me-quota", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=3, show_in=0)
    async def state(stored: object) -> tuple[Component, ...]:
        view = data.view(stored)
        overview, usage, latency, quotas, outcomes, complete = await asyncio.gather(
            data.overview(view),
            data.usage(view, over_time=True),
            data.latency(view),
            data.quotas(),
            data.usage(view, "outcome"),
            data.completeness(view),
        )
        axis = axis_of(view, complete)
        usage = over_all(usage)
        sparks = {
            "requests": rate_on(axis, usage),
            "error_rate": column_on(axis, usage, "error_rate"),
            "p95_ms": column_on(axis, latency, "p95_ms"),
        }
        limited = limited_calls(outcomes)
        return (
            stat_row(state_stats(overview, limited, quotas, sparks), view.mode),
            advice(overview, limited, quotas),
            quota_cards(quotas, data.clock()),
        )

    @app.callback(
        Output(ids.time_graph("me-apis"), "figure"),
        Output(ids.time_graph("me-status"), "figure"),
        Output(ids.time_graph("me-latency"), "figure"),
        Output(ids.time_graph("me-limited"), "figure"),
        Output("me-why", "children"),
        Output("me-routes", "children"),
        Output("me-failing", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=7, show_in=4)
    async def details(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        by_api, by_status, by_outcome, latency, complete = await asyncio.gather(
            data.usage(view, "api", over_time=True),
            data.usage(view, "status_code", over_time=True),
            data.usage(view, "outcome", over_time=True),
            data.latency(view),
            data.completeness(view),
        )
        reasons, routes, sample = await asyncio.gather(
            data.usage(view, "outcome", "status_code", "api", "route"),
            data.breakdown(view, "route", ROWS_SHOWN),
            data.sql(view, _FAILING, limit=FAILING_SHOWN),
        )
        axis = axis_of(view, complete)
        calls = series.rates(
            by_api,
            axis,
            by="api",
            names=series.largest(by_api, "api"),
            colour=data.colours.colour,
        )
        over = by_outcome.filter(pl.col("outcome").is_in(_LIMITS))
        over = over.with_columns(pl.col("outcome").replace(_LIMITS))
        limits = series.rates(
            over,
            axis,
            by="outcome",
            names=list(_COLOURS),
            colour=lambda n: _COLOURS.get(n or "", ""),
        )
        quantiles = [
            series.Line("p95", column_on(axis, latency, "p95_ms"), "#8f7df0"),
            series.Line("p50", column_on(axis, latency, "p50_ms"), "#4a90f5"),
        ]
        return (
            series.stacked(calls, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE),
            status_bars(by_status, axis, empty=ids.NO_DATA_IN_RANGE),
            series.overlaid(quantiles, axis, fmt.milliseconds, empty=ids.NO_DATA_IN_RANGE),
            series.stacked(limits, axis, fmt.rate, empty="No call was refused by a limit."),
            why_table(reasons),
            routes_table(routes),
            failing_table(sample, data.clock()),
        )


_LIMITS = {"rate_limited": "rate limit", "quota_exceeded": "quota"}
"""Outcome -> the limit that refused the call."""

_COLOURS = {"rate limit": "#e0a33e", "quota": "#e2605f"}

_FAILING = """
SELECT time, method, api, route, path, status_code, outcome, duration_ms, request_id, trace_id
FROM requests
WHERE time >= $start AND time < $end
  AND outcome NOT IN ('ok', 'redirect')
ORDER BY time DESC
LIMIT $limit
"""


def limited_calls(outcomes: pl.DataFrame) -> int:
    return int(outcomes.filter(pl.col("outcome").is_in(_LIMITS))["requests"].sum())


def state_stats(
    now: Overview,
    limited: int,
    quotas: list[QuotaUsage],
    sparks: dict[str, list[float | None]],
) -> list[Stat]:
    then = now.previous
    fullest = max(quotas, key=lambda u: u.percent, default=None)
    used = None if fullest is None else fullest.percent / 100
    tone = quota_tone(None if fullest is None else fullest.percent)
    return [
        Stat("me-requests", "Calls", now.requests, fmt.count(now.requests),
             previous=then.requests if then else None, spark=sparks["requests"],
             href="#me-routes"),
        Stat("me-error-rate", "Failed on the API's side", now.error_rate,
             fmt.percent(now.error_rate), previous=then.error_rate if then else None,
             better="down", colour="#e2605f", spark=sparks["error_rate"],
             tone="bad" if error_tone(now.error_rate) == "bad" else "", href="#me-failing"),
        Stat("me-limited-calls", "Refused by a limit", limited, fmt.count(limited),
             hint="rate limit or quota", tone="warn" if limited else "", href="#me-why"),
        Stat("me-p95", "Latency p95", now.p95_ms, fmt.milliseconds(now.p95_ms),
             previous=then.p95_ms if then else None, better="down", colour="#8f7df0",
             spark=sparks["p95_ms"], href="#me-routes"),
        Stat("me-quota-used", "Quota used", used, fmt.percent(used),
             hint=f"this {fullest.kind}" if fullest else "no quota",
             tone="" if tone == "good" else tone, href="#me-quota"),
    ]  # fmt: skip


def advice(now: Overview, limited: int, quotas: list[QuotaUsage]) -> Component:
    """One sentence about what matters most."""
    risky = next((u for u in quotas if at_risk(u)), None)
    if risky is not None and risky.percent >= 100:
        text, tone = f"This {risky.kind}'s quota is used up: calls are refused.", "bad"
    elif risky is not None:
        ahead = risky.forecast.exhausted_at if risky.forecast else None
        runs_out = f", about {ahead:%d %b %H:%M} UTC" if ahead else ""
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
            number(fmt.count(row["requests"]), row["requests"]),
        ]
        for row in failing.head(ROWS_SHOWN).iter_rows(named=True)
    ]
    heads = (Head("Status"), Head("Where, and what to do"), Head("Calls", True))
    return table(heads, lines, empty="No call failed in this time range.")


def reason(outcome: str | None, status_code: int | None) -> str:
    """What an answer means for whoever called."""
    if outcome in WHY and status_code != _FORBIDDEN:
        return WHY[outcome]
    return _BY_STATUS.get(status_code or 0, "The API did not accept the request.")


def routes_table(rows: pl.DataFrame) -> Component:
    lines = [
        [
            html.Span(fmt.plain(row["route"] or "(no route)", 60), className="gl-mono"),
            number(fmt.count(row["requests"]), row["requests"]),
            number(
                fmt.percent(row["error_rate"]),
                row["error_rate"],
                tone=error_tone(row["error_rate"]),
            ),
            number(fmt.milliseconds(row["p95_ms"]), row["p95_ms"]),
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
