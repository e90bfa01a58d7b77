"""What the logs screen asks of the table `logs`; every question has the range and the search."""

from __future__ import annotations

from typing import Any

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
SELECT time_bucket(to_seconds($step), time) AS time, severity_number, count(*) AS logs
FROM logs
{where}
GROUP BY ALL
"""

FACETS = f"""
WITH record AS (
    SELECT service_name, attributes
    FROM logs
    {{where}}
    ORDER BY time DESC
    LIMIT {FACET_ROWS_MAX}
),
pair AS (
    SELECT '' AS facet, service_name AS value
    FROM record
    UNION ALL
    SELECT entry.key, entry.value
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
    HAVING facet = '' OR (count(*) BETWEEN 2 AND 50 AND max(length(value)) <= 120)
    ORDER BY facet != '', records DESC, facet
    LIMIT 6
)
SELECT counted.facet, value, logs
FROM counted
JOIN useful USING (facet)
QUALIFY row_number() OVER (PARTITION BY counted.facet ORDER BY logs DESC, value) <= 10
ORDER BY facet != '', records DESC, facet, logs DESC, value
"""  # noqa: S608 - constants of ours

PATTERNS = f"""
SELECT
    regexp_replace(left(body, 300), '[0-9a-fA-F-]{{{{8,}}}}|[0-9]+', '#', 'g') AS text,
    service_name,
    max(severity_number) AS severity_number,
    count(*) AS logs,
    max(time) AS last_seen
FROM logs
{{where}}
  AND body IS NOT NULL
GROUP BY text, service_name
ORDER BY logs DESC
LIMIT {PATTERN_TEXTS_MAX}
"""  # noqa: S608 - constants of ours


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
