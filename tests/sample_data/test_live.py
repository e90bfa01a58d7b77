"""Live traffic: what the front doors get is what the scenario says, to the call."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from sample_data import live
from sample_data.call import Call
from sample_data.company import build_company
from sample_data.live import LATE_MAX_US, LiveTraffic, Timeline
from sample_data.nginx_lines import combined_line
from sample_data.scenario import SECOND_US, Scenario, live_scenario
from sample_data.traffic import generate
from tests.sample_data.receiver import Receiver

COMPANY = build_company()
START_US = 1_795_176_000 * SECOND_US + 595 * SECOND_US  # five seconds before a slot ends
BUSY = Scenario(rate_per_s=200.0, shape="flat")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping waits until all that is queued has arrived, however busy the machine is."""
    monkeypatch.setattr(live, "STOP_S", 60.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


def _traffic(receiver: Receiver) -> LiveTraffic:
    return LiveTraffic(receiver.http_url, receiver.grpc_target, scenario=lambda _: BUSY)


def _root_count(receiver: Receiver) -> int:
    return sum(not span.parent_span_id for _, span in receiver.spans())


def test_timeline_hands_every_call_out_once_when_it_has_ended() -> None:
    scenario = live_scenario(START_US)
    timeline = Timeline(COMPANY, scenario, START_US)
    handed: list[Call] = []
    for now_us in range(START_US, START_US + 20 * SECOND_US, SECOND_US // 5):
        due = timeline.due(now_us)
        assert all(now_us - SECOND_US // 5 < call.end_ns / 1e3 <= now_us + 1 for call in due)
        handed += due
    made = generate(COMPANY, scenario, START_US, START_US + 20 * SECOND_US)
    ended = made.time_us + made.duration_ms * 1e3 < START_US + 19.8 * SECOND_US - 2
    assert len(handed) == pytest.approx(int(ended.sum()), abs=1)
    assert len({call.request_id for call in handed}) == len(handed)


def test_a_machine_that_slept_does_not_send_a_flood() -> None:
    timeline = Timeline(COMPANY, live_scenario(START_US), START_US)
    due = timeline.due(START_US + 3_600 * SECOND_US)
    oldest = min(call.end_ns for call in due) / 1e3
    assert oldest >= START_US + 3_600 * SECOND_US - LATE_MAX_US - 1
    assert len(due) < 40 * 2 * LATE_MAX_US / SECOND_US


@pytest.mark.usefixtures("patient")
def test_every_call_arrives_once_through_its_own_door(receiver: Receiver) -> None:
    receiver.start()
    traffic = _traffic(receiver)
    before_s = time.time()
    traffic.start()
    assert receiver.wait_for(lambda: len(receiver.lines()) >= 5 and _root_count(receiver) >= 100)
    traffic.stop()
    counts = traffic.counts
    assert _root_count(receiver) == counts.spans_calls
    assert len(receiver.lines()) == counts.nginx_lines
    over_grpc = Counter(name for name, _ in receiver.spans())
    assert over_grpc["kong-gateway"] > 0 and over_grpc["envoy-edge"] > 0
    for _, span in receiver.spans():
        assert before_s - 10 < span.start_time_unix_nano / 1e9 <= span.end_time_unix_nano / 1e9
        assert span.end_time_unix_nano / 1e9 < time.time()
    assert {"http.server.request.duration", "process.memory.usage"} <= receiver.metric_names()


@pytest.mark.usefixtures("patient")
def test_logs_belong_to_spans_that_were_sent(receiver: Receiver) -> None:
    receiver.start()
    traffic = _traffic(receiver)
    traffic.start()
    assert receiver.wait_for(lambda: len(receiver.logs()) >= 10)
    traffic.stop()
    known = {(span.trace_id, span.span_id) for _, span in receiver.spans()}
    assert all((record.trace_id, record.span_id) in known for record in receiver.logs())


@pytest.mark.usefixtures("patient")
def test_a_collector_that_comes_up_late_and_refuses_first_misses_nothing(
    receiver: Receiver,
) -> None:
    receiver.refuse = 4
    traffic = _traffic(receiver)
    traffic.start()
    assert not receiver.wait_for(lambda: False, timeout_s=1.0)
    receiver.start()
    assert receiver.wait_for(lambda: len(receiver.lines()) >= 5 and _root_count(receiver) >= 150)
    traffic.stop()
    assert _root_count(receiver) == traffic.counts.spans_calls
    assert len(receiver.lines()) == traffic.counts.nginx_lines
    spans = [span.span_id for _, span in receiver.spans()]
    assert len(set(spans)) == len(spans)


def test_stop_does_not_wait_for_a_collector_that_never_came(receiver: Receiver) -> None:
    traffic = _traffic(receiver)
    traffic.start()
    assert not receiver.wait_for(lambda: False, timeout_s=0.5)
    began = time.monotonic()
    traffic.stop()
    assert time.monotonic() - began < live.STOP_S + 1.0


def test_a_combined_line_is_written_at_the_end_of_the_call() -> None:
    requests = generate(COMPANY, BUSY, START_US, START_US + 30 * SECOND_US)
    from sample_data.call import calls_of

    call = next(
        c for c in calls_of(COMPANY, requests) if c.operation.gateway == "nginx" and c.consumer
    )
    line = combined_line(call)
    written = time.strftime("%d/%b/%Y:%H:%M:%S", time.gmtime(call.end_ns // 10**9))
    assert line.startswith(f"{call.address.text} - {call.consumer.user} [{written} +0000] ")
    assert f'"{call.operation.method} {call.path} HTTP/1.1" {call.status} ' in line
