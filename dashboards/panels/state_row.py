"""What nearly every state row begins with: traffic, error rate and latency of one view."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from analytics.query import Completeness, Overview
from dashboards import format as fmt
from dashboards.components import Stat, error_tone
from dashboards.data import Data
from dashboards.figures.base import TimeAxis
from dashboards.measured import axis_of, column_on, over_all, rate_on
from dashboards.theme import ERROR_LINE, QUANTILES
from dashboards.view import View

QUANTILES_MS = ("p50_ms", "p95_ms", "p99_ms")
"""Cards of the screens that list requests or APIs."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """One view in numbers and over time. `usage` and `latency` are over all groups."""

    overview: Overview
    completeness: Completeness
    usage: pl.DataFrame
    latency: pl.DataFrame

    def axis(self, view: View) -> TimeAxis:
        return axis_of(view, self.completeness, self.usage)


async def ask_traffic(data: Data, view: View) -> Traffic:
    """Four questions at once; screens that also ask one of them share its answer."""
    overview, completeness, usage, latency = await asyncio.gather(
        data.overview(view),
        data.completeness(view),
        data.usage(view, "api", over_time=True),
        data.latency(view),
    )
    return Traffic(overview, completeness, over_all(usage), latency)


def traffic_stats(
    key: str,
    what: Traffic,
    view: View,
    *,
    quantiles: Sequence[str] = ("p95_ms",),
    path: str = "/requests",
) -> list[Stat]:
    """Cards `<key>-requests`, `<key>-error-rate`, `<key>-p95`...; each leads to `path` with the
    view's range and filters: sorted where it is a table, or to the failed requests."""
    now, then = what.overview, what.overview.previous
    axis = what.axis(view)
    table = path != "/requests"
    failed = view.query(sort="error_rate") if table else view.query(outcome="server_error")
    cards = [
        Stat(
            f"{key}-requests",
            "Requests",
            now.requests,
            fmt.count(now.requests),
            previous=then.requests if then else None,
            spark=rate_on(axis, what.usage),
            href=path + view.query(),
        ),
        Stat(
            f"{key}-error-rate",
            "Error rate",
            now.error_rate,
            fmt.percent(now.error_rate),
            previous=then.error_rate if then else None,
            better="down",
            spark=column_on(axis, what.usage, "error_rate"),
            colour=ERROR_LINE,
            href=path + failed,
            tone="bad" if error_tone(now.error_rate) == "bad" else "",
        ),
    ]
    for name in quantiles:
        value: float | None = getattr(now, name)
        short = name.removesuffix("_ms")
        cards.append(
            Stat(
                f"{key}-{short}",
                f"Latency {short}",
                value,
                fmt.milliseconds(value),
                previous=getattr(then, name) if then else None,
                better="down",
                spark=column_on(axis, what.latency, name),
                colour=QUANTILES[name],
                href=path + view.query(sort=name),
            )
        )
    return cards
