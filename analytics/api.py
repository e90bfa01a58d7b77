"""HTTP questions: `GET /api/v1/analytics/...`. A thin skin over `query.Analytics`, so a number here
is the number on the screens. Mounted by the dashboards' server, which decides who may ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Engine

from analytics import api_consumers, api_plans, api_reports, api_traces
from analytics.answers import Format, as_file, listed
from analytics.apdex import apdex_by_api
from analytics.api_deps import Ask, Known, Narrowed, Range
from analytics.api_models import (
    ApdexRow,
    BreakdownAnswer,
    BreakdownRow,
    CompletenessAnswer,
    CompletenessBody,
    DimensionValues,
    EndpointUptimeRow,
    HistogramRow,
    LatencyAnswer,
    LatencyRow,
    MeasureAnswer,
    MeasureInfo,
    MeasureRow,
    OverviewAnswer,
    OverviewBody,
    UsageAnswer,
    UsageRow,
)
from analytics.api_params import Compare, compared_range, interval_of
from analytics.buckets import BASE, ZERO_BUCKET, quantile_name
from analytics.endpoint_uptime import endpoint_uptime
from analytics.errors import QueryRefused
from analytics.filters import Dimension, Filters
from analytics.query import MEASURES, Analytics, Part
from analytics.timerange import TimeRange
from storage.catalog import Api, Catalog

By = Annotated[list[str] | None, Query(max_length=5, description="Dimensions to group by.")]
Interval = Annotated[str | None, Query(max_length=20, description="'auto' or seconds.")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="Largest groups to return.")]

router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"])


def install(
    app: FastAPI,
    analytics_for: Callable[[Request], Analytics],
    catalog: Catalog | Callable[[Request], Catalog] | None = None,
    state: Engine | None = None,
) -> None:
    """Add the routes. `analytics_for` gives the Analytics a request is entitled to (its tenant and
    rows), `catalog` what it may know of the catalog; without one there are no plans and objectives
    to tell about. Without `state` there are no report schedules."""
    app.state.state_engine = state
    app.state.analytics_for = analytics_for
    known = catalog or Catalog()
    app.state.catalog_for = known if callable(known) else lambda _request: known
    app.include_router(router)
    app.include_router(api_plans.router)
    app.include_router(api_consumers.router)
    app.include_router(api_traces.router)
    app.include_router(api_reports.router)
    app.add_exception_handler(QueryRefused, _refused)


def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=400)


@router.get("/overview")
def overview(ask: Ask, time_range: Range, filters: Narrowed) -> OverviewAnswer:
    """Headline numbers of a range and of the equal range just before it."""
    body = OverviewBody.model_validate(asdict(ask.overview(time_range, filters)))
    return OverviewAnswer(start=time_range.start, end=time_range.end, overview=body)


@router.get("/usage", response_model=UsageAnswer)
def usage(
    ask: Ask,
    time_range: Range,
    filters: Narrowed,
    by: By = None,
    interval: Interval = None,
    limit: Limit = 100,
    format: Format = "json",
) -> UsageAnswer | Response:
    """Requests, errors, bytes and mean time, by any dimensions, as a table or a series."""
    interval_s = interval_of(interval, time_range)
    frame = ask.usage(time_range, filters, by=by or (), interval_s=interval_s, limit=limit)
    if format != "json":
        return as_file(frame, "usage", format)
    rows = [
        UsageRow.model_validate({**row, "group": _group(row, by)})
        for row in frame.iter_rows(named=True)
    ]
    return UsageAnswer(start=time_range.start, end=time_range.end, interval_s=interval_s, rows=rows)


@router.get("/errors", response_model=UsageAnswer)
def errors(
    ask: Ask,
    time_range: Range,
    filters: Narrowed,
    interval: Interval = None,
    limit: Limit = 100,
    format: Format = "json",
) -> UsageAnswer | Response:
    """Requests per status and outcome: what failed, and whose fault it was."""
    by = ["status_code", "outcome"]
    return usage(ask, time_range, filters, by, interval, limit, format)


@router.get("/latency", response_model=LatencyAnswer)
def latency(
    ask: Ask,
    time_range: Range,
    filters: Narrowed,
    by: By = None,
    interval: Interval = None,
    part: Part = "total",
    quantile: Annotated[list[float] | None, Query(max_length=10)] = None,
    format: Format = "json",
) -> LatencyAnswer | Response:
    """Latency quantiles within 1 %: of the whole time, the upstream's or the gateway's own."""
    interval_s = interval_of(interval, time_range)
    quantiles = tuple(quantile or (0.5, 0.95, 0.99))
    frame = ask.latency(
        time_range, filters, by=by or (), interval_s=interval_s, part=part, quantiles=quantiles
    )
    if format != "json":
        return as_file(frame, "latency", format)
    names = [quantile_name(q) for q in quantiles]
    rows = [
        LatencyRow(
            time=row.get("time"),
            group=_group(row, by),
            quantiles_ms={name.removesuffix("_ms"): row[name] for name in names},
            requests=row["requests"],
        )
        for row in frame.iter_rows(named=True)
    ]
    return LatencyAnswer(
        start=time_range.start, end=time_range.end, interval_s=interval_s, part=part, rows=rows
    )


@router.get("/latency/histogram")
def latency_histogram(
    ask: Ask, time_range: Range, filters: Narrowed, interval: Interval = None, part: Part = "total"
) -> list[HistogramRow]:
    """Requests per latency bucket, for heat maps and thresholds; buckets are 2 % wide."""
    step = interval_of(interval, time_range)
    rows = ask.latency_histogram(time_range, filters, interval_s=step, part=part)
    return [
        HistogramRow(
            time=row.get("time"),
            from_ms=0.0 if row["bucket"] == ZERO_BUCKET else BASE ** row["bucket"],
            to_ms=0.0 if row["bucket"] == ZERO_BUCKET else BASE ** (row["bucket"] + 1),
            requests=row["requests"],
        )
        for row in rows.iter_rows(named=True)
    ]


@router.get("/apdex", response_model=list[ApdexRow])
def apdex(
    ask: Ask, catalog: Known, time_range: Range, filters: Narrowed, format: Format = "json"
) -> Any:
    """Apdex of every API by the threshold the catalog gives it, worst first."""
    known = {api.name: api.apdex_threshold_ms for api in catalog.apis}
    default = Api(name="any").apdex_threshold_ms
    found = apdex_by_api(ask, time_range, filters, known, otherwise_ms=default)
    rows = [
        ApdexRow(api=api, threshold_ms=known.get(api or "", default), **asdict(score))
        for api, score in found.items()
    ]
    rows.sort(key=lambda r: (r.score is None, r.score or 0.0, r.api or ""))
    return listed(ApdexRow, rows, "apdex", format)


@router.get("/uptime/endpoints", response_model=list[EndpointUptimeRow])
def uptime_of_endpoints(
    ask: Ask, time_range: Range, filters: Narrowed, format: Format = "json"
) -> Any:
    """Share of the minutes with requests in which each endpoint answered; least up first."""
    frame = endpoint_uptime(ask, time_range, filters)
    return listed(EndpointUptimeRow, frame.to_dicts(), "uptime-endpoints", format)


@router.get("/breakdown", response_model=BreakdownAnswer)
def breakdown(
    ask: Ask,
    time_range: Range,
    filters: Narrowed,
    by: Dimension = "api",
    limit: Limit = 50,
    compare: Compare = "previous",
    format: Format = "json",
) -> BreakdownAnswer | Response:
    """Largest groups of one dimension with share and growth, and the rest in one `other` row."""
    before = compared_range(time_range, compare)
    frame = ask.breakdown(time_range, filters, by=by, limit=limit, compare=before)
    if format != "json":
        return as_file(frame, "breakdown", format)
    rows = [
        BreakdownRow.model_validate({**row, "group": {by: row[by]}})
        for row in frame.iter_rows(named=True)
    ]
    if rest := _other_row(ask, time_range, filters, by, frame, before):
        rows.append(rest)
    return BreakdownAnswer(
        start=time_range.start,
        end=time_range.end,
        by=by,
        compared_start=before.start,
        compared_end=before.end,
        rows=rows,
    )


@router.get("/measures")
def measures() -> list[MeasureInfo]:
    """Every measure with its unit and meaning; what `/measures/{name}` and alert rules take."""
    return [
        MeasureInfo(name=m.name, unit=m.unit, description=m.description) for m in MEASURES.values()
    ]


@router.get("/measures/{name}")
def measure(
    ask: Ask, time_range: Range, filters: Narrowed, name: str, by: By = None
) -> MeasureAnswer:
    """One measure per group: the number an alert rule would compare."""
    frame = ask.measure(name, time_range, filters, by=by or ())
    found = MEASURES[name]
    return MeasureAnswer(
        start=time_range.start,
        end=time_range.end,
        measure=MeasureInfo(name=found.name, unit=found.unit, description=found.description),
        rows=[
            MeasureRow(group=_group(row, by), value=row["value"], requests=row["requests"])
            for row in frame.iter_rows(named=True)
        ],
    )


@router.get("/completeness")
def completeness(ask: Ask, time_range: Range, filters: Narrowed) -> CompletenessAnswer:
    """How far the data of a range is stored and counted."""
    found = ask.completeness(time_range, filters)
    body = CompletenessBody.model_validate({**asdict(found), "complete": found.complete})
    return CompletenessAnswer(start=time_range.start, end=time_range.end, completeness=body)


def _group(row: dict[str, object], by: Sequence[str] | None) -> DimensionValues:
    return {name: row[name] for name in by or ()}  # type: ignore[misc]


def _other_row(
    ask: Analytics,
    time_range: TimeRange,
    filters: Filters,
    by: str,
    frame: pl.DataFrame,
    before: TimeRange,
) -> BreakdownRow | None:
    """What the table left out, so that it adds up to the whole. None = nothing was left out."""
    whole = ask.usage(time_range, filters)
    total = int(whole["requests"].sum())
    requests = total - int(frame["requests"].sum())
    if requests <= 0:
        return None
    failed = int(whole["errors"].sum()) - int(frame["errors"].sum())
    # the shown groups' share of before is known; groups that vanished since are in the rest too
    previous = int(ask.usage(before, filters)["requests"].sum()) - int(
        frame["requests_previous"].sum()
    )
    return BreakdownRow(
        group={by: None},
        other=True,
        requests=requests,
        errors=failed,
        error_rate=failed / requests,
        share=requests / total,
        p50_ms=None,
        p95_ms=None,
        p99_ms=None,
        requests_previous=previous,
        growth=requests / previous - 1 if previous > 0 else None,
        last_seen=None,
    )
