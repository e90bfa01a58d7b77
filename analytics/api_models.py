"""Shapes of the analytics HTTP API: what `/api/docs` shows. NULL = nothing was measured."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

DimensionValues = dict[str, str | int | None]


class UsageRow(BaseModel):
    time: datetime | None = Field(
        None, description="Start of the interval, UTC; absent without one."
    )
    group: DimensionValues = Field(description="Value of each dimension grouped by.")
    requests: int | None
    errors: int | None = Field(description="Failed on the server side.")
    error_rate: float | None = Field(description="errors / requests, 0 to 1.")
    request_bytes: int | None
    response_bytes: int | None
    duration_ms_avg: float | None


class LatencyRow(BaseModel):
    time: datetime | None = Field(
        None, description="Start of the interval, UTC; absent without one."
    )
    group: DimensionValues
    quantiles_ms: dict[str, float | None] = Field(description="p50, p95, ...; within 1 %.")
    requests: int | None = Field(description="Requests whose time is known.")


class HistogramRow(BaseModel):
    time: datetime | None = Field(None, description="Start of the interval, UTC.")
    from_ms: float
    to_ms: float = Field(description="Equal to from_ms for times of zero.")
    requests: int


class ApdexRow(BaseModel):
    api: str | None
    threshold_ms: float = Field(description="Satisfied up to here, tolerating up to four times.")
    score: float | None
    satisfied: int
    tolerating: int
    frustrated: int


class EndpointUptimeRow(BaseModel):
    api: str | None
    route: str | None
    method: str | None
    minutes_measured: int = Field(description="Minutes with a request; hours in an old range.")
    minutes_up: int = Field(description="Of those, with a request that did not fail.")
    uptime: float = Field(description="minutes_up / minutes_measured, 0 to 1.")
    coverage: float = Field(description="Share of the range that was measured, 0 to 1.")
    last_down: datetime | None = Field(description="Start of the latest minute it was down.")
    step_s: int = Field(description="60, or 3600 where minutes are no longer kept.")


class BreakdownRow(BaseModel):
    group: DimensionValues
    other: bool = Field(False, description="True in the one row that sums up the smaller groups.")
    requests: int
    errors: int
    error_rate: float | None
    share: float = Field(description="Of all requests that pass the filters, 0 to 1.")
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    requests_previous: int
    growth: float | None = Field(description="0.5 = half as much again as before.")
    last_seen: datetime | None


class MeasureRow(BaseModel):
    group: DimensionValues
    value: float | None
    requests: int


class MeasureInfo(BaseModel):
    name: str
    unit: str
    description: str


class OverviewBody(BaseModel):
    requests: int
    errors: int
    error_rate: float | None
    requests_per_s: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    consumers: int
    apis: int
    previous: OverviewBody | None = None


class SourceGapBody(BaseModel):
    gateway: str | None
    environment: str | None
    first_seen: datetime
    last_seen: datetime
    minutes_with_data: int
    longest_gap_s: float
    longest_gap_start: datetime
    silent: bool


class OutagesBody(BaseModel):
    """When no collector took data."""

    known_from: datetime | None = Field(
        None, description="Since when it is kept down; null = never: nothing is known."
    )
    spans: list[tuple[datetime, datetime]] = Field(
        default_factory=list, description="Start and end of each, within the range, oldest first."
    )
    ongoing: bool = Field(False, description="Whether no collector takes data now.")


class CompletenessBody(BaseModel):
    data_until: datetime | None
    counted_until: datetime | None
    requests_raw: int
    requests_counted: int
    complete: bool
    rejects: int
    silent_gateways: list[str]
    rows_late: int | None = Field(None, description="Stored over 5 minutes late; null = unknown.")
    rows_arrival_known: int = Field(0, description="Requests whose arrival is known.")
    lateness_s_max: float | None = None
    rejects_by_reason: dict[str, int] = Field(default_factory=dict)
    sources: list[SourceGapBody] = Field(default_factory=list)
    outages: OutagesBody


class Answer(BaseModel):
    """What every table answer says about itself."""

    start: datetime
    end: datetime


class UsageAnswer(Answer):
    interval_s: int | None
    rows: list[UsageRow]


class LatencyAnswer(Answer):
    interval_s: int | None
    part: str
    rows: list[LatencyRow]


class BreakdownAnswer(Answer):
    by: str
    compared_start: datetime
    compared_end: datetime
    rows: list[BreakdownRow]


class MeasureAnswer(Answer):
    measure: MeasureInfo
    rows: list[MeasureRow]


class OverviewAnswer(Answer):
    overview: OverviewBody


class CompletenessAnswer(Answer):
    completeness: CompletenessBody
