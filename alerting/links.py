"""Links of an alert: itself, the chart it was seen on, the raw requests behind it. Pure.

The words of the query string are those of the screens (twin: FILTERS of dashboards/view.py), times
are absolute: the link shows next week what it shows tonight.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import quote, urlencode

from alerting.explain import narrowed
from alerting.limits import LABEL_CHARS_MAX
from alerting.point import Labels
from alerting.rule import BurnRate, Match, Pipeline, Rule, Threshold
from alerting.rule import Change as ChangeCheck
from analytics.query import DIMENSIONS, UNKNOWN, Filters

URL_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "environment": "env",
        "gateway": "gateway",
        "api": "api",
        "api_version": "version",
        "route": "route",
        "method": "method",
        "product": "product",
        "plan": "plan",
        "consumer": "consumer",
        "status_code": "status",
        "outcome": "outcome",
        "country": "country",
        "client_kind": "client",
    }
)
"""Dimension of the analytics -> parameter of a screen's URL."""

CHART_S_MIN = 1_800.0
"""A chart shows at least this much, so that a window of a minute is not seen without its past."""
REQUESTS_SHOWN = 200


def alert_url(external_url: str, fingerprint: str) -> str:
    """Where the dashboards show one alert."""
    return f"{external_url.rstrip('/')}/alerts?alert={quote(fingerprint)}"


def evidence_links(
    rule: Rule, series: Labels, at: float, window_s: float, external_url: str
) -> dict[str, str]:
    """`chart_url`, `requests_url` and `requests_sql` for the window that ended at `at`."""
    base = external_url.rstrip("/")
    if isinstance(rule.check, Match) and rule.check.page:
        times = urlencode({"from": _iso(at - window_s), "to": _iso(at)}, quote_via=quote)
        return {"requests_url": f"{base}{rule.check.page}&{times}"}
    if isinstance(rule.check, Pipeline):
        return {"chart_url": f"{base}/operate"}
    if not all(name in DIMENSIONS for name, _ in series):
        return {}  # columns of a query of one's own: no screen filters by them
    filters = narrowed(rule.filters, series)
    sql = requests_sql(rule, filters, at - window_s, at)
    shown_s = max(CHART_S_MIN, 3 * window_s)
    api = filters.api[0] if len(filters.api) == 1 else ""
    page = f"/apis/{quote(api, safe='')}" if api else "/apis"
    span: dict[str, str | list[str]] = {"from": _iso(at - shown_s), "to": _iso(at + shown_s / 4)}
    words = {URL_WORDS[n]: list(values) for n, values in filters.active() if n in URL_WORDS}
    chart = urlencode({**span, **words}, doseq=True, quote_via=quote)
    raw = urlencode(
        {"from": _iso(at - window_s), "to": _iso(at), "sql": sql}, quote_via=quote
    )  # fmt: skip
    return {
        "chart_url": f"{base}{page}?{chart}",
        "requests_url": f"{base}/sql?{raw}",
        "requests_sql": sql,
    }


def requests_sql(rule: Rule, filters: Filters, start: float, end: float) -> str:
    """A SELECT of the raw requests behind an alert, worst first; goes into `gatelens sql`."""
    where = [f"time >= TIMESTAMPTZ '{_iso(start)}'", f"time < TIMESTAMPTZ '{_iso(end)}'"]
    where += [_condition(name, values) for name, values in filters.active()]
    bad, order = _bad(rule)
    if bad:
        where.append(bad)
    return (
        # Names are ours, values are quoted, and it runs behind the guard.
        "SELECT time, api, route, consumer, method, path, status_code, duration_ms, trace_id"  # noqa: S608
        f" FROM requests WHERE {' AND '.join(where)} ORDER BY {order} LIMIT {REQUESTS_SHOWN}"
    )


def _bad(rule: Rule) -> tuple[str, str]:
    """Which requests make up the breach ('' = all), and their order."""
    match rule.check:
        case BurnRate(threshold_ms=float() as limit):
            return f"duration_ms > {limit:g}", "duration_ms DESC"
        case Threshold(measure=m) | ChangeCheck(measure=m) | BurnRate(measure=m):
            if m in ("errors", "error_rate"):
                return "outcome = 'server_error'", "time DESC"
            if m in ("client_errors", "client_error_rate"):
                return "status_code BETWEEN 400 AND 499", "time DESC"
            if m in ("rate_limited", "rate_limited_rate"):
                return "status_code = 429", "time DESC"
            if m in ("unauthorized", "unauthorized_rate"):
                return "status_code IN (401, 403)", "time DESC"
            if m.endswith("_ms") or m == "duration_ms_avg":
                column = m.split("_")[0]
                part = column if column in ("upstream", "gateway") else "duration"
                return "", f"{part}_ms DESC NULLS LAST"
    return "", "time DESC"


def _condition(name: str, values: tuple[str, ...]) -> str:
    column = f"CAST({name} AS VARCHAR)" if name == "status_code" else name
    if name == "status_code" and any(v.endswith("xx") for v in values):
        classes = " OR ".join(f"{column} LIKE {_text(v.replace('x', '_'))}" for v in values)
        return f"({classes})"
    known = [v for v in values if v != UNKNOWN]
    parts = [f"{column} IN ({', '.join(map(_text, known))})"] if known else []
    if UNKNOWN in values:
        parts.append(f"{column} IS NULL")
    return f"({' OR '.join(parts)})" if len(parts) > 1 else parts[0]


def _text(value: str) -> str:
    """A value of somebody's telemetry as a string of SQL."""
    return "'" + value[:LABEL_CHARS_MAX].replace("\x00", "").replace("'", "''") + "'"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
