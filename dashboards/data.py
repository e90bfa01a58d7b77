"""What screens read: analytics, alerts, the lake. The one door from callbacks to blocking work.

Callbacks are coroutines on the server's event loop; every query runs on a small thread pool and
through the single-flight cache. Everything answers for whoever is asking (identity.py): a question
of somebody who may see some rows cannot see others, and shares no answer with those who can.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
from sqlalchemy import Engine, text

from alerting.settings import AlertingSettings
from alerting.silences import Silence
from alerting.store import ActiveAlert, AlertCounts, AlertStore, HistoryEntry
from analytics.apdex import Apdex, apdex_by_api, apdex_of
from analytics.billing import Invoice, invoices
from analytics.consumers import ConsumerChanges, consumer_changes
from analytics.deployments import ServiceVersion, service_versions
from analytics.plan_fit import PlanFit, plan_fits
from analytics.query import (
    Analytics,
    CollectorTimes,
    Completeness,
    Outages,
    Overview,
    Part,
    TimeRange,
)
from analytics.quota import QuotaUsage, quota_usage
from analytics.slo import SloStatus, slo_statuses
from analytics.traces import Traces
from dashboards import format as fmt
from dashboards import identity
from dashboards.alert_desk import AlertDesk
from dashboards.branding import load_brand
from dashboards.cache import CacheFor, SingleFlightCache
from dashboards.errors import Forbidden
from dashboards.people.sign_in import SignIn
from dashboards.reader import Reader, Readers, counted_alerts, seen_alerts, seen_changes
from dashboards.settings import DashboardSettings
from dashboards.sql_audited import audited_sql
from dashboards.sql_queries import RunningQueries
from dashboards.theme import ColourBook
from dashboards.view import LONG_RANGE_S, View, parse_view
from storage.catalog import Catalog, Consumer, load_catalog
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.sql_worker import Progress, SqlLimits, SqlResult
from storage.state import open_state

T = TypeVar("T")

SETTLED_AFTER_S = 600
"""A range that ended this long ago changes rarely (late rows): its answers are kept a minute."""


APDEX_THRESHOLD_MS = 500.0
"""Of APIs the catalog does not know: its own default."""

VERSIONS_RANGE_S_MAX = 86_400.0
"""Longest range whose spans are read for versions of services while a chart waits for them."""

VERSIONS_TTL_S = 600.0
"""How old versions over a longer range may be, in seconds: 1.4 s of a core for 22 million spans."""

SLOS_TTL_S = 600.0
"""How old objectives may be, in seconds: seven windows of each are read, up to a month long."""

PLANS_TTL_S = 120.0
"""How old quotas and invoices may be, in seconds: they read a month of rollups."""


class Data:
    """Everything a page may ask, of the tenant and rows of whoever is asking. Made once per
    process; raises NotSignedIn where nobody is."""

    def __init__(
        self,
        settings: DashboardSettings,
        storage: StorageSettings,
        catalog_path: Path | None = None,
        alerting: AlertingSettings = AlertingSettings(),  # noqa: B008 - frozen
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ConfigInvalid when the files that `alerting` names have mistakes."""
        self.settings = settings
        self.brand = load_brand(settings)
        self.storage = storage
        self.clock = clock
        self.whole_catalog: Catalog = load_catalog(catalog_path)
        """Of the installation; pages ask `catalog`, which is what the asker may know of it."""
        self.state: Engine = open_state(storage)
        self._lake_session = ReadSession(Lake(storage))
        self._readers = Readers(
            self._lake_session, self.whole_catalog, clock, CollectorTimes(self.state)
        )
        self._desk = AlertDesk(
            alerting,
            self.state,
            self.whole_catalog,
            storage,
            clock=lambda: self.clock().timestamp(),
        )
        self._all_alerts = self._desk.alerts
        self.sign_in: SignIn | None = None
        """Set by the server; the Admin screen changes people through it."""
        self.colours = ColourBook(api.name for api in self.whole_catalog.apis)
        self.consumer_colours = ColourBook()
        self.service_colours = ColourBook(
            s for api in self.whole_catalog.apis for s in api.services
        )
        self.product_colours = ColourBook(p.name for p in self.whole_catalog.products)
        self.running = RunningQueries()
        """Statements of analysts that run now, from the SQL screen and over HTTP."""
        self.executor = ThreadPoolExecutor(settings.query_threads, thread_name_prefix="query")
        # On a thread of their own, the costly questions never hold up a chart.
        self.slow = ThreadPoolExecutor(1, thread_name_prefix="slow-query")
        self.answers = SingleFlightCache(
            self.executor,
            ttl_s=settings.cache_ttl_s,
            entries_max=settings.cache_entries_max,
        )

    @property
    def reader(self) -> Reader:
        """What the asker asks with."""
        return self._readers.of(identity.current())

    @property
    def lake(self) -> Lake:
        """Of all tenants: for upkeep, never for a screen."""
        return self._lake_session.lake

    @property
    def session(self) -> ReadSession:
        return self.reader.session

    @property
    def analytics(self) -> Analytics:
        return self.reader.analytics

    @property
    def traces(self) -> Traces:
        return self.reader.traces

    @property
    def catalog(self) -> Catalog:
        return self.reader.catalog

    def consumer(self, name: str | None) -> Consumer | None:
        """What the catalog says of a consumer whose calls the asker has seen: its group and plan
        stand in those rows, too, so people of some APIs learn no more than they may."""
        known = self.whole_catalog if identity.current().at_home else self.catalog
        return known.consumer(name=name) if name else None

    @property
    def cache(self) -> CacheFor:
        """Answers kept for those who see the same rows."""
        return CacheFor(self.answers, self.reader.key)

    @property
    def alerts(self) -> AlertStore:
        """The store itself, for those who see all of the home tenant. Raises Forbidden."""
        _require_all_alerts()
        return self._all_alerts

    @property
    def desk(self) -> AlertDesk:
        """Rules and delivery, for those who see all of the home tenant. Raises Forbidden."""
        _require_all_alerts()
        return self._desk

    def view(self, stored: object) -> View:
        """Read what the browser says the URL is. Hostile input gives the default view."""
        fields = stored if isinstance(stored, dict) else {}
        fmt.use_zone(fields.get("zone"))
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
        """Analytics.breakdown; `against` None = compared with the equal range just before."""
        return await self.ask(
            "breakdown",
            view,
            lambda: self.analytics.breakdown(
                view.time_range,
                view.analytics_filters,
                by=by,
                limit=limit,
                compare=against,
                latency=latency,
            ),
            by,
            limit,
            against,
            latency,
        )

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

    async def active_alerts(self) -> list[ActiveAlert]:
        alerts = await self.cache.get("alerts", self._all_alerts.active, ttl_s=1.0)
        return seen_alerts(identity.current(), alerts)

    async def alert_counts(self) -> AlertCounts:
        who = identity.current()
        if who.at_home and who.scope is None:
            return await self.cache.get("alert-counts", self._all_alerts.counts, ttl_s=1.0)
        return counted_alerts(await self.active_alerts())

    async def alert_changes(self, limit: int) -> list[HistoryEntry]:
        """Newest first."""
        who = identity.current()
        looked_at = 200 if who.scope is None else 5_000
        changes = await self.cache.get(
            "changes", lambda: self._all_alerts.history(looked_at), ttl_s=1.0
        )
        return seen_changes(who, changes)[:limit]

    async def silences(self) -> list[Silence]:
        """Of the whole home tenant; nobody narrowed is told of them."""
        who = identity.current()
        if not (who.at_home and who.scope is None):
            return []
        return await self.cache.get("silences", self._all_alerts.silences, ttl_s=1.0)

    async def run_sql(
        self,
        text: str,
        *,
        params: Mapping[str, object] | Sequence[object] = (),
        limits: SqlLimits,
        cancelled: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> SqlResult:
        """An analyst's statement over the asker's rows. It is in the audit log before it runs, and
        how it ended before its answer is given. Raises SqlError, Forbidden."""
        who = identity.require("sql")
        return await asyncio.to_thread(
            audited_sql,
            self.state,
            self.storage,
            who,
            text,
            params=params,
            limits=limits,
            cancelled=cancelled,
            progress=progress,
        )

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

    async def plan_fits(self) -> list[PlanFit]:
        """Every consumer with a plan, those on a wrong one first; up to PLANS_TTL_S old."""
        return await self.cache.get(
            "plan-fits",
            lambda: plan_fits(self.analytics, self.catalog, now=self.clock()),
            ttl_s=PLANS_TTL_S,
            executor=self.slow,
        )

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
        self._lake_session.query("SELECT 1")
        with self.state.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Let running queries go; the process is about to end."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.slow.shutdown(wait=False, cancel_futures=True)
        self.state.dispose()


def _require_all_alerts() -> None:
    identity.require("alerts")
    if not identity.sees_all_alerts():
        raise Forbidden("alerts")


def refresh_name(seconds: int) -> str:
    """10 -> '10s', 60 -> '1m', 0 -> 'off'."""
    if seconds <= 0:
        return "off"
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
