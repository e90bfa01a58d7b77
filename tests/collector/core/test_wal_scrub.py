"""With `wal_scrub` no secret reaches the write-ahead log, and rows are what they are without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.formats import MESSAGES
from collector.privacy import hash_credential, seal_credential
from collector.receivers.envoy_als import ENVOY_ALS_MESSAGE
from collector.settings import QUERY_PARAMETERS
from collector.wal_scrub import Scrubber
from tests.collector.core.doors import open_collector, query
from tests.collector.core.process import post
from tests.collector.gateways.test_privacy import CANARY, canary_bodies

SCRUBBER = Scrubber(lambda _: QUERY_PARAMETERS, MESSAGES)


def scrub(body: bytes, content: Any = "json", format: str = "json_lines") -> bytes:
    return SCRUBBER.scrub(format, content, "default", body)


@pytest.mark.parametrize(
    "text",
    [
        '{"api_key":"c4nary"}', '{"authorization" : "Bearer c4nary", "a": 1}',
        '{"headers":{"cookie":["a=c4nary","b=c4nary"]}}', '{"Set-Cookie":["x; c4nary"]}',
        '{"key":"http.request.header.authorization","value":{"stringValue":"c4nary"}}',
        '{"key":"http.request.header.cookie","value":{"arrayValue":{"values":'
        '[{"stringValue":"c4nary"},{"stringValue":"c4nary ]}"}]}}}',
        '{"m":"{\\"x-api-key\\":\\"c4nary\\"}"}', '{"raw_request":"R0VUIGM0bmFyeQ== c4nary"}',
        '{"request_header":"Authorization=Bearer+c4nary&Host=a"}',
        '{"url":"https://ann:c4nary@h/a?token=c4nary&x=1"}', '{"url.query":"token=c4nary"}',
        '{"password":"c4\\"nary c4nary"}', '{"Ocp-Apim-Subscription-Key":"c4nary"}',
        "GET /a?x=1&api_key=c4nary HTTP/1.1", "authorization: Basic c4nary",
        "Cookie: a=1; b=c4nary", "x-auth-token=c4nary",
    ],
)  # fmt: skip
def test_a_secret_is_taken_out_and_the_rest_stays_readable(text: str) -> None:
    found = scrub(text.encode())
    assert b"c4nary" not in found
    if text.startswith("{"):
        assert json.loads(found).keys() == json.loads(text).keys()
    assert scrub(found) == found  # what is scrubbed already stays


@pytest.mark.parametrize(
    "text",
    [
        '{"api_key":"00000000","api_key_id":"abc","keys":["a"]}', '{"authorization":""}',
        '{"apiKeyId":"abc"}', "GET /a?x=1&mytoken2=abc HTTP/1.1", "the cookie monster",
        '{"authorization":"REDACTED"}', "mail to ann@example.com", "",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_the_same_object(text: str) -> None:
    body = text.encode()
    assert scrub(body) is body


def test_a_sealed_credential_has_the_hash_of_the_credential() -> None:
    assert hash_credential(seal_credential("my-key")) == hash_credential("my-key")
    assert hash_credential("gl-0000000000000000-abc") != "abc"  # nobody else can seal
    sealed = json.loads(scrub(b'{"api_key":"my\\/key"}'))["api_key"]
    assert hash_credential(sealed) == hash_credential("my/key")


def test_protobuf_stays_what_it_was_but_for_the_secrets() -> None:
    traces = ExportTraceServiceRequest.FromString(canary_bodies(user="ann")[0][1])
    [span] = traces.resource_spans[0].scope_spans[0].spans
    cookies = span.attributes.add(key="http.request.header.set-cookie").value.array_value
    for _ in range(2):
        cookies.values.add().string_value = CANARY
    span.events.add(name=f"GET /a?token={CANARY}")
    found = ExportTraceServiceRequest.FromString(
        scrub(traces.SerializeToString(), "protobuf", "otlp_traces")
    )
    [clean] = found.resource_spans[0].scope_spans[0].spans
    assert [a.key for a in clean.attributes] == [a.key for a in span.attributes]
    assert clean.span_id == span.span_id
    values = {a.key: a.value.string_value for a in clean.attributes}
    assert values["url.full"] == "https://h/a?token=REDACTED&x=1"
    assert values["http.request.method"] == "GET"
    assert CANARY.encode() not in found.SerializeToString()


def test_envoys_headers_are_sealed_so_that_callers_are_known() -> None:
    message = ENVOY_ALS_MESSAGE()
    entry = message.http_logs.entries.add()
    entry.request.headers["x-api-key"] = CANARY
    entry.request.path = f"/a?token={CANARY}"
    found = scrub(message.SerializeToString(), "protobuf", "envoy_als")
    [clean] = ENVOY_ALS_MESSAGE.FromString(found).http_logs.entries
    assert hash_credential(clean.request.headers["x-api-key"]) == hash_credential(CANARY)
    assert clean.request.path == "/a?token=REDACTED"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit",
    ["a", "authorization", '"cookie":["', '"cookie":[ ,', '\\"', "cookie ", "api_key:",
     '{"key":"cookie","value":{', "?token=", "://", '"raw_request":"\\'],
)  # fmt: skip
def test_hostile_repetition_costs_no_more_than_its_length(unit: str) -> None:
    scrub((unit * (300_000 // len(unit))).encode())


TYK = {
    "api_key": CANARY, "method": "GET", "path": "/a", "response_code": 200, "request_time": 3,
    "timestamp": "2026-11-21T10:00:00Z", "raw_request": CANARY,
}  # fmt: skip


@pytest.mark.parametrize("wal_scrub", [False, True])
def test_the_log_holds_no_credential_and_rows_are_the_same(tmp_path: Path, wal_scrub: bool) -> None:
    with open_collector(tmp_path, wal_scrub=wal_scrub, user_names="hash") as collector:
        tyk = ("/ingest/tyk", json.dumps(TYK).encode(), "application/json")
        for path, body, content in [*canary_bodies(user="ann"), tyk]:
            status, _, answer = post(collector.http_port, body, path, Content_Type=content)
            assert status == 200, answer
        raw = b"".join(p.read_bytes() for p in (tmp_path / "wal").glob("*") if p.is_file())
        assert (CANARY.encode() in raw) is not wal_scrub
    rows = query(tmp_path, "SELECT * FROM requests ORDER BY source, time")
    assert len(rows) == 4
    [tyk] = [row for row in rows if row["gateway"] == "tyk"]
    assert tyk["credential"] == hash_credential(CANARY)
    assert CANARY not in repr(rows)
