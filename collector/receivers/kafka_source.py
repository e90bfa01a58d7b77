"""A Kafka topic, read into the write-ahead log: every message once, over crashes of either side.

How far a partition was read is in the log itself, in the same record as the messages: the record's
digest, 16 bytes, is `partition_key` and the offset that comes next. So messages and progress become
durable in one write. At start the furthest of the log's and of Kafka's own committed offset is
where reading goes on. Kafka's is written once a second, after the log's: it serves people who watch
consumer lag, and the day when the folder of the log is lost.

Partitions are assigned, not balanced by Kafka: a partition that wanders to another collector takes
its last second along unread or read twice. Several collectors share a topic by `partitions=`.

A message that its format refuses is counted, logged and passed over: it would be refused for ever.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import structlog

from collector.auth import Principal
from collector.errors import CollectorStartError, SenderError
from collector.formats import FORMATS
from collector.intake import Incoming, Intake
from collector.payload import Content
from collector.receivers.kafka_spec import KafkaSpec
from collector.receivers.limits import KAFKA_MESSAGES_MAX, LISTENER_BATCH_BYTES
from collector.tickets import ThreadTicket

log = structlog.get_logger(__name__)

_COMMIT_S = 1.0
_QUIET_S = 30.0
"""Lines of the library's are logged this far apart."""
_RETRY_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_OTLP = ("otlp_traces", "otlp_logs", "otlp_metrics")

Message = tuple[int, bytes]
"""Offset and value; b'' = none (a tombstone)."""


def client_library() -> Any:
    """The confluent_kafka module. Raises CollectorStartError, with what to do, without it."""
    try:
        import confluent_kafka
    except ImportError as err:
        raise CollectorStartError(
            "Reading Kafka needs an extra package: pip install 'gatelens[kafka]'."
        ) from err
    return confluent_kafka


class KafkaSource:
    """One topic; a thread of its own from `start` to `stop`."""

    def __init__(
        self,
        intake: Intake,
        spec: KafkaSpec,
        config: Mapping[str, str],
        known: Iterable[tuple[bytes, int]],
    ) -> None:
        """`config`: more settings of librdkafka. `known`: digests found in the log at start."""
        self._intake = intake
        self._spec = spec
        self._kafka = client_library()
        self._config = dict(config)
        self._progress = _furthest(known)
        self._stop = threading.Event()
        self._next: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name=f"kafka-{spec.topic}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish the messages under way; the rest is read after the next start."""
        self._stop.set()
        self._thread.join(timeout_s)

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            try:
                self._read()
                return
            except Exception as err:
                attempt += 1
                log.warning(
                    "kafka_source_waits", topic=self._spec.topic, error=f"{err}"[:300],
                    exc_info=not isinstance(err, self._kafka.KafkaException),
                )  # fmt: skip
                self._stop.wait(_RETRY_S[min(attempt, len(_RETRY_S)) - 1])

    def _read(self) -> None:
        consumer = self._kafka.Consumer(
            {
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 16384,
                "reconnect.backoff.ms": 500,
                **self._config,
                "bootstrap.servers": self._spec.servers,
                "group.id": self._spec.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
            },
            logger=_Log(),
        )
        try:
            if not self._assign(consumer):
                return
            commit_at = time.monotonic() + _COMMIT_S
            while not self._stop.is_set():
                for partition, messages in self._poll(consumer).items():
                    for part in _parts(messages):
                        self._carry(partition, part)
                if time.monotonic() >= commit_at:
                    self._commit(consumer)
                    commit_at = time.monotonic() + _COMMIT_S
            self._commit(consumer)
        finally:
            consumer.close()

    def _assign(self, consumer: Any) -> bool:
        """Take the partitions, each from where it was left. False: stopped meanwhile."""
        spec = self._spec
        while True:
            topic = consumer.list_topics(spec.topic, timeout=10).topics[spec.topic]
            there = set(topic.partitions)
            wanted = there if spec.partitions is None else there & spec.partitions
            if wanted and (spec.partitions is None or wanted == spec.partitions):
                break
            log.warning("kafka_topic_is_not_there", topic=spec.topic, partitions=len(there))
            if self._stop.wait(2.0):
                return False
        partition = self._kafka.TopicPartition
        committed = consumer.committed([partition(spec.topic, p) for p in sorted(wanted)], 10)
        places = []
        for place in committed:
            logged = self._progress.get(partition_key(spec, place.partition), -1)
            start = max(place.offset, logged, self._next.get(place.partition, -1))
            first = start if start >= 0 else self._kafka.OFFSET_BEGINNING
            places.append(partition(spec.topic, place.partition, first))
        consumer.assign(places)
        log.info("kafka_source_reads", topic=spec.topic, format=spec.format,
                 partitions={p.partition: p.offset for p in places})  # fmt: skip
        return True

    def _poll(self, consumer: Any) -> dict[int, list[Message]]:
        found: dict[int, list[Message]] = {}
        for message in consumer.consume(KAFKA_MESSAGES_MAX, timeout=0.25):
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise self._kafka.KafkaException(error)
                log.warning("kafka_says", topic=self._spec.topic, error=str(error)[:300])
                continue
            found.setdefault(message.partition(), []).append(
                (message.offset(), message.value() or b"")
            )
        return found

    def _carry(self, partition: int, messages: Sequence[Message]) -> None:
        """Bring messages into the log, however long it takes; returns early when stopped."""
        for body, content, last in bodies(self._spec, messages):
            digest = partition_key(self._spec, partition) + (last + 1).to_bytes(8, "big")
            if not self._submit(partition, body, content, digest):
                if self._stop.is_set():
                    return
                for offset, value in messages:  # one by one, to pass over only what is refused
                    if offset < self._next.get(partition, 0):
                        continue
                    digest = partition_key(self._spec, partition) + (offset + 1).to_bytes(8, "big")
                    for one, kind, _ in bodies(self._spec, [(offset, value)]):
                        self._submit(partition, one, kind, digest, alone=True)
                break
        if not self._stop.is_set():
            self._next[partition] = messages[-1][0] + 1

    def _submit(
        self, partition: int, body: bytes, content: Content, digest: bytes, *, alone: bool = False
    ) -> bool:
        """False: refused as a whole, or stopped before the log took it."""
        attempt = 0
        while True:
            try:
                reservation = self._intake.reserve(len(body))
                try:
                    ticket = ThreadTicket()
                    self._intake.submit(self._incoming(partition, body, content, digest),
                                        reservation, ticket)  # fmt: skip
                    ticket.wait()
                finally:
                    reservation.release()
                self._next[partition] = int.from_bytes(digest[8:], "big")
                return True
            except SenderError as err:
                if alone:
                    self._intake.count_refused(self._spec.format, "kafka", err)
                    log.error("kafka_message_refused", topic=self._spec.topic, partition=partition,
                              offset=int.from_bytes(digest[8:], "big") - 1,
                              error=str(err)[:200])  # fmt: skip
                return False
            except Exception as err:
                log.warning("kafka_source_waits", topic=self._spec.topic, error=str(err)[:200])
                if self._stop.wait(_RETRY_S[min(attempt, len(_RETRY_S) - 1)]):
                    return False
                attempt += 1

    def _incoming(self, partition: int, body: bytes, content: Content, digest: bytes) -> Incoming:
        spec = self._spec
        return Incoming(
            body=body,
            encoding="identity",
            format=FORMATS[spec.format],
            content=content,
            principal=Principal(spec.tenant, spec.environment),
            origin=f"kafka:{spec.topic}/{partition}",
            transport="kafka",
            digest=digest,
        )

    def _commit(self, consumer: Any) -> None:
        """Tell Kafka how far the log is."""
        ahead = {p: at for p, at in self._next.items() if self._committed.get(p) != at}
        if not ahead:
            return
        places = [self._kafka.TopicPartition(self._spec.topic, p, at) for p, at in ahead.items()]
        try:
            consumer.commit(offsets=places, asynchronous=False)
            self._committed |= ahead
        except self._kafka.KafkaException as err:
            # Nothing depends on it while the log is there; tried again in a second.
            log.warning("kafka_commit_failed", topic=self._spec.topic, error=str(err)[:300])


class _Log:
    """What librdkafka says, as our own lines: of a burst the first, and how many there were."""

    def __init__(self) -> None:
        self._quiet_until = 0.0
        self._left_out = 0

    def log(self, _: int, text: str, *values: object) -> None:
        """One line of the library's."""
        now = time.monotonic()
        if now < self._quiet_until:
            self._left_out += 1
            return
        said = (text % values if values else text)[:300]
        log.warning("kafka_library", text=said, lines_left_out_before=self._left_out)
        self._quiet_until, self._left_out = now + _QUIET_S, 0


def partition_key(spec: KafkaSpec, partition: int) -> bytes:
    """The first 8 bytes of digests of a partition."""
    name = f"kafka\0{spec.group}\0{spec.topic}\0{partition}\0{spec.tenant}"
    return hashlib.sha256(name.encode()).digest()[:8]


def _furthest(digests: Iterable[tuple[bytes, int]]) -> dict[bytes, int]:
    """Per first 8 bytes the highest number in the last 8. Digests of other records are among them
    and match no partition, but once in 2^64."""
    found: dict[bytes, int] = {}
    for digest, _ in digests:
        offset = int.from_bytes(digest[8:], "big")
        found[digest[:8]] = max(found.get(digest[:8], 0), offset)
    return found


def _parts(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """In runs of about LISTENER_BATCH_BYTES."""
    start = size = 0
    for at, (_, value) in enumerate(messages):
        size += len(value)
        if size >= LISTENER_BATCH_BYTES:
            yield messages[start : at + 1]
            start, size = at + 1, 0
    if start < len(messages):
        yield messages[start:]


def bodies(spec: KafkaSpec, messages: Sequence[Message]) -> Iterator[tuple[bytes, Content, int]]:
    """Bodies of the messages with the last offset in each: as few as the format allows.

    OTLP requests in protobuf make one request when put one after the other; lines make one text.
    """
    some = [(offset, value) for offset, value in messages if value]
    if not some:
        return
    values, last = [value for _, value in some], messages[-1][0]
    if spec.format in _OTLP and spec.encoding == "proto":
        yield b"".join(values), "protobuf", last
    elif spec.format in _OTLP or spec.format in ("zipkin", "loki"):
        for offset, value in some:
            yield value, "json", offset
    else:
        yield b"\n".join(map(_one_line, values)) + b"\n", "text", last


def _one_line(value: bytes) -> bytes:
    if b"\n" not in value:
        return value
    try:
        return orjson.dumps(orjson.loads(value))
    except ValueError:
        return value.rstrip(b"\r\n")
