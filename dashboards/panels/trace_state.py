"""The state row of the traces screen: how many began, how many failed, how long they took.

All of it comes from the count that the chart beside it is drawn from, and that of the range before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from analytics.buckets import MS, quantile_name, quantiles_by
from dashboards import format as fmt
from dashboards.components import Stat, error_tone
from dashboards.figures.base import TimeAxis
from dashboards.measured import column_on, over_all, rate_on
from dashboards.theme import ERROR_LINE, QUANTILES, SERIES
from dashboards.view import View

SEARCHED = ("q", "service", "ms", "errors")
"""Parameters of the search in the URL; links of the row keep them."""

QUANTILES_SHOWN = (0.5, 0.95, 0.99)

_LONGER = {"p50_ms": "half", "p95_ms": "1 of 20", "p99_ms": "1 of 100"}

_WITHIN = 1.02**0.5
"""A time told from its bucket lies this near: what a link asks for must not miss the trace."""


@dataclass(frozen=True, slots=True)
class Spans:
    """What some spans are together. Shares and times are None where there is none."""

    count: int
    failed: int
    times_ms: Mapping[str, float | None]
    """Quantiles by name (`p50_ms`), within 1 %."""

    @property
    def failed_share(self) -> float | None:
        return self.failed / self.count if self.count else None


def all_of(cells: pl.DataFrame) -> Spans:
    """cells: bucket (NULL = no duration), requests, errors."""
    timed = cells.drop_nulls("bucket").select("bucket", "requests")
    times = quantiles_by(timed, (), QUANTILES_SHOWN)
    names = [quantile_name(q) for q in QUANTILES_SHOWN]
    row = times.row(0, named=True) if times.height else dict.fromkeys(names)
    return Spans(
        int(cells["requests"].sum()), int(cells["errors"].sum()), {n: row[n] for n in names}
    )


def trace_stats(
    cells: pl.DataFrame,
    axis: TimeAxis,
    view: View,
    *,
    whole_traces: bool,
    before: pl.DataFrame | None = None,
) -> list[Stat]:
    """cells: time, bucket, requests, errors of spans that begin work; before: the same of the range
    before, None = not asked. whole_traces: they are roots, not what services were asked."""
    sums = over_all(cells)
    times = quantiles_by(cells.select("time", "bucket", "requests"), ("time",), QUANTILES_SHOWN)
    now = all_of(cells)
    then = None if before is None else all_of(before)
    share = now.failed_share
    # What was not compared says something else instead.
    told = then is None
    stats = [
        Stat(
            "traces-traces",
            "Traces" if whole_traces else "Calls",
            now.count,
            fmt.count(now.count),
            previous=(then.count or None) if then else None,
            spark=rate_on(axis, sums),
            href="/traces" + view.kept(SEARCHED),
            hint=fmt.rate(now.count / view.seconds) if told else "",
        ),
        Stat(
            "traces-failed",
            "Failed",
            share,
            fmt.percent(share),
            previous=then.failed_share if then else None,
            better="down",
            spark=column_on(axis, sums, "error_rate"),
            colour=ERROR_LINE,
            href="/traces" + view.kept(SEARCHED, errors="1"),
            tone="bad" if error_tone(share) == "bad" else "",
            hint=f"{fmt.whole(now.failed)} of them" if told else "",
        ),
    ]
    for name, value in now.times_ms.items():
        short = name.removesuffix("_ms")
        stats.append(
            Stat(
                f"traces-{short}",
                f"Duration {short}",
                value,
                fmt.milliseconds(value),
                previous=then.times_ms[name] if then else None,
                better="down",
                spark=column_on(axis, times, name),
                colour=QUANTILES[name],
                href="/traces" + view.kept(SEARCHED, ms=at_least(value)),
                hint=f"{_LONGER[name]} took longer" if told else "",
            )
        )
    slowest = cells.group_by("time").agg(MS.max().alias("slowest_ms"))
    top = max(slowest["slowest_ms"].to_list(), default=None)
    stats.append(
        Stat(
            "traces-slowest",
            "Slowest",
            top,
            fmt.milliseconds(top),
            spark=column_on(axis, slowest, "slowest_ms"),
            colour=SERIES[1],
            href="/traces" + view.kept(SEARCHED, ms=at_least(top)),
            hint="a click finds it",
        )
    )
    return stats


def at_least(ms: float | None) -> str | None:
    """What the field "At least, ms" holds to find what took `ms`; None = nothing to find."""
    if not ms:
        return None
    low = ms / _WITHIN
    digits = max(0, 2 - math.floor(math.log10(low)))
    text = f"{math.floor(low * 10**digits) / 10**digits:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text
