"""What rows hold, stated by hand: the reference decoder could share a mistake, these cannot."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES
from storage.coded import plain_batch
from storage.schemas import TABLES
from tests.collector.otlp.compare import payload
from tests.collector.otlp.messages import NOW

SECOND = 10**9
TIME = dt.datetime.fromtimestamp(NOW // SECOND, tz=dt.UTC)


def span_row(**fields: Any) -> dict[str, Any]:
    request = ExportTraceServiceRequest()
    values = {"start_time_unix_nano": NOW, "end_time_unix_nano": NOW + 5, **fields}
    request.resource_spans.add().scope_spans.add().spans.add(**values)
    return only(OTLP_TRACES, request)


def only(otlp: Any, request: Any) -> dict[str, Any]:
    decoded = otlp.decode([payload(otlp.name, request.SerializeToString())])
    batch = decoded.tables[otlp.signal.table]
    assert plain_batch(batch).schema == TABLES[otlp.signal.table].arrow_schema
    batch.validate(full=True)
    (row,) = batch.to_pylist()
    return dict(row)


def attribute(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": AnyValue(**value)}


def test_span_fields_reach_their_columns() -> None:
    row = span_row(
        trace_id=bytes(range(16)), span_id=b"\xab" * 8, parent_span_id=b"\x01" * 8,
        trace_state="a=b", flags=257, name="GET /x", kind=2,
        status={"code": 2, "message": "boom"},
        dropped_attributes_count=1, dropped_events_count=2, dropped_links_count=3,
        events=[{"time_unix_nano": NOW + 1, "name": "exception",
                 "attributes": [attribute("exception.type", string_value="KeyError")]}],
        links=[{"trace_id": b"\2" * 16, "span_id": b"\3" * 8, "trace_state": "c=d",
                "attributes": [attribute("n", int_value=1)]}],
    )  # fmt: skip
    wanted = {
        "time": TIME, "start_time_unix_nano": NOW, "duration_ns": 5,
        "trace_id": "000102030405060708090a0b0c0d0e0f", "span_id": "ab" * 8,
        "parent_span_id": "01" * 8, "trace_state": "a=b", "flags": 257, "name": "GET /x",
        "kind": "SERVER", "status": "ERROR", "status_message": "boom",
        "dropped_attributes_count": 1, "dropped_events_count": 2, "dropped_links_count": 3,
        "events": [{"time_unix_nano": NOW + 1, "name": "exception",
                    "attributes": [("exception.type", "KeyError")]}],
        "links": [{"trace_id": "02" * 16, "span_id": "03" * 8, "trace_state": "c=d",
                   "attributes": [("n", "1")]}],
        "tenant": "default",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted


def test_what_events_and_links_say_beyond_their_columns_is_kept() -> None:
    pair = [attribute("k", int_value=1)]
    row = span_row(
        events=[{"dropped_attributes_count": 3, "attributes": pair}, {}],
        links=[{"flags": 257, "dropped_attributes_count": 4, "attributes": pair}, {"flags": 1}],
    )
    assert [event["attributes"] for event in row["events"]] == [
        [("k", "1"), ("otel.event.dropped_attributes_count", "3")],
        None,
    ]
    assert [link["attributes"] for link in row["links"]] == [
        [("k", "1"), ("otel.link.dropped_attributes_count", "4"), ("otel.link.flags", "257")],
        [("otel.link.flags", "1")],
    ]


def test_an_empty_span_is_null_wherever_nothing_was_said() -> None:
    row = span_row()
    zero = {"flags", "dropped_attributes_count", "dropped_events_count", "dropped_links_count"}
    said = {"time", "start_time_unix_nano", "duration_ns", "kind", "status", "tenant"}
    assert {name for name, value in row.items() if value is not None} == zero | said
    assert [row[name] for name in sorted(zero)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"string_value": "as it is"}, "as it is"),
        ({"string_value": ""}, ""),
        ({"bool_value": True}, "true"),
        ({"bool_value": False}, "false"),
        ({"int_value": 2**63 - 1}, "9223372036854775807"),
        ({"int_value": -(2**63)}, "-9223372036854775808"),
        ({"int_value": 0}, "0"),
        ({"double_value": 1.0}, "1.0"),
        ({"double_value": 0.1}, "0.1"),
        ({"double_value": float("nan")}, "NaN"),
        ({"double_value": float("-inf")}, "-Infinity"),
        ({"bytes_value": b""}, '""'),
        ({"bytes_value": b"\0\xff"}, '"AP8="'),
        ({"bytes_value": b"abc"}, '"YWJj"'),
        ({"array_value": {}}, "[]"),
        ({"kvlist_value": {}}, "{}"),
        (
            {"array_value": {"values": [{"string_value": 'a"\n\x01é'}, {}, {"double_value": 2.5}]}},
            '["a\\"\\n\\u0001é",null,2.5]',
        ),
        (
            {
                "kvlist_value": {
                    "values": [
                        {"key": "a", "value": {"kvlist_value": {"values": [{"key": "b"}]}}},
                        {"key": "c", "value": {"array_value": {"values": [{"bool_value": True}]}}},
                        {"key": "d", "value": {"double_value": float("inf")}},
                        {"key": "e", "value": {"bytes_value": b"abc"}},
                    ]
                }
            },
            '{"a":{"b":null},"c":[true],"d":"Infinity","e":"YWJj"}',
        ),
        ({}, None),
    ],
)
def test_attribute_value_as_text(value: dict[str, Any], text: str | None) -> None:
    row = span_row(attributes=[attribute("k", **value), attribute("l", int_value=7)])
    assert row["attributes"] == [("k", text), ("l", "7")]


@pytest.mark.parametrize(
    ("attributes", "column", "wanted"),
    [
        ({"http.request.method": "PUT", "http.method": "GET"}, "http_request_method", "PUT"),
        ({"http.method": "GET"}, "http_request_method", "GET"),
        ({"http.request.method": "", "http.method": "GET"}, "http_request_method", "GET"),
        ({"http.route": "/a/{id}"}, "http_route", "/a/{id}"),
        ({"http.response.status_code": 404}, "http_response_status_code", 404),
        ({"http.status_code": "503"}, "http_response_status_code", 503),
        ({"http.status_code": "0"}, "http_response_status_code", 0),
        ({"http.status_code": "50x"}, "http_response_status_code", None),
        ({"http.status_code": 70_000}, "http_response_status_code", None),
        ({"http.status_code": -1}, "http_response_status_code", None),
        ({"url.path": "/p", "http.target": "/q?x"}, "url_path", "/p"),
        ({"http.target": "/q/r?x=/1#f"}, "url_path", "/q/r"),
        ({"url.full": "https://h:8443/a/b?c#d"}, "url_path", "/a/b"),
        ({"http.url": "http://h"}, "url_path", "/"),
        ({"http.url": "http://h?q"}, "url_path", "/"),
        ({"http.url": "/only/path?q"}, "url_path", "/only/path"),
        ({"http.target": "?q", "http.url": "http://h/z"}, "url_path", "/z"),
        ({"server.address": "a", "http.host": "b"}, "server_address", "a"),
        ({"net.host.name": "c"}, "server_address", "c"),
        ({"http.client_ip": "192.0.2.1"}, "client_address", "192.0.2.1"),
    ],
)
def test_hot_attribute_becomes_a_column(
    attributes: dict[str, str | int], column: str, wanted: str | int | None
) -> None:
    kinds = {int: "int_value", str: "string_value"}
    pairs = [attribute(key, **{kinds[type(value)]: value}) for key, value in attributes.items()]
    assert span_row(attributes=pairs)[column] == wanted


def test_what_is_said_about_resource_and_scope_is_on_every_row() -> None:
    request = ExportTraceServiceRequest()
    for service in ("cart", "pay"):
        spans = request.resource_spans.add(
            resource={
                "attributes": [
                    attribute("service.name", string_value=service),
                    attribute("service.version", string_value="1"),
                    attribute("deployment.environment", string_value="staging"),
                ],
                "dropped_attributes_count": 4,
                "entity_refs": [{"type": "service", "id_keys": ["service.name"]}],
            },
            schema_url="https://r",
        )
        for scope in ("a", "b"):
            spans.scope_spans.add(
                scope={
                    "name": scope, "version": "2", "dropped_attributes_count": 5,
                    "attributes": [attribute("team", string_value="x"), attribute("none")],
                },
                schema_url="https://s",
                spans=[{"start_time_unix_nano": NOW}] * 2,
            )  # fmt: skip
    batch = OTLP_TRACES.decode([payload("otlp_traces", request.SerializeToString())]).tables[
        "spans"
    ]
    batch.validate(full=True)
    names = batch.select(["service_name", "scope_name"]).to_pylist()
    assert [tuple(row.values()) for row in names] == [
        (service, scope) for service in ("cart", "pay") for scope in ("a", "b") for _ in range(2)
    ]
    row = batch.to_pylist()[7]
    assert (row["service_version"], row["environment"], row["scope_version"]) == (
        "1",
        "staging",
        "2",
    )
    assert row["resource_attributes"] == [
        ("service.name", "pay"),
        ("service.version", "1"),
        ("deployment.environment", "staging"),
        ("otel.resource.schema_url", "https://r"),
        ("otel.resource.dropped_attributes_count", "4"),
        (
            "otel.resource.entity_refs",
            '[{"schema_url":"","type":"service","id_keys":["service.name"],"description_keys":[]}]',
        ),
        ("otel.scope.schema_url", "https://s"),
        ("otel.scope.dropped_attributes_count", "5"),
        ("otel.scope.team", "x"),
        ("otel.scope.none", None),
    ]


def log_row(**fields: Any) -> dict[str, Any]:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(**fields)
    return only(OTLP_LOGS, request)


def test_log_fields_reach_their_columns() -> None:
    row = log_row(
        time_unix_nano=NOW, observed_time_unix_nano=NOW + 2 * SECOND, severity_number=17,
        severity_text="ERROR", event_name="order.failed", trace_id=b"\1" * 16, span_id=b"\2" * 8,
        flags=1, dropped_attributes_count=9, body={"string_value": "it broke"},
        attributes=[attribute("k", string_value="v")],
    )  # fmt: skip
    wanted = {
        "time": TIME, "observed_time": TIME + dt.timedelta(seconds=2), "severity_number": 17,
        "severity_text": "ERROR", "event_name": "order.failed", "trace_id": "01" * 16,
        "span_id": "02" * 8, "flags": 1, "dropped_attributes_count": 9, "body": "it broke",
        "attributes": [("k", "v")],
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted


def test_log_time_falls_back_to_observation_then_reception() -> None:
    assert log_row(observed_time_unix_nano=NOW - 60 * SECOND)["time"] == TIME - dt.timedelta(
        minutes=1
    )
    assert log_row()["time"] == TIME


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"int_value": 7}, "7"),
        ({"array_value": {"values": [{"int_value": 1}, {"string_value": "x"}]}}, '[1,"x"]'),
        ({"kvlist_value": {"values": [{"key": "k", "value": {"int_value": 1}}]}}, '{"k":1}'),
        ({"bytes_value": b"abc"}, '"YWJj"'),
        ({}, None),
    ],
)
def test_log_body_of_any_kind(body: dict[str, Any], text: str | None) -> None:
    assert log_row(body=body)["body"] == text


@pytest.mark.parametrize("severity", [0, 25, -1, 2**31 - 1])
def test_unknown_severity_is_null(severity: int) -> None:
    assert log_row(severity_number=severity)["severity_number"] is None


def test_an_id_of_a_log_with_the_wrong_length_is_null() -> None:
    row = log_row(trace_id=b"\1" * 15, span_id=b"\1" * 9)
    assert (row["trace_id"], row["span_id"]) == (None, None)


def metric_row(**fields: Any) -> dict[str, Any]:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(
        name="m", unit="s", description="d", **fields
    )
    row = only(OTLP_METRICS, request)
    assert (row["name"], row["unit"], row["description"]) == ("m", "s", "d")
    return row


POINT = {"time_unix_nano": NOW, "start_time_unix_nano": NOW - SECOND, "flags": 1}
OF_TYPES = {
    "value", "temporality", "monotonic", "count", "sum", "min", "max", "bounds", "bucket_counts",
    "scale", "zero_count", "zero_threshold", "positive_offset", "positive_counts",
    "negative_offset", "negative_counts", "quantiles", "exemplars",
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "type_", "wanted"),
    [
        ({"gauge": {"data_points": [{**POINT, "as_int": 7}]}}, "gauge", {"value": 7.0}),
        ({"gauge": {"data_points": [{**POINT, "as_double": 0.0}]}}, "gauge", {"value": 0.0}),
        ({"gauge": {"data_points": [POINT]}}, "gauge", {}),
        (
            {
                "sum": {
                    "data_points": [{**POINT, "as_double": 1.5}],
                    "aggregation_temporality": 2,
                    "is_monotonic": True,
                }
            },
            "sum",
            {"value": 1.5, "temporality": "CUMULATIVE", "monotonic": True},
        ),
        (
            {
                "histogram": {
                    "data_points": [
                        {**POINT, "count": 3, "sum": 0.0, "min": -1.0, "max": 1.0,
                         "explicit_bounds": [0.5], "bucket_counts": [1, 2**64 - 1]}
                    ],
                    "aggregation_temporality": 1,
                }
            },
            "histogram",
            {"count": 3, "sum": 0.0, "min": -1.0, "max": 1.0, "temporality": "DELTA",
             "bounds": [0.5], "bucket_counts": [1, 2**64 - 1]},
        ),
        (
            {
                "exponential_histogram": {
                    "data_points": [
                        {**POINT, "count": 3, "scale": -2, "zero_count": 1, "zero_threshold": 0.5,
                         "positive": {"offset": -3, "bucket_counts": [1, 0, 1]}}
                    ]
                }
            },
            "exponential_histogram",
            {"count": 3, "scale": -2, "zero_count": 1, "zero_threshold": 0.5,
             "positive_offset": -3, "positive_counts": [1, 0, 1]},
        ),
        (
            {
                "summary": {
                    "data_points": [
                        {**POINT, "count": 2, "sum": 3.0,
                         "quantile_values": [{"quantile": 0.5, "value": 1.0}]}
                    ]
                }
            },
            "summary",
            {"count": 2, "sum": 3.0, "quantiles": [{"quantile": 0.5, "value": 1.0}]},
        ),
    ],
)  # fmt: skip
def test_metric_type(data: dict[str, Any], type_: str, wanted: dict[str, Any]) -> None:
    row = metric_row(**data)
    assert (row["type"], row["flags"], row["time"]) == (type_, 1, TIME)
    if type_ == "sum":
        assert row["monotonic"] is True
    assert row["start_time"] == TIME - dt.timedelta(seconds=1)
    assert {name: row[name] for name in OF_TYPES if row[name] is not None} == wanted


def test_exemplars_keep_their_trace_and_attributes() -> None:
    exemplar = {
        "time_unix_nano": NOW, "as_int": 4, "trace_id": b"\1" * 16, "span_id": b"\2" * 8,
        "filtered_attributes": [attribute("k", bool_value=True)],
    }  # fmt: skip
    row = metric_row(gauge={"data_points": [{**POINT, "exemplars": [exemplar]}]})
    assert row["exemplars"] == [
        {"time_unix_nano": NOW, "value": 4.0, "trace_id": "01" * 16, "span_id": "02" * 8,
         "attributes": [("k", "true")]}
    ]  # fmt: skip


def test_metadata_of_a_metric_is_kept_behind_the_attributes() -> None:
    points = [{**POINT, "attributes": [attribute("a", int_value=1)]}]
    row = metric_row(
        gauge={"data_points": points}, metadata=[attribute("type", string_value="info")]
    )
    assert row["attributes"] == [("a", "1"), ("otel.metric.metadata.type", "info")]


def _series(**changes: Any) -> int:
    values = {
        "name": "m",
        "service": "s",
        "scope": "c",
        "pairs": [("a", "1"), ("b", "2")],
        **changes,
    }
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add(
        resource={"attributes": [attribute("service.name", string_value=values["service"])]}
    ).scope_metrics.add(scope={"name": values["scope"]})
    pairs = [attribute(key, string_value=value) for key, value in values["pairs"]]
    metrics.metrics.add(
        name=values["name"], gauge={"data_points": [{**POINT, "attributes": pairs}]}
    )
    series = only(OTLP_METRICS, request)["series"]
    assert isinstance(series, int)
    return series


def test_series_is_the_same_in_whatever_order_attributes_come() -> None:
    assert _series() == _series(pairs=[("b", "2"), ("a", "1")])


def test_series_never_changes_between_versions() -> None:
    assert _series() == 8_399_565_480_050_060_079


@pytest.mark.parametrize(
    "change",
    [
        {"name": "n"},
        {"service": "t"},
        {"scope": "d"},
        {"pairs": [("a", "2"), ("b", "1")]},
        {"pairs": [("a", "1")]},
        {"pairs": [("a", "12"), ("b", "")]},
        {"pairs": [("a", "1"), ("b", "2"), ("c", "")]},
    ],
)
def test_series_differs_when_identity_does(change: dict[str, Any]) -> None:
    assert _series(**change) != _series()


def test_unknown_enum_numbers_have_a_name() -> None:
    row = span_row(kind=77, status={"code": 99})
    assert (row["kind"], row["status"]) == ("UNSPECIFIED", "UNSET")


def test_rows_without_codes_are_arrow_of_the_table() -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(start_time_unix_nano=NOW)
    batch = OTLP_TRACES.decode([payload("otlp_traces", request.SerializeToString())]).tables[
        "spans"
    ]
    assert isinstance(batch, pa.RecordBatch)
    assert plain_batch(batch).schema == TABLES["spans"].arrow_schema
