"""What the logs screen asks of the table `logs`; every question has the range and the search.

Counts and patterns add up hour by hour, so hours that are over come from memory; the counts then
tell how far back the newest records lie, and no more than that is read for them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from analytics.log_patterns import Message, Pattern, find_patterns
from dashboards.data import Data
from dashboards.limits import LOG_ROWS_MAX
from dashboards.search_terms import conditions, parse_search
from dashboards.view import View

LEAST = {"info": 9, "warn": 13, "error": 17}
"""`least` of the URL -> OTLP severity number from which records are shown."""

_TERMS = {
    "service": "service_name",
    "version": "service_version",
    "severity": "severity_text",
    "event": "event_name",
    "span": "span_id",
}
"""Keys of a search that are columns; any other is an attribute of the record or its resource."""

FACET_ROWS_MAX = 20_000
"""Records whose attributes are counted, the newest: enough to tell what is common."""

PATTERN_TEXTS_MAX = 4_000
"""Distinct masked texts that are looked at for patterns, the commonest."""

HOUR_TEXTS_MAX = 2_000
"""The same of one hour, which is kept in memory."""

_WHERE = """
WHERE time >= $start
  AND time < $end
  AND ($environment IS NULL OR environment = $environment)
  AND ($service IS NULL OR service_name = $service)
  AND ($least IS NULL OR severity_number >= $least)
  AND ($trace IS NULL OR trace_id = $trace)
  AND ($q IS NULL OR icontains(body, $q))
"""

ROWS = f"""
SELECT time, severity_number, severity_text, service_name, body, trace_id
FROM logs
{{where}}
ORDER BY time DESC
LIMIT {LOG_ROWS_MAX}
"""  # noqa: S608 - constants of ours

COUNTS = """
WITH record AS (
    SELECT
        epoch_us(time) // 3600000000 AS stored_hour,
        time_bucket(to_seconds($step), time) AS time,
        severity_number,
        service_name
    FROM logs
    {where}
)
SELECT stored_hour, time, severity_number, service_name, count(*) AS logs
FROM record
GROUP BY GROUPING SETS (
    (stored_hour, time, severity_number),
    (stored_hour, service_name, severity_number)
)
"""
"""Every record twice: over time, and by service where `time` is NULL."""

FACETS = f"""
WITH record AS (
    SELECT attributes
    FROM logs
    {{where}}
    ORDER BY time DESC
    LIMIT {FACET_ROWS_MAX}
),
pair AS (
    SELECT entry.key AS facet, entry.value AS value
    FROM (SELECT unnest(map_entries(attributes)) AS entry FROM record)
),
counted AS (
    SELECT facet, value, count(*) AS logs
    FROM pair
    GROUP BY ALL
),
useful AS (
    SELECT facet, sum(logs) AS records
    FROM counted
    GROUP BY facet
    HAVING count(*) BETWEEN 2 AND 50 AND max(length(value)) <= 120
    ORDER BY records DESC, facet
    LIMIT 5
)
SELECT counted.facet, value, logs
FROM counted
JOIN useful USING (facet)
QUALIFY row_number() OVER (PARTITION BY counted.facet ORDER BY logs DESC, value) <= 10
ORDER BY records DESC, facet, logs DESC, value
"""  # noqa: S608 - constants of ours

PATTERNS = f"""
WITH said AS (
    SELECT
        epoch_us(time) // 3600000000 AS stored_hour,
        left(body, 300) AS body,
        service_name,
        max(severity_number) AS severity_number,
        count(*) AS logs,
        max(time) AS last_seen
    FROM logs
    {{where}}
      AND body IS NOT NULL
    GROUP BY ALL
)
SELECT
    stored_hour,
    regexp_replace(body, '[0-9a-fA-F-]{{{{8,}}}}|[0-9]+', '#', 'g') AS text,
    service_name,
    max(severity_number) AS severity_number,
    CAST(sum(logs) AS BIGINT) AS logs,
    max(last_seen) AS last_seen
FROM said
GROUP BY stored_hour, text, service_name
QUALIFY
    row_number() OVER (PARTITION BY stored_hour ORDER BY sum(logs) DESC, text) <= {HOUR_TEXTS_MAX}
"""  # noqa: S608 - constants of ours
"""What was said in each hour, numbers and ids masked: once per text, not per record."""


async def counted(data: Data, view: View) -> pl.DataFrame:
    """Records by severity over time: time, severity_number, service_name, logs; see COUNTS."""
    sql, wanted = asked(view, COUNTS)
    return await data.settled_rows(view, "logs", sql, step=view.interval_s, **wanted)


async def newest_rows(data: Data, view: View) -> pl.DataFrame:
    """The newest LOG_ROWS_MAX records: columns of ROWS."""
    return await _newest(data, view, ROWS, LOG_ROWS_MAX)


async def facet_values(data: Data, view: View) -> pl.DataFrame:
    """Attributes of the newest FACET_ROWS_MAX records that tell them apart: facet, value, logs."""
    return await _newest(data, view, FACETS, FACET_ROWS_MAX)


async def _newest(data: Data, view: View, statement: str, records: int) -> pl.DataFrame:
    """A statement about the newest records, which reads no further back than they lie."""
    counts = await counted(data, view)
    sql, wanted = asked(view, statement)
    near = replace(view, start=newest_from(counts, records, view.start))
    return await data.sql(near, sql, **wanted)


async def found_patterns(data: Data, view: View) -> list[Pattern]:
    """Patterns of the view's messages, commonest first."""
    sql, wanted = asked(view, PATTERNS)

    def find() -> list[Pattern]:
        rows = data.analytics.settled_rows("logs", sql, wanted, view.time_range)
        said = (
            rows.group_by("text", "service_name")
            .agg(pl.col("severity_number").max(), pl.col("logs").sum(), pl.col("last_seen").max())
            .sort("logs", "text", descending=[True, False])
            .head(PATTERN_TEXTS_MAX)
        )
        return find_patterns(
            Message(r["text"], r["logs"], r["service_name"], r["severity_number"], r["last_seen"])
            for r in said.iter_rows(named=True)
        )

    return await data.ask("log-patterns", view, find, sql, *wanted.items())


def newest_from(counts: pl.DataFrame, records: int, start: datetime) -> datetime:
    """From when on the newest `records` are, to an interval of the counts; `start` where there are
    no more."""
    back = (
        counts.drop_nulls("time")
        .group_by("time")
        .agg(pl.col("logs").sum())
        .sort("time", descending=True)
        .filter(pl.col("logs").cum_sum() >= records)
    )
    return max(start, back["time"].to_list()[0]) if back.height else start


def without_least(view: View) -> View:
    """The same search at any severity: the state row tells the shares of severities."""
    return replace(view, extra={k: v for k, v in view.extra.items() if k != "least"})


def asked(view: View, statement: str) -> tuple[str, dict[str, Any]]:
    """A statement of this file with the search of the URL in it, and its parameters."""
    search = parse_search(view.extra.get("q"))
    terms, bound = conditions(search, _TERMS, ("attributes", "resource_attributes"))
    parameters: dict[str, Any] = {
        "q": search.text,
        "service": view.extra.get("service") or None,
        "trace": (view.extra.get("trace") or "").lower() or None,
        "least": LEAST.get(view.extra.get("least", "")),
        "environment": next(iter(view.filters.get("env", ())), None),
        **bound,
    }
    return statement.format(where=_WHERE + terms), parameters
