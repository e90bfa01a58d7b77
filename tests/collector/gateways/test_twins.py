"""A gateway's access log beside its spans: every call once, in any order, over restarts."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.backlog import Entry
from collector.batch import decode_batch
from collector.formats import FORMATS
from collector.naming import Naming
from collector.naming.fronts import LEFT_MIN, PROOF_S
from collector.naming.twins import Twins
from collector.payload import Content, Payload
from storage.catalog import Catalog
from storage.learned import TWINS_FILE, read_learned

NOW = 1_795_261_431_000_000_000


def span(id_: int, route: str = "/orders", service: str = "kong") -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    found = resource.scope_spans.add().spans.add(
        name="kong", kind=2, trace_id=id_.to_bytes(16, "big"), span_id=id_.to_bytes(8, "big"),
        start_time_unix_nano=NOW, end_time_unix_nano=NOW + 9_000_000,
    )  # fmt: skip
    for key, value in (
        ("http.method", "GET"), ("http.url", f"http://shop.example{route}/{id_}"),
        ("http.route", route), ("kong.request.id", f"{id_:032x}"),
    ):  # fmt: skip
        found.attributes.add(key=key).value.string_value = value
    found.attributes.add(key="http.status_code").value.int_value = 200
    return bytes(request.SerializeToString())


def record(id_: int, route: str = "/orders") -> bytes:
    return json.dumps({
        "request": {"id": f"{id_:032x}", "uri": f"{route}/{id_}", "method": "GET", "size": 90,
                    "url": f"http://shop.example{route}/{id_}", "headers": {}},
        "response": {"status": 200, "size": 10, "headers": {}},
        "latencies": {"request": 9, "proxy": 7, "kong": 1, "receive": 1},
        "client_ip": "192.0.2.1", "started_at": NOW // 1_000_000, "source": "upstream",
        "route": {"id": "r", "paths": [route]}, "service": {"id": "s", "name": "orders"},
        "trace_id": {"w3c": f"{id_:032x}"},
    }).encode()  # fmt: skip


def otlp_record(id_: int) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "kong"
    found = resource.scope_logs.add().log_records.add(time_unix_nano=NOW)
    for key, value in (
        ("http.request.method", "GET"), ("http.response.status_code", "200"),
        ("url.path", f"/orders/{id_}"), ("kong.request.id", f"{id_:032x}"),
    ):  # fmt: skip
        found.attributes.add(key=key).value.string_value = value
    return bytes(request.SerializeToString())


KINDS: dict[str, tuple[str, Content]] = {
    "span": ("otlp_traces", "protobuf"), "record": ("kong", "json"),
    "otlp_record": ("otlp_logs", "protobuf"),
}  # fmt: skip
MAKE = {"span": span, "record": record, "otlp_record": otlp_record}


class Collector:
    """What a collector keeps between batches."""

    def __init__(self, folder: Path | None = None, catalog: dict[str, Any] | None = None) -> None:
        self.now_s = 0.0
        self.twins = Twins(folder, clock=lambda: self.now_s)
        self.naming = Naming(Catalog.model_validate(catalog or {}), twins=self.twins)
        self.calls: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.logs = 0

    def take(self, *told: tuple[str, int], tenant: str = "default", route: str = "/orders") -> None:
        """One batch of tellings, (kind, number of the call), each a request of its own."""
        self.take_bodies(
            *((kind, MAKE[kind](n) if kind == "otlp_record" else MAKE[kind](n, route))  # type: ignore[operator]
              for kind, n in told), tenant=tenant,
        )  # fmt: skip

    def take_bodies(self, *told: tuple[str, bytes], tenant: str = "default") -> None:
        entries = []
        for at, (kind, body) in enumerate(told, 1):
            format_, content = KINDS[kind]
            payload = Payload(body, format_, content, tenant, None, NOW, "")
            entries.append(Entry(at, payload, 1, 0.0))
        batch = decode_batch(entries, FORMATS, self.naming, refuse)
        for table in batch.tables.get("requests", []):
            self.calls.update(table.column("request_id").to_pylist())
            self.sources.update(table.column("source").to_pylist())
        self.logs += sum(t.num_rows for t in batch.tables.get("logs", []))


def refuse(entry: Entry, err: Exception) -> None:
    raise err


@pytest.mark.parametrize("log", ["record", "otlp_record"])
@pytest.mark.parametrize("span_first", [True, False])
@pytest.mark.parametrize("apart", [True, False])
def test_a_call_told_twice_counts_once(log: str, span_first: bool, apart: bool) -> None:
    collector = Collector()
    both = [("span", 1), (log, 1)] if span_first else [(log, 1), ("span", 1)]
    for batch in [both[:1], both[1:]] if apart else [both]:
        collector.take(*batch)
    assert sorted(collector.calls.values()) == [1]


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_samples_batches_and_repeats_counts_every_call_once(seed: int) -> None:
    """Of 60 calls all are in the log and some have a span; some batches are decoded twice, as
    after a failure, and only the second time counts."""
    rng = random.Random(seed)
    told = [("record", n) for n in range(60)]
    told += [("span", n) for n in range(60) if rng.random() < rng.choice([0.1, 0.5, 1.0])]
    rng.shuffle(told)
    collector = Collector()
    while told:
        size = rng.randint(1, 12)
        batch, told = told[:size], told[size:]
        if rng.random() < 0.3:
            kept = collector.calls.copy()
            collector.take(*batch)
            collector.calls = kept
        collector.take(*batch)
    assert len(collector.calls) == 60
    assert set(collector.calls.values()) == {1}


def test_a_known_route_is_counted_by_its_log_also_after_a_restart(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    collector.take(("record", 1), ("span", 1))
    assert read_learned(tmp_path / TWINS_FILE) == {"default": {"kong: kong /orders": "kong"}}
    again = Collector(tmp_path)
    again.take(*(("span", n) for n in range(2, 10)))
    again.take(*(("record", n) for n in range(2, 10)))
    assert again.sources == {"kong_http_log": 8}
    assert again.twins.spans_left == 8


def test_routes_without_a_log_and_other_tenants_go_on_by_their_spans() -> None:
    collector = Collector()
    collector.take(("record", 1), ("span", 1))
    collector.take(("span", 2), route="/unlogged")
    collector.take(("span", 3), tenant="other")
    assert collector.sources == {"kong_http_log": 1, "otlp_span": 2}


def test_spans_count_again_when_the_log_falls_silent() -> None:
    collector = Collector()
    collector.take(("record", 1), ("span", 1))
    collector.now_s = PROOF_S
    collector.take(*(("span", n) for n in range(2, 2 + LEFT_MIN)))
    collector.take(("span", 1000))
    assert collector.sources["otlp_span"] == 1
    # As long as it tells, no number of spans makes it silent.
    other = Collector()
    other.take(("record", 1), ("span", 1))
    for turn in range(1, 5):
        other.now_s += PROOF_S - 1
        numbers = range(turn * 100, turn * 100 + LEFT_MIN)
        other.take(*itertools.chain.from_iterable((("span", n), ("record", n)) for n in numbers))
    assert other.sources == {"kong_http_log": 1 + 4 * LEFT_MIN}


@pytest.mark.parametrize(
    ("count", "source"), [("spans", "otlp_span"), ("access_log", "kong_http_log")]
)
def test_what_the_catalog_says_is_not_learned(tmp_path: Path, count: str, source: str) -> None:
    (tmp_path / TWINS_FILE).write_text('{"default": {"kong: kong /orders": "kong"}}')
    catalog = {"gateways": [{"name": "edge", "kinds": ["kong"], "count": count}]}
    collector = Collector(tmp_path, catalog)
    collector.take(("span", 1), ("record", 1), ("record", 2), ("span", 2))
    assert collector.sources == {source: 2}


def test_a_record_left_to_its_span_is_a_row_of_logs() -> None:
    collector = Collector()
    collector.take(("span", 1))
    collector.take(("record", 1))
    assert (collector.sources, collector.logs) == ({"otlp_span": 1}, 1)
