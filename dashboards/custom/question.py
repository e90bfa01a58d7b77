"""Asks what a panel shows: measures of the analytics, or its SQL behind the guard.

Blocking; run off the event loop through `Data.ask`, which shares and keeps answers. Nothing is
computed here that the analytics do not compute.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import polars as pl

from analytics.measures import MEASURES
from analytics.query import Analytics, Filters, TimeRange
from dashboards.custom.answer import Answer, from_sql
from dashboards.custom.definition import VARIABLES, Panel
from dashboards.custom.limits import PANEL_SECONDS_MAX, SQL_ROWS_MAX
from dashboards.custom.source import LATENCY_SPREAD
from dashboards.identity import Principal
from dashboards.view import FILTERS, View
from storage.settings import StorageSettings
from storage.sql_worker import SqlLimits, run_sql

_PARAMETER_OF = {dimension: name for name, dimension in FILTERS.items()}
"""Dimension -> filter word of the address."""

_NOT_CODE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAMED = re.compile(r"\$([a-z_]+)")


def view_of(panel: Panel, view: View) -> View:
    """The view with the panel's own filters, which win over what the address says."""
    own = {_PARAMETER_OF[d]: values for d, values in panel.source.filters.items()}
    return replace(view, filters=MappingProxyType({**view.filters, **own})) if own else view


def ask_measures(panel: Panel, analytics: Analytics, view: View) -> Answer:
    """The answer of a panel with measures. `view`: as `view_of` gives it. Raises QueryRefused."""
    source, span, filters = panel.source, view.time_range, view.analytics_filters
    if source.measures == (LATENCY_SPREAD,):
        frame = analytics.latency_histogram(span, filters, interval_s=view.interval_s)
        return Answer(frame, ("requests",), (), "time", view.interval_s, spread=True)
    if panel.kind == "number" and not source.by:
        earlier = span.previous()
        whole = analytics.stored_whole(earlier)
        return Answer(
            _measures(analytics, source.measures, span, filters, (), None),
            source.measures,
            interval_s=view.interval_s,
            before=_measures(analytics, source.measures, earlier, filters, (), None)
            if whole
            else None,
            trend=_measures(analytics, source.measures, span, filters, (), view.interval_s),
        )
    over_time = panel.kind == "time_series" or (panel.kind == "heatmap" and len(source.by) == 1)
    step = view.interval_s if over_time else None
    frame = _measures(analytics, source.measures, span, filters, source.by, step)
    return Answer(frame, source.measures, source.by, "time" if over_time else None, step)


def _measures(
    analytics: Analytics,
    names: Sequence[str],
    span: TimeRange,
    filters: Filters,
    by: tuple[str, ...],
    step: int | None,
) -> pl.DataFrame:
    """[time,] *by, a column per measure, requests. Groups without a value of a measure: NULL."""
    keys = [*(["time"] if step is not None else []), *by]
    joined: pl.DataFrame | None = None
    for name in names:
        found = analytics.measure(name, span, filters, by=by, interval_s=step)
        found = found.rename({"value": name, "requests": f"#{name}"})
        if joined is None:
            joined = found
        elif keys:
            joined = joined.join(found, on=keys, how="full", nulls_equal=True, coalesce=True)
        else:
            joined = joined.hstack(found)
    assert joined is not None
    counts = [f"#{name}" for name in names]
    joined = joined.with_columns(pl.max_horizontal(counts).fill_null(0).alias("#"))
    joined = joined.drop(counts)
    if step is None and keys:
        zero = [n for n in names if MEASURES[n].zero_when_idle]
        joined = joined.with_columns(pl.col(zero).fill_null(0.0))
    return joined


def ask_sql(panel: Panel, storage: StorageSettings, person: Principal, view: View) -> Answer:
    """The answer of a panel with SQL, in its killable process, over the rows that
    `person` may see. Raises SqlError."""
    result = run_sql(
        storage,
        panel.source.sql,
        tenant=person.tenant,
        scope=person.scope,
        params=parameters(panel.source.sql, view),
        limits=SqlLimits(rows_max=SQL_ROWS_MAX, seconds_max=PANEL_SECONDS_MAX - 1),
    )
    return from_sql(result.table, panel.kind, truncated=result.truncated)


def parameters(sql: str, view: View) -> dict[str, Any]:
    """Values for the parameters that the statement names; DuckDB refuses any other."""
    named = set(_NAMED.findall(_NOT_CODE.sub(" ", sql)))
    known: dict[str, Any] = {
        "start": view.start,
        "end": view.end,
        "interval_s": view.interval_s,
        **{name: list(view.filters[name]) if name in view.filters else None for name in VARIABLES},
    }
    return {name: value for name, value in known.items() if name in named}
