"""Live traffic of the company through the real front doors: OTLP/gRPC, OTLP/HTTP and NGINX lines.

Calls are made by `traffic.generate` and sent when they end, with their true times. APIs behind Kong
go over gRPC, those behind Envoy over HTTP, the legacy one as access log lines.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from sample_data.call import Call, calls_of
from sample_data.company import DEFAULT_SEED, Company, build_company
from sample_data.exporters import grpc_exporters, http_exporters
from sample_data.live_nginx import LinePoster
from sample_data.live_otlp import Pipeline
from sample_data.nginx_lines import combined_line
from sample_data.persistent import quiet_sdk_logs
from sample_data.requests import Requests, concat_requests
from sample_data.scenario import DEMO_RATE_PER_S, SECOND_US, Scenario, live_scenario
from sample_data.traffic import SLOT_US, generate

log = structlog.get_logger(__name__)

TICK_S = 0.1
METRICS_PERIOD_S = 5.0
LATE_MAX_US = 10 * SECOND_US
"""Calls that ended longer ago (the machine slept) are left out rather than sent in one flood."""
LOOKAHEAD_US = 5 * SECOND_US
STOP_S = 1.8


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Calls sent so far."""

    spans_calls: int
    nginx_lines: int


class Timeline:
    """Hands out the calls of a scenario when their time has come. Pure but for its position."""

    def __init__(self, company: Company, scenario: Scenario, start_us: int) -> None:
        self._company, self._scenario = company, scenario
        self._loaded_us = start_us
        self._pending = generate(company, scenario, start_us, start_us)
        self._end_us = np.zeros(0, np.int64)

    def due(self, now_us: int) -> list[Call]:
        """Calls that ended by `now_us` and were not handed out before, in order of their end."""
        while self._loaded_us < now_us + LOOKAHEAD_US:
            self._load()
        count = int(np.searchsorted(self._end_us, now_us, side="right"))
        fresh = int(np.searchsorted(self._end_us, now_us - LATE_MAX_US, side="left"))
        done = self._pending.take(slice(fresh, count))
        self._pending = self._pending.take(slice(count, None))
        self._end_us = self._end_us[count:]
        return calls_of(self._company, done)

    def _load(self) -> None:
        until = (self._loaded_us // SLOT_US + 1) * SLOT_US
        block = generate(self._company, self._scenario, self._loaded_us, until)
        merged = concat_requests([self._pending, block])
        end_us = _end_us(merged)
        order = np.argsort(end_us, kind="stable")
        self._pending, self._end_us, self._loaded_us = merged.take(order), end_us[order], until


def _end_us(requests: Requests) -> NDArray[np.int64]:
    duration_us: NDArray[np.int64] = np.ceil(requests.duration_ms * 1e3).astype(np.int64)
    return requests.time_us + duration_us


class LiveTraffic:
    """Sends live traffic until stopped. `start` returns at once, `stop` within two seconds.

    `otlp_http_url`: base URL (http://127.0.0.1:4318); `otlp_grpc_target`: host:port; `ingest_url`:
    full URL that takes NGINX combined lines, None = `<otlp_http_url>/ingest/nginx`. A collector
    that is not up yet, or restarts, gets what was queued as soon as it answers (at least once).
    `quota_used` and the rest: see `live_scenario`.
    """

    def __init__(
        self,
        otlp_http_url: str,
        otlp_grpc_target: str,
        ingest_url: str | None = None,
        *,
        company: Company | None = None,
        rate_per_s: float = DEMO_RATE_PER_S,
        seed: int = DEFAULT_SEED,
        quota_used: int | None = None,
        scenario: Callable[[int], Scenario] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._company = company or build_company(seed)
        self._clock = clock
        self._make_scenario = scenario or (
            lambda start_us: live_scenario(start_us, rate_per_s=rate_per_s, quota_used=quota_used)
        )
        self._urls = (otlp_http_url, otlp_grpc_target)
        self._poster = LinePoster(ingest_url or f"{otlp_http_url.rstrip('/')}/ingest/nginx")
        self._pipelines: dict[str, Pipeline] = {}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sent = {"spans": 0, "lines": 0}
        self.started_at: dt.datetime | None = None
        """First moment of live traffic, where history should end; None before `start`."""

    def start(self) -> None:
        """Start sending. Once only."""
        quiet_sdk_logs()
        http_url, grpc_target = self._urls
        self._pipelines = {
            "kong": Pipeline(grpc_exporters(grpc_target)),
            "envoy": Pipeline(http_exporters(http_url)),
        }
        start_us = int(self._clock() * SECOND_US)
        self.started_at = dt.datetime.fromtimestamp(start_us / SECOND_US, tz=dt.UTC)
        timeline = Timeline(self._company, self._make_scenario(start_us), start_us)
        self._poster.start()
        for target, args in ((self._emit_forever, (timeline,)), (self._measure_forever, ())):
            thread = threading.Thread(target=target, args=args, name="sample-live", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop, and send what is queued. Gives up on a collector that does not answer in time."""
        self._stopping.set()
        deadline = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        closing = [
            threading.Thread(target=pipeline.shutdown, daemon=True)
            for pipeline in self._pipelines.values()
        ]
        for thread in closing:
            thread.start()
        self._poster.stop(max(0.0, deadline - time.monotonic()))
        for thread in closing:
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def counts(self) -> LiveCounts:
        return LiveCounts(self._sent["spans"], self._sent["lines"])

    def _emit_forever(self, timeline: Timeline) -> None:
        while not self._stopping.wait(TICK_S):
            for call in timeline.due(int(self._clock() * SECOND_US)):
                self._emit(call)

    def _emit(self, call: Call) -> None:
        if call.operation.gateway == "nginx":
            self._poster.add(combined_line(call))
            self._sent["lines"] += 1
        else:
            self._pipelines[call.operation.gateway].emit(call)
            self._sent["spans"] += 1

    def _measure_forever(self) -> None:
        while not self._stopping.wait(METRICS_PERIOD_S):
            for pipeline in self._pipelines.values():
                pipeline.export_metrics()
