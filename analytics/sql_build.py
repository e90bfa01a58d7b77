"""The generated part of queries: names from allow-lists, values always bound."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from analytics.filters import UNKNOWN, Filters, check_dimensions, status_range
from analytics.grains import Kind
from analytics.pieces import Piece
from analytics.policy import NO_POLICY, Params, Policy
from storage.schemas import TABLES

ERROR = "COALESCE(outcome = 'server_error', status_code >= 500, FALSE)"
"""A request that failed on the server side. Twin: sql/usage_minute.sql."""

_COUNT = "CAST(COALESCE(sum({}) FILTER (WHERE {}), 0) AS BIGINT)"
_USAGE_SUMS = {
    "requests": "CAST(sum(requests) AS BIGINT)",
    "rate_limited": _COUNT.format("requests", "outcome IN ('rate_limited', 'quota_exceeded')"),
    "unauthorized": _COUNT.format("requests", "outcome = 'unauthorized'"),
    "aborted": _COUNT.format("requests", "outcome = 'aborted'"),
    # DOUBLE on the way: sums of sums must not wrap
    "request_bytes": "CAST(sum(request_bytes) AS DOUBLE)",
    "response_bytes": "CAST(sum(response_bytes) AS DOUBLE)",
    "duration_ms_sum": "sum(duration_ms_sum)",
    "duration_requests": "CAST(COALESCE(sum(duration_requests), 0) AS BIGINT)",
    "last_seen": "max(time)",
    "first_seen": "min(time)",
}
"""What a usage question can add up, as SQL over a rollup table. Only what is asked is computed."""

_FAILURES = {
    "errors": ("errors", "TRUE"),
    "client_errors": ("requests", "status_code BETWEEN 400 AND 499"),
}
"""Sums that expected errors are taken out of: (column, condition)."""

ORIGIN = datetime(1900, 1, 1, tzinfo=UTC)
"""A Monday before any time the lake holds: intervals of any length are counted from here."""

ORIGIN_US = -2_208_988_800_000_000
"""ORIGIN in microseconds since 1970."""

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
    low, high = status_range(value)
    if low == high:
        return f"status_code = {params.add(low)}"
    return f"status_code BETWEEN {low} AND {high}"


def piece_sql(
    kind: Kind,
    piece: Piece,
    filters: Filters,
    *,
    by: Sequence[str],
    interval_s: int | None,
    part: str = "total",
    sums: Sequence[str] = ("requests",),
    policy: Policy = NO_POLICY,
    cuts: Sequence[datetime] = (),
    hourly: bool = False,
) -> tuple[str, dict[str, object]]:
    """SELECT over one piece, grouped by [stored_hour,] [ring,] [time,] *by [, bucket].

    ring: how many of the `cuts` are at or before the row's time.
    stored_hour: number of the hour since 1970, with `hourly`.
    time: start of the interval (counted from ORIGIN) in microseconds since 1970: arithmetic on
    integers, since time_bucket costs more than the rest of the query. Raises UnknownDimension.
    """
    check_dimensions(tuple(by))
    params = Params()
    conditions = [
        _within(piece, params),
        *where_filters(filters, params),
        *where_policy(policy, filters, params),
    ]
    keys = [f"{name} AS {name}" for name in by]
    if interval_s is not None:
        step_us = int(interval_s) * 1_000_000
        number = f"(epoch_us(time) - ({ORIGIN_US})) // {step_us}"
        keys.insert(0, f"{number} * {step_us} + ({ORIGIN_US}) AS time")
    if cuts:
        passed = (f"CAST(time >= {params.add(cut)} AS INTEGER)" for cut in cuts)
        keys.insert(0, f"CAST({' + '.join(passed)} AS INTEGER) AS ring")
    if hourly:
        keys.insert(0, "epoch_us(time) // 3600000000 AS stored_hour")
    if kind == "usage":
        source = _RAW_USAGE if piece.raw else piece.table
    elif piece.raw:
        column = _PART_COLUMN[part]
        source = f"(SELECT *, latency_bucket({column}) AS bucket, 1 AS requests FROM requests)"  # noqa: S608
        conditions.append(f"isfinite({column})")
        keys.append("bucket")
    else:
        source = piece.table
        if "part" in TABLES[piece.table].column_names:
            conditions.append(f"part = {params.add(part)}")
        keys.append("bucket")
    expected = policy.expected_sql(params) if EXPECTING & set(sums) else None
    added = [f"{_sum_sql(name, expected)} AS {name}" for name in sums]
    # grouped by position: `time` and `requests` name columns of the source, too
    positions = ", ".join(str(i + 1) for i in range(len(keys)))
    sql = (
        f"SELECT {', '.join([*keys, *added])} FROM {source} "  # noqa: S608 - names from allow-lists
        f"WHERE {' AND '.join(conditions)}"
    )
    # without keys a group-less sum would give one row of NULLs over nothing
    return sql + (f" GROUP BY {positions}" if positions else " HAVING count(*) > 0"), params.values


EXPECTING = {*_FAILURES, "expected_errors"}
"""Sums that depend on which errors are expected."""


def _sum_sql(name: str, expected: str | None) -> str:
    if name == "expected_errors":
        return _COUNT.format("requests", expected or "FALSE")
    if name not in _FAILURES:
        return _USAGE_SUMS[name]
    column, condition = _FAILURES[name]
    return _COUNT.format(column, f"{condition} AND NOT {expected}" if expected else condition)


def where_policy(policy: Policy, filters: Filters, params: Params) -> list[str]:
    """Condition that keeps what the filters' `endpoints` asks for."""
    if filters.endpoints == "all":
        return []
    excluded = policy.excluded_sql(params)
    if filters.endpoints == "excluded":
        return [excluded or "FALSE"]
    return [f"NOT {excluded}"] if excluded else []


def _within(piece: Piece, params: Params) -> str:
    spans = [
        f"(time >= {params.add(start)} AND time < {params.add(end)})" for start, end in piece.spans
    ]
    return spans[0] if len(spans) == 1 else f"({' OR '.join(spans)})"
