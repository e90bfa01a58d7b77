"""What screens read: analytics, alerts, the lake. The one door from callbacks to blocking work.

Callbacks are coroutines on the server's event loop; every query runs on a small thread pool and
through the single-flight cache.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow as pa
from sqlalchemy import Engine, text

from analytics.query import Analytics
from dashboards.cache import SingleFlightCache
from dashboards.settings import DashboardSettings
from dashboards.theme import ColourBook
from dashboards.view import View, parse_view
from storage.catalog import Catalog, load_catalog
from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from storage.state import open_state

T = TypeVar("T")


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
        self.analytics = Analytics(self.session)
        self.colours = ColourBook(api.name for api in self.catalog.apis)
        self._executor = ThreadPoolExecutor(settings.query_threads, thread_name_prefix="query")
        self.cache = SingleFlightCache(
            self._executor,
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
        return await self.cache.get(key, work)

    async def sql(self, name: str, view: View, query: str, **params: object) -> pl.DataFrame:
        """A trusted query of ours over the view's range: `$start` and `$end` are bound."""

        def run() -> pl.DataFrame:
            table: pa.Table = self.session.query(
                query,
                {"start": view.start, "end": view.end, **params},
                start=view.start,
                end=view.end,
            )
            return pl.DataFrame(pl.from_arrow(table))

        return await self.ask(name, view, run, query, *params.items())

    def probe(self) -> None:
        """Raise unless the lake's folder and the state store can be read now."""
        self.session.query("SELECT 1")
        with self.state.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Let running queries go; the process is about to end."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self.state.dispose()


def refresh_name(seconds: int) -> str:
    """10 -> '10s', 60 -> '1m', 0 -> 'off'."""
    if seconds <= 0:
        return "off"
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
