"""Operate: what comes in by source, what was refused, how the jobs, the log and the lake do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
from dash import Dash, Input, Output, html

from analytics.sql_files import load_sql
from dashboards import format as fmt
from dashboards import ids
from dashboards.components import (
    Component,
    Stat,
    page_head,
    panel,
    skeleton_rows,
    skeleton_stats,
    stat_row,
    time_chart,
)
from dashboards.data import Data
from dashboards.figures import series
from dashboards.figures.base import TimeAxis
from dashboards.guard import guarded
from dashboards.measured import axis_of, without_outages
from dashboards.panels.collectors_panel import collectors_stat, outages_table
from dashboards.panels.counting_panel import counting_table, learned_facts
from dashboards.panels.jobs_panel import JobRun, jobs_table, latest_runs
from dashboards.panels.operate_panels import (
    TableSize,
    WalSize,
    lake_table,
    rejects_table,
    table_sizes,
    wal_sizes,
    wal_table,
)
from dashboards.view import View

_INGEST = """
SELECT
    epoch_us(time) // 3600000000 AS stored_hour,
    time_bucket(to_seconds($step), time) AS time,
    source,
    count(*) AS requests
FROM requests
WHERE time >= $start
  AND time < $end
GROUP BY ALL
"""

_REJECTS = """
SELECT
    source,
    reason,
    count(*) AS rejected,
    max(time) AS last,
    arg_max(detail, time) AS detail,
    sum(count(*)) OVER () AS rejected_in_all
FROM rejects
WHERE time >= $start
  AND time < $end
GROUP BY source, reason
ORDER BY rejected DESC
LIMIT 50
"""


TWICE_WITHIN = timedelta(hours=1)
"""Longest time of which the ids of all calls are compared; every one of them is read."""


def layout(_data: Data) -> Component:
    return html.Div(
        [
            page_head("Operate", "Is everything that is sent also stored and counted?"),
            html.Div(skeleton_stats(6), id="operate-stats"),
            html.Div(
                [
                    time_chart(
                        "Requests stored by source",
                        "operate-ingest",
                        note="per second, by the time of the request",
                        alert="requests_per_s",
                        height=230,
                        className="w7",
                    ),
                    panel(
                        "Refused records",
                        html.Div(skeleton_rows(5), id="operate-rejects"),
                        note="kept in the table `rejects`",
                        className="w5 flush",
                    ),
                    panel(
                        "Jobs",
                        html.Div(skeleton_rows(6), id="operate-jobs"),
                        note="the latest run of each",
                        className="w6 flush",
                    ),
                    panel(
                        "Write-ahead log",
                        html.Div(skeleton_rows(3), id="operate-wal"),
                        note="what is acknowledged and not in the lake yet, on this machine",
                        className="w6 flush",
                    ),
                    panel(
                        "Times without a collector",
                        html.Div(skeleton_rows(3), id="operate-collectors-out"),
                        note="what was sent then and not sent again is missing",
                        className="w6 flush",
                    ),
                    panel(
                        "Calls told of twice",
                        html.Div(skeleton_rows(3), id="operate-counting"),
                        note="learned from what came in; the last hour of the range",
                        className="w6 flush",
                    ),
                    panel(
                        "Lake",
                        html.Div(skeleton_rows(6), id="operate-lake"),
                        note="live files of each table, and how long its rows are kept",
                        className="flush",
                    ),
                ],
                className="gl-grid",
            ),
        ]
    )


def register(app: Dash, data: Data) -> None:
    @app.callback(
        Output("operate-stats", "children"),
        Output(ids.time_graph("operate-ingest"), "figure"),
        Output("operate-rejects", "children"),
        Output("operate-jobs", "children"),
        Output("operate-lake", "children"),
        Output("operate-wal", "children"),
        Output("operate-counting", "children"),
        Output("operate-collectors-out", "children"),
        Input(ids.VIEW, "data"),
    )
    @guarded(outputs=8, show_in=3)
    async def show(stored: object) -> tuple[Any, ...]:
        view = data.view(stored)
        last_hour = replace(view, start=max(view.start, view.end - TWICE_WITHIN))
        ingest, rejects, twice, jobs, tables, logs = await asyncio.gather(
            data.settled_rows(view, "requests", _INGEST, step=view.interval_s),
            data.sql(view, _REJECTS),
            data.sql(last_hour, load_sql("counted_twice")),
            data.cache.get("job-runs", lambda: latest_runs(data.state)),
            data.cache.get("lake-sizes", lambda: table_sizes(data.session.lake), ttl_s=15.0),
            data.cache.get("wal", lambda: wal_sizes(data.storage.data_dir / "wal")),
        )
        outages = await data.outages(view)
        ingest = ingest.group_by("time", "source").agg(pl.col("requests").sum())
        learned = await data.cache.get("learned", lambda: learned_facts(data.storage.data_dir))
        axis = without_outages(axis_of(view, None), outages, ingest)
        lines = series.rates(
            ingest,
            axis,
            by="source",
            names=series.largest(ingest, "source"),
            colour=data.source_colours.colour,
        )
        now = data.clock()
        return (
            stat_row(
                [
                    *stats(view, axis, ingest, rejects, jobs, tables, logs),
                    collectors_stat(outages, view, now),
                ],
                view.mode,
            ),
            series.stacked(lines, axis, fmt.rate, empty=ids.NO_DATA_IN_RANGE),
            rejects_table(rejects, now),
            jobs_table(jobs, now),
            lake_table(tables, now),
            wal_table(logs, now),
            counting_table(learned, twice),
            outages_table(outages, now),
        )


def stats(
    view: View,
    axis: TimeAxis,
    ingest: pl.DataFrame,
    rejects: pl.DataFrame,
    jobs: list[JobRun],
    tables: list[TableSize],
    logs: list[WalSize],
) -> list[Stat]:
    """Is it well? What came in and was refused in the range; log, jobs and lake as they are now."""
    by_time = dict(ingest.group_by("time").agg(pl.col("requests").sum()).iter_rows())
    step = timedelta(seconds=view.interval_s)
    line = [
        by_time.get(at, 0 if axis.measured(at) else None)
        for at in axis.times()
        # One that the range cuts would look like a fall.
        if at >= view.start and at + step <= view.end
    ]
    stored = int(ingest["requests"].sum())
    # The table ends after its largest rows; the number does not.
    refused = int(rejects["rejected_in_all"][0]) if rejects.height else 0
    waiting = sum(log.bytes for log in logs) if logs else None
    stuck = any(log.stuck for log in logs)
    failing = sum(job.error is not None for job in jobs)
    return [
        Stat(
            "operate-stored",
            "Requests stored",
            stored,
            fmt.count(stored),
            spark=line,
            href=f"/requests{view.query()}",
            hint="in this time range",
        ),
        Stat(
            "operate-refused",
            "Records refused",
            refused,
            fmt.count(refused),
            href="#operate-rejects",
            tone="warn" if refused else "",
            hint=fmt.plain(rejects["reason"][0], 30) if refused else "in this time range",
        ),
        Stat(
            "operate-waiting",
            "Write-ahead log",
            waiting,
            fmt.bytes_size(waiting),
            href="#operate-wal",
            tone="bad" if stuck else "",
            hint="does not get into the lake"
            if stuck
            else "kept until it is in the lake"
            if logs
            else "collectors run elsewhere",
        ),
        Stat(
            "operate-failing",
            "Jobs failing",
            failing,
            fmt.whole(failing),
            href="#operate-jobs",
            tone="bad" if failing else "",
            hint=f"of {fmt.whole(len(jobs))}, by their latest runs",
        ),
        Stat(
            "operate-size",
            "Lake",
            sum(one.bytes for one in tables),
            fmt.bytes_size(sum(one.bytes for one in tables)),
            href="#operate-lake",
            hint=f"{fmt.count(sum(one.rows for one in tables))} rows in "
            f"{fmt.count(sum(one.files for one in tables))} files",
        ),
    ]
