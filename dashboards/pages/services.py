"""Services: rate, errors and duration of every service, who calls whom, what was thrown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Any

import polars as pl
from dash import ClientsideFunction, Dash, Input, Output, html

from analytics.buckets import quantiles_by
from dashboards import format as fmt
from dashboards import identity, ids
from dashboards.components import (
    Component,
    Head,
    chosen_of,
    dot,
    error_tone,
    graph,
    number,
    page_head,
    page_link,
    panel,
    rule_menu,
    skeleton_rows,
    skeleton_stats,
    stat_row,
    table,
    tabs,
    when,
)
from dashboards.data import Data
from dashboards.figures.service_map import service_map
from dashboards.guard import guarded
from dashboards.measured import axis_of, without_outages
from dashboards.panels.no_signal import no_signal
from dashboards.panels.service_state import CALLED, service_stats
from dashboards.view import View

ROWS_SHOWN = 30

NO_CALLS = "No service called another in this time range."
NO_CALLS_SEEN = (
    "No service of your APIs called another of them in this time range; calls from and to services "
    "of others are not shown."
)

GROUPS = {
    "service": ("Service", "service_name"),
    "version": ("Version", "service_version"),
    "instance": ("Instance", "service_instance_id"),
    "host": ("Host", "resource_attributes['host.name']"),
    "pod": ("Pod", "resource_attributes['k8s.pod.name']"),
    "environment": ("Environment", "environment"),
}
"""What health may be grouped by beside the service: word in the URL (`by`) -> title, SQL."""

BY = {word: title for word, (title, _) in GROUPS.items()}

_RED = """
SELECT
    epoch_us(time) // 3600000000 AS stored_hour,
    service_name AS service,
    {part} AS part,
    CASE WHEN kind IN ('SERVER', 'CONSUMER') THEN latency_bucket(duration_ns / 1e6) END AS bucket,
    kind IN ('SERVER', 'CONSUMER') AS called,
    service_instance_id AS instance,
    count(*) AS requests,
    count(*) FILTER (WHERE status = 'ERROR') AS errors,
    max(service_version) AS version,
    max(time) AS last_seen
FROM spans
WHERE time >= $start
  AND time < $end
  AND ($environment IS NULL OR environment = $environment)
GROUP BY ALL
"""


def red_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Per service and part (see GROUPS), busiest first: service, part, calls, errors, p50_ms,
    p95_ms, spans, instances, version, last_seen. Quantiles within 1 %."""
    called = pl.col("called").fill_null(value=False)
    sums = rows.group_by("service", "part").agg(
        pl.col("requests").filter(called).sum().alias("calls"),
        pl.col("errors").filter(called).sum(),
        pl.col("requests").sum().alias("spans"),
        pl.col("instance").drop_nulls().n_unique().alias("instances"),
        pl.col("version").max(),
        pl.col("last_seen").max(),
    )
    timed = rows.drop_nulls("bucket").select("service", "part", "bucket", "requests")
    times = quantiles_by(timed, ("service", "part"), (0.5, 0.95)).drop("requests")
    found = sums.join(times, on=["service", "part"], how="left", nulls_equal=True)
    order = ("calls", "spans", "service", "part")
    return found.sort(order, descending=[True, True, False, False]).head(100)


def red_sql(by: str) -> str:
    """The question about health, grouped by one of GROUPS, whose expressions are ours."""
    return _RED.format(part=GROUPS[by][1])


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Services", html.Span(id="services-sub")),
            html.Div(skeleton_stats(6), id="services-stats"),
            html.Div(
                [
                    panel(
                        "Service map",
                        graph("services-map", height=380, label="Service map", scrollZoom=True),
                        note="from callers to called; width = calls, amber and red = failing; "
                        "drag, zoom with Ctrl and the wheel, click a service",
                        action=rule_menu("Service map", "trace_match"),
                    ),
                    panel(
                        "Health",
                        html.Div(skeleton_rows(8), id="services-red"),
                        note="rate, errors, duration of what each service answers",
                        action=html.Div(id="services-by", className="gl-head-actions"),
                        className="flush",
                    ),
                    panel(
                        "Exceptions",
                        html.Div(skeleton_rows(4), id="services-exceptions"),
                        note="grouped by what they say",
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    clientside: Any = app.clientside_callback
    clientside(
        ClientsideFunction("gatelens", "mapClick"),
        Output("services-map", "clickData"),
        Input("services-map", "clickData"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("services-stats", "children"),
        Output("services-map", "figure"),
        Output("services-red", "children"),
        Output("services-exceptions", "children"),
        Output("services-sub", "children"),
        Output("services-by", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=6, show_in=0)
    async def show(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        environment = next(iter(view.filters.get("env", ())), None)
        by = chosen_of(BY, view.extra.get("by"))

        def called(asked: View) -> Awaitable[pl.DataFrame]:
            step = view.interval_s
            return data.settled_rows(asked, "spans", CALLED, step=step, environment=environment)

        edges, spans, cells, before, outages, thrown = await asyncio.gather(
            data.edges(view),
            data.settled_rows(view, "spans", red_sql(by), environment=environment),
            called(view),
            data.before(view, "spans", called),
            data.outages(view),
            data.ask(
                "exceptions",
                view,
                lambda: data.traces.thrown(view.time_range, environment=environment),
            ),
        )
        red = red_of(spans)
        data.service_colours.learn(red["service"].to_list())
        axis = without_outages(axis_of(view, None), outages, cells)
        stats = service_stats(spans, cells, thrown, axis, view, before=before)
        return (
            [stat_row(stats, view.mode), None if spans.height else await no_signal(data, "spans")],
            service_map(
                edges,
                view.mode,
                seconds=view.seconds,
                empty=NO_CALLS if identity.current().scope is None else NO_CALLS_SEEN,
            ),
            red_table(red, view, data, by=by),
            exceptions_table(thrown, view, data.clock()),
            f"{view.label} · {fmt.counted(red['service'].n_unique(), 'service')}"
            + (" · the map shows all environments" if environment else ""),
            tabs("by", BY, by),
        )


def red_table(rows: pl.DataFrame, view: View, data: Data, *, by: str = "service") -> Component:
    lines: list[list[Component]] = []
    for row in rows.iter_rows(named=True):
        name = row["service"]
        rate = row["errors"] / row["calls"] if row["calls"] else None
        lines.append(
            [
                html.Span(
                    [
                        dot(data.service_colours.colour(name)),
                        page_link(
                            fmt.plain(name, 50),
                            f"/traces{view.query(service=name)}" if name else "/traces",
                            "gl-name",
                        ),
                    ],
                    className="gl-api",
                ),
                *(
                    [html.Span(fmt.plain(row["part"], 50), className="gl-mono")]
                    if by != "service"
                    else []
                ),
                number(fmt.rate(row["calls"] / view.seconds), row["calls"]),
                number(fmt.percent(rate), rate, tone=error_tone(rate)),
                number(fmt.milliseconds(row["p50_ms"]), row["p50_ms"], tone="muted"),
                number(fmt.milliseconds(row["p95_ms"]), row["p95_ms"]),
                number(fmt.count(row["spans"]), row["spans"], tone="muted"),
                number(fmt.whole(row["instances"]), row["instances"], tone="muted"),
                html.Span(
                    fmt.plain(row["version"], 20) if row["version"] else "", className="gl-mono"
                ),
                when(row["last_seen"], data.clock()),
                page_link("logs", f"/logs{view.query(service=name)}") if name else "",
            ]
        )
    heads = (
        Head("Service"),
        *([Head(GROUPS[by][0])] if by != "service" else []),
        Head("Rate", True),
        Head("Errors", True),
        Head("p50", True),
        Head("p95", True),
        Head("Spans", True),
        Head("Instances", True),
        Head("Version"),
        Head("Last seen"),
        Head(""),
    )
    return table(heads, lines, empty="No span came in this time range.")


def exceptions_table(rows: pl.DataFrame, view: View, now: datetime) -> Component:
    lines = []
    for row in rows.head(ROWS_SHOWN).iter_rows(named=True):
        trace = row["example_trace_id"]
        lines.append(
            [
                html.Span(fmt.plain(row["type"], 60), className="gl-mono"),
                html.Span(fmt.plain(row["message"], 110)),
                html.Span(fmt.plain(row["service_name"], 40)),
                number(fmt.count(row["occurrences"]), row["occurrences"]),
                when(row["last_seen"], now),
                page_link("trace", f"/traces/{trace}{view.query()}") if trace else "",
            ]
        )
    heads = (
        Head("Type"),
        Head("Message"),
        Head("Service"),
        Head("Times", True),
        Head("Last"),
        Head(""),
    )
    return table(heads, lines, empty="No exception was recorded in this time range.")
