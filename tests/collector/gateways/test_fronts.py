"""A gateway's span and the span of the service behind it are one call, with nothing configured."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.backlog import Entry
from collector.batch import decode_batch
from collector.formats import FORMATS
from collector.naming import Naming
from collector.naming.fronts import LEFT_MIN, PROOF_S, Fronts
from collector.payload import Payload
from storage.catalog import Catalog
from storage.learned import FRONTS_FILE, read_learned

NOW = 1_795_261_431_000_000_000


@dataclass(frozen=True)
class Span:
    service: str
    id: int
    parent: int = 0
    kind: int = 2
    """2 = SERVER, 3 = CLIENT, 1 = INTERNAL."""


def body(spans: Sequence[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    for service in dict.fromkeys(s.service for s in spans):
        resource = request.resource_spans.add()
        named = resource.resource.attributes.add(key="service.name")
        named.value.string_value = service
        found = resource.scope_spans.add().spans
        for span in spans:
            if span.service != service:
                continue
            one = found.add(
                trace_id=(span.id // 100 + 1).to_bytes(16, "big"),
                span_id=span.id.to_bytes(8, "big"),
                parent_span_id=span.parent.to_bytes(8, "big") if span.parent else b"",
                kind=span.kind,  # type: ignore[arg-type]
                start_time_unix_nano=NOW,
                end_time_unix_nano=NOW + 5_000_000,
            )
            method = one.attributes.add(key="http.request.method")
            method.value.string_value = "GET"
            status = one.attributes.add(key="http.response.status_code")
            status.value.int_value = 200
    return bytes(request.SerializeToString())


class Collector:
    """What a collector keeps between batches."""

    def __init__(self, folder: Path | None = None, catalog: Catalog | None = None) -> None:
        self.now_s = 0.0
        self.fronts = Fronts(folder, clock=lambda: self.now_s)
        self.naming = Naming(catalog or Catalog(), self.fronts)
        self.counted: Counter[str] = Counter()

    def take(self, *spans: Span, tenant: str = "default") -> None:
        payload = Payload(body(spans), "otlp_traces", "protobuf", tenant, None, NOW, "")
        batch = decode_batch([Entry(1, payload, len(spans), 0.0)], FORMATS, self.naming, refuse)
        for table in batch.tables.get("requests", []):
            api = table.column("api").to_pylist()
            kind = table.column("gateway").to_pylist()
            self.counted.update(k if k != "service" else a for a, k in zip(api, kind, strict=True))


def refuse(entry: Entry, err: Exception) -> None:
    raise err


def call(number: int, *, hop: bool = True) -> tuple[list[Span], list[Span]]:
    """One call, as told by a traefik (server span, client span where `hop`), and the service."""
    base = number * 100
    gateway = [Span("traefik", base + 1)]
    if hop:
        gateway.append(Span("traefik", base + 2, base + 1, kind=3))
    return gateway, [Span("orders", base + 50, base + (2 if hop else 1))]


@pytest.mark.parametrize("hop", [True, False], ids=["client span between", "same span"])
@pytest.mark.parametrize("first", ["gateway", "service", "together"])
def test_a_call_counts_once_whichever_span_comes_first(first: str, hop: bool) -> None:
    collector = Collector()
    for number in range(1, 6):
        gateway, service = call(number, hop=hop)
        if first == "together":
            collector.take(*gateway, *service)
        else:
            for part in (gateway, service) if first == "gateway" else (service, gateway):
                collector.take(*part)
    assert collector.counted.total() == 5
    # The first call was told by the service before anybody knew of the gateway.
    assert collector.counted["orders"] == (1 if first == "service" else 0)


def test_batches_in_which_a_whole_row_of_calls_comes_before_the_gateways_spans() -> None:
    collector = Collector()
    calls = [call(number) for number in range(1, 51)]
    collector.take(*(span for _, service in calls for span in service))
    # Client spans end first and may be sent before the server spans they belong to.
    collector.take(*(gateway[1] for gateway, _ in calls[:25]))
    collector.take(*(span for gateway, _ in calls[25:] for span in gateway))
    collector.take(*(gateway[0] for gateway, _ in calls[:25]))
    assert collector.counted == {"orders": 50}


def test_who_goes_past_the_gateway_is_counted() -> None:
    collector = Collector()
    gateway, service = call(1)
    collector.take(*gateway, *service)
    collector.take(Span("orders", 900))
    assert collector.counted == {"traefik": 1, "orders": 1}


def test_a_service_the_gateway_does_not_call_counts_as_before() -> None:
    collector = Collector()
    for number in range(1, 4):
        gateway, service = call(number)
        inner = [
            Span("orders", number * 100 + 60, number * 100 + 50, kind=3),
            Span("stock", number * 100 + 70, number * 100 + 60),
        ]
        collector.take(*service, *inner)
        collector.take(*gateway)
    assert collector.counted["stock"] == 3
    assert collector.counted["traefik"] + collector.counted["orders"] == 3


def test_a_service_in_front_of_the_gateway_counts() -> None:
    """A page's server calls the API through the gateway; a browser's span is its parent."""
    collector = Collector()
    for number in range(1, 4):
        base = number * 100
        collector.take(Span("shop", base + 1, base + 99), Span("shop", base + 2, base + 1, kind=3))
        collector.take(Span("traefik", base + 3, base + 2), Span("orders", base + 4, base + 3))
    assert collector.counted == {"shop": 3, "traefik": 3}


def test_without_a_gateway_nothing_changes() -> None:
    collector = Collector()
    for number in range(1, 4):
        collector.take(Span("orders", number * 100, number * 100 + 7))
    assert collector.counted == {"orders": 3}
    assert collector.fronts.spans_left == 0


def test_what_was_learned_survives_a_restart(tmp_path: Path) -> None:
    before = Collector(tmp_path)
    gateway, service = call(1)
    before.take(*gateway, *service)
    assert read_learned(tmp_path / FRONTS_FILE) == {"default": {"orders": "traefik"}}
    after = Collector(tmp_path)
    gateway, service = call(2)
    after.take(*service)
    after.take(*gateway)
    assert after.counted == {"traefik": 1}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"default": 3}', "\0\0"])
def test_a_damaged_file_is_learned_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / FRONTS_FILE).write_text(content)
    collector = Collector(tmp_path)
    gateway, service = call(1)
    collector.take(*gateway, *service)
    assert collector.counted == {"traefik": 1}
    assert read_learned(tmp_path / FRONTS_FILE) == {"default": {"orders": "traefik"}}


def test_tenants_learn_nothing_from_each_other() -> None:
    collector = Collector()
    gateway, service = call(1)
    collector.take(*gateway, tenant="one")
    collector.take(*service, tenant="two")
    assert collector.counted == {"traefik": 1, "orders": 1}


def test_when_the_gateway_falls_silent_the_service_counts_again() -> None:
    collector = Collector()
    gateway, service = call(1)
    collector.take(*gateway, *service)
    for number in range(2, LEFT_MIN + 2):
        collector.take(*call(number)[1])
    assert collector.counted == {"traefik": 1}  # not silent for long enough to be sure
    collector.now_s += PROOF_S
    collector.take(*call(98)[1])
    collector.take(*call(99)[1])
    assert collector.counted == {"traefik": 1, "orders": 1}


def test_a_quiet_night_is_no_silence() -> None:
    collector = Collector()
    gateway, service = call(1)
    collector.take(*gateway, *service)
    for number in range(2, 3 * LEFT_MIN):
        collector.now_s += PROOF_S
        gateway, service = call(number)
        collector.take(*service)
        collector.take(*gateway)
    assert collector.counted == {"traefik": 3 * LEFT_MIN - 1}


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ({"behind_gateway": True}, {"traefik": 3}),
        ({"behind_gateway": False}, {"traefik": 3, "orders": 3}),
    ],
)
def test_the_catalog_has_the_last_word(api: dict[str, bool], expected: dict[str, int]) -> None:
    catalog = Catalog.model_validate({"apis": [{"name": "orders", "services": ["orders"], **api}]})
    collector = Collector(catalog=catalog)
    for number in range(1, 4):
        gateway, service = call(number)
        collector.take(*service, *gateway)
    assert collector.counted == expected


@pytest.mark.parametrize("seed", range(20))
def test_any_order_and_any_cut_count_every_call_once(seed: int) -> None:
    """Spans of each process come in the order they ended; between processes in any order."""
    chance = random.Random(seed)
    streams: dict[str, list[Span]] = {"traefik": [], "orders": [], "users": []}
    expected = 0
    for number in range(1, 41):
        base, service = number * 100, chance.choice(["orders", "users"])
        expected += 1
        if chance.random() < 0.2:
            streams[service].append(Span(service, base + 50))  # past the gateway
            continue
        streams[service].append(Span(service, base + 50, base + 2))
        streams["traefik"] += [
            Span("traefik", base + 2, base + 1, kind=3), Span("traefik", base + 1),
        ]  # fmt: skip
    collector = Collector()
    while any(streams.values()):
        batch: list[Span] = []
        for name in chance.sample(sorted(streams), k=chance.randint(1, 3)):
            count = chance.randint(0, 12)
            batch += streams[name][:count]
            streams[name] = streams[name][count:]
        if batch:
            collector.take(*batch)
    assert collector.counted.total() == expected


def test_what_was_left_to_gateways_is_told() -> None:
    collector = Collector()
    for number in range(1, 4):
        collector.take(*itertools.chain(*call(number)))
    assert collector.fronts.spans_left == 3
