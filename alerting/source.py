"""Where rules get their numbers: a small protocol, and the one that asks analytics.

Rule tests and backtests give their own source, so that the same checks, state machine and routing
run on written-down series and on the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from alerting.errors import AlertingError
from alerting.limits import SERIES_PER_RULE_MAX, SHARED_SERIES_MAX, SQL_RULE_S_MAX
from analytics.query import UNKNOWN, Analytics, Filters, TimeRange
from storage.catalog import Catalog
from storage.settings import StorageSettings
from storage.sql_worker import SqlLimits, run_sql

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order of the rule's group_by."""

Period = Literal["month", "week", "day"]


@dataclass(frozen=True, slots=True)
class Point:
    """One series over one window. value None = unmeasured."""

    labels: Labels
    value: float | None
    requests: int


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

    def ask_sql(
        self, query: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        """One point per row of a query with columns `by` and `value`. Raises when it has others."""
        ...

    def quotas(self, period: Period) -> Mapping[str, int]:
        """Requests a consumer may make in the period, by consumer; only those with a quota."""
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
    ) -> None:
        self._storage = storage
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
        return [
            Point(
                labels=tuple((d, UNKNOWN if row[d] is None else str(row[d])) for d in by),
                value=None if row["value"] is None else float(row["value"]),
                requests=int(row["requests"] or 0),
            )
            for row in frame.iter_rows(named=True)
        ]

    def ask_sql(
        self, query: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        # Rules are configuration, but they may have been typed on a screen: guarded as any SQL is.
        if self._storage is None:
            raise AlertingError("SQL rules need the lake.", "Build alerting with lake=.")
        limits = SqlLimits(rows_max=SERIES_PER_RULE_MAX, seconds_max=SQL_RULE_S_MAX)
        ends = {
            "start": datetime.fromtimestamp(start, UTC),
            "end": datetime.fromtimestamp(end, UTC),
        }
        table = run_sql(
            self._storage, query, tenant=filters.tenant, params=ends, limits=limits
        ).table
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

    def quotas(self, period: Period) -> Mapping[str, int]:
        found = {}
        for consumer in self._catalog.consumers:
            plan = self._catalog.plan(consumer.plan)
            limit = getattr(plan, f"quota_per_{period}") if plan else None
            if limit:
                found[consumer.name] = int(limit)
        return found


class CachedSource:
    """Asks every question once: for one round, in which many rules ask the same.

    Many rules differ only in whom they look at (`api: orders`, `api: billing`, ...). From the
    second one on, the question is asked once for everybody, grouped by what they filter, and
    divided here.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._answers: dict[object, Sequence[Point]] = {}
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

    def ask_sql(
        self, query: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        return self._source.ask_sql(query, start, end, filters, by)

    def quotas(self, period: Period) -> Mapping[str, int]:
        return self._source.quotas(period)


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
