"""The native endpoints of a running collector, asked as their senders ask."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from collector.receivers.prometheus_write import _WRITE
from tests.collector.core.doors import metric, open_collector, query
from tests.collector.receivers.conftest import Running

CODEC = pa.Codec("snappy")


def snappy(data: bytes) -> bytes:
    return bytes(CODEC.compress(data, asbytes=True))


def loki_push(line: str) -> dict[str, object]:
    value = [str(time.time_ns()), line]
    return {"streams": [{"stream": {"job": "t"}, "values": [value]}]}


def test_loki_push_is_answered_with_204_and_stored_once_though_sent_twice(running: Running) -> None:
    push = loki_push("loki says hello")
    for _ in range(2):
        reply = running.http.post("/loki/api/v1/push", json=push)
        assert (reply.status_code, reply.content) == (204, b"")
    sql = "SELECT * FROM logs WHERE body = 'loki says hello'"
    assert len(running.rows(sql, 1)) == 1


def test_loki_protobuf_needs_no_content_encoding_header(running: Running) -> None:
    from collector.receivers.loki import _MESSAGES

    push = _MESSAGES["PushRequest"]()
    stream = push.streams.add(labels='{app="x"}')
    entry = stream.entries.add(line="in snappy")
    entry.timestamp.seconds = int(time.time())
    body = snappy(push.SerializeToString())
    headers = {"content-type": "application/x-protobuf"}
    assert running.http.post("/loki/api/v1/push", content=body, headers=headers).status_code == 204
    [row] = running.rows("SELECT * FROM logs WHERE body = 'in snappy'", 1)
    assert row["service_name"] == "x"


@pytest.mark.parametrize(
    ("path", "content", "content_type", "status"),
    [
        ("/loki/api/v1/push", b"{", "application/json", 400),
        ("/loki/api/v1/push", b'{"streams": 1}', "application/json", 400),
        ("/loki/api/v1/push", b'{"streams":[{"values":[["x","l"]]}]}', "application/json", 400),
        ("/loki/api/v1/push", snappy(b"\xff\xff"), "application/x-protobuf", 400),
        ("/loki/api/v1/push", b"\xff\xff\xff\xff\x0fabc", "application/x-protobuf", 413),
        ("/loki/api/v1/push", b"x", "text/csv", 415),
        ("/api/v1/write", b"\x05abc", "application/x-protobuf", 400),
        ("/api/v1/write", snappy(b"\x0a\x05abc"), "application/x-protobuf", 400),
        ("/api/v1/write", snappy(b""), "application/x-protobuf;proto=io.other.Request", 415),
        ("/api/v2/spans", b"{}", "application/json", 400),
        ("/api/v2/spans", b"[1]", "application/json", 400),
        ("/api/v2/spans", b"\x0a", "application/x-thrift", 415),
        ("/firehose", b"[]", "application/json", 400),
        ("/_bulk", b'{"index":{}}\n', "application/x-ndjson", 400),
        ("/_bulk", b"[]\n{}\n", "application/x-ndjson", 400),
        ("/services/collector", b'{"event":"a"}{"event"', "", 400),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused_as_a_whole_with_its_protocols_status(
    running: Running, path: str, content: bytes, content_type: str, status: int
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    reply = running.http.post(path, content=content, headers=headers)
    assert reply.status_code == status, reply.text
    assert reply.content


@pytest.mark.parametrize(
    "path", ["/loki/api/v1/push", "/api/v1/write", "/api/v2/spans", "/firehose", "/_bulk",
             "/services/collector/event"],
)  # fmt: skip
def test_data_is_only_taken_by_post(running: Running, path: str) -> None:
    assert running.http.get(path).status_code == 405


def test_hec_success_is_exactly_code_zero(running: Running) -> None:
    for path in (
        "/services/collector",
        "/services/collector/event",
        "/services/collector/event/1.0",
    ):
        reply = running.http.post(path, content=b'{"event":"hec %d"}' % len(path))
        assert (reply.status_code, reply.json()) == (200, {"text": "Success", "code": 0})
    assert running.http.get("/services/collector/health").json()["code"] == 17


def test_hec_says_which_event_is_wrong_and_keeps_none(running: Running) -> None:
    body = b'{"event":"good, yet not kept"}{"time":1}{"event":"x"}'
    reply = running.http.post("/services/collector", content=body)
    assert reply.status_code == 400
    assert reply.json()["code"] == 12
    assert reply.json()["invalid-event-number"] == 1
    running.http.post("/services/collector", content=b'{"event":"after it"}')
    running.rows("SELECT * FROM logs WHERE body = 'after it'", 1)
    assert not query(running.folder, "SELECT * FROM logs WHERE body = 'good, yet not kept'")


def test_two_equal_hec_bodies_are_two_events(running: Running) -> None:
    for _ in range(2):
        running.http.post("/services/collector", content=b'{"event":"no time, no id"}')
    assert len(running.rows("SELECT * FROM logs WHERE body = 'no time, no id'", 2)) == 2


def test_bulk_answers_one_item_per_action_in_order(running: Running) -> None:
    source = Path(__file__).parent / "cases/elasticsearch/broken_document_in_the_middle"
    body = (source / "input.ndjson").read_bytes()
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    first = running.http.post("/a/_bulk", content=gzip.compress(body, mtime=0), headers=headers)
    again = running.http.post("/a/_bulk", content=gzip.compress(body, mtime=0), headers=headers)
    assert first.status_code == again.status_code == 200
    assert first.headers["x-elastic-product"] == "Elasticsearch"
    assert first.json() == again.json()
    items = [(kind, entry["status"]) for i in first.json()["items"] for kind, entry in i.items()]
    assert items == [
        ("index", 201), ("index", 400), ("delete", 404), ("update", 404), ("update", 201),
        ("index", 400), ("index", 201),
    ]  # fmt: skip
    assert first.json()["errors"] is True
    running.rows("SELECT * FROM rejects WHERE source = 'elasticsearch'", 3)
    assert len(running.rows("SELECT * FROM logs WHERE body = 'first'", 1)) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("HEAD", "/"), ("GET", "/_license?human=false"), ("GET", "/_xpack"),
        ("GET", "/_nodes/http"), ("PUT", "/_index_template/filebeat-9"), ("HEAD", "/logstash"),
        ("GET", "/_ilm/policy/filebeat"), ("PUT", "/_ilm/policy/filebeat"), ("HEAD", "/_alias/x"),
        ("PUT", "/%3Clogstash-%7Bnow%2Fd%7D-000001%3E"), ("GET", "/_cluster/health"),
        ("PUT", "/_ingest/pipeline/p"), ("HEAD", "/_template/t"), ("PUT", "/idx/_mapping"),
    ],
)  # fmt: skip
def test_what_elasticsearch_clients_ask_at_start_is_there(
    running: Running, method: str, path: str
) -> None:
    reply = running.http.request(method, path, content=b"{}" if method == "PUT" else None)
    assert reply.status_code == 200
    assert reply.headers["x-elastic-product"] == "Elasticsearch"
    if path == "/" and method == "GET":
        assert reply.json()["tagline"] == "You Know, for Search"
        assert reply.json()["version"]["build_flavor"] == "default"


@pytest.mark.parametrize("path", ["/nope", "/_nope", "/a/b/c", "/v1/nope", "/_search"])
def test_other_paths_stay_unknown(running: Running, path: str) -> None:
    assert running.http.get(path).status_code == 404
    assert running.http.post(path, content=b"{}").status_code == 404


def test_zipkin_answers_202_also_to_nothing(running: Running) -> None:
    span = {
        "traceId": "a" * 16,
        "id": "b" * 16,
        "kind": "SERVER",
        "name": "get",
        "timestamp": time.time_ns() // 1000,
        "duration": 2500,
        "localEndpoint": {"serviceName": "zipped"},
        "tags": {"http.method": "GET", "http.path": "/zip", "http.status_code": "503"},
    }
    assert running.http.post("/api/v2/spans", json=[span]).status_code == 202
    assert running.http.post("/api/v2/spans", content=b"").status_code == 202
    assert running.http.post("/api/v2/spans", json=[]).status_code == 202
    [row] = running.rows("SELECT * FROM requests WHERE path = '/zip'", 1)
    assert (row["status_code"], row["duration_ms"], row["outcome"]) == (503, 2.5, "server_error")


def test_zipkin_without_a_content_type_is_json(running: Running) -> None:
    now = time.time_ns() // 1000
    span = {"traceId": "c" * 16, "id": "d" * 16, "name": "untyped", "timestamp": now, "duration": 1}
    reply = running.http.post("/api/v2/spans", content=json.dumps([span]).encode())
    assert ("content-type" in reply.request.headers, reply.status_code) == (False, 202)
    assert len(running.rows("SELECT * FROM spans WHERE name = 'untyped'", 1)) == 1


def test_lokis_tenant_header_names_no_tenant_of_ours(running: Running) -> None:
    """Only a token does: the header is whatever its sender likes."""
    headers = {"X-Scope-OrgID": "somebody-else"}
    push = loki_push("of no other tenant")
    assert running.http.post("/loki/api/v1/push", json=push, headers=headers).status_code == 204
    [row] = running.rows("SELECT tenant FROM logs WHERE body = 'of no other tenant'", 1)
    assert row["tenant"] == "default"


def test_firehose_echoes_the_id_and_recognises_a_resend_by_it(running: Running) -> None:
    line = {"requestId": "fh-1", "requestTimeEpoch": str(time.time_ns() // 10**6),
            "httpMethod": "GET", "path": "/fire", "status": "200"}  # fmt: skip
    data = base64.b64encode(json.dumps(line).encode()).decode()
    for sent_at in (1, 2):
        body = {"requestId": "abc-1", "timestamp": sent_at, "records": [{"data": data}]}
        reply = running.http.post(
            "/firehose", json=body, headers={"x-amz-firehose-request-id": "abc-1"}
        )
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.json()["requestId"] == "abc-1"
        assert abs(reply.json()["timestamp"] - time.time() * 1000) < 60_000
    assert len(running.rows("SELECT * FROM requests WHERE path = '/fire'", 1)) == 1


def _write(timestamp_ms: int, name: str, *, version: int) -> bytes:
    write = _WRITE()
    if version == 1:
        series = write.series.add()
        series.labels.add(name="__name__", value=name)
    else:
        write.symbols.extend(["", "__name__", name])
        series = write.symbol_series.add(refs=[1, 2])
        series.exemplars.add(value=1, timestamp=timestamp_ms)
    series.samples.add(value=1.5, timestamp=timestamp_ms)
    return snappy(write.SerializeToString())


V2 = {"content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
      "content-encoding": "snappy"}  # fmt: skip


def test_remote_write_1_is_answered_with_an_empty_204(running: Running) -> None:
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    body = _write(time.time_ns() // 10**6, "rw_one", version=1)
    reply = running.http.post("/api/v1/write", content=body, headers=headers)
    assert (reply.status_code, reply.content) == (204, b"")
    assert len(running.rows("SELECT * FROM metrics WHERE name = 'rw_one'", 1)) == 1


def test_remote_write_2_says_what_was_written_also_to_a_resend(running: Running) -> None:
    body = _write(time.time_ns() // 10**6, "rw_two", version=2)
    for _ in range(2):
        reply = running.http.post("/api/v1/write", content=body, headers=V2)
        assert reply.status_code == 204
        written = {k: reply.headers[f"x-prometheus-remote-write-{k}-written"]
                   for k in ("samples", "histograms", "exemplars")}  # fmt: skip
        assert written == {"samples": "1", "histograms": "0", "exemplars": "1"}
    assert len(running.rows("SELECT * FROM metrics WHERE name = 'rw_two'", 1)) == 1


def test_remote_write_with_a_refused_sample_is_no_success(running: Running) -> None:
    body = _write(1000, "rw_from_1970", version=2)
    reply = running.http.post("/api/v1/write", content=body, headers=V2)
    assert reply.status_code == 400
    assert reply.headers["x-prometheus-remote-write-samples-written"] == "0"


def test_references_beyond_the_symbols_are_malformed(running: Running) -> None:
    write = _WRITE(symbols=["", "a"])
    write.symbol_series.add(refs=[1, 7]).samples.add(value=1, timestamp=1)
    reply = running.http.post(
        "/api/v1/write", content=snappy(write.SerializeToString()), headers=V2
    )
    assert reply.status_code == 400
    assert "symbols" in reply.text


def test_a_cut_body_never_becomes_rows(running: Running) -> None:
    """Every protocol's sample, cut at many places: an error status, or whole records only."""
    from collector.formats import FORMATS, inspect
    from collector.payload import MalformedBody
    from tests.collector.receivers.test_golden_cases import FOLDERS, payload_of

    for folder in FOLDERS:
        payload = payload_of(folder)
        format_ = FORMATS[payload.format]
        body = payload.body
        for end in range(0, len(body), max(1, len(body) // 40)):
            cut = type(payload)(
                body[:end], payload.format, payload.content, "default", None,
                payload.received_unix_nano, "",
            )  # fmt: skip
            try:
                seen = inspect(format_, cut)
            except MalformedBody:
                continue
            decoded = format_.decode([cut])
            assert decoded.accepted + decoded.rejected == seen.records, (folder, end)


def test_tokens_are_read_where_each_protocol_puts_them(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    digest = hashlib.sha256(b"s3cret").hexdigest()
    tokens.write_text(f"tokens: [{{name: shop, sha256: {digest}, tenant: shop}}]\n")
    basic = base64.b64encode(b"shop:s3cret").decode()
    event = b'{"event":"x"}'
    with open_collector(tmp_path / "data", tokens_file=tokens) as collector:
        base = f"http://127.0.0.1:{collector.http_port}"
        with httpx.Client(base_url=base) as http:
            for path, content, headers, status in (
                ("/services/collector", event, {"authorization": "Splunk s3cret"}, 200),
                ("/services/collector", event, {"authorization": "Splunk wrong"}, 401),
                ("/services/collector", event, {}, 401),
                ("/_bulk", b"", {"authorization": f"ApiKey {basic}"}, 200),
                ("/_bulk", b"", {"authorization": f"Basic {basic}"}, 200),
                ("/_bulk", b"", {}, 401),
                ("/firehose", b'{"records":[]}', {"x-amz-firehose-access-key": "s3cret"}, 200),
                ("/firehose", b'{"records":[]}', {"x-amz-firehose-access-key": "no"}, 401),
                ("/api/v2/spans", b"[]", {"authorization": "Bearer s3cret"}, 202),
            ):
                reply = http.post(path, content=content, headers=headers)
                assert reply.status_code == status, (path, headers, reply.text)
            assert http.post("/services/collector", content=event).json()["code"] == 2
        refused = metric(
            collector, "requests_refused_total",
            format="splunk_hec", transport="http", reason="unauthenticated",
        )  # fmt: skip
        assert refused == 3
