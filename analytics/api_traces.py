"""HTTP questions about traces and metrics. Lists come in pages with a cursor that stays good while
new rows arrive: it names the last row, not a number of rows."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from analytics.answers import Format, listed
from analytics.api_deps import Ask, Range
from analytics.errors import QueryRefused
from analytics.metrics import Metrics
from analytics.timerange import fitting_interval
from analytics.traces import Traces
from storage.log import time_to_us, us_to_time

router = APIRouter(prefix="/api/v1/analytics", tags=["traces and metrics"])

Name = Annotated[str | None, Query(max_length=500)]


class TraceRow(BaseModel):
    trace_id: str
    time: datetime
    duration_ms: float
    root_service: str | None
    root_name: str | None
    spans: int
    errors: int
    services: int


class TracePage(BaseModel):
    rows: list[TraceRow]
    next_cursor: str | None = Field(description="For the next page; null = this is the last.")


class EdgeRow(BaseModel):
    source: str
    target: str
    calls: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None


class ExceptionRow(BaseModel):
    service_name: str | None
    type: str | None
    message: str | None = Field(description="Numbers, hex and quoted text replaced by #.")
    occurrences: int
    first_seen: datetime
    last_seen: datetime
    example_trace_id: str | None


class AttributeRow(BaseModel):
    place: str
    key: str
    records: int


class ValueRow(BaseModel):
    value: str | None
    spans: int
    errors: int


class MetricName(BaseModel):
    name: str | None
    type: str | None
    unit: str | None
    description: str | None
    series: int
    points: int
    services: int


class MetricRow(BaseModel):
    time: datetime
    group: dict[str, str | None]
    value: float | None = Field(description="Growth of a counter, mean of a gauge.")
    rate_per_s: float | None = Field(description="Counters only.")
    points: int


class QuantileRow(BaseModel):
    time: datetime | None
    count: int
    quantiles: dict[str, float | None]


class HealthRow(BaseModel):
    service_name: str | None
    service_instance_id: str | None
    last_seen: datetime
    up: bool
    cpu: float | None
    memory_bytes: float | None
    memory_share: float | None
    disk_share: float | None
    runtime: dict[str, float]


class UptimeRow(BaseModel):
    service_name: str
    instances: int
    minutes_up: int
    uptime: float
    first_seen: datetime
    last_seen: datetime


def _traces(ask: Ask) -> Traces:
    return Traces(ask.session)


def _metrics(ask: Ask) -> Metrics:
    return Metrics(ask.session)


AskTraces = Annotated[Traces, Depends(_traces)]
AskMetrics = Annotated[Metrics, Depends(_metrics)]


def encode_cursor(time: datetime, key: str) -> str:
    """The place of a row in a list that is sorted by time (newest first) and a key."""
    text = f"{time_to_us(time)} {key}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode_cursor(text: str) -> tuple[datetime, str]:
    """Raises QueryRefused for what no list gave out."""
    try:
        moment, key = base64.urlsafe_b64decode(text.encode()).decode().split(" ", 1)
        found = us_to_time(int(moment))
    except (ValueError, OverflowError, OSError, binascii.Error) as err:
        raise QueryRefused("this cursor was not given out by a list; start without one") from err
    return found, key


@router.get("/traces")
def traces(
    ask: AskTraces,
    time_range: Range,
    service: Name = None,
    min_ms: Annotated[float, Query(ge=0)] = 0.0,
    errors_only: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> TracePage:
    """Traces that began in a range, newest first; give the next_cursor back for the next page."""
    after = None if cursor is None else decode_cursor(cursor)
    frame = ask.list(
        time_range,
        limit=limit + 1,
        service=service,
        min_ms=min_ms,
        errors_only=errors_only,
        after=after,
    )
    rows = [TraceRow.model_validate(row) for row in frame.head(limit).iter_rows(named=True)]
    more = frame.height > limit
    following = encode_cursor(rows[-1].time, rows[-1].trace_id) if more else None
    return TracePage(rows=rows, next_cursor=following)


@router.get("/service-edges")
def service_edges(ask: AskTraces, time_range: Range) -> list[EdgeRow]:
    """Who calls whom, how often, how slow, and how often it fails."""
    return [EdgeRow.model_validate(row) for row in _rows(ask.edges(time_range))]


@router.get("/exceptions")
def exceptions(
    ask: AskTraces, time_range: Range, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[ExceptionRow]:
    """Exceptions in spans, grouped by service, type and message without its numbers."""
    found = ask.exceptions(time_range, limit=limit)
    return [ExceptionRow.model_validate(row) for row in _rows(found)]


@router.get("/attributes")
def attributes(ask: AskTraces, time_range: Range, service: Name = None) -> list[AttributeRow]:
    """Which attributes spans carry, commonest first."""
    found = ask.attributes(time_range, service=service)
    return [AttributeRow.model_validate(row) for row in _rows(found)]


@router.get("/attributes/{key:path}")
def attribute_values(
    ask: AskTraces,
    time_range: Range,
    key: str,
    service: Name = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> list[ValueRow]:
    """The commonest values of one attribute of spans; null = spans without it."""
    found = ask.attribute_values(time_range, key, service=service, limit=limit)
    return [ValueRow.model_validate(row) for row in _rows(found)]


@router.get("/metrics")
def metric_names(ask: AskMetrics, time_range: Range) -> list[MetricName]:
    """Metrics that were sent in a range."""
    return [MetricName.model_validate(row) for row in _rows(ask.names(time_range))]


@router.get("/metrics/{name:path}/series")
def metric_series(
    ask: AskMetrics,
    time_range: Range,
    name: str,
    by: Annotated[list[str] | None, Query(max_length=5)] = None,
    interval: Annotated[int | None, Query(ge=1)] = None,
) -> list[MetricRow]:
    """A counter's growth or a gauge's mean per interval; counters survive restarts."""
    interval_s = interval or fitting_interval(time_range)
    found = ask.series(time_range, name, interval_s=interval_s, by=by or ())
    return [
        MetricRow.model_validate({**row, "group": {label: row[label] for label in by or ()}})
        for row in _rows(found)
    ]


@router.get("/metrics/{name:path}/quantiles")
def metric_quantiles(
    ask: AskMetrics,
    time_range: Range,
    name: str,
    quantile: Annotated[list[float] | None, Query(max_length=10)] = None,
    interval: Annotated[int | None, Query(ge=1)] = None,
    service: Name = None,
) -> list[QuantileRow]:
    """Quantiles of an explicit or exponential histogram, in the metric's own unit."""
    quantiles = quantile or [0.5, 0.95, 0.99]
    if any(not 0 <= q <= 1 for q in quantiles):
        raise QueryRefused("quantiles are numbers from 0 to 1")
    found = ask.quantiles(
        time_range, name, quantiles=quantiles, interval_s=interval, service=service
    )
    names = [f"q{q:g}" for q in quantiles]
    return [
        QuantileRow(time=row.get("time"), count=row["count"], quantiles={n: row[n] for n in names})
        for row in found.iter_rows(named=True)
    ]


@router.get("/health", response_model=list[HealthRow])
def health(ask: AskMetrics, time_range: Range, format: Format = "json") -> Any:
    """CPU, memory, disk and runtime of every service instance that sends metrics."""
    return listed(HealthRow, ask.health(time_range), "health", format)


@router.get("/uptime", response_model=list[UptimeRow])
def uptime(ask: AskMetrics, time_range: Range, format: Format = "json") -> Any:
    """Share of a range's minutes in which each service was up, by the metrics it sent."""
    return listed(UptimeRow, _rows(ask.uptime(time_range)), "uptime", format)


def _rows(frame: pl.DataFrame) -> list[dict[str, object]]:
    return frame.to_dicts()
