"""Kafka topics, on the broker that librdkafka brings along: every message once, over kills."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.errors import CollectorStartError
from collector.formats import FORMATS
from collector.receivers.kafka_source import bodies, partition_key
from collector.receivers.kafka_spec import KafkaSpec, parse_kafka
from tests.collector.core.doors import eventually, metric, open_collector, query
from tests.collector.core.process import CollectorProcess


@pytest.fixture
def broker() -> Iterator[tuple[Producer, str]]:
    """A producer that carries the broker, and the broker's address."""
    producer = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1,
                         "linger.ms": 1})  # fmt: skip
    address = next(iter(producer.list_topics(timeout=10).brokers.values()))
    yield producer, f"{address.host}:{address.port}"
    producer.flush(10)


def tyk(number: int) -> bytes:
    return json.dumps({
        "timestamp": "2026-11-27T10:00:00Z", "method": "GET", "path": f"/orders/{number}",
        "raw_path": f"/orders/{number}", "response_code": 200, "api_key": "k", "api_name": "orders",
        "api_id": "a1", "org_id": "o", "request_time_ms": 3, "ip_address": "203.0.113.7",
        "host": "h", "content_length": 0, "user_agent": "curl/8", "alias": "acme", "tags": None,
    }).encode()  # fmt: skip


def spans(*names: str) -> bytes:
    request = ExportTraceServiceRequest()
    for name in names:
        request.resource_spans.add().scope_spans.add().spans.add(
            trace_id=b"t" * 16, span_id=b"s" * 8, name=name, start_time_unix_nano=10**18,
            end_time_unix_nano=10**18 + 5,
        )  # fmt: skip
    return bytes(request.SerializeToString())


def count(folder: Path, table: str = "requests") -> int:
    if not (folder / "lake" / table).exists():
        return 0
    return int(str(query(folder, f"SELECT count(*) AS n FROM {table}")[0]["n"]))


def test_tyk_records_of_all_partitions_become_requests(
    tmp_path: Path, broker: tuple[Producer, str]
) -> None:
    producer, address = broker
    for number in range(200):
        producer.produce("tyk-analytics", tyk(number), partition=number % 4)
    producer.produce("tyk-analytics", b"{ no json", partition=0)
    producer.produce("tyk-analytics", None, key=b"tombstone", partition=1)
    producer.produce("tyk-analytics", json.dumps(json.loads(tyk(200)), indent=1), partition=2)
    producer.flush(10)
    source = f"kafka://{address}/tyk-analytics?format=tyk&environment=live"
    with open_collector(tmp_path, kafka=(source,)):
        eventually(lambda: count(tmp_path) >= 201, timeout_s=30)
    rows = query(
        tmp_path, "SELECT DISTINCT environment, gateway, api, consumer, path FROM requests"
    )
    assert len(rows) == 201
    assert {(r["environment"], r["gateway"], r["api"], r["consumer"]) for r in rows} == {
        ("live", "tyk", "orders", "acme")
    }
    assert count(tmp_path, "rejects") == 1


def test_the_collectors_kafka_exporters_messages_become_spans(
    tmp_path: Path, broker: tuple[Producer, str]
) -> None:
    producer, address = broker
    producer.produce("otlp_spans", spans("a", "b"), partition=0)
    producer.produce("otlp_spans", b"\xff\xff", partition=0)  # refused, and passed over
    producer.produce("otlp_spans", spans("c"), partition=0)
    producer.flush(10)
    with open_collector(tmp_path, kafka=(f"kafka://{address}/otlp_spans",)) as collector:
        eventually(lambda: count(tmp_path, "spans") >= 3, timeout_s=30)
        labels = {"format": "otlp_traces", "transport": "kafka", "reason": "malformed"}
        eventually(lambda: metric(collector, "requests_refused_total", **labels) == 1)
    assert [r["name"] for r in query(tmp_path, "SELECT name FROM spans ORDER BY name")] == [
        "a", "b", "c",
    ]  # fmt: skip


def test_the_log_knows_what_was_read_though_kafka_does_not(
    tmp_path: Path, broker: tuple[Producer, str]
) -> None:
    producer, address = broker
    source = f"kafka://{address}/tyk-analytics?format=tyk"
    for until in (100, 200):
        for number in range(until - 100, until):
            producer.produce("tyk-analytics", tyk(number), partition=number % 4)
        producer.flush(10)
        with open_collector(tmp_path, kafka=(source,)):
            eventually(lambda until=until: count(tmp_path) >= until, timeout_s=30)  # type: ignore[misc]
        forget(address, "tyk-analytics", 4)
    rows = query(tmp_path, "SELECT count(*) AS n, count(DISTINCT path) AS paths FROM requests")
    assert (rows[0]["n"], rows[0]["paths"]) == (200, 200)


@pytest.mark.slow
def test_kills_while_reading_lose_and_double_nothing(
    tmp_path: Path, broker: tuple[Producer, str]
) -> None:
    """Killed again and again; Kafka's own offsets are put back to the beginning each time."""
    producer, address = broker
    source = f"kafka://{address}/tyk-analytics?format=tyk"
    collector = CollectorProcess(tmp_path, kafka=(source,))
    sent = 0
    for _ in range(2):
        for _ in range(300):
            producer.produce("tyk-analytics", tyk(sent), partition=sent % 4)
            sent += 1
        producer.flush(10)
        before = count(tmp_path)
        collector.start()
        eventually(lambda before=before: count(tmp_path) > before, timeout_s=40)  # type: ignore[misc]
        collector.kill()
        forget(address, "tyk-analytics", 4)
    collector.start()
    eventually(lambda: count(tmp_path) >= sent, timeout_s=30)
    collector.terminate()
    rows = query(tmp_path, "SELECT count(*) AS n, count(DISTINCT path) AS paths FROM requests")
    assert (rows[0]["n"], rows[0]["paths"]) == (sent, sent)


def forget(address: str, topic: str, partitions: int) -> None:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "gatelens"})
    consumer.commit(
        offsets=[TopicPartition(topic, p, 0) for p in range(partitions)], asynchronous=False
    )
    consumer.close()


def test_progress_is_told_to_kafka(tmp_path: Path, broker: tuple[Producer, str]) -> None:
    producer, address = broker
    for number in range(10):
        producer.produce("tyk-analytics", tyk(number), partition=0)
    producer.flush(10)
    source = f"kafka://{address}/tyk-analytics?format=tyk&partitions=0&group=mine"
    with open_collector(tmp_path, kafka=(source,)):
        eventually(lambda: count(tmp_path) >= 10, timeout_s=30)
    consumer = Consumer({"bootstrap.servers": address, "group.id": "mine"})
    [place] = consumer.committed([TopicPartition("tyk-analytics", 0)], 10)
    consumer.close()
    assert place.offset == 10
    # The data folder is lost: reading goes on where Kafka was told.
    producer.produce("tyk-analytics", tyk(10), partition=0)
    producer.flush(10)
    with open_collector(tmp_path / "new", kafka=(source,)):
        eventually(lambda: count(tmp_path / "new") >= 1, timeout_s=30)
    assert count(tmp_path / "new") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kafka://b:9092/otlp_logs", KafkaSpec("b:9092", "otlp_logs", "otlp_logs")),
        ("kafka://a:1,b:2/t?format=kong&partitions=0,2-3&environment=live",
         KafkaSpec("a:1,b:2", "t", "kong", partitions=frozenset((0, 2, 3)), environment="live")),
        ("kafka://a:1/t?format=otlp_traces&encoding=json",
         KafkaSpec("a:1", "t", "otlp_traces", "json")),
    ],
)  # fmt: skip
def test_sources_are_read(text: str, expected: KafkaSpec) -> None:
    assert parse_kafka(text, FORMATS) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kafka:b/t", "look like"), ("kafka://b", "look like"), ("kafka://b/", "look like"),
        ("kafka://b/t?x=1", "unknown option x"), ("kafka://b/t?format=nope", "no format 'nope'"),
        ("kafka://b/t?partitions=a", "written like"), ("kafka://b/t?encoding=xml", "proto or json"),
        ("kafka://ann:pw@b/t", "kafka_config"),
    ],
)  # fmt: skip
def test_wrong_sources_are_refused_at_start(tmp_path: Path, text: str, says: str) -> None:
    with (
        pytest.raises(CollectorStartError, match=says),
        open_collector(tmp_path, kafka=(text,)),
    ):
        pass


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with (
        pytest.raises(CollectorStartError, match=r"pip install 'gatelens\[kafka\]'"),
        open_collector(tmp_path, kafka=("kafka://b/t",)),
    ):
        pass


def test_messages_are_put_together_as_their_format_allows() -> None:
    def made(**spec: Any) -> list[tuple[bytes, str, int]]:
        messages = [(5, b'{"a":\n1}'), (6, b""), (7, b"x")]
        return list(bodies(KafkaSpec("b", "t", **spec), messages))

    assert made(format="tyk") == [(b'{"a":1}\nx\n', "text", 7)]
    assert made(format="otlp_logs") == [(b'{"a":\n1}x', "protobuf", 7)]
    assert [at for _, _, at in made(format="otlp_logs", encoding="json")] == [5, 7]
    one, other = (KafkaSpec("b", "t", "tyk", group=group) for group in "ab")
    assert partition_key(one, 0) != partition_key(one, 1) != partition_key(other, 1)
