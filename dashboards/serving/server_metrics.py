"""Own numbers of the dashboards' server, in Prometheus text at /metrics."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboards.people.attempts import Attempts
from dashboards.questions.cache import SingleFlightCache

UPDATES = "/_dash-update-component"
"""Where Dash is asked for a screen's updates."""


class Metrics:
    """Requests by kind, questions of screens, log-ins."""

    def __init__(self, cache: SingleFlightCache, attempts: Attempts) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "gatelens_dashboards_request_seconds",
            "Time to answer a request.",
            ["kind"],
            registry=self.registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30),
        )
        self._open = Gauge(
            "gatelens_dashboards_requests_open", "Requests being answered.", registry=self.registry
        )
        self._failed = Counter(
            "gatelens_dashboards_request_failures_total",
            "Requests that ended in an error of ours.",
            registry=self.registry,
        )
        self.registry.register(_CacheMetrics(cache))
        self.registry.register(_LoginMetrics(attempts))

    @contextlib.contextmanager
    def watch(self, path: str) -> Iterator[None]:
        kind = (
            "update"
            if path == UPDATES
            else "api"
            if path.startswith("/api")
            else "file"
            if "." in path
            else "page"
        )
        begun = time.perf_counter()
        self._open.inc()
        try:
            yield
        except Exception:
            self._failed.inc()
            raise
        finally:
            self._open.dec()
            self._seconds.labels(kind).observe(time.perf_counter() - begun)

    def render(self) -> bytes:
        return generate_latest(self.registry)


class _CacheMetrics(Collector):
    def __init__(self, cache: SingleFlightCache) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "gatelens_dashboards_queries",
            "Questions of screens by how they were answered.",
            labels=["how"],
        )
        family.add_metric(["run"], self._cache.runs)
        family.add_metric(["joined"], self._cache.joined)
        family.add_metric(["cached"], self._cache.hits)
        yield family


class _LoginMetrics(Collector):
    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "gatelens_dashboards_login_attempts",
            "Passwords, links and tokens that were tried, by how it ended.",
            labels=["how"],
        )
        family.add_metric(["succeeded"], self._attempts.succeeded)
        family.add_metric(["failed"], self._attempts.failed)
        family.add_metric(["put_off"], self._attempts.put_off)
        yield family
