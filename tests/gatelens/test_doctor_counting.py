"""`gatelens doctor` tells which calls are counted twice, and what was learned about gateways."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from gatelens.doctor_counting import counting_lines
from storage.lake import Lake
from storage.learned import FRONTS_FILE, TWINS_FILE
from storage.schemas import TABLES
from storage.settings import StorageSettings

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def row(source: str, gateway: str = "kong", **more: object) -> dict[str, object]:
    time = NOW - timedelta(hours=1)
    return {"time": time, "tenant": "shop", "gateway": gateway, "source": source, **more}


def said(tmp_path: Path, *rows: dict[str, object]) -> list[str]:
    storage = StorageSettings(data_dir=tmp_path)
    schema = TABLES["requests"].arrow_schema
    if rows:
        table = pa.Table.from_pylist([*rows], schema=schema)
        Lake(storage).table("requests").append(table, app_id="test", app_version=1)
    return list(counting_lines(storage, now=NOW))


def test_a_call_with_rows_of_two_sources_is_reported_once(tmp_path: Path) -> None:
    lines = said(
        tmp_path,
        row("otlp_span", request_id="a", trace_id="1", span_id="2"),
        row("kong_http_log", request_id="a"),
        row("otlp_span", request_id="b"),
        row("kong_http_log", request_id="b"),
        row("kong_http_log", request_id="c"),
    )
    [line] = lines
    assert "tenant shop: 2 calls of kong" in line
    assert "kong_http_log and otlp_span" in line


def test_different_calls_gateways_and_services_are_not(tmp_path: Path) -> None:
    assert not said(
        tmp_path,
        row("otlp_span", request_id="a"),
        row("kong_http_log", request_id="b"),
        row("nginx", "nginx", request_id="a"),
        row("otlp_span", "service", trace_id="1", span_id="2"),
        row("kong_http_log", "service", trace_id="1", span_id="2"),
        row("kong_http_log"),
        row("otlp_span"),
    )


def test_without_a_lake_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert not said(tmp_path)


def test_what_was_learned_is_told(tmp_path: Path) -> None:
    (tmp_path / FRONTS_FILE).write_text(json.dumps({"shop": {"orders": "edge-traefik"}}))
    (tmp_path / TWINS_FILE).write_text(json.dumps({"shop": {"kong: edge-kong /orders": "kong"}}))
    front, twin = said(tmp_path)
    assert "tenant shop: service orders is behind edge-traefik" in front
    assert "log of kong tells of the same calls as the spans of kong: edge-kong /orders" in twin
