"""The generated part of queries: WHERE and GROUP BY from allow-listed names; values always bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analytics.errors import QueryRefused
from analytics.filters import UNKNOWN, Filters, check_dimensions
from analytics.pieces import Kind, Piece

ERROR = "COALESCE(outcome = 'server_error', status_code >= 500, FALSE)"
"""A request that failed on the server side. Twin: sql/usage_minute.sql."""

_USAGE_SUMS = (
    "CAST(sum(requests) AS BIGINT) AS requests",
    "CAST(COALESCE(sum(errors), 0) AS BIGINT) AS errors",
    "CAST(COALESCE(sum(requests) FILTER (WHERE status_code BETWEEN 400 AND 499), 0) AS BIGINT)"
    " AS client_errors",
    "CAST(COALESCE(sum(requests) FILTER (WHERE outcome IN ('rate_limited', 'quota_exceeded')), 0)"
    " AS BIGINT) AS rate_limited",
    "CAST(COALESCE(sum(requests) FILTER (WHERE outcome = 'unauthorized'), 0) AS BIGINT)"
    " AS unauthorized",
    "CAST(COALESCE(sum(requests) FILTER (WHERE outcome = 'aborted'), 0) AS BIGINT) AS aborted",
    "CAST(sum(request_bytes) AS DOUBLE) AS request_bytes",
    "CAST(sum(response_bytes) AS DOUBLE) AS response_bytes",
    "sum(duration_ms_sum) AS duration_ms_sum",
    "CAST(COALESCE(sum(duration_requests), 0) AS BIGINT) AS duration_requests",
    "max(time) AS last_seen",
)

USAGE_COLUMNS = tuple(text.rsplit(" AS ", 1)[1] for text in _USAGE_SUMS)
"""Columns of a usage piece after its keys. Bytes are DOUBLE on the way: sums of sums must not wrap."""

_RAW_USAGE = f"""(
    SELECT
        *,
        1 AS requests,
        CASE WHEN {ERROR} THEN 1 ELSE 0 END AS errors,
        CASE WHEN isfinite(duration_ms) THEN duration_ms END AS duration_ms_sum,
        CASE WHEN isfinite(duration_ms) THEN 1 ELSE 0 END AS duration_requests
    FROM requests
)"""  # noqa: S608 - no input

_PART_COLUMN = {"total": "duration_ms", "upstream": "upstream_ms", "gateway": "gateway_ms"}


@dataclass(slots=True)
class Params:
    """Values of a query by name; `add` returns the placeholder."""

    values: dict[str, object] = field(default_factory=dict)

    def add(self, value: object) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def where_filters(filters: Filters, params: Params) -> list[str]:
    """One condition per narrowed dimension."""
    return [_condition(name, values, params) for name, values in filters.active()]


def _condition(name: str, values: Sequence[str], params: Params) -> str:
    options = []
    known = [value for value in values if value != UNKNOWN]
    if len(known) < len(values):
        options.append(f"{name} IS NULL")
    if name == "status_code":
        options += [_status(value, params) for value in known]
    elif known:
        options.append(f"{name} IN ({', '.join(params.add(value) for value in known)})")
    return f"({' OR '.join(options)})"


def _status(value: str, params: Params) -> str:
    text = str(value).strip().lower()
    if len(text) == 3 and text.endswith("xx") and text[0] in "12345":
        low = int(text[0]) * 100
        return f"status_code BETWEEN {low} AND {low + 99}"
    if text.isascii() and text.isdigit() and len(text) <= 3:
        return f"status_code = {params.add(int(text))}"
    raise QueryRefused(f"{value[:20]!r} is not a status code; use 404 or 5xx")


def piece_sql(
    kind: Kind,
    piece: Piece,
    filters: Filters,
    *,
    by: Sequence[str],
    interval_s: int | None,
    part: str = "total",
) -> tuple[str, dict[str, object]]:
    """SELECT over one piece, grouped by [time,] *by [, bucket]. Raises UnknownDimension."""
    check_dimensions(tuple(by))
    params = Params()
    conditions = [_within(piece, params), *where_filters(filters, params)]
    keys = [f"{name} AS {name}" for name in by]
    if interval_s is not None:
        # origin: Monday 2000-01-03, DuckDB's own; the twin for filling gaps is series.py
        keys.insert(0, f"time_bucket(to_seconds({int(interval_s)}), time) AS time")
    if kind == "usage":
        source = _RAW_USAGE if piece.tier == "raw" else piece.table
        sums: tuple[str, ...] = _USAGE_SUMS
    elif piece.tier == "raw":
        column = _PART_COLUMN[part]
        source = f"(SELECT *, latency_bucket({column}) AS bucket, 1 AS requests FROM requests)"  # noqa: S608
        conditions.append(f"isfinite({column})")
        keys.append("bucket")
        sums = _USAGE_SUMS[:1]
    else:
        source = piece.table
        conditions.append(f"part = {params.add(part)}")
        keys.append("bucket")
        sums = _USAGE_SUMS[:1]
    # grouped by position: `time` and `requests` name columns of the source, too
    positions = ", ".join(str(i + 1) for i in range(len(keys)))
    sql = (
        f"SELECT {', '.join([*keys, *sums])} FROM {source} "  # noqa: S608 - names from allow-lists
        f"WHERE {' AND '.join(conditions)}"
    )
    # without keys a group-less sum would give one row of NULLs over nothing
    return sql + (f" GROUP BY {positions}" if positions else " HAVING count(*) > 0"), params.values


def _within(piece: Piece, params: Params) -> str:
    spans = [
        f"(time >= {params.add(start)} AND time < {params.add(end)})" for start, end in piece.spans
    ]
    return spans[0] if len(spans) == 1 else f"({' OR '.join(spans)})"
