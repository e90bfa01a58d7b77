"""The state row of the logs screen: how much is said, how much of it is bad, and by whom."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from analytics.log_patterns import Pattern
from dashboards import format as fmt
from dashboards.components import Stat, error_tone
from dashboards.figures.base import TimeAxis
from dashboards.figures.severity import COLOURS
from dashboards.measured import column_on, rate_on
from dashboards.panels.log_panels import RARE
from dashboards.questions.log_queries import LEAST
from dashboards.view import View

SEARCHED = ("q", "service", "trace", "least")
"""Parameters of the search in the URL; links of the row keep them."""

_NUMBER = pl.col("severity_number")
_IS_ERROR = (LEAST["error"] <= _NUMBER).fill_null(value=False)
_IS_WARNING = _NUMBER.is_between(LEAST["warn"], LEAST["error"] - 1).fill_null(value=False)
_SUMS = (
    pl.col("logs").sum().alias("requests"),
    pl.col("logs").filter(_IS_ERROR).sum().alias("errors"),
    pl.col("logs").filter(_IS_WARNING).sum().alias("warnings"),
)


def log_stats(
    counts: pl.DataFrame,
    patterns: Sequence[Pattern],
    axis: TimeAxis,
    view: View,
    *,
    before: pl.DataFrame | None = None,
) -> list[Stat]:
    """counts: every record over time and by service, as log_queries.COUNTS gives them, at any
    severity; before: of the range before, None = not asked."""
    over_time = counts.drop_nulls("time").group_by("time").agg(*_SUMS)
    by_service = counts.filter(pl.col("time").is_null()).group_by("service_name").agg(*_SUMS)
    named = by_service.drop_nulls("service_name")
    total, errors, warnings = _totals(counts)
    then, then_errors, then_warnings = (0, 0, 0) if before is None else _totals(before)
    told = before is None
    shares = over_time.with_columns(
        (pl.col(name) / pl.col("requests")).alias(f"{name}_share")
        for name in ("errors", "warnings")
    )
    error_share, warning_share = (n / total if total else None for n in (errors, warnings))
    failing = named.filter(pl.col("errors") > 0)
    rare = sum(1 for pattern in patterns if pattern.records <= RARE)
    return [
        Stat(
            "logs-records",
            "Records",
            total,
            fmt.count(total),
            previous=then or None,
            spark=rate_on(axis, over_time),
            href="/logs" + view.kept(SEARCHED, least=None),
            hint=fmt.rate(total / view.seconds) if told else "",
        ),
        Stat(
            "logs-errors",
            "Errors",
            error_share,
            fmt.percent(error_share),
            previous=then_errors / then if then else None,
            better="down",
            spark=column_on(axis, shares, "errors_share"),
            colour=COLOURS["error"],
            href="/logs" + view.kept(SEARCHED, least="error"),
            tone="bad" if error_tone(error_share) == "bad" else "",
            hint=fmt.counted(errors, "record") if told else "",
        ),
        Stat(
            "logs-warnings",
            "Warnings",
            warning_share,
            fmt.percent(warning_share),
            previous=then_warnings / then if then else None,
            better="down",
            spark=column_on(axis, shares, "warnings_share"),
            colour=COLOURS["warn"],
            href="/logs" + view.kept(SEARCHED, least="warn"),
            hint=fmt.counted(warnings, "record") if told else "",
        ),
        _loudest(failing, total, view),
        Stat(
            "logs-services",
            "Services",
            named.height,
            fmt.whole(named.height),
            href="#logs-facets",
            hint=f"{fmt.whole(failing.height)} of them with errors",
        ),
        Stat(
            "logs-rare",
            "Rare patterns",
            rare,
            fmt.whole(rare),
            href="#logs-patterns",
            hint=f"said {RARE} times or less",
        ),
    ]


def _totals(counts: pl.DataFrame) -> tuple[int, int, int]:
    """Records, those that are errors, those that are warnings."""
    sums = counts.drop_nulls("time").select(*_SUMS).row(0)
    return int(sums[0]), int(sums[1]), int(sums[2])


def _loudest(failing: pl.DataFrame, total: int, view: View) -> Stat:
    """The service with the most records of errors."""
    if failing.is_empty():
        return Stat(
            "logs-loudest",
            "Most errors",
            0 if total else None,
            "none" if total else fmt.MISSING,
            href="#logs-facets",
            hint="no service logs errors" if total else "",
        )
    worst = failing.sort("errors", "service_name", descending=[True, False]).row(0, named=True)
    name = worst["service_name"]
    return Stat(
        "logs-loudest",
        "Most errors",
        worst["errors"],
        fmt.count(worst["errors"]),
        href="/logs" + view.kept(SEARCHED, service=name, least="error"),
        hint=fmt.plain(name, 40),
    )
