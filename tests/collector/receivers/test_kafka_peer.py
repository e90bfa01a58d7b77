"""A real Kafka broker (one node, KRaft), from Maven: every message once, over kills, without those
of transactions that were given up."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.core.process import CollectorProcess
from tests.collector.exporters.peers import built
from tests.collector.gateways.peers import free_ports, running
from tests.collector.receivers.test_kafka import count, forget, spans, tyk

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. Topics of four partitions: tyk-analytics, otlp_spans."""
    copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    libraries = built(Path(__file__).parent / "kafka", "mvn", [copy]) / "lib"
    folder = tmp_path_factory.mktemp("broker")
    port, controller = free_ports(2)
    config = folder / "server.properties"
    config.write_text(PROPERTIES.format(port=port, controller=controller, folder=folder))
    java: list[str | Path] = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{libraries}/*"]
    id_ = "AAAAAAAAAAAAAAAAAAAAAg"
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", id_, "-c", str(config)],
        check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    address = f"127.0.0.1:{port}"
    with running([*java, "kafka.Kafka", config], port, folder / "broker.out", within_s=120):
        admin = AdminClient({"bootstrap.servers": address})
        names = ("tyk-analytics", "otlp_spans")
        for made in admin.create_topics([NewTopic(n, 4, 1) for n in names]).values():
            made.result(60)
        yield address


def produce(address: str, topic: str, messages: list[bytes], partitions: int = 4) -> None:
    producer = Producer({"bootstrap.servers": address, "compression.type": "zstd"})
    for at, message in enumerate(messages):
        producer.produce(topic, message, partition=at % partitions)
    assert producer.flush(60) == 0


def test_kills_while_reading_lose_and_double_nothing(tmp_path: Path, broker: str) -> None:
    """Kafka's own offsets are put back to the beginning after each kill."""
    source = f"kafka://{broker}/tyk-analytics?format=tyk"
    collector = CollectorProcess(tmp_path, kafka=(source,))
    sent = 0
    for _ in range(3):
        produce(broker, "tyk-analytics", [tyk(n) for n in range(sent, sent + 300)])
        sent += 300
        before = count(tmp_path)
        collector.start()
        eventually(lambda before=before: count(tmp_path) > before, timeout_s=60)  # type: ignore[misc]
        collector.kill()
        time.sleep(0.1)
        # The broker takes a killed reader for alive until its session ends.
        eventually(lambda: forgotten(broker), timeout_s=90)
    collector.start()
    eventually(lambda: count(tmp_path) >= sent, timeout_s=90)
    collector.terminate()
    rows = query(tmp_path, "SELECT count(*) AS n, count(DISTINCT path) AS paths FROM requests")
    assert (rows[0]["n"], rows[0]["paths"]) == (sent, sent)


def forgotten(address: str) -> bool:
    try:
        forget(address, "tyk-analytics", 4)
    except KafkaException:
        return False
    return True


def test_what_a_transaction_gave_up_is_not_read(tmp_path: Path, broker: str) -> None:
    producer = Producer({"bootstrap.servers": broker, "transactional.id": "t"})
    producer.init_transactions(60)
    for name, kept in (("a", True), ("b", False), ("c", True)):
        producer.begin_transaction()
        producer.produce("otlp_spans", spans(name), partition=0)
        producer.flush(30)
        (producer.commit_transaction if kept else producer.abort_transaction)(60)
    with open_collector(tmp_path, kafka=(f"kafka://{broker}/otlp_spans",)):
        eventually(lambda: count(tmp_path, "spans") >= 2, timeout_s=60)
        produce(broker, "otlp_spans", [spans("last")], partitions=1)
        eventually(lambda: count(tmp_path, "spans") >= 3, timeout_s=60)
    names = [row["name"] for row in query(tmp_path, "SELECT name FROM spans ORDER BY name")]
    assert names == ["a", "c", "last"]
