from __future__ import annotations

import random
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from analytics.errors import QueryRefused
from analytics.metrics import Metrics
from analytics.query import TimeRange
from storage.lake import Lake
from storage.schemas import TABLES
from storage.session import ReadSession
from tests.analytics.hostile import NOON

HOUR = TimeRange(NOON, NOON + timedelta(hours=1))


def point(name: str, after_s: float, value: float | None = None, **other: Any) -> dict[str, Any]:
    return {
        "time": NOON + timedelta(seconds=after_s),
        "tenant": "default",
        "name": name,
        "type": "gauge",
        "value": value,
        "series": hash((name, str(other.get("attributes")), other.get("service_instance_id")))
        % 2**63,
        "service_name": "orders",
        "service_instance_id": "i1",
        "attributes": [],
        **other,
    }


def counter(name: str, after_s: float, value: float, **other: Any) -> dict[str, Any]:
    more = {"type": "sum", "monotonic": True, "temporality": "CUMULATIVE"}
    return point(name, after_s, value, **{**more, **other})


def store(lake: Lake, points: list[dict[str, Any]], version: int = 1) -> None:
    schema = TABLES["metrics"].arrow_schema
    names = sorted({name for p in points for name in p})
    table = pa.Table.from_pylist(points, schema=pa.schema([schema.field(n) for n in names]))
    lake.table("metrics").append(table, app_id="test", app_version=version)


def test_counters_with_resets_equal_the_oracle(lake: Lake, session: ReadSession) -> None:
    rng = random.Random(8)
    points, growth = [], defaultdict(float)
    for series in range(6):
        total, before, started = 0.0, None, NOON - timedelta(days=1)
        for minute in range(-3, 60, rng.randint(1, 3)):
            if rng.random() < 0.15:
                total, started = 0.0, NOON + timedelta(minutes=minute, seconds=-1)
                before = 0.0 if before is not None else None
            step = rng.choice([0.0, rng.uniform(1, 50)])
            total += step
            if before is not None and minute >= 0:
                growth[minute // 10] += total - before
            before = total
            copies = rng.choice([1, 1, 2])  # sent twice
            labels = [("k", str(series))]
            points += [
                counter("c", minute * 60, total, start_time=started, attributes=labels)
            ] * copies
    rng.shuffle(points)
    store(lake, points)
    found = Metrics(session).series(HOUR, "c", interval_s=600)
    values = {(r["time"] - NOON).seconds // 600: r["value"] for r in found.to_dicts()}
    assert values == {k: pytest.approx(v) for k, v in growth.items()}
    assert found["rate_per_s"].to_list() == [pytest.approx(v / 600) for v in found["value"]]
    by = Metrics(session).series(HOUR, "c", interval_s=3600, by=("k",))
    assert sorted(by["k"].to_list()) == [str(s) for s in range(6)]
    assert by["value"].sum() == pytest.approx(sum(growth.values()))


def test_delta_sums_and_gauges_are_taken_as_they_are(lake: Lake, session: ReadSession) -> None:
    store(
        lake,
        [
            counter("d", 60, 5, temporality="DELTA", start_time=NOON),
            counter("d", 120, 7, temporality="DELTA", start_time=NOON + timedelta(seconds=60)),
            point("g", 60, 1.0),
            point("g", 120, 3.0),
            point("g", 180, float("nan")),
            point("g", 240, 100.0, flags=1),
        ],
    )
    metrics = Metrics(session)
    assert metrics.series(HOUR, "d", interval_s=3600).select("value", "points").rows() == [(12, 2)]
    assert metrics.series(HOUR, "g", interval_s=3600).select("value", "rate_per_s").rows() == [
        (2.0, None)
    ]
    assert metrics.names(HOUR)["name"].to_list() == ["d", "g"]
    with pytest.raises(QueryRefused):
        metrics.series(HOUR, "g", interval_s=0)


def test_histogram_metric_gives_quantiles_per_interval(lake: Lake, session: ReadSession) -> None:
    def histogram(after_s: float, counts: list[int]) -> dict[str, Any]:
        return point(
            "h", after_s, type="histogram", temporality="CUMULATIVE", count=sum(counts),
            start_time=NOON - timedelta(days=1), bounds=[10.0, 100.0], bucket_counts=counts,
        )  # fmt: skip

    exponential = point(
        "e", 60, type="exponential_histogram", temporality="DELTA", count=4, scale=0, zero_count=0,
        positive_offset=3, positive_counts=[4],
    )  # fmt: skip
    store(lake, [histogram(-60, [5, 5, 0]), histogram(60, [5, 15, 0]), histogram(2000, [9, 15, 0]),
                 exponential])  # fmt: skip
    metrics = Metrics(session)
    series = metrics.quantiles(HOUR, "h", quantiles=(0.5,), interval_s=1800)
    assert series.select("count", "q0.5").rows() == [
        (10, pytest.approx(10 * 10**0.5)),
        (4, pytest.approx(5.0)),
    ]
    [(count, median)] = metrics.quantiles(HOUR, "e", quantiles=(0.5,)).rows()
    assert (count, median) == (4, pytest.approx(8 * 2**0.5))
    assert metrics.quantiles(HOUR, "absent").height == 0


def test_health_of_an_instance_is_its_newest_numbers(lake: Lake, session: ReadSession) -> None:
    def memory(state: str, value: float) -> dict[str, Any]:
        return point(
            "system.memory.usage", 3500, value, attributes=[("system.memory.state", state)]
        )

    store(
        lake,
        [
            point("system.cpu.utilization", 60, 0.9, attributes=[("cpu.mode", "user")]),
            point("system.cpu.utilization", 3500, 0.3, attributes=[("cpu.mode", "user")]),
            point("system.cpu.utilization", 3500, 0.1, attributes=[("cpu.mode", "system")]),
            point("system.cpu.utilization", 3500, 0.6, attributes=[("cpu.mode", "idle")]),
            memory("used", 100.0),
            memory("free", 900.0),
            point("system.filesystem.utilization", 3500, 0.2, attributes=[("mountpoint", "/")]),
            point("system.filesystem.utilization", 3500, 0.8, attributes=[("mountpoint", "/data")]),
            counter("process.cpu.time", 3400, 10, service_instance_id="i2"),
            counter("process.cpu.time", 3500, 60, service_instance_id="i2"),
            point("jvm.thread.count", 3500, 12, service_instance_id="i2"),
            point("other", 60, 1, service_instance_id="gone"),
        ],
    )
    gone, one, two = Metrics(session).health(HOUR)
    assert (gone.service_instance_id, gone.up, gone.cpu) == ("gone", False, None)
    assert one.up
    assert one.cpu == pytest.approx(0.4)
    assert (one.memory_bytes, one.disk_share) == (100.0, 0.8)
    assert (two.cpu, two.runtime) == (0.5, {"jvm.thread.count": 12.0})


def test_uptime_counts_minutes_and_forgives_short_gaps(lake: Lake, session: ReadSession) -> None:
    steady = [point("up", m * 60, 1.0) for m in range(-3, 60, 3)]
    broken = [point("up", m * 60, 1.0, service_name="broken") for m in (0, 30)]
    store(lake, steady + broken)
    found = Metrics(session).uptime(HOUR)
    assert found.select("service_name", "minutes_up", "uptime").rows() == [
        ("broken", 6, 0.1),
        ("orders", 60, 1.0),
    ]


def test_without_metrics_there_is_nothing_and_no_error(session: ReadSession) -> None:
    metrics = Metrics(session)
    assert metrics.names(HOUR).height == metrics.uptime(HOUR).height == 0
    assert metrics.series(HOUR, "x", interval_s=60, by=("k",)).height == 0
    assert metrics.health(HOUR) == []
