"""What every official exporter sends in these tests, and the rows it has to become.

Each language's sender makes the same telemetry with its own SDK: two spans, two log records, five
instruments. Numbers are those all languages can say exactly.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings

SPANS, LOGS, POINTS = 2, 2, 6

SPAN_ATTRIBUTES = {
    "text": "Grüße, 世界",
    "int": 1234567890123,
    "double": 1.5,
    "yes": True,
    "texts": ["a", "b"],
    "ints": [1, 2, 3],
    "doubles": [0.5, 2.5],
    "bools": [True, False],
}
LINK = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
BOUNDS = [0.01, 1.0, 10.0]
DURATIONS = [0.003, 0.2, 30.0]
SIZES = [0, 1, 2, 1000]


class Stored:
    """What is in the lake of one service."""

    def __init__(self, data_dir: Path, service: str) -> None:
        self._session = ReadSession(Lake(StorageSettings(data_dir=data_dir)))
        self._service = service

    def rows(self, table: str, order: str) -> list[dict[str, Any]]:
        sql = f"SELECT * FROM {table} WHERE service_name = ? ORDER BY {order}"
        found: list[dict[str, Any]] = self._session.query(sql, [self._service]).to_pylist()
        return found

    @property
    def complete(self) -> bool:
        """As many rows as were sent, or more."""
        return all(
            len(self.rows(table, "time")) >= count
            for table, count in (("spans", SPANS), ("logs", LOGS), ("metrics", POINTS))
        )


def check_stored(stored: Stored) -> None:
    """Assert that the rows say what was sent, each once."""
    child, parent = stored.rows("spans", "name")
    _check_spans(child, parent)
    _check_logs(stored.rows("logs", "severity_text"), parent)
    _check_metrics({_key(row): row for row in stored.rows("metrics", "name")})
    for table, count in (("spans", SPANS), ("logs", LOGS), ("metrics", POINTS)):
        rows = stored.rows(table, "time")
        assert len(rows) == count, f"{table} has rows twice"
        for row in rows:
            assert (row["scope_name"], row["scope_version"]) == ("compat", "1.2.3")
            assert dict(row["resource_attributes"])["host.cpus"] == "4"


def _values(attributes: Any) -> dict[str, Any]:
    """Stored attributes as what they were: text as is, the rest as JSON."""
    return {
        key: value if key in ("text", "key", "reason", "disk", "route") else json.loads(value)
        for key, value in dict(attributes or {}).items()
    }


def _check_spans(child: dict[str, Any], parent: dict[str, Any]) -> None:
    assert (parent["name"], parent["kind"], parent["status"]) == ("parent", "SERVER", "UNSET")
    assert parent["parent_span_id"] is None
    assert (child["name"], child["kind"]) == ("child", "CLIENT")
    assert (child["trace_id"], child["parent_span_id"]) == (parent["trace_id"], parent["span_id"])
    assert (child["status"], child["status_message"]) == ("ERROR", "it broke")
    assert _values(child["attributes"]) == SPAN_ATTRIBUTES
    assert 0 <= child["duration_ns"] <= parent["duration_ns"] + 1_000_000
    events = [(event["name"], _values(event["attributes"])) for event in child["events"]]
    assert events == [("cache.miss", {"key": "k1", "tries": 2}), ("retry", {})]
    for event in child["events"]:
        assert abs(event["time_unix_nano"] - child["start_time_unix_nano"]) < 60_000_000_000
    (link,) = child["links"]
    assert (link["trace_id"], link["span_id"]) == LINK
    kept = _values(link["attributes"])
    kept.pop("otel.link.flags", None)  # not every SDK says them
    assert kept == {"reason": "batch"}


def _check_logs(logs: list[dict[str, Any]], parent: dict[str, Any]) -> None:
    details, warning = logs
    assert (warning["severity_number"], warning["body"]) == (13, "disk almost full")
    assert _values(warning["attributes"]) == {"disk": "sda", "percent": 97}
    assert (warning["trace_id"], warning["span_id"]) == (parent["trace_id"], parent["span_id"])
    assert details["severity_number"] == 9
    assert json.loads(details["body"]) == {"user": "u1", "tries": 3}
    assert details["trace_id"] is None


def _key(row: dict[str, Any]) -> tuple[str, str | None]:
    return row["name"], dict(row["attributes"] or {}).get("route")


def _check_metrics(points: dict[tuple[str, str | None], dict[str, Any]]) -> None:
    for route, value in (("/a", 3), ("/b", 4)):
        row = points["compat.requests", route]
        assert (row["type"], row["value"], row["monotonic"]) == ("sum", value, True)
        assert (row["temporality"], row["unit"]) == ("CUMULATIVE", "{request}")
        assert row["description"] == "Requests."
        assert row["start_time"] <= row["time"]
    active = points["compat.active", None]
    assert (active["type"], active["value"], active["monotonic"]) == ("sum", 3, False)
    temperature = points["compat.temperature", None]
    assert (temperature["type"], temperature["value"]) == ("gauge", 21.5)
    assert (temperature["unit"], temperature["temporality"]) == ("Cel", None)
    duration = points["compat.duration", None]
    assert (duration["type"], duration["count"]) == ("histogram", 3)
    assert (duration["bounds"], duration["bucket_counts"]) == (BOUNDS, [1, 1, 0, 1])
    assert math.isclose(duration["sum"], sum(DURATIONS))
    assert (duration["min"], duration["max"]) == (0.003, 30)
    _check_exponential(points["compat.size", None])


def _check_exponential(row: dict[str, Any]) -> None:
    """Scales differ by SDK, so the buckets are held against the values they have to hold."""
    assert (row["type"], row["count"], row["sum"]) == ("exponential_histogram", 4, sum(SIZES))
    assert (row["zero_count"], row["min"], row["max"]) == (1, 0, 1000)
    assert sum(row["negative_counts"] or []) == 0
    held = []
    for index, count in enumerate(row["positive_counts"], row["positive_offset"]):
        # Bucket i holds (base^i, base^(i+1)], base = 2^(2^-scale).
        lower, upper = (2 ** (i * 2.0 ** -row["scale"]) for i in (index, index + 1))
        held += [(lower, upper)] * count
    assert len(held) == 3
    for value, (lower, upper) in zip((1, 2, 1000), held, strict=True):
        assert lower * (1 - 1e-9) <= value <= upper * (1 + 1e-9)
