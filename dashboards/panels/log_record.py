"""One log record with everything it carries, beside the list: `open=<time>|<service>` in the URL.

Records have no id. Those of one service at the very same microsecond are shown together.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from dash import html

from dashboards import format as fmt
from dashboards.components import Component, dot, drawer, facts, page_link, pairs_of
from dashboards.data import Data
from dashboards.figures.severity import COLOURS, level
from dashboards.panels.log_context import context_href
from dashboards.panels.log_state import SEARCHED
from dashboards.search_terms import with_term
from dashboards.view import View

TOGETHER_MAX = 5
"""Records of one service and microsecond that are shown."""

_RECORD = f"""
SELECT
    time,
    observed_time,
    severity_number,
    severity_text,
    body,
    event_name,
    trace_id,
    span_id,
    service_name,
    service_namespace,
    service_version,
    service_instance_id,
    environment,
    scope_name,
    map_entries(attributes) AS attributes,
    map_entries(resource_attributes) AS resource
FROM logs
WHERE time >= $start
  AND time < $end
  AND service_name IS NOT DISTINCT FROM $service
ORDER BY body
LIMIT {TOGETHER_MAX}
"""  # noqa: S608 - constants of ours

_COLUMNS = {
    "severity_text": "severity",
    "event_name": "event",
    "trace_id": "trace",
    "span_id": "span",
    "service_namespace": "service namespace",
    "service_version": "version",
    "service_instance_id": "instance",
    "environment": "environment",
    "scope_name": "scope",
}
"""Column -> how the drawer names it."""


def record_key(time: datetime, service: str | None) -> str:
    """What `open` of the URL holds for a record."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}|{service or ''}"


def parse_key(text: str | None) -> tuple[datetime, str | None] | None:
    """Hostile input: None for what names no record."""
    time, bar, service = (text or "").partition("|")
    try:
        at = datetime.fromisoformat(time[:26]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return (at, service or None) if bar else None


async def record_drawer(data: Data, view: View) -> Component:
    """None where the URL opens no record."""
    key = parse_key(view.extra.get("open"))
    if key is None:
        return None
    at, service = key
    moment = replace(view, start=at, end=at + timedelta(microseconds=1))
    rows = await data.sql(moment, _RECORD, service=service)
    parts = [part for row in rows.iter_rows(named=True) for part in _record(row, view)]
    if not parts:
        parts = [html.Div("This record is not stored any more.", className="gl-none")]
    title = [dot(data.service_colours.colour(service)), fmt.plain(service, 50)]
    label = f"Log record of {fmt.plain(service, 50)}"
    return drawer(title, *parts, label=label, parameter="open")


def _record(row: dict[str, Any], view: View) -> list[Component]:
    name = level(row["severity_number"])
    trace = row["trace_id"]

    def narrowed(key: str, value: str) -> str:
        return "/logs" + view.kept(SEARCHED, q=with_term(view.extra.get("q"), key, value))

    links = [page_link("context", context_href(row["time"], row["service_name"], view))]
    if trace:
        at = f"/traces/{quote(trace, safe='')}{view.query(span=row['span_id'])}"
        links.insert(0, page_link("trace", at))
    known = [(shown, row[column]) for column, shown in _COLUMNS.items()]
    return [
        html.Div(
            [
                html.Span([dot(COLOURS[name]), name], className="gl-api"),
                html.Span(fmt.clock_ms(row["time"])),
                *links,
            ],
            className="gl-drawer-line",
        ),
        html.Pre(row["body"] or "(no message)", className="gl-pre gl-record"),
        facts("Attributes", pairs_of(row["attributes"]), narrowed),
        facts("Record", known),
        facts("Resource", pairs_of(row["resource"]), narrowed),
    ]
