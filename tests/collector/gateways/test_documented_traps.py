"""Traps that gateways' documentation names and their sample records do not show."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from collector.gateways import gateway_format
from collector.payload import Content, Payload
from collector.receivers.envoy_als import ENVOY_ALS
from tests.collector.receivers.test_golden_cases import MESSAGES

NOW = 1_795_261_431_000_000_000


def decoded(format: str, body: str | dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """(rows of requests, how many records were refused)."""
    content: Content = "text" if isinstance(body, str) else "json"
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    found = gateway_format(format, {}).decode([Payload(raw, format, content, "t", None, NOW, "")])
    rows = found.tables["requests"].to_pylist() if "requests" in found.tables else []
    return rows, found.rejected


def caddy(**changes: Any) -> dict[str, Any]:
    request = {
        "remote_ip": "192.0.2.1",
        "proto": "HTTP/1.1",
        "method": "GET",
        "host": "h",
        "uri": "/",
    }
    return {
        "level": "info", "ts": 1646861401.5, "logger": "http.log.access", "status": 200,
        "msg": "handled request", "request": request, "bytes_read": 0, "user_id": "",
        "duration": 0.25, "size": 3, **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("duration", "milliseconds"),
    [(0.25, 250.0), ("250ms", 250.0), ("1.5s", 1500.0), ("800µs", 0.8), ("1m30s", 90_000.0)],
)
def test_caddys_durations_in_its_formats(duration: Any, milliseconds: float) -> None:
    [row], refused = decoded("caddy", caddy(duration=duration))
    assert refused == 0
    assert row["duration_ms"] == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    "ts",
    [1646861401.5, 1646861401500.0, "2022-03-09T21:30:01.500Z", "2022-03-09T21:30:01.500+0000"],
)
def test_caddys_time_is_the_end_in_whatever_format(ts: Any) -> None:
    [row], _ = decoded("caddy", caddy(ts=ts))
    assert row["time"] == datetime(2022, 3, 9, 21, 30, 1, 250_000, tzinfo=UTC)


def test_caddy_that_wrote_nothing_is_a_client_that_left() -> None:
    [row], _ = decoded("caddy", caddy(status=0, msg="NOP"))
    assert row["status_code"] == 0


def test_caddys_other_loggers_are_no_access_log() -> None:
    rows, refused = decoded("caddy", caddy(logger="http.handlers.reverse_proxy"))
    assert (rows, refused) == ([], 0)


def test_nginx_json_written_without_escape_json_is_refused_not_misread() -> None:
    """escape=default writes \\xXX, which is no JSON; the snippet says escape=json."""
    line = (
        '{"time_iso8601":"2026-11-21T10:00:00+00:00","request":"GET /a HTTP/1.1","status":"200",'
        '"http_user_agent":"agent \\x22quoted\\x22 \\xC3\\xA9"}'
    )
    assert decoded("nginx", line) == ([], 1)


def test_haproxys_line_that_its_length_limit_cut_keeps_all_but_the_request() -> None:
    line = (
        "haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 "
        '10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /a/very/long/pa'
    )
    [row], refused = decoded("haproxy", line)
    assert refused == 0
    assert (row["status_code"], row["duration_ms"], row["method"]) == (200, 109.0, "GET")


def test_tyks_syslog_pump_writes_go_and_is_refused() -> None:
    rows, refused = decoded("tyk", "map[alias: api_id:1 api_key:k method:GET response_code:200]")
    assert (rows, refused) == ([], 1)


@pytest.mark.parametrize(
    ("kind", "counts"), [(0, True), (6, True), (4, False), (5, False), (7, False), (9, False)]
)
def test_envoys_records_of_other_moments_than_the_end_are_no_calls(kind: int, counts: bool) -> None:
    message = MESSAGES["envoy_als"]()
    entry = message.http_logs.entries.add()
    entry.common.start_time.seconds = NOW // 10**9
    entry.common.type = kind
    entry.request.path, entry.request.method, entry.response.code.value = "/a", 1, 200
    payload = Payload(message.SerializeToString(), "envoy_als", "protobuf", "t", None, NOW, "")
    assert ("requests" in ENVOY_ALS.decode([payload]).tables) is counts


def test_spring_without_a_length_has_none() -> None:
    [row], _ = decoded("spring", '::1 - - [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 - 3')
    assert row["response_bytes"] is None
