"""What screens ask of a view: its requests and calls between services, in numbers and over time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa

from analytics.apdex import Apdex, apdex_by_api, apdex_of
from analytics.consumers import ConsumerChanges, consumer_changes
from analytics.deployments import ServiceVersion, service_versions
from analytics.query import Completeness, Outages, Overview, Part, TimeRange
from dashboards.questions.asker import Asker
from dashboards.view import View
from storage.log import us_to_time

APDEX_THRESHOLD_MS = 500.0
"""Of APIs the catalog does not know: its own default."""

VERSIONS_RANGE_S_MAX = 86_400.0
"""Longest range whose spans are read for versions of services while a chart waits for them."""

COMPARED_RANGE_S_MAX = 86_400.0
"""Longest range whose raw rows are compared with those of the range before: the screens of a day
are kept ready (warm.py), and so is the day before."""

VERSIONS_TTL_S = 600.0
"""How old versions over a longer range may be, in seconds: 1.4 s of a core for 22 million spans."""


class ViewQuestions(Asker):
    """Each answer is shared by all who see the same rows and ask it of the same view."""

    async def overview(self, view: View) -> Overview:
        """Analytics.overview; compared only with a range that is stored from its beginning on."""

        def work() -> Overview:
            found = self.analytics.overview(view.time_range, view.analytics_filters)
            whole = self.analytics.stored_whole(view.time_range.previous())
            return found if whole else replace(found, previous=None)

        return await self.ask("overview", view, work)

    async def completeness(self, view: View) -> Completeness:
        return await self.ask(
            "completeness",
            view,
            lambda: self.analytics.completeness(view.time_range, view.analytics_filters),
        )

    async def outages(self, view: View) -> Outages:
        """When no collector took data; part of `completeness` too, and much cheaper."""
        return await self.ask("outages", view, lambda: self.analytics.outages(view.time_range))

    async def usage(
        self, view: View, *by: str, over_time: bool = False, limit: int | None = None
    ) -> pl.DataFrame:
        """Analytics.usage of the view; `over_time` cuts it into the view's interval."""
        step = view.interval_s if over_time else None
        return await self.ask(
            "usage",
            view,
            lambda: self.analytics.usage(
                view.time_range, view.analytics_filters, by=by, interval_s=step, limit=limit
            ),
            by,
            step,
            limit,
        )

    async def latency(
        self,
        view: View,
        *by: str,
        part: Part = "total",
        quantiles: tuple[float, ...] = (0.5, 0.95, 0.99),
    ) -> pl.DataFrame:
        """Analytics.latency of the view, over time in the view's interval."""
        return await self.ask(
            "latency",
            view,
            lambda: self.analytics.latency(
                view.time_range,
                view.analytics_filters,
                by=by,
                interval_s=view.interval_s,
                part=part,
                quantiles=quantiles,
            ),
            by,
            part,
            quantiles,
        )

    async def histogram(self, view: View) -> pl.DataFrame:
        """Analytics.latency_histogram of the view, over time."""
        return await self.ask(
            "histogram",
            view,
            lambda: self.analytics.latency_histogram(
                view.time_range, view.analytics_filters, interval_s=view.interval_s
            ),
        )

    async def apdex(self, view: View, threshold_ms: float) -> Apdex:
        return await self.ask(
            "apdex",
            view,
            lambda: apdex_of(self.analytics, view.time_range, view.analytics_filters, threshold_ms),
            threshold_ms,
        )

    async def apdexes(self, view: View) -> dict[str | None, Apdex]:
        """Apdex of every API by the threshold the catalog gives it."""
        known = {api.name: api.apdex_threshold_ms for api in self.catalog.apis}
        return await self.ask(
            "apdexes",
            view,
            lambda: apdex_by_api(
                self.analytics,
                view.time_range,
                view.analytics_filters,
                known,
                otherwise_ms=APDEX_THRESHOLD_MS,
            ),
        )

    async def consumer_changes(self, view: View) -> ConsumerChanges:
        """Who is new, came back or went away; by the names of a quarter, so kept for minutes."""
        return await self.ask(
            "consumer-changes",
            view,
            lambda: consumer_changes(self.analytics, view.time_range, view.analytics_filters),
        )

    async def breakdown(
        self,
        view: View,
        by: str,
        limit: int = 50,
        *,
        against: TimeRange | None = None,
        latency: bool = True,
    ) -> pl.DataFrame:
        """Analytics.breakdown; `against` None = compared with the equal range just before. Growth
        is null where that is not stored from its beginning on."""

        def work() -> pl.DataFrame:
            found = self.analytics.breakdown(
                view.time_range,
                view.analytics_filters,
                by=by,
                limit=limit,
                compare=against,
                latency=latency,
            )
            if self.analytics.stored_whole(against or view.time_range.previous()):
                return found
            return found.with_columns(pl.lit(None, pl.Float64).alias("growth"))

        return await self.ask("breakdown", view, work, by, limit, against, latency)

    async def service_versions(self, view: View, services: tuple[str, ...]) -> list[ServiceVersion]:
        """Versions of services by their spans. Over more than a day they are read in the
        background, to the last VERSIONS_TTL_S: [] until they are known, then with a refresh."""

        def look(time_range: TimeRange) -> list[ServiceVersion]:
            return service_versions(self.session, time_range, services)

        if view.seconds <= VERSIONS_RANGE_S_MAX:
            return await self.ask("versions", view, lambda: look(view.time_range), services)
        start, end = (
            datetime.fromtimestamp(at.timestamp() // VERSIONS_TTL_S * VERSIONS_TTL_S, UTC)
            for at in (view.start, view.end)
        )
        known = await self.cache.soon(
            ("versions", start, end, services),
            lambda: look(TimeRange(start, end)),
            ttl_s=VERSIONS_TTL_S,
            executor=self.slow,
        )
        return known or []

    async def measure(self, view: View, name: str) -> float | None:
        """One measure over the whole view; None = not measured."""
        frame = await self.ask(
            "measure",
            view,
            lambda: self.analytics.measure(name, view.time_range, view.analytics_filters),
            name,
        )
        value: float | None = frame["value"].to_list()[0] if frame.height else None
        return value

    async def sql(self, view: View, query: str, **params: object) -> pl.DataFrame:
        """A trusted query of ours; the view's range is bound as `$start` and `$end`."""

        def run() -> pl.DataFrame:
            table: pa.Table = self.session.query(
                query,
                {"start": view.start, "end": view.end, **params},
                start=view.start,
                end=view.end,
            )
            return pl.DataFrame(pl.from_arrow(table))

        return await self.ask("sql", view, run, query, *params.items())

    async def settled_rows(
        self, view: View, table: str, query: str, **params: Hashable
    ) -> pl.DataFrame:
        """Partial rows of a query that adds up hour by hour; see analytics/settled_sql.py."""
        return await self.ask(
            "settled-rows",
            view,
            lambda: self.analytics.settled_rows(table, query, params, view.time_range),
            table,
            query,
            *params.items(),
        )

    async def before(
        self, view: View, table: str, ask: Callable[[View], Awaitable[pl.DataFrame]]
    ) -> pl.DataFrame | None:
        """The same question about the equal range just before, to compare with; None = `table` has
        only a part of that, or it would read more than COMPARED_RANGE_S_MAX of raw rows."""
        if view.seconds > COMPARED_RANGE_S_MAX:
            return None

        def look() -> datetime | None:
            oldest = min((f.time_min for f in self.session.files(table) if f.rows), default=None)
            return None if oldest is None else us_to_time(oldest)

        begins = await self.cache.get(("begins", table), look, ttl_s=60.0)
        earlier = view.previous()
        return await ask(earlier) if begins is not None and begins <= earlier.start else None

    async def sample(self, view: View, limit: int) -> pl.DataFrame:
        """Raw requests of the view, newest first."""
        return await self.ask(
            "sample",
            view,
            lambda: self.analytics.requests_sample(
                view.time_range, view.analytics_filters, limit=limit
            ),
            limit,
        )

    async def edges(self, view: View) -> pl.DataFrame:
        """Calls between services; columns: analytics/sql/service_edges.sql."""
        return await self.ask("edges", view, lambda: self.traces.edges(view.time_range))

    async def environments(self) -> list[str]:
        """Names of environments seen in the last day."""

        def look() -> list[str]:
            day = TimeRange.last(timedelta(days=1), now=self.clock())
            names = self.analytics.usage(day, by=("environment",), limit=50)["environment"]
            return sorted(name for name in names.to_list() if name)

        return await self.cache.get("environments", look, ttl_s=60.0)

    async def ever_any(self) -> bool:
        """Whether any request was ever stored."""

        def look() -> bool:
            return self.session.lake.existing("requests") is not None and bool(
                self.session.query("SELECT 1 FROM requests LIMIT 1").num_rows
            )

        return await self.cache.get("ever-any", look)
