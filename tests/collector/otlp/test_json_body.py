"""OTLP/JSON: the same rows as the protobuf form, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from google.protobuf import json_format

from collector.errors import MalformedBody
from collector.otlp import OTLP_LOGS, OTLP_METRICS, OTLP_TRACES
from tests.collector.otlp.compare import FORMATS, payload, rows_of
from tests.collector.otlp.messages import NOW, Generator
from tests.collector.otlp.reference import REQUESTS

ID = re.compile(r'"(traceId|spanId|parentSpanId)": "([^"]*)"')


def as_otlp_json(format_name: str, body: bytes) -> bytes:
    """By Google's own rules, then ids from base64 to hex, which is where OTLP departs from them."""
    message = REQUESTS[format_name].FromString(body)
    text = json_format.MessageToJson(message, use_integers_for_enums=True)
    return ID.sub(
        lambda m: f'"{m[1]}": "{base64.b64decode(m[2]).hex().upper()}"', text
    ).encode()  # fmt: skip


@pytest.mark.parametrize("format_name", sorted(FORMATS))
def test_json_gives_the_rows_of_the_same_message_in_protobuf(format_name: str) -> None:
    otlp = FORMATS[format_name]
    for seed in range(30):
        body = Generator(seed).request(format_name, 0.4)
        text = as_otlp_json(format_name, body)
        plain = otlp.decode([payload(format_name, body)])
        other = otlp.decode([payload(format_name, text, content="json")])
        assert set(plain.tables) == set(other.tables)
        for table, batch in plain.tables.items():
            assert repr(rows_of(other.tables[table])) == repr(rows_of(batch)), text


def spans(**fields: Any) -> bytes:
    span = {"startTimeUnixNano": str(NOW), **fields}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def row(body: bytes) -> dict[str, Any]:
    (found,) = rows_of(
        OTLP_TRACES.decode([payload("otlp_traces", body, content="json")]).tables["spans"]
    )
    return found


@pytest.mark.parametrize("trace_id", ["ab" * 16, "AB" * 16, "aB" * 16])
def test_hex_ids_in_either_case(trace_id: str) -> None:
    assert row(spans(traceId=trace_id))["trace_id"] == "ab" * 16


@pytest.mark.parametrize("number", [NOW, str(NOW)])
def test_integers_of_64_bits_as_number_or_text(number: object) -> None:
    assert row(spans(startTimeUnixNano=number))["start_time_unix_nano"] == NOW


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"intValue": "9223372036854775807"}, "9223372036854775807"),
        ({"intValue": -9223372036854775808}, "-9223372036854775808"),
        ({"intValue": 3.0}, "3"),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"doubleValue": "1.5"}, "1.5"),
        ({"doubleValue": 2}, "2.0"),
        ({"bytesValue": "-_8"}, '"+/8="'),
        ({"bytesValue": "+/8="}, '"+/8="'),
        ({"boolValue": False}, "false"),
        ({"stringValue": "é\u0000"}, "é\u0000"),
        ({"stringValue": None}, None),
        ({"stringValue": "a", "intValue": "1"}, "1"),
        ({"arrayValue": {"values": [{"intValue": 1}, {}]}}, "[1,null]"),
        ({"string_value": "snake"}, None),
    ],
)
def test_value_in_json(value: dict[str, Any], text: str | None) -> None:
    assert row(spans(attributes=[{"key": "k", "value": value}]))["attributes"] == [("k", text)]


def test_unknown_names_and_nulls_are_ignored() -> None:
    body = spans(traceState=None, start_time_unix_nano="7", nothing={"a": [1]}, name="n")
    assert (row(body)["name"], row(body)["trace_state"]) == ("n", None)


def test_of_a_name_that_is_there_twice_the_last_counts() -> None:
    """As of a field in protobuf, and as every common reader of JSON has it."""
    body = spans(name="last").replace(b'"name"', b'"name": "first", "name"')
    assert row(body)["name"] == "last"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "the body must be an object"),
        (b'{"resourceSpans": {}}', "resourceSpans must be an array"),
        (b'{"resourceSpans": [null]}', "resourceSpans must be an object"),
        (b'{"resourceSpans": [NaN]}', "not valid JSON"),
        (b'{"resourceSpans": [-Infinity]}', "not valid JSON"),
        (b'{"resourceSpans": [1e400]}', "not valid JSON"),
        (b'{"resourceSpans": [{"schemaUrl": "\\ud800"}]}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (spans(kind="SPAN_KIND_SERVER"), "kind must be an integer"),
        (spans(kind=True), "kind must be an integer"),
        (spans(kind=2**31), "kind must be an integer from"),
        (spans(traceId="xyz"), "traceId must be a string of hex digits"),
        (spans(traceId="abc"), "traceId must be a string of hex digits"),
        (spans(spanId=7), "spanId must be a string of hex digits"),
        (spans(name=7), "name must be a string"),
        (spans(flags=-1), "flags must be an integer from"),
        (spans(startTimeUnixNano=2**64), "startTimeUnixNano must be an integer"),
        (spans(startTimeUnixNano="1.5"), "startTimeUnixNano must be an integer"),
        (spans(startTimeUnixNano="٣"), "startTimeUnixNano must be an integer"),
        (spans(attributes=[{"key": "k", "value": {"intValue": 2**63}}]), "intValue must be"),
        (spans(attributes=[{"key": "k", "value": {"doubleValue": "1e"}}]), "doubleValue must be"),
        (spans(attributes=[{"key": "k", "value": {"boolValue": 1}}]), "boolValue must be"),
        (spans(attributes=[{"key": "k", "value": {"bytesValue": "a"}}]), "bytesValue must be"),
    ],
)
def test_wrong_json_is_malformed(body: bytes, said: str) -> None:
    with pytest.raises(MalformedBody, match=said):
        OTLP_TRACES.validate(payload("otlp_traces", body, content="json"))


def nested(levels: int) -> bytes:
    value: dict[str, Any] = {"intValue": 1}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    record = {"timeUnixNano": str(NOW), "body": value}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


def test_nesting_is_as_deep_as_protobuf_allows_and_no_deeper() -> None:
    assert OTLP_LOGS.validate(payload("otlp_logs", nested(48), content="json")) == 1
    with pytest.raises(MalformedBody, match="nested too deeply"):
        OTLP_LOGS.validate(payload("otlp_logs", nested(49), content="json"))


def test_metrics_in_json() -> None:
    point = {"timeUnixNano": str(NOW), "asInt": "-5", "bucketCounts": []}
    histogram = {
        "timeUnixNano": NOW,
        "count": "3",
        "bucketCounts": ["1", 2],
        "explicitBounds": [0.5],
    }
    exponential = {
        "timeUnixNano": NOW,
        "scale": -3,
        "positive": {"offset": -7, "bucketCounts": [4]},
    }
    body = {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {"name": "a", "gauge": {"dataPoints": [point]}},
                            {"name": "b", "histogram": {"dataPoints": [histogram]}},
                            {"name": "c", "exponentialHistogram": {"dataPoints": [exponential]}},
                        ]
                    }
                ]
            }
        ]
    }
    offered = payload("otlp_metrics", json.dumps(body).encode(), content="json")
    gauge, buckets, powers = rows_of(OTLP_METRICS.decode([offered]).tables["metrics"])
    assert gauge["value"] == -5.0
    assert (buckets["bucket_counts"], buckets["bounds"], buckets["count"]) == ([1, 2], [0.5], 3)
    assert (powers["scale"], powers["positive_offset"], powers["positive_counts"]) == (-3, -7, [4])
