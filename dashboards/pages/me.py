"""How am I doing? What the developer of an app sees: its own quota, calls, failures and why.

Rows are narrowed below every question (identity.py): nothing here names a consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dash import Dash, Input, Output, html

from analytics.quota import QuotaUsage
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import (
    Component,
    Stat,
    badge,
    dot,
    error_tone,
    screen,
    stat_row,
    time_chart,
    waiting,
)
from dashboards.data import Data
from dashboards.figures.api_main import latency_chart, requests_chart
from dashboards.figures.limits import limits_chart
from dashboards.figures.status import status_bars
from dashboards.guard import guarded
from dashboards.measured import axis_of, column_on, rate_on
from dashboards.panels.me_panels import (
    ROWS_SHOWN,
    advice,
    failing_table,
    limited_calls,
    routes_table,
    why_table,
)
from dashboards.panels.quota_panels import quota_cards, quota_tone
from dashboards.panels.state_row import Traffic, ask_traffic
from dashboards.theme import ERROR_LINE, QUANTILES
from dashboards.view import View

FAILING_SHOWN = 20

OVER_TIME = "interval=auto&limit=10000"
"""Of the numbers behind a chart, as a file: in its steps, and all of them."""

_FAILING = """
SELECT time, method, api, route, path, status_code, outcome, duration_ms, request_id, trace_id
FROM requests
WHERE time >= $start AND time < $end
  AND outcome NOT IN ('ok', 'redirect')
ORDER BY time DESC
LIMIT $limit
"""


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
        screen(
            "me",
            "How am I doing?",
            waiting("Quota", "me-quota", rows=3, className="w4"),
            time_chart(
                "Calls by API",
                "me-apis",
                note="requests per second",
                file=f"usage?by=api&{OVER_TIME}",
                height=220,
                className="w8",
            ),
            waiting(
                "Why do my calls fail?",
                "me-why",
                rows=5,
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
            waiting("Routes", "me-routes", rows=6, note="most called first"),
            waiting(
                "Latest failing calls",
                "me-failing",
                rows=6,
                note="name the request id when you ask for help",
            ),
            sub=html.Span([*shown, *marks], className="gl-chips"),
            stats=5,
            below_stats=(html.Div(id="me-advice"),),
        ),
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
        traffic, quotas, outcomes = await asyncio.gather(
            ask_traffic(data, view), data.quotas(), data.usage(view, "outcome")
        )
        limited = limited_calls(outcomes)
        return (
            stat_row(state_stats(traffic, limited, quotas, view), view.mode),
            advice(traffic.overview, limited, quotas),
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
        axis, nothing = axis_of(view, complete, by_api), ids.NO_DATA_IN_RANGE
        return (
            requests_chart(by_api, axis, "api", data.colours.colour, empty=nothing),
            status_bars(by_status, axis, empty=nothing),
            latency_chart(latency, axis, quantiles=("p50_ms", "p95_ms"), empty=nothing),
            limits_chart(by_outcome, axis, empty="No call was refused by a limit."),
            why_table(reasons),
            routes_table(routes),
            failing_table(sample, data.clock()),
        )


def state_stats(
    traffic: Traffic, limited: int, quotas: Sequence[QuotaUsage], view: View
) -> list[Stat]:
    """Of the own calls; each number leads to a panel below, since nothing else is shown to them."""
    now, then, axis = traffic.overview, traffic.overview.previous, traffic.axis(view)
    fullest = max(quotas, key=lambda u: u.percent, default=None)
    used = None if fullest is None else fullest.percent / 100
    tone = quota_tone(None if fullest is None else fullest.percent)
    return [
        Stat("me-requests", "Calls", now.requests, fmt.count(now.requests),
             previous=then.requests if then else None, spark=rate_on(axis, traffic.usage),
             href="#me-routes"),
        Stat("me-error-rate", "Failed on the API's side", now.error_rate,
             fmt.percent(now.error_rate), previous=then.error_rate if then else None,
             better="down", colour=ERROR_LINE,
             spark=column_on(axis, traffic.usage, "error_rate"),
             tone="bad" if error_tone(now.error_rate) == "bad" else "", href="#me-failing"),
        Stat("me-limited-calls", "Refused by a limit", limited, fmt.count(limited),
             hint="rate limit or quota", tone="warn" if limited else "", href="#me-why"),
        Stat("me-p95", "Latency p95", now.p95_ms, fmt.milliseconds(now.p95_ms),
             previous=then.p95_ms if then else None, better="down",
             colour=QUANTILES["p95_ms"], spark=column_on(axis, traffic.latency, "p95_ms"),
             href="#me-routes"),
        Stat("me-quota-used", "Quota used", used, fmt.percent(used),
             hint=f"this {fullest.kind}" if fullest else "no quota",
             tone="" if tone == "good" else tone, href="#me-quota"),
    ]  # fmt: skip
