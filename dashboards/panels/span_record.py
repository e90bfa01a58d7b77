"""One span with everything it carries, beside the waterfall: `span=<id>` in the URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from dash import html

from dashboards import format as fmt
from dashboards.components import Component, badge, dot, drawer, facts, page_link, pairs_of
from dashboards.data import Data
from dashboards.search_terms import with_term
from dashboards.view import View

EVENTS_SHOWN = 50
"""Events of one span that are listed, the earliest."""

_SPAN = """
SELECT
    time,
    start_time_unix_nano,
    duration_ns,
    name,
    kind,
    status,
    status_message,
    span_id,
    parent_span_id,
    trace_state,
    service_name,
    service_namespace,
    service_version,
    service_instance_id,
    environment,
    scope_name,
    scope_version,
    map_entries(attributes) AS attributes,
    map_entries(resource_attributes) AS resource,
    [{
        'at': e.time_unix_nano,
        'name': e.name,
        'attributes': map_entries(e.attributes)
    } FOR e IN events] AS events,
    [{'trace': l.trace_id, 'span': l.span_id} FOR l IN links] AS links
FROM spans
WHERE trace_id = $trace_id
  AND span_id = $span_id
  AND time >= $start
  AND time < $end
LIMIT 1
"""

_COLUMNS = {
    "kind": "kind",
    "status": "status",
    "status_message": "status message",
    "span_id": "span",
    "parent_span_id": "parent",
    "trace_state": "trace state",
    "service_namespace": "service namespace",
    "service_version": "version",
    "service_instance_id": "instance",
    "environment": "environment",
    "scope_name": "scope",
    "scope_version": "scope version",
}
"""Column -> how the drawer names it."""


async def span_drawer(data: Data, view: View, trace_id: str) -> Component:
    """view: widened to where the trace may lie. None where the URL opens no span."""
    span_id = view.extra.get("span", "").strip().lower()[:32]
    if not span_id:
        return None
    rows = await data.sql(view, _SPAN, trace_id=trace_id, span_id=span_id)
    if rows.is_empty():
        nothing = html.Div("No such span is stored around this time.", className="gl-none")
        return drawer("Span", nothing, label="Span", parameter="span")
    row = rows.row(0, named=True)
    marks = [badge("failed", "bad")] if row["status"] == "ERROR" else []
    title = [dot(data.service_colours.colour(row["service_name"])), fmt.plain(row["name"], 80)]
    said = f"/logs{view.query(trace=trace_id, q=f'span={span_id}')}"

    def alike(key: str, value: str) -> str:
        return "/traces" + view.query(q=with_term(None, key, value))

    return drawer(
        [*title, *marks],
        html.Div(
            [
                html.Span(fmt.plain(row["service_name"], 60)),
                html.Span(fmt.milliseconds((row["duration_ns"] or 0) / 1e6)),
                html.Span(fmt.clock_ms(row["time"])),
                page_link("its logs", said),
            ],
            className="gl-drawer-line",
        ),
        *_events(row),
        facts("Attributes", pairs_of(row["attributes"]), alike),
        facts("Span", [(shown, row[column]) for column, shown in _COLUMNS.items()]),
        facts("Resource", pairs_of(row["resource"]), alike),
        *_links(row["links"] or [], view),
        label=f"Span {fmt.plain(row['name'], 60)}",
        parameter="span",
    )


def _events(row: dict[str, Any]) -> list[Component]:
    """Exceptions first of all are why a span is opened: events come before attributes."""
    start = row["start_time_unix_nano"] or 0
    found = []
    for event in (row["events"] or [])[:EVENTS_SHOWN]:
        after = fmt.milliseconds(((event["at"] or start) - start) / 1e6)
        title = f"{fmt.plain(event['name'], 60)}, {after} after the start"
        found.append(facts(title, pairs_of(event["attributes"])) or html.H3(title))
    return found


def _links(links: list[dict[str, Any]], view: View) -> list[Component]:
    """Other traces this span belongs to as well, such as who put a message on a queue."""
    if not links:
        return []
    ways = [
        page_link(
            fmt.plain(link["trace"], 40),
            f"/traces/{quote(link['trace'], safe='')}{view.query(span=link['span'])}",
        )
        for link in links[:EVENTS_SHOWN]
        if link["trace"]
    ]
    return [html.H3("Linked traces"), html.Div(ways, className="gl-drawer-line")]
