"""A secret in what every sender sends: in no file of the data folder, no answer and no log line of
the process; with `wal_scrub` not in the write-ahead log either."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.collector.core.doors import open_collector, query
from tests.collector.core.process import post
from tests.collector.gateways.test_privacy import CANARY, canary_bodies, leaks
from tests.collector.receivers.test_envoy_als import METHOD as ENVOY_ALS_METHOD
from tests.collector.receivers.test_golden_cases import MESSAGES

URL = f"/a?token={CANARY}&x=1"
HEADERS = {"authorization": f"Bearer {CANARY}", "cookie": f"sid={CANARY}", "x-api-key": CANARY}
LINE = f'GET {URL} HTTP/1.1" 200 authorization: Bearer {CANARY}'

RECORDS: dict[str, Any] = {
    "traefik": {
        "StartUTC": "2026-11-21T09:00:00Z", "Duration": 1000, "DownstreamStatus": 200,
        "RequestMethod": "GET", "RequestPath": URL, "RequestHost": "h",
        "request_Authorization": CANARY, "request_Cookie": CANARY, "downstream_Set-Cookie": CANARY,
    },
    "caddy": {
        "ts": 1795252800.5, "logger": "http.log.access", "msg": "handled request", "status": 200,
        "duration": 0.1, "size": 1, "bytes_read": 0, "user_id": "",
        "request": {"method": "GET", "host": "h", "uri": URL, "proto": "HTTP/1.1",
                    "remote_ip": "192.0.2.1", "headers": {k: [v] for k, v in HEADERS.items()}},
        "resp_headers": {"Set-Cookie": [CANARY]},
    },
    "apisix": [{
        "start_time": 1795252800500, "client_ip": "192.0.2.1", "latency": 2.5, "route_id": "r",
        "service_id": "s", "upstream": "1.2.3.4:80",
        "response": {"status": 200, "size": 1, "headers": {"set-cookie": CANARY}},
        "request": {"method": "GET", "uri": URL, "url": f"http://h{URL}", "size": 1,
                    "headers": HEADERS, "querystring": {"token": CANARY},
                    "body": f'{{"password":"{CANARY}"}}'},
    }],
    "apipark": {
        "msec": "1795252800500", "request_uri": URL, "request_host": "h", "status": "200",
        "request_method": "GET", "request_time": "35", "src_ip": "192.0.2.1", "api": "orders",
        "authorization": f"Bearer {CANARY}", "request_header": f"Authorization=Bearer+{CANARY}",
        "request_body": CANARY, "response_body": CANARY, "proxy_header": f"Cookie={CANARY}",
    },
    "tyk": {
        "api_key": CANARY, "method": "GET", "path": "/a", "raw_path": URL, "response_code": 200,
        "request_time": 3, "timestamp": "2026-11-21T10:00:00Z", "api_id": "x",
        "raw_request": base64.b64encode(f"Authorization: {CANARY}".encode()).decode(),
        "raw_response": CANARY,
    },
    "apigee": {"organization": "o", "environment": "e", "records": [{
        "client_received_start_timestamp": 1795252800500, "apiproxy": "orders",
        "client_sent_end_timestamp": 1795252800550, "request_uri": URL, "request_path": "/a",
        "request_verb": "GET", "response_status_code": 200, "access_token": CANARY,
        "client_id": CANARY,
    }]},
    "azure_apim": {"records": [{
        "time": "2026-11-21T10:00:00Z", "category": "GatewayLogs", "durationMs": 2,
        "callerIpAddress": "192.0.2.1", "correlationId": "c",
        "properties": {"method": "GET", "url": f"https://h/a?subscription-key={CANARY}",
                       "responseCode": 200, "apiId": "orders", "requestHeaders": HEADERS,
                       "backendUrl": f"https://b/a?code={CANARY}"},
    }]},
    "aws_apigw": {
        "requestId": "r", "ip": "192.0.2.1", "requestTime": "21/Nov/2026:10:00:00 +0000",
        "httpMethod": "GET", "path": "/a", "status": "200", "protocol": "HTTP/1.1",
        "apiKey": CANARY, "responseLatency": "3", "apiId": "a", "stage": "prod",
    },
    "envoy": {
        "start_time": "2026-11-21T10:00:00.000Z", "method": "GET", "path": URL,
        "response_code": 200, "duration": 3, "authority": "h", "protocol": "HTTP/1.1",
        "authorization": CANARY,
    },
}  # fmt: skip
"""Format -> a record of it, with secrets where that gateway writes them."""

_JSON = "application/json"


def senders() -> list[tuple[str, bytes, str]]:
    """(path, body, content type) of every door over HTTP."""
    found = [(f"/ingest/{f}", json.dumps(r).encode(), _JSON) for f, r in RECORDS.items()]
    log = {"message": LINE, "authorization": CANARY, "http": {"cookie": CANARY},
           "@timestamp": "2026-11-21T10:00:00Z"}  # fmt: skip
    zipkin = {"traceId": "5af7183fb1d4cf5f", "id": "352bff9a74ca9ad2", "name": "get", "duration": 9,
              "timestamp": 1795252800500000, "kind": "SERVER",
              "tags": {"http.url": f"http://h{URL}", "http.cookie": CANARY}}  # fmt: skip
    hec = {"time": 1795252800, "event": log, "sourcetype": "x", "fields": {"api_key": CANARY}}
    loki = {"streams": [{"stream": {"app": "x"}, "values": [["1795252800500000000", LINE]]}]}
    line = base64.b64encode(json.dumps(RECORDS["aws_apigw"]).encode()).decode()
    firehose = {"requestId": "f", "timestamp": 1795252800500, "records": [{"data": line}]}
    combined = (
        f'192.0.2.1 - - [21/Nov/2026:10:00:00 +0000] "GET {URL} HTTP/1.1" 200 5 '
        f'"https://h/?token={CANARY}" "curl/8"\n'
    )
    return [
        *canary_bodies(user="ann"),
        *found,
        ("/ingest/apache", combined.encode(), "text/plain"),
        ("/ingest/json_lines", json.dumps(log).encode(), _JSON),
        ("/api/v2/spans", json.dumps([zipkin]).encode(), _JSON),
        ("/services/collector/event", json.dumps(hec).encode(), _JSON),
        ("/loki/api/v1/push", json.dumps(loki).encode(), _JSON),
        ("/_bulk", b'{"index":{}}\n' + json.dumps(log).encode() + b"\n", "application/x-ndjson"),
        ("/firehose", json.dumps(firehose).encode(), _JSON),
    ]


def send_to_envoys_service(port: int) -> None:
    """One call with a secret in its path and headers, over Envoy's gRPC access log service."""
    message = MESSAGES["envoy_als"]()
    entry = message.http_logs.entries.add()
    entry.common.start_time.seconds = 1795252800
    entry.request.path, entry.request.method, entry.response.code.value = URL, 1, 200
    entry.request.headers["authorization"] = CANARY
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        channel.stream_unary(ENVOY_ALS_METHOD)(iter([message.SerializeToString()]), timeout=10)


@pytest.mark.parametrize("wal_scrub", [False, True])
def test_a_secret_of_any_sender_is_nowhere(
    tmp_path: Path, wal_scrub: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    answers: list[bytes] = []
    taken = 0
    with open_collector(tmp_path, wal_scrub=wal_scrub, client_addresses="truncate") as collector:
        for path, body, content in senders():
            status, _, answer = post(collector.http_port, body, path, Content_Type=content)
            assert status in (200, 202, 204), (path, answer)
            taken += 1
            # The same, cut: refused, or taken as far as it goes; neither may be loud about it.
            broken = body[: len(body) * 2 // 3]
            answers += [answer, post(collector.http_port, broken, path, Content_Type=content)[2]]
            wrong = f"{path}?token={CANARY}"
            answers.append(
                post(collector.http_port, b"{", wrong, Content_Type=content, Cookie=CANARY)[2]
            )
        send_to_envoys_service(collector.grpc_port)
        if wal_scrub:
            raw = b"".join(p.read_bytes() for p in (tmp_path / "wal").glob("*") if p.is_file())
            where = [raw[max(0, at - 60) : at + 20] for at in _places(raw)]
            assert not where, where[:5]
    assert leaks(tmp_path) == []
    assert CANARY.encode() not in b"".join(answers)
    said = capfd.readouterr()
    assert CANARY not in said.out + said.err
    told = query(tmp_path, "SELECT DISTINCT gateway, source FROM requests")
    assert {str(row["gateway"]) for row in told} >= set(RECORDS) | {"kong", "nginx", "apache"}
    assert "envoy_als" in {row["source"] for row in told}


def _places(raw: bytes) -> list[int]:
    found, at = [], raw.find(CANARY.encode())
    while at >= 0:
        found.append(at)
        at = raw.find(CANARY.encode(), at + 1)
    return found
