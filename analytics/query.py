"""Questions to the lake: usage, latency, errors, over any range and grouping. Dashboards, alerts
and the HTTP API all ask here, so a number is the same everywhere.

A question goes: range -> grain (`grains.py`) and segments (`plan.py`) -> files (`pieces.py`) -> SQL
per piece (`sql_build.py`), or what is settled (`settled.py`) -> added up (`sums.py`, `series.py`,
`buckets.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from analytics.buckets import quantile_name, quantiles_by
from analytics.completeness import data_begins, measure_completeness
from analytics.errors import QueryRefused, UnknownMeasure
from analytics.filters import (
    DIMENSIONS,
    UNKNOWN,
    Dimension,
    Filters,
)
from analytics.frames import empty_frame, in_order, largest_groups, to_frame
from analytics.grains import Kind
from analytics.limits import (
    GROUPS_MAX,
    RAW_LATENCY_ROWS_MAX,
    SAMPLE_ROWS_MAX,
)
from analytics.measures import MEASURES, Measure, usage_columns, usage_value
from analytics.outages import NOTHING_KNOWN, CollectorTimes, Outages
from analytics.policy import NO_POLICY, Params, Policy
from analytics.results import Completeness, Overview
from analytics.series import (
    fill_series,
    interval_starts,
    ratio,
    with_rates,
)
from analytics.settled import SettledSums
from analytics.settled_sql import settled_rows
from analytics.sql_build import where_filters, where_policy
from analytics.sums import Question, Reduce, Sums, check_tenant
from analytics.timerange import TimeRange, fitting_interval, parse_range, parse_time
from storage.row_scope import RowScope
from storage.session import ReadSession

__all__ = [
    "DIMENSIONS",
    "MEASURES",
    "UNKNOWN",
    "Analytics",
    "CollectorTimes",
    "Completeness",
    "Dimension",
    "Filters",
    "Measure",
    "Outages",
    "Overview",
    "Policy",
    "TimeRange",
    "fitting_interval",
    "parse_range",
    "parse_time",
]

Part = Literal["total", "upstream", "gateway"]

ALL = Filters()
"""Every request of the session's tenant."""

_P = (0.5, 0.95, 0.99)
_ANY = ("requests",)
_HEADLINE = ("requests", "errors")
_USAGE = (*_HEADLINE, "request_bytes", "response_bytes", "duration_ms_sum", "duration_requests")
_COUNTS = ("requests", "errors", "request_bytes", "response_bytes")
_USAGE_RESULT = ("requests", "errors", "error_rate", "request_bytes", "response_bytes")


class Analytics:
    """Questions of one tenant. Thread-safe.

    Where nothing was measured, values are NULL, never 0. Tables are sorted: by time, then largest
    group first. The session decides the tenant; filters for another tenant are refused.
    """

    def __init__(
        self,
        session: ReadSession,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        policy: Policy = NO_POLICY,
        settled: SettledSums | None = None,
        collectors: CollectorTimes | None = None,
    ) -> None:
        """`policy`: expected errors and excluded endpoints of the catalog, `Policy.of(catalog)`.
        `settled`: what is kept between questions; to be shared by all who ask the same lake.
        `collectors`: who knows when they took data; None = nobody does."""
        self._session = session
        self._clock = clock
        self._policy = policy
        self._settled = settled or SettledSums()
        self._collectors = collectors
        self._sums = Sums(session, clock, policy, self._settled)

    def narrowed(self, scope: RowScope | None) -> Analytics:
        """The same questions for somebody who may see only some rows of the tenant. Counts of
        nothing visible are 0 where the tenant was measured, as for any other filter."""
        return Analytics(
            self._session.narrowed(scope),
            clock=self._clock,
            policy=self._policy,
            settled=self._settled,
            collectors=self._collectors,
        )

    @property
    def session(self) -> ReadSession:
        return self._session

    @property
    def tenant(self) -> str:
        return self._session.tenant or "default"

    def now(self) -> datetime:
        return self._clock()

    def overview(
        self, time_range: TimeRange, filters: Filters = ALL, *, previous: bool = True
    ) -> Overview:
        """Headline numbers, with the equal range just before for comparison."""
        groups = self._usage_sums(time_range, filters, ("api",), None, _HEADLINE)
        consumers = self._usage_sums(time_range, filters, ("consumer",), None, _ANY)
        quantiles = self.latency(time_range, filters)
        row = quantiles.row(0, named=True) if quantiles.height else {}
        requests, errors = int(groups["requests"].sum()), int(groups["errors"].sum())
        before = None
        if previous:
            before = self.overview(time_range.previous(), filters, previous=False)
        return Overview(
            requests=requests,
            errors=errors,
            error_rate=errors / requests if requests else None,
            requests_per_s=requests / time_range.seconds if requests else None,
            p50_ms=row.get("p50_ms"),
            p95_ms=row.get("p95_ms"),
            p99_ms=row.get("p99_ms"),
            consumers=consumers["consumer"].drop_nulls().n_unique(),
            apis=groups["api"].drop_nulls().n_unique(),
            previous=before,
        )

    def usage(
        self,
        time_range: TimeRange,
        filters: Filters = ALL,
        *,
        by: Sequence[str] = (),
        interval_s: int | None = None,
        limit: int | None = None,
        fill: bool = True,
    ) -> pl.DataFrame:
        """Requests, errors, bytes and mean time: [time,] *by, requests, errors, error_rate,
        request_bytes, response_bytes, duration_ms_avg.

        With an interval, every interval of the range has a row per group: 0 requests where the
        tenant was measured but the group was idle, NULL where nothing at all was measured; without
        `fill` only rows with requests. `limit` keeps the largest groups (default GROUPS_MAX).
        """
        by = tuple(by)
        keys = (*(("time",) if interval_s is not None else ()), *by)
        frame = self._usage_sums(time_range, filters, by, interval_s, _USAGE)
        frame = largest_groups(frame, by, limit or GROUPS_MAX)
        if interval_s is not None and fill:
            frame = self._filled(frame, time_range, filters, by, interval_s, _COUNTS)
        frame = with_rates(frame).select(*keys, *_USAGE_RESULT, "duration_ms_avg")
        return in_order(frame, by, series=interval_s is not None)

    def latency(
        self,
        time_range: TimeRange,
        filters: Filters = ALL,
        *,
        by: Sequence[str] = (),
        interval_s: int | None = None,
        part: Part = "total",
        quantiles: Sequence[float] = (0.5, 0.95, 0.99),
    ) -> pl.DataFrame:
        """Quantiles within 1 %: [time,] *by, p50_ms, p95_ms, p99_ms, ..., requests (with a known
        time). Dimensions outside LATENCY_DIMENSIONS are answered from raw requests. One row without
        grouping and with data; none without data."""
        by = tuple(by)
        _check_quantiles(quantiles)
        keys = (*(("time",) if interval_s is not None else ()), *by)
        counts = self._latency_counts(time_range, filters, by, interval_s, part)
        frame = quantiles_by(counts, keys, quantiles)
        if interval_s is not None:
            frame = self._filled(frame, time_range, filters, by, interval_s, ("requests",))
        names = [quantile_name(q) for q in quantiles]
        return in_order(frame.select(*keys, *names, "requests"), by, series=interval_s is not None)

    def latency_histogram(
        self,
        time_range: TimeRange,
        filters: Filters = ALL,
        *,
        by: Sequence[str] = (),
        interval_s: int | None = None,
        part: Part = "total",
    ) -> pl.DataFrame:
        """Counts per latency bucket: [time,] *by, bucket, requests; heat maps and thresholds."""
        keys = [*(("time",) if interval_s is not None else ()), *by, "bucket"]
        counts = self._latency_counts(time_range, filters, tuple(by), interval_s, part)
        return counts.group_by(keys).agg(pl.col("requests").sum()).sort(keys)

    def breakdown(
        self,
        time_range: TimeRange,
        filters: Filters = ALL,
        *,
        by: str,
        limit: int = 50,
        compare: TimeRange | None = None,
        latency: bool = True,
    ) -> pl.DataFrame:
        """Largest groups side by side: by, requests, errors, error_rate, share, p50_ms, p95_ms,
        p99_ms, requests_previous, growth, last_seen; without `latency`, which costs the most for
        many groups, no quantiles.

        share: of all requests that pass the filters. growth: against `compare` (default: the equal
        range just before; `time_range.shifted(timedelta(weeks=-1))` for week over week); 0.5 =
        half as much again, NULL where the group had none then. last_seen: to the step of the tier
        used. Quantiles are NULL for dimensions no rollup keeps once RAW_LATENCY_ROWS_MAX is passed.
        """
        sums = self._usage_sums(time_range, filters, (by,), None, (*_HEADLINE, "last_seen"))
        total = int(sums["requests"].sum())
        top = largest_groups(sums, (by,), limit)
        before = self._usage_sums(compare or time_range.previous(), filters, (by,), None, _ANY)
        before = before.select(by, pl.col("requests").alias("requests_previous"))
        frame = top.join(before, on=by, how="left", nulls_equal=True)
        quantiles: tuple[str, ...] = ()
        if latency:
            times = self._breakdown_latency(time_range, filters, by)
            frame = frame.join(times, on=by, how="left", nulls_equal=True)
            quantiles = tuple(quantile_name(q) for q in _P)
        frame = frame.with_columns(
            ratio("errors", "requests").alias("error_rate"),
            (pl.col("requests") / max(total, 1)).alias("share"),
            pl.col("requests_previous").fill_null(0),
        ).with_columns((ratio("requests", "requests_previous") - 1).alias("growth"))
        columns = ("requests", "errors", "error_rate", "share", *quantiles,
                   "requests_previous", "growth", "last_seen")  # fmt: skip
        return in_order(frame.select(by, *columns), (by,), series=False)

    def measure(
        self,
        name: str,
        time_range: TimeRange,
        filters: Filters = ALL,
        *,
        by: Sequence[str] = (),
        interval_s: int | None = None,
    ) -> pl.DataFrame:
        """One measure of MEASURES per group: [time,] *by, value, requests.

        NULL value = not measured: no request for a rate or a time, nothing of the tenant at all for
        a count. Ungrouped over the whole range: always one row. With an interval: a row only where
        there was a request, values per second of the whole interval; the asker knows from the
        measure (`zero_when_idle`) what a missing row means. Raises UnknownMeasure.
        """
        if name not in MEASURES:
            raise UnknownMeasure(name, tuple(MEASURES))
        measure, by = MEASURES[name], tuple(by)
        keys = (*(("time",) if interval_s is not None else ()), *by)
        if measure.kind == "latency":
            assert measure.quantile is not None
            counts = self._latency_counts(time_range, filters, by, interval_s, measure.part)
            frame = quantiles_by(counts, keys, (measure.quantile,))
            value = pl.col(quantile_name(measure.quantile))
        else:
            frame = self._usage_sums(time_range, filters, by, interval_s, usage_columns(name))
            value = usage_value(name, interval_s or time_range.seconds)
        frame = frame.select(*keys, value.cast(pl.Float64).alias("value"), "requests")
        if not keys and not frame.height:
            idle = measure.zero_when_idle and self.has_data(time_range)
            frame = pl.DataFrame(
                {"value": [0.0 if idle else None], "requests": [0]},
                schema={"value": pl.Float64, "requests": pl.Int64},
            )
        return in_order(frame, by, series=interval_s is not None)

    def seen(
        self,
        time_range: TimeRange,
        filters: Filters = ALL,
        *,
        by: str,
        after: str | None = None,
        limit: int = GROUPS_MAX,
    ) -> pl.DataFrame:
        """Groups by name: by, requests, errors, first_seen, last_seen (to the step of the tier).

        Sorted by name as text, without the group of NULL; `after` = the last name of the page
        before, so pages neither skip nor repeat while new rows arrive.
        """
        sums = ("requests", "errors", "first_seen", "last_seen")
        rows = self._usage_sums(time_range, filters, (by,), None, sums).drop_nulls(by)
        name = pl.col(by).cast(pl.String)
        if after is not None:
            rows = rows.filter(name > after)
        return rows.select(name, *sums).sort(by).head(limit)

    def has_data(self, time_range: TimeRange) -> bool:
        """Whether the tenant has any request in the range."""
        every = Filters(tenant=self.tenant, endpoints="all")
        return self.narrowed(None)._usage_sums(time_range, every, (), None, _ANY).height > 0

    def completeness(self, time_range: TimeRange, filters: Filters = ALL) -> Completeness:
        """How far the data of the range is stored and counted. Of the tenant's filters only the
        gateway and environment matter here: what is missing has no other dimension."""
        check_tenant(self._session, filters)
        found = measure_completeness(self._session, self._sums, time_range, filters)
        return replace(found, outages=self.outages(time_range))

    def stored_whole(self, time_range: TimeRange) -> bool:
        """Whether nothing of a range lies before all that is stored: compared with a part of it,
        everything would seem to have grown."""
        begins = data_begins(self._session)
        return begins is not None and begins <= time_range.start

    def outages(self, time_range: TimeRange) -> Outages:
        """When no collector took data, of any tenant. Reads the state store only."""
        if self._collectors is None:
            return NOTHING_KNOWN
        return self._collectors.outages(time_range, self.now())

    def hour_by_hour(
        self,
        time_range: TimeRange,
        filters: Filters,
        *,
        by: Sequence[str],
        interval_s: int,
        name: Hashable,
        reduce: Reduce,
        sums: Sequence[str] = _ANY,
    ) -> list[pl.DataFrame]:
        """`reduce` of each hour's series (time, *by, *sums); see Sums.hour_by_hour."""
        question = Question("usage", tuple(by), filters, interval_s, sums=tuple(sums))
        return self._sums.hour_by_hour(question, time_range, name, reduce)

    def minutes_kept_from(self) -> datetime:
        """Start of the first hour whose minutes are surely still there."""
        return self._sums.minutes_kept_from()

    def settled_rows(
        self, table: str, sql: str, params: Mapping[str, object], time_range: TimeRange
    ) -> pl.DataFrame:
        """Partial rows of a SELECT of ours that adds up hour by hour; see settled_sql.py."""
        return settled_rows(self._session, self._settled, table, sql, params, time_range)

    def requests_sample(
        self,
        time_range: TimeRange,
        filters: Filters = ALL,
        *,
        limit: int = 100,
        newest_first: bool = True,
    ) -> pl.DataFrame:
        """Raw requests with all their columns, at most `limit` (and SAMPLE_ROWS_MAX)."""
        check_tenant(self._session, filters)
        params = Params()
        where = self.where_raw(time_range, filters, params)
        order = "DESC" if newest_first else "ASC"
        sql = (
            f"SELECT * FROM requests WHERE {where} "  # noqa: S608 - bound values
            f"ORDER BY time {order}, span_id LIMIT {max(0, min(int(limit), SAMPLE_ROWS_MAX))}"
        )
        rows = self._session.query(sql, params.values, start=time_range.start, end=time_range.end)
        return to_frame(rows)

    def rings(
        self,
        kind: Kind,
        cuts: Sequence[datetime],
        filters: Filters = ALL,
        *,
        by: Sequence[str] = (),
        sums: Sequence[str] = _HEADLINE,
    ) -> pl.DataFrame:
        """Many ranges that end together, in one question: the spans between neighbouring `cuts`
        (oldest first, at least two). ring (1 = from the first cut to the second), *by, then `sums`
        (usage) or bucket, requests (latency, of the whole time). Unsorted; only groups with
        requests. Cuts older than fine tiers are kept are moved back to a whole hour or day.
        """
        question = Question(kind, tuple(by), filters, sums=tuple(sums))
        return self._sums.rings(question, cuts)

    def where_raw(self, time_range: TimeRange, filters: Filters, params: Params) -> str:
        """Condition on rows of `requests` for questions only they can answer; fills `params`."""
        check_tenant(self._session, filters)
        return " AND ".join(
            [
                f"time >= {params.add(time_range.start)}",
                f"time < {params.add(time_range.end)}",
                *where_filters(filters, params),
                *where_policy(self._policy, filters, params),
            ]
        )

    def _usage_sums(
        self,
        time_range: TimeRange,
        filters: Filters,
        by: tuple[str, ...],
        interval_s: int | None,
        sums: Sequence[str],
    ) -> pl.DataFrame:
        """Sums per [time,] *by, unsorted; no row where there was no request."""
        question = Question("usage", by, filters, interval_s, sums=tuple(sums))
        return self._sums.add_up(question, time_range)

    def _latency_counts(
        self,
        time_range: TimeRange,
        filters: Filters,
        by: tuple[str, ...],
        interval_s: int | None,
        part: str,
    ) -> pl.DataFrame:
        """Partial counts per [time,] *by, bucket."""
        question = Question("latency", by, filters, interval_s, part=part)
        return self._sums.add_up(question, time_range)

    def _filled(
        self,
        frame: pl.DataFrame,
        time_range: TimeRange,
        filters: Filters,
        by: tuple[str, ...],
        interval_s: int,
        counts: Sequence[str],
    ) -> pl.DataFrame:
        every = Filters(tenant=filters.tenant, endpoints="all")
        measured = None
        excluding = bool(self._policy.excluded) and filters.endpoints != "all"
        if filters.active() or excluding or self._session.scope is not None:
            whole = self.narrowed(None)
            measured = whole._usage_sums(time_range, every, (), interval_s, _ANY)["time"]
        times = interval_starts(time_range, interval_s)
        return fill_series(frame, by, times, measured, counts)

    def _breakdown_latency(self, time_range: TimeRange, filters: Filters, by: str) -> pl.DataFrame:
        question = Question("latency", (by,), filters)
        if self._sums.raw_rows(question, time_range) > RAW_LATENCY_ROWS_MAX:
            nothing = empty_frame(by, "bucket", "requests")
            return quantiles_by(nothing, (by,), _P).drop("requests")
        return self.latency(time_range, filters, by=(by,), quantiles=_P).drop("requests")


def _check_quantiles(quantiles: Sequence[float]) -> None:
    if not quantiles or any(not 0 < q <= 1 for q in quantiles):
        raise QueryRefused("quantiles are numbers above 0 and up to 1, at least one")
