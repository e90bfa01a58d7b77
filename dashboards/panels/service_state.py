"""The state row of the services screen: what they answer, what fails and where, what is thrown."""

from __future__ import annotations

import math

import polars as pl

from analytics.buckets import quantiles_by
from dashboards import format as fmt
from dashboards.components import Stat, error_tone
from dashboards.figures.base import TimeAxis
from dashboards.measured import column_on, over_all, rate_on
from dashboards.panels.trace_state import all_of, at_least
from dashboards.theme import ERROR_LINE, QUANTILES
from dashboards.view import View

CALLED = """
SELECT
    epoch_us(time) // 3600000000 AS stored_hour,
    time_bucket(to_seconds($step), time) AS time,
    latency_bucket(duration_ns / 1e6) AS bucket,
    count(*) AS requests,
    count(*) FILTER (WHERE status = 'ERROR') AS errors
FROM spans
WHERE time >= $start
  AND time < $end
  AND kind IN ('SERVER', 'CONSUMER')
  AND ($environment IS NULL OR environment = $environment)
GROUP BY ALL
"""
"""What all services together were asked, over time."""


def services_of(spans: pl.DataFrame) -> pl.DataFrame:
    """Per service calls, errors, instances. spans: partial rows of service, called, instance,
    requests, errors; spans without a service's name are the row None."""
    called = pl.col("called").fill_null(value=False)
    return spans.group_by("service").agg(
        pl.col("requests").filter(called).sum().alias("calls"),
        pl.col("errors").filter(called).sum(),
        pl.col("instance").drop_nulls().n_unique().alias("instances"),
    )


def service_stats(
    spans: pl.DataFrame,
    cells: pl.DataFrame,
    thrown: pl.DataFrame,
    axis: TimeAxis,
    view: View,
    *,
    before: pl.DataFrame | None = None,
) -> list[Stat]:
    """spans: as services_of takes them; cells: what CALLED gives, before: of the range before, None
    = not asked; thrown: exceptions, a row per kind. Times within 1 %."""
    red = services_of(spans)
    named = red.filter(pl.col("service").is_not_null())
    sums = over_all(cells)
    now = all_of(cells)
    then = None if before is None else all_of(before)
    told = then is None
    share, p95 = now.failed_share, now.times_ms["p95_ms"]
    timed = cells.drop_nulls("bucket").select("time", "bucket", "requests")
    times = quantiles_by(timed, ("time",), (0.95,))
    exceptions = int(thrown["occurrences"].sum())
    return [
        Stat(
            "services-services",
            "Services",
            named.height,
            fmt.whole(named.height),
            href="#services-red",
            hint=fmt.counted(int(red["instances"].sum()), "instance"),
        ),
        Stat(
            "services-calls",
            "Calls",
            now.count,
            fmt.count(now.count),
            previous=(then.count or None) if then else None,
            spark=rate_on(axis, sums),
            href="/traces" + view.query(),
            hint=fmt.rate(now.count / view.seconds) if told else "",
        ),
        Stat(
            "services-failed",
            "Failed",
            share,
            fmt.percent(share),
            previous=then.failed_share if then else None,
            better="down",
            spark=column_on(axis, sums, "error_rate"),
            colour=ERROR_LINE,
            href="/traces" + view.query(errors="1"),
            tone="bad" if error_tone(share) == "bad" else "",
            hint=fmt.counted(now.failed, "call") if told else "",
        ),
        Stat(
            "services-p95",
            "Duration p95",
            p95,
            fmt.milliseconds(p95),
            previous=then.times_ms["p95_ms"] if then else None,
            better="down",
            spark=column_on(axis, times, "p95_ms"),
            colour=QUANTILES["p95_ms"],
            href="/traces" + view.query(ms=at_least(p95)),
            hint="of every call" if told else "",
        ),
        _worst(named, view),
        Stat(
            "services-thrown",
            "Exceptions",
            exceptions,
            fmt.count(exceptions),
            href="#services-exceptions",
            hint=f"of {fmt.counted(thrown.height, 'kind')}" if exceptions else "none recorded",
        ),
    ]


def _worst(red: pl.DataFrame, view: View) -> Stat:
    """The service that surely fails most: one lost call of two does not go before 200 of 1,000."""
    failing = [row for row in red.iter_rows(named=True) if row["errors"]]
    if not failing:
        return Stat(
            "services-worst",
            "Worst service",
            0 if red.height else None,
            "none" if red.height else fmt.MISSING,
            href="#services-red",
            hint="no call failed" if red.height else "",
        )
    worst = max(
        failing, key=lambda row: (surely_failing(row["errors"], row["calls"]), row["service"])
    )
    rate, name = worst["errors"] / worst["calls"], worst["service"]
    return Stat(
        "services-worst",
        "Worst service",
        rate,
        fmt.percent(rate),
        href="/traces" + view.query(service=name, errors="1"),
        tone=error_tone(rate),
        hint=fmt.plain(name, 40),
    )


def surely_failing(errors: int, calls: int) -> float:
    """Lower end of Wilson's 95 % interval of a share (Wilson 1927): few calls say little. 0 where
    there are none."""
    if not calls:
        return 0.0
    z2 = 1.96**2
    share = errors / calls
    spread = 1.96 * math.sqrt(share * (1 - share) / calls + z2 / (4 * calls * calls))
    return (share + z2 / (2 * calls) - spread) / (1 + z2 / calls)
