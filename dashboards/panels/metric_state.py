"""The state row of the metrics screen: how much comes in, from how many, and who went silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from dashboards import format as fmt
from dashboards.components import Stat
from dashboards.figures.base import TimeAxis
from dashboards.measured import rate_on
from dashboards.view import View

SILENT_AFTER = timedelta(minutes=5)
"""A service whose newest point is that much older than the newest of all sends no more: exporters
send every minute by default."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What all metrics of a view together are. `last_seen` None = no point came in."""

    metrics: int
    series: int
    points: int
    last_seen: datetime | None
    services: Sequence[tuple[str, datetime]]
    """With their newest points."""

    @property
    def silent(self) -> list[str]:
        """Services that send no more, the last to speak first."""
        if self.last_seen is None:
            return []
        gone = [s for s in self.services if s[1] < self.last_seen - SILENT_AFTER]
        return [name for name, _ in sorted(gone, key=lambda s: (s[1], s[0]), reverse=True)]


def sent_of(rows: pl.DataFrame) -> Sent:
    """rows: what metric_queries.SENT gives. No point at all is a row of zeros."""
    everything = rows.filter((pl.col("all_names") == 1) & (pl.col("all_services") == 1))
    services = rows.filter((pl.col("all_names") == 1) & (pl.col("all_services") == 0))
    if everything.is_empty():
        return Sent(0, 0, 0, None, ())
    row = everything.row(0, named=True)
    return Sent(
        metrics=row["names"],
        series=row["series"],
        points=row["points"] or 0,
        last_seen=row["last_seen"],
        services=list(
            services.drop_nulls("service_name").select("service_name", "last_seen").iter_rows()
        ),
    )


def metric_stats(
    sent: Sent, over_time: pl.DataFrame, axis: TimeAxis, view: View, now: datetime
) -> list[Stat]:
    """over_time: what metric_queries.POINTS gives."""
    came = over_time.group_by("time").agg(pl.col("requests").sum())
    age = None if sent.last_seen is None else (min(now, view.end) - sent.last_seen).total_seconds()
    silent = sent.silent
    rate = sent.points / view.seconds
    return [
        Stat(
            "metrics-points",
            "Points",
            sent.points,
            fmt.count(sent.points),
            spark=rate_on(axis, came),
            href="#metrics-list",
            hint=fmt.rate(rate),
        ),
        Stat(
            "metrics-age",
            "Newest point",
            None if age is None else max(0.0, age),
            fmt.span(None if age is None else max(0.0, age)),
            href="#metrics-list",
            tone="warn" if age is not None and age > SILENT_AFTER.total_seconds() else "",
            hint=("old" if view.to_text == "now" else "before the end") if age is not None else "",
        ),
        Stat(
            "metrics-metrics",
            "Metrics",
            sent.metrics,
            fmt.count(sent.metrics),
            href="#metrics-list",
            hint="names",
        ),
        Stat(
            "metrics-series",
            "Series",
            sent.series,
            fmt.count(sent.series),
            href="#metrics-list",
            hint="names with their attributes",
        ),
        Stat(
            "metrics-services",
            "Services",
            len(sent.services),
            fmt.whole(len(sent.services)),
            href="/services" + view.query(),
            hint="that send metrics",
        ),
        Stat(
            "metrics-silent",
            "Went silent",
            len(silent),
            fmt.whole(len(silent)),
            href="/services" + view.query(),
            tone="warn" if silent else "",
            hint=fmt.plain(silent[0], 40) if silent else "no service",
        ),
    ]
