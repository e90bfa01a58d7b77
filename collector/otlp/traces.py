"""Spans: slots of the scanner -> columns of the `spans` table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.otlp.arrow import (
    Pairs,
    Source,
    body_ids,
    coded_array,
    coded_by,
    id_array,
    join_pairs,
    list_array,
    list_offsets,
    number_array,
    picked_array,
    text_array,
)
from collector.otlp.attributes import Attributes, HotKeys
from collector.otlp.body import Body, Ints
from collector.otlp.plan import TRACES
from collector.otlp.quick import QuickCheck
from collector.otlp.records import Signal, sized
from collector.otlp.shared import Shared
from collector.otlp.text import small_numbers, url_paths
from storage.coded import plain
from storage.schemas import SPANS

_KINDS = pa.array(["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])
"""By number of SpanKind; a number that is not known is UNSPECIFIED."""

_STATUSES = pa.array(["UNSET", "OK", "ERROR"])
"""By number of StatusCode; a number that is not known is UNSET."""

_HOT = HotKeys([
    "http.request.method", "http.method", "http.route",
    "http.response.status_code", "http.status_code",
    "url.path", "http.target", "url.full", "http.url",
    "server.address", "http.host", "net.host.name", "client.address", "http.client_ip",
])  # fmt: skip

_EVENTS = SPANS.arrow_schema.field("events").type
_LINKS = SPANS.arrow_schema.field("links").type


class Traces(Signal):
    """A span with start 0 has the time of its end, with neither that of reception; both columns of
    exact times are then NULL. Ids must have their length or be empty (NULL; so is all zero)."""

    name = "otlp_traces"
    table = "spans"
    source = "otlp_span"
    plan = TRACES
    quick = QuickCheck(
        TRACES,
        times=("start_time_unix_nano", "end_time_unix_nano"),
        signed="end_time_unix_nano",
        ids={"trace_id": 16, "span_id": 8, "parent_span_id": 8},
    )
    shown = ("service_name", "name", "kind", "trace_id", "span_id")

    def times(self, body: Body, received: Ints) -> Ints:
        start = body.column("record", "start_time_unix_nano")
        end = body.column("record", "end_time_unix_nano")
        return np.where(start != 0, start, np.where(end != 0, end, received))

    def scopes(self, body: Body) -> Ints:
        return body.owner_rows("record")

    def refusals(self, body: Body) -> list[tuple[str, npt.NDArray[np.bool_]]]:
        return [
            # Past 2262 nanoseconds do not fit, and a duration to there means nothing.
            ("time_out_of_range", body.column("record", "end_time_unix_nano") < 0),
            ("invalid_trace_id", sized(body.column("record", "trace_id"), 16)),
            ("invalid_span_id", sized(body.column("record", "span_id"), 8)),
            ("invalid_parent_span_id", sized(body.column("record", "parent_span_id"), 8)),
        ]

    def columns(self, attributes: Attributes, shared: Shared) -> dict[str, pa.Array]:
        body, source = attributes.body, shared.source
        start = body.column("record", "start_time_unix_nano")
        end = body.column("record", "end_time_unix_nano")
        own = attributes.of("record")
        keys, texts = own.texts(source)
        columns = {
            "start_time_unix_nano": number_array(start, pa.int64(), start > 0),
            "duration_ns": number_array(end - start, pa.int64(), (start != 0) & (end != 0)),
            "trace_id": body_ids(body, "record", "trace_id", 16),
            "span_id": body_ids(body, "record", "span_id", 8),
            "parent_span_id": body_ids(body, "record", "parent_span_id", 8),
            "kind": _named(_KINDS, body.column("record", "kind")),
            "status": _named(_STATUSES, body.column("record", "status.code")),
            "attributes": own.maps_of(keys, texts),
            "events": _events(attributes, shared),
            "links": _links(attributes, shared),
        }
        for column, path in (
            ("name", "name"),
            ("trace_state", "trace_state"),
            ("status_message", "status.message"),
        ):
            columns[column] = text_array(source, body.column("record", path))
        everywhere = np.ones(1, dtype=np.bool_)
        for name in (
            "flags", "dropped_attributes_count", "dropped_events_count", "dropped_links_count",
        ):  # fmt: skip
            values = body.column("record", name).astype(np.uint32)
            columns[name] = number_array(values, pa.uint32(), everywhere)
        return columns | _hot_columns(body, source, own, keys, texts)


def _hot_columns(
    body: Body, source: Source, own: Pairs, keys: pa.Array, values: pa.Array
) -> dict[str, pa.Array]:
    """Columns of the attributes that nearly every call has."""
    if isinstance(keys, pa.DictionaryArray) and isinstance(values, pa.DictionaryArray):
        found = _HOT.find_coded(keys, own)
        entries = np.concatenate((own.values, [-1]))

        def first(*names: str) -> Ints:
            return entries[found.first(*names)]

        def text(*names: str) -> pa.Array:
            return picked_array(values, found.first(*names))

    else:
        found = _HOT.find(body.data, own)
        first = found.first

        def text(*names: str) -> pa.Array:
            return coded_array(source, found.first(*names))

    paths = _paths(source, first("url.path"), first("http.target"), first("url.full", "http.url"))
    status = first("http.response.status_code", "http.status_code")
    return {
        "http_request_method": text("http.request.method", "http.method"),
        "http_route": text("http.route"),
        "http_response_status_code": _status_codes(source, status),
        "url_path": coded_array(source, paths),
        "server_address": text("server.address", "http.host", "net.host.name"),
        "client_address": text("client.address", "http.client_ip"),
    }


def _named(names: pa.Array, numbers: Ints) -> pa.Array:
    codes = np.where((numbers >= 0) & (numbers < len(names)), numbers, 0).astype(np.int32)
    return coded_by(pa.array(codes), names)


def _status_codes(source: Source, references: Ints) -> pa.Array:
    codes = np.empty(len(references), dtype=np.int64)
    small_numbers(source.data, source.aux, references, codes)
    return number_array(codes.astype(np.int16), pa.int16(), codes >= 0)


def _paths(source: Source, paths: Ints, targets: Ints, urls: Ints) -> Ints:
    """url.path, else the path of http.target, else that of url.full or http.url."""
    for references, absolute in ((targets, False), (urls, True)):
        missing = (paths < 0) & (references >= 0)
        if missing.any():
            found = np.empty(len(references), dtype=np.int64)
            url_paths(source.data, source.aux, references, absolute, found)
            paths = np.where(missing & (found & 0x7FFFFFFF > 0), found, paths)
    return paths


def _own(attributes: Attributes, shared: Shared, table: str) -> pa.Array:
    own = attributes.of(table)
    return join_pairs(own.count, own, shared.extras[table]).maps(shared.source, coded=False)


def _events(attributes: Attributes, shared: Shared) -> pa.Array:
    body, source = attributes.body, shared.source
    if not body.count("event"):
        return pa.nulls(body.count("record"), _EVENTS)
    time = body.column("event", "time_unix_nano")
    events = pa.StructArray.from_arrays(
        [
            number_array(time, pa.int64(), time > 0),
            plain(text_array(source, body.column("event", "name"))),
            _own(attributes, shared, "event"),
        ],
        fields=list(_EVENTS.value_type),
    )
    return list_array(_EVENTS, list_offsets(body.owner_rows("event"), body.count("record")), events)


def _links(attributes: Attributes, shared: Shared) -> pa.Array:
    body, source = attributes.body, shared.source
    if not body.count("link"):
        return pa.nulls(body.count("record"), _LINKS)
    links = pa.StructArray.from_arrays(
        [
            id_array(body.data, body.column("link", "trace_id"), 16),
            id_array(body.data, body.column("link", "span_id"), 8),
            plain(text_array(source, body.column("link", "trace_state"))),
            _own(attributes, shared, "link"),
        ],
        fields=list(_LINKS.value_type),
    )
    return list_array(_LINKS, list_offsets(body.owner_rows("link"), body.count("record")), links)
