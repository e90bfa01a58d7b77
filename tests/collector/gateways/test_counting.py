"""One call is one request, whatever a gateway sends of it and in which order it comes."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.backlog import Entry
from collector.batch import decode_batch
from collector.formats import FORMATS
from collector.importer import import_files
from collector.naming import Naming
from collector.payload import Content, Payload
from storage.catalog import Catalog
from storage.lake import Lake, LakeTable
from storage.session import ReadSession
from storage.settings import StorageSettings

NOW = 1_795_261_431_000_000_000
CALLS = 4


def put(target: Any, **values: str | int) -> None:
    for key, value in values.items():
        attribute = target.add(key=key.replace("_", "."))
        if isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value


def ids(number: int) -> tuple[bytes, bytes]:
    return number.to_bytes(16, "big"), number.to_bytes(8, "big")


def spans(service: str, *, parent: bool = False) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    put(resource.resource.attributes, service_name=service)
    found = resource.scope_spans.add().spans
    for number in range(1, CALLS + 1):
        trace, span = ids(number)
        one = found.add(
            trace_id=trace, span_id=span if not parent else ids(number + 1000)[1],
            parent_span_id=span if parent else b"", kind=2,
            start_time_unix_nano=NOW + number, end_time_unix_nano=NOW + 5_000_000, flags=0x101,
        )  # fmt: skip
        put(one.attributes, http_request_method="GET", url_path=f"/orders/{number}")
        status = one.attributes.add(key="http.response.status_code")
        status.value.int_value = 200
    return bytes(request.SerializeToString())


def traefik_record(number: int, *, linked: bool = True) -> str:
    trace, span = ids(number)
    record: dict[str, Any] = {
        "StartUTC": "2026-11-21T11:43:51.1Z", "Duration": 4_000_000, "RequestMethod": "GET",
        "RequestPath": f"/orders/{number}", "DownstreamStatus": 200,
    }  # fmt: skip
    if linked:
        record |= {"trace_id": trace.hex(), "span_id": span.hex()}
    return json.dumps(record)


def otlp_logs(service: str, *, flags: int) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    put(resource.resource.attributes, service_name=service)
    records = resource.scope_logs.add().log_records
    for number in range(1, CALLS + 1):
        trace, span = ids(number)
        one = records.add(time_unix_nano=NOW, trace_id=trace, span_id=span, flags=flags)
        one.body.string_value = traefik_record(number, linked=False)
    return bytes(request.SerializeToString())


def lines(*, linked: bool) -> bytes:
    return "".join(traefik_record(n, linked=linked) + "\n" for n in range(1, CALLS + 1)).encode()


Sent = tuple[str, Content, bytes]
SPANS: Sent = ("otlp_traces", "protobuf", spans("traefik"))
INNER: Sent = ("otlp_traces", "protobuf", spans("orders", parent=True))
LOGS: Sent = ("otlp_logs", "protobuf", otlp_logs("traefik", flags=1))
UNSAMPLED: Sent = ("otlp_logs", "protobuf", otlp_logs("traefik", flags=0))
LINES: Sent = ("traefik", "text", lines(linked=True))
PLAIN: Sent = ("traefik", "text", lines(linked=False))


def catalog(**gateway: Any) -> Catalog:
    return Catalog.model_validate({"gateways": [{"name": "edge", "kinds": ["traefik"], **gateway}]})


def counted(*sent: Sent, catalog: Catalog | None = None) -> dict[str, int]:
    """Rows by source over one batch per body, each decoded by a collector that knows nothing of
    the others: order and restarts cannot matter."""
    rows: dict[str, int] = {}
    for number, (format, content, body) in enumerate(sent, 1):
        payload = Payload(body, format, content, "default", None, NOW, "")
        naming = Naming(catalog or Catalog())
        batch = decode_batch([Entry(number, payload, CALLS, 0.0)], FORMATS, naming, refuse)
        for table in batch.tables.get("requests", []):
            for source in table.column("source").to_pylist():
                rows[source] = rows.get(source, 0) + 1
    return rows


def refuse(entry: Entry, err: Exception) -> None:
    raise err


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([SPANS], {"otlp_span": CALLS}),
        ([UNSAMPLED], {"otlp_log": CALLS}),
        ([PLAIN], {"traefik": CALLS}),
        ([SPANS, LOGS], {"otlp_span": CALLS}),
        ([SPANS, LINES], {"otlp_span": CALLS}),
        ([SPANS, LOGS, LINES], {"otlp_span": CALLS}),
    ],
    ids=["spans", "unsampled", "lines", "spans+logs", "spans+lines", "all"],
)
def test_a_call_is_counted_once_with_nothing_configured(
    sent: list[Sent], expected: dict[str, int]
) -> None:
    for order in itertools.permutations(sent):
        assert counted(*order) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        ("spans", {"otlp_span": CALLS}),
        ("access_log", {"traefik": CALLS}),
        ("none", {}),
    ],
)
def test_the_catalog_chooses_the_source_of_a_gateway(count: str, expected: dict[str, int]) -> None:
    for access_log in (LINES, PLAIN):
        assert counted(SPANS, access_log, catalog=catalog(count=count)) == expected


def test_a_choice_by_service_name_is_asked_before_one_by_kind() -> None:
    both = Catalog.model_validate(
        {
            "gateways": [
                {"name": "a", "kinds": ["traefik"], "count": "access_log"},
                {"name": "b", "services": ["traefik"], "count": "spans"},
            ]
        }
    )
    assert counted(SPANS, LOGS, catalog=both) == {"otlp_span": CALLS}


def test_another_gateway_is_not_concerned_by_the_choice() -> None:
    other = Catalog.model_validate(
        {"gateways": [{"name": "a", "kinds": ["kong"], "count": "access_log"}]}
    )
    assert counted(SPANS, LINES, catalog=other) == {"otlp_span": CALLS}


@pytest.mark.parametrize("front", [["orders"], ["*"]])
def test_the_service_behind_a_gateway_is_an_inner_hop(front: list[str]) -> None:
    assert counted(SPANS, INNER) == {"otlp_span": 2 * CALLS}
    assert counted(SPANS, INNER, catalog=catalog(in_front_of=front)) == {"otlp_span": CALLS}
    assert counted(SPANS, INNER, catalog=catalog(in_front_of=["x"])) == {"otlp_span": 2 * CALLS}


def istio(side: str) -> Sent:
    line = (
        '[2026-11-21T10:00:00.250Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 135 4 3 "-" '
        f'"curl" "id" "httpbin:8000" "10.44.1.27:80" {side}|8000||httpbin.foo.svc.cluster.local '
        "10.44.1.23:37652 10.0.45.184:8000 10.44.1.23:46520 - default\n"
    )
    return "istio", "text", line.encode() * CALLS


def test_of_a_mesh_one_side_counts_if_the_catalog_says_so() -> None:
    both = (istio("inbound"), istio("outbound"))
    assert counted(*both) == {"istio": 2 * CALLS}
    one = catalog(kinds=["istio"], direction="inbound")
    assert counted(*both, catalog=one) == {"istio": CALLS}
    assert counted(istio("outbound"), catalog=one) == {}


def test_what_is_not_counted_is_kept_as_log_records() -> None:
    payload = Payload(LINES[2], "traefik", "text", "shop", None, NOW, "")
    batch = decode_batch([Entry(1, payload, CALLS, 0.0)], FORMATS, Naming(Catalog()), refuse)
    assert set(batch.tables) == {"logs"}
    rows = batch.rows("logs").to_pylist()
    assert [row["body"] for row in rows] == [f"GET /orders/{n} 200" for n in range(1, CALLS + 1)]
    assert {row["tenant"] for row in rows} == {"shop"}
    assert rows[0]["trace_id"] == ids(1)[0].hex()
    assert dict(rows[0]["attributes"])["url.path"] == "/orders/1"


@pytest.mark.parametrize("fail_at", range(8))
def test_a_crash_between_counted_and_uncounted_rows_doubles_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    storage = StorageSettings(data_dir=tmp_path / "data")
    log = tmp_path / "access.log"
    log.write_bytes((LINES[2] + PLAIN[2] + b"rubbish\n") * 3)
    real = LakeTable.append
    appended = itertools.count()

    def append(self: LakeTable, rows: Any, **key: Any) -> int | None:
        if next(appended) == fail_at:
            raise OSError("the disk is gone")
        return real(self, rows, **key)

    with monkeypatch.context() as patch:
        patch.setattr(LakeTable, "append", append)
        with contextlib.suppress(OSError):
            import_files("traefik", [log], storage=storage, chunk_bytes=800)
    import_files("traefik", [log], storage=storage, chunk_bytes=100_000)
    session = ReadSession(Lake(storage))
    found = {
        table: session.query(f"SELECT count(*) n FROM {table}")["n"][0].as_py()
        for table in ("requests", "logs", "rejects")
    }
    assert found == {"requests": 3 * CALLS, "logs": 3 * CALLS, "rejects": 3}


def test_an_import_says_what_it_left_to_the_spans(tmp_path: Path) -> None:
    storage = StorageSettings(data_dir=tmp_path / "data")
    log = tmp_path / "access.log"
    log.write_bytes(LINES[2] + PLAIN[2])
    for _ in range(2):
        report = import_files("traefik", [log], storage=storage)
    assert (report.read, report.stored) == (0, 0)
    session = ReadSession(Lake(storage))
    assert session.query("SELECT count(*) n FROM requests")["n"][0].as_py() == CALLS
    assert session.query("SELECT count(*) n FROM logs")["n"][0].as_py() == CALLS
    catalog_path = tmp_path / "catalog.yaml"
    catalog_path.write_text("gateways: [{name: edge, kinds: [traefik], count: access_log}]\n")
    other = StorageSettings(data_dir=tmp_path / "other")
    report = import_files("traefik", [log], storage=other, catalog_path=catalog_path)
    assert (report.stored, report.left_to_spans) == (2 * CALLS, 0)
