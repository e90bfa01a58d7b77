"""Tables of the page about one API; the consumer's page shares some of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

import polars as pl
from dash import html

from analytics.deployments import ServiceVersion
from analytics.query import UNKNOWN
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Head,
    Tone,
    attrs,
    badge,
    change_cell,
    count_cell,
    dot,
    errors_cell,
    latency_cell,
    number,
    share_bar,
    table,
    when,
)
from dashboards.data import Data
from dashboards.theme import STATUS_CLASS, status_class

FAILURES_SHOWN = 10


def chosen(dimension: str, value: str | None) -> dict[str, str]:
    """Attributes of an element whose click narrows the page to one value."""
    return {"data-gl-set": f"{dimension}={quote(value or UNKNOWN, safe='')}"}


def narrowing(dimension: str, value: str | None, text: str, className: str = "") -> Component:
    """A name that narrows the page to itself when it is clicked, or chosen by keyboard."""
    return html.Button(
        text,
        className=f"gl-cell-filter gl-name {className}".strip(),
        type="button",
        title=fmt.plain(value or text, 300),
        **attrs(chosen(dimension, value)),
    )


def routes_table(rows: pl.DataFrame) -> Component:
    lines = [
        [
            narrowing(
                "route", row["route"], fmt.plain(row["route"] or "(no route)", 60), "gl-mono"
            ),
            count_cell(row["requests"]),
            change_cell(row["growth"]),
            errors_cell(row["error_rate"]),
            latency_cell(row["p50_ms"], "muted"),
            latency_cell(row["p95_ms"]),
            latency_cell(row["p99_ms"], "muted"),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (
        Head("Route"),
        Head("Requests", True),
        Head("Change", True),
        Head("Errors", True),
        Head("p50", True),
        Head("p95", True),
        Head("p99", True),
    )
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def consumers_table(rows: pl.DataFrame, data: Data) -> Component:
    lines = [
        [
            html.Span(
                [
                    dot(data.consumer_colours.colour(row["consumer"])),
                    narrowing(
                        "consumer",
                        row["consumer"],
                        fmt.plain(row["consumer"] or "(anonymous)", 40),
                    ),
                ],
                className="gl-api",
            ),
            count_cell(row["requests"]),
            share_bar(row["share"], data.consumer_colours.colour(row["consumer"])),
            change_cell(row["growth"]),
            errors_cell(row["error_rate"]),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (
        Head("Consumer"),
        Head("Requests", True),
        Head("Share", width="24%"),
        Head("Change", True),
        Head("Errors", True),
    )
    return table(heads, lines, empty=ids.NO_DATA_IN_RANGE)


def codes_table(rows: pl.DataFrame, key: str = "api", *, failed: bool = False) -> Component:
    """Answers by status code, most first; numbers have the id `<key>-code-<code>`. failed: only
    those of 400 and above, and the calls that got none; shares stay shares of all calls."""
    total = rows["requests"].sum() or 1
    if failed:
        rows = rows.filter(~pl.col("status_code").is_between(1, 399).fill_null(value=False))
    lines = []
    for row in rows.sort("requests", descending=True).head(8).iter_rows(named=True):
        code = None if row["status_code"] is None else int(row["status_code"])
        colour = STATUS_CLASS[status_class(code)]
        share = row["requests"] / total
        lines.append(
            [
                html.Span(
                    [
                        dot(colour),
                        narrowing(
                            "status",
                            None if code is None else str(code),
                            str(code) if code else "no answer",
                        ),
                    ],
                    className="gl-api",
                ),
                number(fmt.count(row["requests"]), row["requests"], id=f"{key}-code-{code}"),
                share_bar(share, colour),
                number(fmt.percent(share), share, tone="muted"),
            ]
        )
    heads = (Head("Status"), Head("Requests", True), Head("", width="40%"), Head("Share", True))
    nothing = "No call failed in this time range." if failed else ids.NO_DATA_IN_RANGE
    return table(heads, lines, empty=nothing)


def failures_by(rows: pl.DataFrame, by: str, parameter: str) -> Component:
    """Who or what fails most. rows: `by`, status_code, requests."""
    client, server = pl.col("status_code").is_between(400, 499), pl.col("status_code") >= 500
    counted = (
        rows.group_by(by)
        .agg(
            pl.col("requests").filter(client).sum().alias("client"),
            pl.col("requests").filter(server).sum().alias("server"),
            pl.col("requests").sum().alias("all"),
        )
        .filter(pl.col("client") + pl.col("server") > 0)
        .sort("server", "client", by, descending=[True, True, False])
    )
    lines = [
        [
            narrowing(parameter, row[by], fmt.plain(row[by] or "(none)", 46), "gl-mono"),
            number(fmt.count(row["server"]), row["server"], tone=_if_any(row["server"], "bad")),
            number(fmt.count(row["client"]), row["client"], tone=_if_any(row["client"], "warn")),
            number(
                fmt.percent((row["server"] + row["client"]) / row["all"]),
                (row["server"] + row["client"]) / row["all"],
            ),
        ]
        for row in counted.head(FAILURES_SHOWN).iter_rows(named=True)
    ]  # fmt: skip
    heads = (Head(by.capitalize()), Head("5xx", True), Head("4xx", True), Head("Of its own", True))
    return table(heads, lines, empty="No call failed in this time range.")


def _if_any(count: int, tone: Tone) -> Tone:
    return tone if count else "muted"


def versions_table(
    rows: pl.DataFrame, services: Sequence[ServiceVersion], now: datetime
) -> Component:
    """API versions by their requests, and versions of the services behind by their spans."""
    lines = [
        [
            narrowing("version", row["api_version"], fmt.plain(row["api_version"], 24), "gl-mono"),
            html.Span("API", className="gl-when"),
            count_cell(row["requests"]),
            errors_cell(row["error_rate"]),
            latency_cell(row["p95_ms"]),
            when(row["last_seen"], now),
        ]
        for row in rows.iter_rows(named=True)
        if row["api_version"]
    ]
    lines += [
        [
            html.Span(
                [
                    html.Span(fmt.plain(v.version, 24), className="gl-mono"),
                    badge("deployed", "accent") if v.deployed else None,
                ],
                className="gl-api",
            ),
            html.Span(fmt.plain(v.service, 30), className="gl-when"),
            count_cell(v.spans),
            errors_cell(v.error_rate),
            html.Span(""),
            when(v.first_seen if v.deployed else v.last_seen, now),
        ]
        for v in reversed(services)
    ]
    heads = (
        Head("Version"),
        Head("Of"),
        Head("Requests", True),
        Head("Errors", True),
        Head("p95", True),
        Head("Seen"),
    )
    return table(
        heads, lines, empty="Neither gateways nor spans name a version (service.version) here."
    )
