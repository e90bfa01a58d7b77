"""Rules about logs, spans and probes as queries: what the rule says is bound, never written in.

{contains: panic, service: [payments], severity: error}
    ->  SELECT service_name, count(*) AS value FROM logs
        WHERE time >= $start AND time < $end AND icontains(body, $p0) AND service_name IN ($p1)
          AND severity_number >= $p2 GROUP BY service_name
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote, urlencode

LOG_COLUMNS = ("service_name", "service_namespace", "environment", "severity_text", "event_name")
SPAN_COLUMNS = ("service_name", "service_namespace", "environment", "name", "kind", "http_route")
"""What rules about logs and traces may group by."""

SEVERITY_NUMBERS: Mapping[str, int] = MappingProxyType(
    {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
)
"""Least severity_number (OpenTelemetry logs data model, SeverityNumber)."""

PROBES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "up": ("gatelens.probe.up", "1"),
        "certificate_expiry": ("gatelens.probe.certificate_expiry_s", "s"),
    }
)
"""Probe -> name of its metric, unit. Whoever probes sends these gauges by OTLP, with the attribute
`target`: up is 1 or 0, certificate_expiry the seconds until the certificate ends."""


@dataclass(frozen=True, slots=True)
class RowMatch:
    """Which rows count. Empty = no limit in that respect."""

    contains: str = ""
    """Part of a log's body or a span's name, upper and lower case alike."""
    pattern: str = ""
    """Regular expression (RE2) on the same."""
    services: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    severity: str = ""
    """Least severity; logs only."""
    status: str = ""
    """`error` or `ok`; spans only."""
    slower_than_ms: float = 0.0
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Query:
    where: list[str] = field(default_factory=lambda: ["time >= $start", "time < $end"])
    params: dict[str, str | float] = field(default_factory=dict)

    def bind(self, value: str | float) -> str:
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"

    def any_of(self, column: str, values: Sequence[str]) -> None:
        if values:
            self.where.append(f"{column} IN ({', '.join(map(self.bind, values))})")

    def count(self, table: str, by: Sequence[str]) -> str:
        columns = "".join(f"{name}, " for name in by)
        grouped = f" GROUP BY {', '.join(by)}" if by else ""
        return (
            f"SELECT {columns}count(*) AS value FROM {table}"  # noqa: S608  (names are ours)
            f" WHERE {' AND '.join(self.where)}{grouped}"
        )


def log_query(match: RowMatch, by: Sequence[str]) -> tuple[str, dict[str, str | float]]:
    """Number of log records; by: of LOG_COLUMNS."""
    query = _common(match, "body")
    if match.severity:
        least = SEVERITY_NUMBERS[match.severity]
        query.where.append(f"severity_number >= {query.bind(least)}")
    return query.count("logs", by), query.params


def span_query(match: RowMatch, by: Sequence[str]) -> tuple[str, dict[str, str | float]]:
    """Number of spans; by: of SPAN_COLUMNS."""
    query = _common(match, "name")
    if match.status:
        query.where.append(f"lower(status) = {query.bind(match.status)}")
    if match.slower_than_ms:
        query.where.append(f"duration_ns > {query.bind(match.slower_than_ms * 1e6)}")
    return query.count("spans", by), query.params


def probe_query(probe: str) -> tuple[str, dict[str, str | float]]:
    """The newest value per target."""
    return (
        "SELECT coalesce(attributes['target'], service_name, '(none)') AS target,"
        " arg_max(value, time) AS value FROM metrics"
        " WHERE time >= $start AND time < $end AND name = $p0 GROUP BY 1",
        {"p0": PROBES[probe][0]},
    )


def page_of(table: str, match: RowMatch) -> str:
    """The screen that shows such rows, its search filled in."""
    words = {"q": match.contains or match.pattern, "service": "".join(match.services[:1])}
    if table == "spans":
        words["errors"] = "1" if match.status == "error" else ""
        words["ms"] = f"{match.slower_than_ms:g}" if match.slower_than_ms else ""
    else:
        words["least"] = match.severity
    if len(match.environments) == 1:
        words["env"] = match.environments[0]
    given = {name: value for name, value in words.items() if value}
    return f"/{'traces' if table == 'spans' else 'logs'}?{urlencode(given, quote_via=quote)}"


def _common(match: RowMatch, text: str) -> _Query:
    query = _Query()
    if match.contains:
        query.where.append(f"icontains({text}, {query.bind(match.contains)})")
    if match.pattern:
        query.where.append(f"regexp_matches({text}, {query.bind(match.pattern)})")
    query.any_of("service_name", match.services)
    query.any_of("environment", match.environments)
    for name, value in match.attributes.items():
        query.where.append(f"attributes[{query.bind(name)}] = {query.bind(value)}")
    return query
