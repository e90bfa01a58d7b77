"""The local sink of notifications."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from sample_data.sink import SUMMARY_CHARS_MAX, NotificationSink, summary_of

FIRING = {
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "api-error-ratio", "api": "payments"},
            "annotations": {"summary": "payments: 35 % of requests fail"},
        }
    ],
}


def test_notifications_are_kept_as_lines_and_told_in_one_sentence(tmp_path: Path) -> None:
    told: list[str] = []
    sink = NotificationSink(tmp_path / "deep" / "n.jsonl", on_notification=told.append)
    sink.start()
    try:
        for _ in range(2):
            assert httpx.post(sink.url, json=FIRING).status_code == 200
        assert httpx.post(sink.url, content=b"not json").status_code == 400
        large = httpx.post(sink.url, content=b"[" + b"1," * 600_000 + b"1]")
        assert large.status_code == 413
    finally:
        sink.stop()
    lines = (tmp_path / "deep" / "n.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [FIRING, FIRING]
    assert told == ["FIRING api-error-ratio: payments: 35 % of requests fail"] * 2
    with pytest.raises(httpx.ConnectError):
        httpx.post(sink.url, json=FIRING)


def test_stopping_a_sink_that_never_started_frees_its_port(tmp_path: Path) -> None:
    sink = NotificationSink(tmp_path / "n.jsonl")
    sink.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.post(sink.url, json={})


def test_anything_can_be_summed_up() -> None:
    assert summary_of({"a": 1}) == '{"a": 1}'
    assert summary_of([]) == "[]"
    assert summary_of({"status": "resolved", "alerts": [{"labels": {}}]}) == "RESOLVED alert"
    assert summary_of({"alerts": ["x"]}) == "x"
    assert len(summary_of({"text": "word " * 200})) == SUMMARY_CHARS_MAX
