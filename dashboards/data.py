"""What screens read: analytics, alerts, the lake. The one door from callbacks to blocking work.

Callbacks are coroutines on the server's event loop; every query runs on a small thread pool and
through the single-flight cache.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
from sqlalchemy import Engine, text

from alerting.store import ActiveAlert, AlertCounts, AlertStore, HistoryEntry
from analytics.billing import Invoice, invoices
from analytics.query import Analytics, Completeness, Overview, Part, Policy, TimeRange
from analytics.quota import QuotaUsage, quota_usage
from analytics.slo import SloStatus, slo_statuses
from analytics.traces import Traces
from dashboards.cache import SingleFlightCache
from dashboards.settings import DashboardSettings
from dashboards.theme import ColourBook
from dashboards.view import LONG_RANGE_S, View, parse_view
from storage.catalog import Catalog, load_catalog
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import open_state

T = TypeVar("T")

SETTLED_AFTER_S = 600
"""A range that ended this long ago changes rarely (late rows): its answers are kept a minute."""


SLOS_TTL_S = 600.0
"""How old objectives may be, in seconds: seven windows of each are read, up to a month long."""

PLANS_TTL_S = 120.0
"""How old quotas and invoices may be, in seconds: they read a month of rollups."""


class Data:
    """Everything a page may ask, of one tenant. Made once per process."""

    def __init__(
        self,
        settings: DashboardSettings,
        storage: StorageSettings,
        catalog_path: Path | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.storage = storage
        self.clock = clock
        self.catalog: Catalog = load_catalog(catalog_path)
        self.state: Engine = open_state(storage)
        self.session = ReadSession(Lake(storage))
        self.analytics = Analytics(self.session, clock=clock, policy=Policy.of(self.catalog))
        self.traces = Traces(self.session)
        self.alerts = AlertStore(self.state)
        self.colours = ColourBook(api.name for api in self.catalog.apis)
        self.consumer_colours = ColourBook()
        self.service_colours = ColourBook(s for api in self.catalog.apis for s in api.services)
        self.product_colours = ColourBook(p.name for p in self.catalog.products)
        self.executor = ThreadPoolExecutor(settings.query_threads, thread_name_prefix="query")
        # On a thread of their own, the costly questions never hold up a chart.
        self.slow = ThreadPoolExecutor(1, thread_name_prefix="slow-query")
        self.cache = SingleFlightCache(
            self.executor,
            ttl_s=settings.cache_ttl_s,
            entries_max=settings.cache_entries_max,
        )

    def view(self, stored: object) -> View:
        """Read what the browser says the URL is. Hostile input gives the default view."""
        fields = stored if isinstance(stored, dict) else {}
        return parse_view(
            fields.get("search"),
            now=self.clock(),
            mode=fields.get("mode"),
            default_from=self.settings.default_range,
            default_refresh=refresh_name(self.settings.default_refresh_s),
        )

    async def ask(self, name: str, view: View, work: Callable[[], T], *more: Hashable) -> T:
        """Run `work` off the event loop, shared by all who ask `name` about the same view.

        `work` must depend on nothing but the view's range and filters, and on `more`.
        """
        key = (name, view.start, view.end, tuple(view.filters.items()), *more)
        settled = (self.clock() - view.end).total_seconds() > SETTLED_AFTER_S
        if settled or view.seconds > LONG_RANGE_S:
            return await self.cache.get(key, work, ttl_s=max(60.0, self.settings.cache_ttl_s))
        return await self.cache.get(key, work)

    async def overview(self, view: View) -> Overview:
        return await self.ask(
            "overview",
            view,
            lambda: self.analytics.overview(view.time_range, view.analytics_filters),
        )

    async def completeness(self, view: View) -> Completeness:
        return await self.ask(
            "completeness",
            view,
            lambda: self.analytics.completeness(view.time_range, view.analytics_filters),
        )

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

    async def breakdown(self, view: View, by: str, limit: int = 50) -> pl.DataFrame:
        return await self.ask(
            "breakdown",
            view,
            lambda: self.analytics.breakdown(
                view.time_range, view.analytics_filters, by=by, limit=limit
            ),
            by,
            limit,
        )

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

    async def active_alerts(self) -> list[ActiveAlert]:
        return await self.cache.get("alerts", self.alerts.active, ttl_s=1.0)

    async def alert_counts(self) -> AlertCounts:
        return await self.cache.get("alert-counts", self.alerts.counts, ttl_s=1.0)

    async def alert_changes(self, limit: int) -> list[HistoryEntry]:
        """Newest first."""
        changes = await self.cache.get("changes", lambda: self.alerts.history(200), ttl_s=1.0)
        return changes[:limit]

    async def quotas(self) -> list[QuotaUsage]:
        """Every consumer against every limit of its plan, fullest first; up to PLANS_TTL_S old."""
        return await self.cache.get(
            "quotas",
            self._quotas,
            ttl_s=PLANS_TTL_S,
            executor=self.slow,
        )

    async def plans_soon(self) -> tuple[list[SloStatus] | None, list[QuotaUsage] | None]:
        """Objectives and quotas as far as they are known, without waiting; None = not yet."""
        return (
            await self.cache.soon("slos", self._slos, ttl_s=SLOS_TTL_S, executor=self.slow),
            await self.cache.soon("quotas", self._quotas, ttl_s=PLANS_TTL_S, executor=self.slow),
        )

    def _slos(self) -> list[SloStatus]:
        return slo_statuses(self.analytics, self.catalog, now=self.clock())

    def _quotas(self) -> list[QuotaUsage]:
        return quota_usage(self.analytics, self.catalog, now=self.clock())

    async def invoices(self) -> list[Invoice]:
        """What the running month costs each consumer so far; up to PLANS_TTL_S old."""
        now = self.clock()
        return await self.cache.get(
            "invoices",
            lambda: invoices(self.analytics, self.catalog, now, now=now),
            ttl_s=PLANS_TTL_S,
            executor=self.slow,
        )

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

    def probe(self) -> None:
        """Raise unless the lake's folder and the state store can be read now."""
        self.session.query("SELECT 1")
        with self.state.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Let running queries go; the process is about to end."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.slow.shutdown(wait=False, cancel_futures=True)
        self.state.dispose()


def refresh_name(seconds: int) -> str:
    """10 -> '10s', 60 -> '1m', 0 -> 'off'."""
    if seconds <= 0:
        return "off"
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
