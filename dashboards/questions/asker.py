"""What every question of a screen is asked with: the lake, the state store, threads, kept answers.

Callbacks are coroutines on the server's event loop; every query runs on a small thread pool and
through the single-flight cache. Everything answers for whoever is asking (identity.py): a question
of somebody who may see some rows cannot see others, and shares no answer with those who can.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine, text

from alerting.settings import AlertingSettings
from analytics.query import Analytics, CollectorTimes
from analytics.traces import Traces
from dashboards import identity
from dashboards.alert_desk import AlertDesk
from dashboards.branding import load_brand
from dashboards.people.sign_in import SignIn
from dashboards.questions.cache import CacheFor, SingleFlightCache
from dashboards.questions.reader import Reader, Readers
from dashboards.questions.sql_queries import RunningQueries
from dashboards.settings import DashboardSettings
from dashboards.theme import ColourBook
from dashboards.view import LONG_RANGE_S, View
from storage.catalog import Catalog, Consumer, load_catalog
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import open_state

T = TypeVar("T")

SETTLED_AFTER_S = 600
"""A range that ended this long ago changes rarely (late rows): its answers are kept a minute."""


class Asker:
    """The installation, of which whoever is asking sees their tenant and rows. Made once per
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
        self.route_colours = ColourBook()
        self.source_colours = ColourBook()
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

    async def ask(self, name: str, view: View, work: Callable[[], T], *more: Hashable) -> T:
        """Run `work` off the event loop, shared by all who ask `name` about the same view.

        `work` must depend on nothing but the view's range and filters, and on `more`.
        """
        key = (name, view.start, view.end, tuple(view.filters.items()), *more)
        settled = (self.clock() - view.end).total_seconds() > SETTLED_AFTER_S
        if settled or view.seconds > LONG_RANGE_S:
            return await self.cache.get(key, work, ttl_s=max(60.0, self.settings.cache_ttl_s))
        return await self.cache.get(key, work)

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
