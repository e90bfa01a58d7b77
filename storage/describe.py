"""The schema as people read it: tables, columns, types, units, macros and an example each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

from storage.macros import MACROS
from storage.schemas import TABLES, TableSpec
from storage.views import sql_type as _quoted_type
from storage.views import view_columns

EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "requests": (
            "SELECT api, count(*) AS requests, quantile_cont(duration_ms, 0.99) AS p99_ms\n"
            "FROM requests\n"
            "WHERE time >= now() - INTERVAL 1 HOUR\n"
            "GROUP BY api\n"
            "ORDER BY requests DESC"
        ),
        "spans": (
            "SELECT time, service_name, name, duration_ns / 1e6 AS ms\n"
            "FROM spans\n"
            "WHERE trace_id = '0af7651916cd43dd8448eb211c80319c'\n"
            "ORDER BY time"
        ),
        "logs": (
            "SELECT time, service_name, severity_text, body\n"
            "FROM logs\n"
            "WHERE time >= now() - INTERVAL 1 HOUR AND body ILIKE '%timeout%'\n"
            "ORDER BY time DESC\n"
            "LIMIT 100"
        ),
        "metrics": (
            "SELECT time_bucket(INTERVAL 1 MINUTE, time) AS minute, avg(value) AS value\n"
            "FROM metrics\n"
            "WHERE name = 'process.cpu.utilization' AND time >= now() - INTERVAL 1 HOUR\n"
            "GROUP BY minute\n"
            "ORDER BY minute"
        ),
        "rejects": (
            "SELECT source, reason, count(*) AS records\n"
            "FROM rejects\n"
            "GROUP BY ALL\n"
            "ORDER BY records DESC"
        ),
        "alert_events": (
            "SELECT time, rule, state, severity, summary\n"
            "FROM alert_events\n"
            "ORDER BY time DESC\n"
            "LIMIT 100"
        ),
        "traces": "SELECT trace_id, min(time) AS time, sum(spans) AS spans, sum(errors) AS errors\n"
        "FROM traces\nWHERE time >= now() - INTERVAL 1 HOUR\nGROUP BY trace_id\nORDER BY time DESC",
        "service_edges": "SELECT source, target, sum(calls) AS calls, sum(errors) AS errors\n"
        "FROM service_edges\nWHERE time >= now() - INTERVAL 1 DAY\nGROUP BY source, target",
        "attribute_keys": "SELECT place, key, sum(records) AS records\nFROM attribute_keys\n"
        "WHERE time >= now() - INTERVAL 1 DAY\nGROUP BY place, key\nORDER BY records DESC",
        "billing_lines": "SELECT consumer, time, sum(CAST(amount AS DECIMAL(18, 2))) AS total\n"
        "FROM billing_lines\nWHERE time >= now() - INTERVAL 365 DAY\nGROUP BY consumer, time",
    }
)


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    name: str
    type: str
    """As DuckDB names it."""
    unit: str
    """UCUM or a word; '' where the value has none."""
    description: str


@dataclass(frozen=True, slots=True)
class TableInfo:
    name: str
    description: str
    tier: str
    columns: tuple[ColumnInfo, ...]
    """In the order of SELECT *, day and hour last."""
    example: str
    """A query that runs as it is."""


@dataclass(frozen=True, slots=True)
class MacroInfo:
    name: str
    signature: str
    description: str


def sql_type(type_: pa.DataType) -> str:
    """A column's type as DuckDB names it, for people: without quotes."""
    return _quoted_type(type_).replace('"', "")


def describe_tables() -> list[TableInfo]:
    """Every table, raw ones first."""
    return [
        TableInfo(spec.name, spec.description, spec.tier, _columns(spec), example_query(spec))
        for spec in TABLES.values()
    ]


def describe_macros() -> list[MacroInfo]:
    return [MacroInfo(m.name, f"{m.name}({m.parameters})", m.description) for m in MACROS]


def example_query(spec: TableSpec) -> str:
    if spec.name in EXAMPLES:
        return EXAMPLES[spec.name]
    if spec.name.startswith("latency_"):
        part = "part = 'total' AND " if "part" in spec.column_names else ""
        return (
            "SELECT api, latency_quantile(list(bucket), list(requests), 0.99) AS p99_ms\n"
            f"FROM {spec.name}\n"
            f"WHERE {part}time >= now() - INTERVAL 1 DAY\n"
            "GROUP BY api"
        )
    if not spec.name.startswith("usage_"):
        return (
            f"SELECT *\nFROM {spec.name}\nWHERE time >= now() - INTERVAL 1 DAY\n"
            "ORDER BY time DESC\nLIMIT 100"
        )
    return (
        "SELECT api, sum(requests) AS requests, sum(errors) / sum(requests) AS error_rate\n"
        f"FROM {spec.name}\n"
        "WHERE time >= now() - INTERVAL 1 DAY\n"
        "GROUP BY api"
    )


def _columns(spec: TableSpec) -> tuple[ColumnInfo, ...]:
    described = {c.name: (c.unit, c.description) for c in spec.columns}
    described["day"] = ("", "UTC day of `time`; a condition on it skips whole folders.")
    described["hour"] = ("h", "UTC hour of `time`, 0-23.")
    return tuple(
        ColumnInfo(name, type_.replace('"', ""), *described[name])
        for name, type_ in view_columns(spec)
    )
