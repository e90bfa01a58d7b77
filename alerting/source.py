"""Where rules get their numbers: a small protocol, and the one that asks analytics.

Rule tests and backtests give their own source, so that the same checks, state machine and routing
run on written-down series and on the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from alerting.errors import AlertingError
from alerting.limits import (
    SERIES_PER_RULE_MAX,
    SHARED_SERIES_MAX,
    SLOW_SERIES_MAX,
    SQL_RULE_S_MAX,
)
from alerting.pipeline import (
    REJECTS_SQL,
    Signal,
    ask_jobs,
    collector_silence,
    free_disk,
    stuck_commit,
)
from alerting.point import Labels, Point
from analytics.buckets import bucket_of
from analytics.query import UNKNOWN, Analytics, Filters, TimeRange
from analytics.quota import QuotaUsage, quota_usage
from storage.catalog import Catalog
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.sql_worker import SqlLimits, run_sql

Period = Literal["month", "week", "day"]


@dataclass(frozen=True, slots=True)
class SqlQuestion:
    """A query over [start, end), which it has as $start and $end."""

    query: str
    start: float
    end: float
    by: tuple[str, ...] = ()
    tenant: str = "default"
    params: Mapping[str, str | float] = field(default_factory=dict)
    """Further named parameters."""
    trusted: bool = False
    """Ours, not somebody's: asked at once, without the guard and its killable process."""

    @property
    def bound(self) -> dict[str, object]:
        ends = {"start": self.start, "end": self.end}
        times = {name: datetime.fromtimestamp(at, UTC) for name, at in ends.items()}
        return {**self.params, **times}


class Source(Protocol):
    """Times are epoch seconds, UTC; ranges are half-open."""

    def data_until(self, now: float) -> float | None:
        """Time of the newest request that is stored, at most `now`; None = none lately."""
        ...

    def measure(
        self, name: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        """One point per series that has data. Raises analytics' and storage's errors."""
        ...

    def slow_share(
        self, threshold_ms: float, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        """Share of requests slower than the threshold, of those whose time is known."""
        ...

    def ask_sql(self, question: SqlQuestion) -> Sequence[Point]:
        """One point per row of a query with columns `by` and `value`. Raises when it has others."""
        ...

    def pipeline(self, signal: Signal, start: float, end: float) -> Sequence[Point]:
        """What Gatelens knows about its own work. () = nothing known."""
        ...

    def quotas(self, period: Period, at: float, filters: Filters) -> Sequence[QuotaUsage]:
        """Every consumer with a quota for such a period, in the one that `at` lies in."""
        ...


class AnalyticsSource:
    """The lake's numbers, by way of analytics."""

    def __init__(
        self,
        analytics: Analytics,
        catalog: Catalog,
        *,
        tenant: str,
        lookback_s: float,
        storage: StorageSettings | None = None,
        state: sa.Engine | None = None,
        session: ReadSession | None = None,
    ) -> None:
        """storage: where SQL of rules is asked; session: where our own is; state: of the jobs.
        None = such rules fail, or find nothing."""
        self._session = session
        self._storage = storage
        self._state = state
        self._analytics = analytics
        self._catalog = catalog
        self._filters = Filters(tenant=tenant)
        self._lookback_s = lookback_s

    def data_until(self, now: float) -> float | None:
        found = self._analytics.completeness(_range(now - self._lookback_s, now), self._filters)
        return None if found.data_until is None else min(now, found.data_until.timestamp())

    def measure(
        self, name: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        frame = self._analytics.measure(name, _range(start, end), filters, by=by)
        return [_point(row, by) for row in frame.iter_rows(named=True)]

    def windows(
        self,
        name: str,
        start: float,
        end: float,
        window_s: float,
        filters: Filters,
        by: tuple[str, ...],
    ) -> dict[float, list[Point]]:
        """`measure` of every window of the range, by the window's start; both ends are multiples of
        `window_s`. A window without a request has no points, as `measure` has none."""
        frame = self._analytics.measure(
            name, _range(start, end), filters, by=by, interval_s=int(window_s)
        )
        found: dict[float, list[Point]] = {
            start + i * window_s: [] for i in range(round((end - start) / window_s))
        }
        for row in frame.iter_rows(named=True):
            at = row["time"].timestamp()
            if at in found:
                found[at].append(_point(row, by))
        return found

    def slow_share(
        self, threshold_ms: float, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        known = {name: values[0] for name, values in filters.active() if len(values) == 1}
        if all(name in known for name in by):  # an SLO of the catalog: one API, one series
            series = [tuple((name, known[name]) for name in by)]
        else:
            series = [point.labels for point in self.measure("requests", start, end, filters, by)]
        if len(series) > SLOW_SERIES_MAX:
            raise AlertingError(
                f"A latency objective over more than {SLOW_SERIES_MAX} series costs too much.",
                "Narrow it with filters.",
            )
        found = (self._slow(threshold_ms, start, end, filters, labels) for labels in series)
        return [point for point in found if point is not None]

    def _slow(
        self, threshold_ms: float, start: float, end: float, filters: Filters, labels: Labels
    ) -> Point | None:
        named: Any = {name: (value,) for name, value in labels}
        histogram = self._analytics.latency_histogram(_range(start, end), replace(filters, **named))
        total = int(histogram["requests"].sum())
        if not total:
            return None
        # As analytics/slo.py counts it: a bucket that the threshold cuts is good.
        good = histogram.filter(pl.col("bucket") <= bucket_of(threshold_ms))["requests"].sum()
        return Point(labels, 1.0 - int(good) / total, total)

    def ask_sql(self, question: SqlQuestion) -> Sequence[Point]:
        by, table = question.by, self._table(question)
        missing = {*by, "value"} - set(table.column_names)
        if missing:
            raise AlertingError(f"The query lacks the column {sorted(missing)[0]!r}.")
        return [
            Point(
                tuple((n, UNKNOWN if row[n] is None else str(row[n])) for n in by),
                None if row["value"] is None else float(row["value"]),
                int(row.get("requests") or 0),
            )
            for row in table.to_pylist()
        ]

    def _table(self, question: SqlQuestion) -> pa.Table:
        if question.trusted and self._session is not None:
            return self._session.query(
                question.query,
                question.bound,
                start=datetime.fromtimestamp(question.start, UTC),
                end=datetime.fromtimestamp(question.end, UTC),
            )
        # Rules are configuration, but they may have been typed on a screen: guarded as any SQL is.
        if self._storage is None:
            raise AlertingError("SQL rules need the lake.", "Build alerting with lake=.")
        limits = SqlLimits(rows_max=SERIES_PER_RULE_MAX, seconds_max=SQL_RULE_S_MAX)
        return run_sql(
            self._storage,
            question.query,
            tenant=question.tenant,
            params=question.bound,
            limits=limits,
        ).table

    def pipeline(self, signal: Signal, start: float, end: float) -> Sequence[Point]:
        match signal:
            case "rejects":
                question = SqlQuestion(REJECTS_SQL, start, end, ("source", "reason"), trusted=True)
                return self.ask_sql(question) if self._storage or self._session else []
            case "commit_stuck_s":
                return [] if self._storage is None else stuck_commit(self._storage, end)
            case "collector_silence_s":
                return [] if self._state is None else collector_silence(self._state, end)
            case "disk_free":
                return [] if self._storage is None else free_disk(self._storage)
            case _:
                return [] if self._state is None else ask_jobs(self._state, signal, start, end)

    def quotas(self, period: Period, at: float, filters: Filters) -> Sequence[QuotaUsage]:
        now = datetime.fromtimestamp(at, UTC)
        usages = quota_usage(self._analytics, self._catalog, now=now, filters=filters)
        wanted = filters.consumer
        return [u for u in usages if u.kind == period and (not wanted or u.consumer in wanted)]


class CachedSource:
    """Asks every question once: for one round, in which many rules ask the same.

    Many rules differ only in whom they look at (`api: orders`, `api: billing`, ...). From the
    second one on, the question is asked once for everybody, grouped by what they filter, and
    divided here.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._answers: dict[object, Sequence[Point]] = {}
        self._quotas: dict[object, Sequence[QuotaUsage]] = {}
        self._shapes: dict[object, int] = {}
        self._divided: dict[object, dict[Labels, list[Point]] | None] = {}

    def data_until(self, now: float) -> float | None:
        return self._source.data_until(now)

    def measure(
        self, name: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        question = (name, start, end, filters, by)
        if question not in self._answers:
            shared = self._from_shared(name, start, end, filters, by)
            self._answers[question] = (
                self._source.measure(name, start, end, filters, by) if shared is None else shared
            )
        return self._answers[question]

    def know(
        self,
        name: str,
        windows: Mapping[float, Sequence[Point]],
        filters: Filters,
        by: tuple[str, ...],
        window_s: float,
    ) -> None:
        """Take the answers of many windows, by start, that somebody has asked for already."""
        for start, points in windows.items():
            self._answers[name, start, start + window_s, filters, by] = points

    def _from_shared(
        self, name: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point] | None:
        """The answer out of one question for everybody; None when it must be asked by itself."""
        wanted = _single_values(filters)
        if not wanted:
            return None
        names = tuple(n for n, _ in wanted)
        shape = (name, start, end, filters.tenant, names, by)
        self._shapes[shape] = self._shapes.get(shape, 0) + 1
        if self._shapes[shape] < 2:
            return None
        if shape not in self._divided:
            everybody = Filters(tenant=filters.tenant)
            finer = (*(n for n in names if n not in by), *by)
            answer = self._source.measure(name, start, end, everybody, finer)
            self._divided[shape] = (
                None if len(answer) > SHARED_SERIES_MAX else _divide(answer, names, by)
            )
        divided = self._divided[shape]
        return None if divided is None else divided.get(wanted, [])

    def slow_share(
        self, threshold_ms: float, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        question = ("slow", threshold_ms, start, end, filters, by)
        if question not in self._answers:
            self._answers[question] = self._source.slow_share(threshold_ms, start, end, filters, by)
        return self._answers[question]

    def ask_sql(self, question: SqlQuestion) -> Sequence[Point]:
        return self._source.ask_sql(question)

    def pipeline(self, signal: Signal, start: float, end: float) -> Sequence[Point]:
        return self._source.pipeline(signal, start, end)

    def quotas(self, period: Period, at: float, filters: Filters) -> Sequence[QuotaUsage]:
        question = (period, at, filters)
        if question not in self._quotas:
            self._quotas[question] = self._source.quotas(period, at, filters)
        return self._quotas[question]


def _point(row: Mapping[str, Any], by: tuple[str, ...]) -> Point:
    return Point(
        labels=tuple((d, UNKNOWN if row[d] is None else str(row[d])) for d in by),
        value=None if row["value"] is None else float(row["value"]),
        requests=int(row["requests"] or 0),
    )


def _single_values(filters: Filters) -> Labels:
    """The filters as labels when each names one plain value; () otherwise."""
    active = filters.active()
    plain = all(
        len(values) == 1 and not (name == "status_code" and "x" in values[0])
        for name, values in active
    )
    return tuple((name, values[0]) for name, values in active) if plain else ()


def _divide(
    points: Sequence[Point], names: tuple[str, ...], by: tuple[str, ...]
) -> dict[Labels, list[Point]]:
    """Points of a finer question by the values of `names`, each with the labels of `by` only."""
    divided: dict[Labels, list[Point]] = {}
    for point in points:
        labels = dict(point.labels)
        rest = Point(tuple((n, labels[n]) for n in by), point.value, point.requests)
        divided.setdefault(tuple((n, labels[n]) for n in names), []).append(rest)
    return divided


def _range(start: float, end: float) -> TimeRange:
    return TimeRange(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
