"""What a policy keeps, and that secrets are in no file once the lake has everything."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.importer import import_files
from collector.privacy_rules import Policy, PrivacyRules, load_privacy, truncate_address
from collector.settings import CollectorSettings
from storage.schemas import TABLES
from storage.settings import StorageSettings
from tests.collector.core.doors import open_collector, query
from tests.collector.core.process import post
from tests.collector.gateways.test_otlp_access_logs import TIME


def batch(table: str, *rows: dict[str, Any]) -> pa.RecordBatch:
    filled = []
    for row in rows:
        row = {"time": TIME, "tenant": "default", **row}
        if row.get("attributes") is not None:
            row["attributes"] = list(row["attributes"])
        filled.append(row)
    return pa.RecordBatch.from_pylist(filled, schema=TABLES[table].arrow_schema)


def kept(table: str, rules: PrivacyRules, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rules.apply(table, batch(table, *rows)).to_pylist()
    return found


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0"), ("203.0.113.77:4711", "203.0.113.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"), ("[2001:db8:1:2::4]", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"), ("fe80::1%eth0", "fe80::"), ("unix:", None),
        ("somebody", None), ("", None),
    ],
)  # fmt: skip
def test_truncated_addresses_are_their_network(address: str, network: str | None) -> None:
    assert truncate_address(address) == network


@pytest.mark.parametrize("policy", ["truncate", "hash", "drop"])
def test_an_address_is_kept_nowhere_in_the_row(policy: Any) -> None:
    rules = PrivacyRules(Policy(client_addresses=policy))
    address = "203.0.113.77"
    attributes = [("client.address", address), ("x", "1"), ("net.peer.ip", address),
                  ("client.address", address)]  # fmt: skip
    for table, row in (
        ("requests", {"client_address": address}),
        ("spans", {"client_address": address, "attributes": attributes}),
        ("logs", {"body": f"from {address} and 2001:db8::1:2", "attributes": attributes}),
        ("rejects", {"record": f"{address} - - nonsense"}),
    ):
        [found] = kept(table, rules, row)
        assert "113.77" not in repr(found), table
        assert "db8::1:2" not in repr(found), table
    [span] = kept("spans", rules, {"attributes": attributes})
    assert ("x", "1") in span["attributes"]


def test_user_names_are_hashed_but_not_those_of_listed_consumers() -> None:
    rules = PrivacyRules(Policy(user_names="hash"), listed=lambda name: name == "shop-app")
    rows = kept("requests", rules, {"consumer": "ann"}, {"consumer": "shop-app"}, {})
    assert [len(r["consumer"] or "") for r in rows] == [32, 8, 0]
    [span] = kept("spans", rules, {"attributes": [("enduser.id", "ann"), ("n", "ann")]})
    assert [len(value) for _, value in span["attributes"]] == [32, 3]
    [reject] = kept("rejects", rules, {"record": "1.2.3.4 - ann nonsense"})
    assert reject["record"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://h/a?token=abc&x=1#f", "https://h/a?token=REDACTED&x=1#f"),
        ("x=1&API_KEY=abc", "x=1&API_KEY=REDACTED"),
        ("token=abc", "token=REDACTED"),
        ("/a?mytoken=abc", "/a?mytoken=abc"),
        ("/a?token=", "/a?token="),
        ("/token=1/a", "/token=1/a"),
    ],
)
def test_values_of_configured_parameters_are_redacted(value: str, expected: str) -> None:
    [span] = kept("spans", PrivacyRules(), {"attributes": [("url.full", value)]})
    assert span["attributes"] == [("url.full", expected)]


@pytest.mark.parametrize(
    "body",
    [
        '{"Authorization":"Bearer c4nary","a":1}', "GET /a?api_key=c4nary HTTP/1.1",
        "authorization: Basic c4nary", '{"request_Cookie":["c4nary"]}',
        '{"m":"{\\"x-api-key\\":\\"c4nary\\"}"}', "Set-Cookie: c4nary; Path=/",
    ],
)  # fmt: skip
def test_secrets_in_log_bodies_are_redacted(body: str) -> None:
    [log] = kept("logs", PrivacyRules(), {"body": body}, {"body": "plain"})[:1]
    assert "c4nary" not in log["body"]
    assert "REDACTED" in log["body"]


def test_rows_without_anything_to_hide_stay_as_they_are() -> None:
    rows = batch("spans", {"attributes": [("a", "b")]}, {"attributes": None})
    assert PrivacyRules().apply("spans", rows).equals(rows)


def test_null_and_sliced_maps_stay_what_they_are() -> None:
    secret = [("http.request.header.cookie", "c4nary"), ("a", "b")]
    rows = batch("spans", {"attributes": [("first", "1")]}, {"attributes": None},
                 {"attributes": secret}, {"attributes": [("last", "2")]})  # fmt: skip
    whole = PrivacyRules().apply("spans", rows).column("attributes").to_pylist()
    redacted = [("http.request.header.cookie", "REDACTED"), ("a", "b")]
    assert whole == [[("first", "1")], None, redacted, [("last", "2")]]
    part = PrivacyRules().apply("spans", rows.slice(1, 2)).column("attributes").to_pylist()
    assert part == [None, redacted]


def test_each_tenant_has_its_own_policy(tmp_path: Path) -> None:
    path = tmp_path / "privacy.yaml"
    path.write_text("tenants: {shop: {client_addresses: truncate}, bank: {user_names: drop}}\n")
    rules = load_privacy(Policy(), path)
    row = {"client_address": "203.0.113.77", "consumer": "ann"}
    rows = kept("requests", rules, *({**row, "tenant": t} for t in ("shop", "bank", "other")))
    found = {r["tenant"]: (r["client_address"], r["consumer"]) for r in rows}
    assert found == {
        "shop": ("203.0.113.0", "ann"), "bank": ("203.0.113.77", None),
        "other": ("203.0.113.77", "ann"),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["tenants: {a: {client_adresses: drop}}", "a: [", "tenants: 3"])
def test_a_wrong_privacy_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "privacy.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="privacy.yaml"):
        load_privacy(Policy(), path)


CANARY = "c4naryS3cret"
ADDRESS = "203.0.113.77"
SETTINGS = {"client_addresses": "truncate", "user_names": "hash"}


def canary_bodies(user: str = CANARY) -> list[tuple[str, bytes, str]]:
    """(path, body, content type) of what senders get wrong, with CANARY and ADDRESS in it."""
    keys = {
        "http.request.method": "GET", "url.full": f"https://h/a?token={CANARY}&x=1",
        "url.query": f"api_key={CANARY}", "http.request.header.authorization": f"Bearer {CANARY}",
        "http.request.header.cookie": CANARY, "client.address": ADDRESS, "enduser.id": user,
    }  # fmt: skip
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    span = traces.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, kind=2, start_time_unix_nano=10**18,
        end_time_unix_nano=10**18 + 5,
    )  # fmt: skip
    record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=10**18)
    record.body.string_value = f'GET /a?password={CANARY} {{"Cookie":"{CANARY}"}} from {ADDRESS}'
    for key, value in keys.items():
        for target in (span, record):
            target.attributes.add(key=key).value.string_value = value
    clf = (
        f'{ADDRESS} - {user} [21/Nov/2026:10:00:00 +0000] "GET /a?token={CANARY} HTTP/1.1" 200 5 '
        '"-" "curl/8"\n'
        f'{ADDRESS} - {user} [nonsense] "GET /a?token={CANARY} HTTP/1.1" cookie: {CANARY}\n'
    )
    kong = {
        "started_at": 1_795_261_431_000, "client_ip": ADDRESS, "consumer": {"username": user},
        "authenticated_entity": {"id": user}, "response": {"status": 200},
        "request": {"method": "GET", "uri": f"/a?apikey={CANARY}",
                    "headers": {"authorization": CANARY, "cookie": CANARY, "apikey": CANARY}},
    }  # fmt: skip
    return [
        ("/v1/traces", traces.SerializeToString(), "application/x-protobuf"),
        ("/v1/logs", logs.SerializeToString(), "application/x-protobuf"),
        ("/ingest/nginx", clf.encode(), "text/plain"),
        ("/ingest/kong", json.dumps(kong).encode(), "application/json"),
    ]


def leaks(folder: Path) -> list[str]:
    """Files that hold the canary or the address: as bytes, or in the values of Parquet files."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.ParquetFile(path).read().to_pylist()).encode()
        elif content[:2] == b"\x1f\x8b":
            content += gzip.decompress(content)
        if CANARY.encode() in content or ADDRESS.encode() in content:
            found.append(str(path.relative_to(folder)))
    return found


def test_no_file_holds_a_secret_after_a_stop(tmp_path: Path) -> None:
    bodies = canary_bodies()
    with open_collector(tmp_path, **SETTINGS) as collector:
        for path, body, content in bodies:
            status, _, answer = post(collector.http_port, body, path, Content_Type=content)
            assert status == 200, answer
        raw = b"".join(p.read_bytes() for p in (tmp_path / "wal").glob("*") if p.is_file())
        assert CANARY.encode() in raw  # the log holds what was sent, until it is trimmed
    assert leaks(tmp_path) == []
    rows = query(tmp_path, "SELECT client_address, consumer, path FROM requests")
    assert len(rows) == 3
    assert {row["client_address"] for row in rows} == {"203.0.113.0"}
    assert {row["path"] for row in rows} == {"/a"}
    assert len(query(tmp_path, "SELECT 1 FROM rejects")) == 1


def test_an_import_leaves_no_secret_either(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(canary_bodies()[2][1])
    storage = StorageSettings(data_dir=tmp_path / "data")
    settings = CollectorSettings(client_addresses="truncate", user_names="hash")
    report = import_files("nginx", [log], storage=storage, privacy=settings)
    assert (report.stored, report.rejected) == (1, 1)
    assert leaks(storage.data_dir) == []
