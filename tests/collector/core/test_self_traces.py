"""The collector's spans about itself: they say what happened, and never feed on themselves."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from collector.errors import CollectorStartError
from collector.service import Collector
from tests.collector.core.doors import eventually, metric, open_collector, query
from tests.collector.core.process import free_port, post, traces
from tests.collector.core.test_grpc import TRACES


def url_of(collector: Collector) -> str:
    return f"http://127.0.0.1:{collector.http_port}/v1/traces"


def received(collector: Collector) -> float:
    return metric(collector, "requests_received_total", format="otlp_traces", transport="http")


def flush(collector: Collector) -> bool:
    """Send what it has recorded; a span is recorded once the answer is out."""
    assert collector._traces is not None
    collector._traces.flush()
    return True


def test_requests_become_spans_at_another_collector(tmp_path: Path) -> None:
    with (
        open_collector(tmp_path / "other") as other,
        open_collector(
            tmp_path / "one", self_traces_url=url_of(other), self_traces_ratio=1.0
        ) as one,
    ):
        assert post(one.http_port, traces(1, 3))[0] == 200
        assert post(one.http_port, b"\xff")[0] == 400
        with grpc.insecure_channel(f"127.0.0.1:{one.grpc_port}") as channel:
            channel.unary_unary(TRACES)(traces(10, 3), timeout=10)
        stored = {"format": "otlp_traces"}
        eventually(lambda: flush(one) and metric(other, "records_stored_total", **stored) == 3)
    rows = query(
        tmp_path / "other",
        "SELECT name, kind, status, service_name, duration_ns, attributes, events "
        "FROM spans ORDER BY status, time",
    )
    assert [(row["status"], row["name"]) for row in rows] == [
        ("ERROR", "collect otlp_traces"),
        ("UNSET", "collect otlp_traces"),
        ("UNSET", "collect otlp_traces"),
    ]
    assert {row["service_name"] for row in rows} == {"gatelens-collector"}
    assert all(row["duration_ns"] > 0 and row["events"] for row in rows)
    transports = [dict(row["attributes"])["gatelens.transport"] for row in rows]  # type: ignore[call-overload]
    assert transports == ["http", "http", "grpc"]
    assert query(tmp_path / "other", "SELECT * FROM requests") == [], "no calls of anybody's API"


def test_two_collectors_that_watch_each_other_fall_silent(tmp_path: Path) -> None:
    port = free_port()
    with (
        open_collector(
            tmp_path / "a",
            self_traces_url=f"http://127.0.0.1:{port}/v1/traces",
            self_traces_ratio=1.0,
        ) as a,
        open_collector(
            tmp_path / "b", http_port=port, self_traces_url=url_of(a), self_traces_ratio=1.0
        ) as b,
    ):
        assert post(b.http_port, traces(1, 1))[0] == 200
        eventually(lambda: flush(b) and received(a) == 1)
        for _ in range(3):
            flush(a)
            flush(b)
        assert (received(a), received(b)) == (1, 1), "b's span about the post, and no echo of it"


def test_by_default_there_are_none(tmp_path: Path) -> None:
    with open_collector(tmp_path) as collector:
        assert collector._traces is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"])
def test_its_own_address_is_refused_at_the_start(tmp_path: Path, host: str) -> None:
    port = free_port()
    changes = {"http_port": port, "self_traces_url": f"http://{host}:{port}/v1/traces"}
    with (
        pytest.raises(CollectorStartError, match="own address"),
        open_collector(tmp_path, **changes),
    ):
        pass


@pytest.mark.parametrize(
    "changes",
    [
        {"self_traces_url": "other:4318"},
        {"self_traces_url": "http://other:port/"},
        {"self_traces_url": "http://other", "self_traces_ratio": 0.0},
        {"self_traces_url": "http://other", "self_traces_ratio": 1.1},
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(CollectorStartError), open_collector(tmp_path, **changes):
        pass


def test_a_dead_receiver_of_spans_disturbs_nobody_and_the_stop_stays_quick(tmp_path: Path) -> None:
    changes = {"self_traces_url": f"http://127.0.0.1:{free_port()}", "self_traces_ratio": 1.0}
    with open_collector(tmp_path, **changes) as collector:
        for number in range(3):
            assert post(collector.http_port, traces(1 + number, 1))[0] == 200
    assert len(query(tmp_path, "SELECT * FROM spans")) == 3
