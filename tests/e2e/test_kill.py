"""`kill -9` in the middle of the load: nothing acknowledged is missing, nothing is there twice."""

from __future__ import annotations

import os
import signal
import threading
import time

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.collector.core.accounting import Books, read_books
from tests.e2e.installation import Installation, wait_until

SPANS_PER_REQUEST = 20


def body(number: int) -> bytes:
    """A request whose spans carry their own numbers, so that each can be looked for."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    now = time.time_ns()
    for index in range(SPANS_PER_REQUEST):
        scope.spans.append(
            Span(
                trace_id=os.urandom(16),
                span_id=(number * SPANS_PER_REQUEST + index + 1).to_bytes(8, "big"),
                name="kill",
                start_time_unix_nano=now,
                end_time_unix_nano=now + 1_000_000,
            )
        )
    return request.SerializeToString()


class Sender(threading.Thread):
    """Posts request after request; resends what got no answer, as an exporter does."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__()
        self.url, self.number = url, first
        self.acknowledged: set[int] = set()
        self.stopping = threading.Event()

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=5) as client:
            while not self.stopping.is_set():
                self.send_until_acknowledged(client, self.number)
                self.number += 1

    def send_until_acknowledged(self, client: httpx.Client, number: int) -> None:
        content = body(number)
        while True:
            try:
                answer = client.post(
                    f"{self.url}/v1/traces",
                    content=content,
                    headers={"content-type": "application/x-protobuf"},
                )
                if answer.status_code == 200:
                    self.acknowledged.add(number)
                    return
            except httpx.HTTPError:
                pass  # the server is gone for a moment: send the same bytes again
            if self.stopping.wait(0.05):
                return


def books(installation: Installation) -> Books:
    return read_books(httpx.get(f"{installation.collector}/metrics", trust_env=False).text)


@pytest.mark.timeout(180)
def test_killing_the_collector_under_load_loses_and_doubles_nothing(
    installation: Installation,
) -> None:
    senders = [Sender(installation.collector, first) for first in (0, 1_000_000)]
    collector = installation.start("collect")
    installation.wait_ready(installation.collector)
    for sender in senders:
        sender.start()
    for _ in range(2):
        before = sum(len(s.acknowledged) for s in senders)
        wait_until(
            lambda before=before: sum(len(s.acknowledged) for s in senders) > before + 60, 30
        )
        os.kill(collector.pid, signal.SIGKILL)
        collector.wait()
        installation.processes.remove(collector)
        collector = installation.start("collect")
        installation.wait_ready(installation.collector)
    for sender in senders:
        sender.stopping.set()
        sender.join(timeout=20)
    acknowledged = {number for sender in senders for number in sender.acknowledged}
    wait_until(lambda: books(installation).settled, 20, installation.output)
    books(installation).check()
    collector.send_signal(signal.SIGTERM)
    assert collector.wait(timeout=10) == 0

    rows = installation.sql("SELECT span_id, count(*) AS n FROM spans GROUP BY span_id")
    stored = {int(row["span_id"], 16) - 1: row["n"] for row in rows}
    expected = {
        number * SPANS_PER_REQUEST + index
        for number in acknowledged
        for index in range(SPANS_PER_REQUEST)
    }
    assert len(acknowledged) > 120
    assert expected - stored.keys() == set()
    assert {span: n for span, n in stored.items() if n != 1} == {}
