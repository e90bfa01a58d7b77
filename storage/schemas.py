"""The lake's tables: names, columns, types, units, order of rows. The one place that says so.

Every table is partitioned by `tenant`, `day` (DATE) and `hour` (TINYINT), the last two derived
from `time` in UTC by the writer; they are not listed per table. Absent is NULL, never '' or -1.
Times are microseconds in UTC; span times are also kept in exact nanoseconds.

To add a column: add it here, at the end of its table, and raise LAKE_SCHEMA_VERSION. Old files read
as NULL in the new column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pyarrow as pa

LAKE_SCHEMA_VERSION = 2
"""Raised with every change of columns. A lake written by a newer version is refused on opening."""

PARTITION_COLUMNS = ("tenant", "day", "hour")

ATTRIBUTES = pa.map_(pa.string(), pa.string())
"""MAP(VARCHAR, VARCHAR): numbers, booleans, arrays and maps are rendered as JSON."""

TIMESTAMP = pa.timestamp("us", tz="UTC")

Tier = Literal["raw", "minute", "hour", "day"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is '' where the value has none."""

    name: str
    type: pa.DataType
    description: str
    unit: str = ""

    @property
    def nullable(self) -> bool:
        return self.name not in ("time", "tenant")


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table of the lake."""

    name: str
    description: str
    columns: tuple[Column, ...]
    tier: Tier
    """Decides the retention: raw, minute, hour or day."""
    sort: tuple[str, ...]
    """How compaction orders rows inside an hour, for the way the table is asked."""
    bloom: tuple[str, ...] = ()
    """Columns that get a bloom filter when compacted."""
    sums: tuple[str, ...] = ()
    """Measures of partial rows: compaction adds them up over equal other columns."""

    @property
    def arrow_schema(self) -> pa.Schema:
        """Columns as rows are handed to the writer: without `day` and `hour`, with `tenant`."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)


def _c(name: str, type_: pa.DataType, description: str, unit: str = "") -> Column:
    return Column(name, type_, description, unit)


_s = pa.string()
_i64, _i32, _i16, _u64, _f64 = pa.int64(), pa.int32(), pa.int16(), pa.uint64(), pa.float64()

_TENANT = _c("tenant", _s, "Who the data belongs to; 'default' unless a token says otherwise.")
_TIME_START = _c("time", TIMESTAMP, "Start, UTC.")

_SERVICE = (
    _c("service_name", _s, "Resource attribute service.name."),
    _c("service_namespace", _s, "Resource attribute service.namespace."),
    _c("service_version", _s, "Resource attribute service.version."),
    _c("service_instance_id", _s, "Resource attribute service.instance.id."),
    _c("environment", _s, "deployment.environment.name, or what the sender's token says."),
)
_SCOPE = (
    _c("scope_name", _s, "Instrumentation scope name."),
    _c("scope_version", _s, "Instrumentation scope version."),
)
_ATTRIBUTES = (
    _c("attributes", ATTRIBUTES, "Attributes of the record; values rendered as text or JSON."),
    _c("resource_attributes", ATTRIBUTES, "Attributes of the resource."),
)

REQUESTS = TableSpec(
    name="requests",
    description="One row per API call seen at a gateway or sidecar, whatever it came from.",
    tier="raw",
    sort=("api", "route", "time"),
    bloom=("trace_id", "request_id"),
    columns=(
        _c("time", TIMESTAMP, "Start of the request, UTC."),
        _TENANT,
        _c("environment", _s, "production, staging, ...; from the telemetry or the token."),
        _c("gateway", _s, "Kind of gateway: kong, nginx, envoy, tyk, aws_apigw, ..."),
        _c("gateway_instance", _s, "Which instance of the gateway."),
        _c("api", _s, "Name of the API, by the naming order of the catalog."),
        _c("api_version", _s, "Version of the API."),
        _c("operation", _s, "OpenAPI operationId, where known."),
        _c("route", _s, "Route template; never raw ids."),
        _c("product", _s, "API product the call was made under."),
        _c("plan", _s, "Plan of the consumer for the product."),
        _c("consumer", _s, "Consumer application."),
        _c("consumer_group", _s, "Group the consumer belongs to."),
        _c("credential", _s, "Keyed hash of the credential used; never the credential."),
        _c("method", _s, "HTTP method, upper case."),
        _c("host", _s, "Host asked for."),
        _c("path", _s, "Path asked for, without query."),
        _c("protocol", _s, "HTTP/1.1, HTTP/2, ..."),
        _c("status_code", _i16, "Status answered; 0 = the client left before an answer."),
        _c(
            "outcome",
            _s,
            "ok, redirect, client_error, server_error, rate_limited, quota_exceeded, unauthorized "
            "or aborted.",
        ),
        _c("duration_ms", _f64, "Whole time at the gateway.", "ms"),
        _c("upstream_ms", _f64, "Time spent waiting for the upstream.", "ms"),
        _c("gateway_ms", _f64, "Time spent in the gateway itself; never negative.", "ms"),
        _c("request_bytes", _i64, "Bytes received.", "By"),
        _c("response_bytes", _i64, "Bytes sent.", "By"),
        _c("client_address", _s, "Address of the client, as far as the privacy policy keeps it."),
        _c("country", _s, "ISO 3166 alpha-2 country of the address's registration."),
        _c("user_agent", _s, "User agent as sent."),
        _c("client_kind", _s, "browser, mobile, sdk, cli, bot, monitor or unknown."),
        _c("upstream", _s, "Upstream address or name."),
        _c("upstream_status", _i16, "Status the upstream answered."),
        _c("response_flags", _s, "Gateway's own flags about the answer."),
        _c("cache_status", _s, "hit, miss, ... as the gateway says."),
        _c("quota_limit", _i64, "Limit the gateway reported.", "requests"),
        _c("quota_remaining", _i64, "Remaining quota the gateway reported.", "requests"),
        _c("trace_id", _s, "Trace the call belongs to, lower-case hex."),
        _c("span_id", _s, "Span of the gateway, lower-case hex."),
        _c("request_id", _s, "Request id the gateway gave."),
        _c(
            "source",
            _s,
            "What the row was made from: otlp_span, nginx, kong_http_log, ...",
        ),
        _c("attributes", ATTRIBUTES, "What the source had beyond the columns."),
    ),
)

SPANS = TableSpec(
    name="spans",
    description="One row per OTLP span, nothing left out.",
    tier="raw",
    sort=("service_name", "time"),
    bloom=("trace_id", "span_id"),
    columns=(
        _TIME_START,
        _c("start_time_unix_nano", _i64, "Start, exact.", "ns"),
        _c("duration_ns", _i64, "End minus start; negative if the sender's clock says so.", "ns"),
        _c("trace_id", _s, "32 lower-case hex digits."),
        _c("span_id", _s, "16 lower-case hex digits."),
        _c("parent_span_id", _s, "16 lower-case hex digits; NULL for a root."),
        _c("trace_state", _s, "W3C tracestate."),
        _c("flags", pa.uint32(), "W3C trace flags and the remote-parent bits."),
        _c("name", _s, "Span name."),
        _c("kind", _s, "INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER or UNSPECIFIED."),
        _c("status", _s, "UNSET, OK or ERROR."),
        _c("status_message", _s, "Description of the status."),
        *_SERVICE,
        *_SCOPE,
        _c("http_request_method", _s, "http.request.method (or the older http.method)."),
        _c("http_route", _s, "http.route."),
        _c("http_response_status_code", _i16, "http.response.status_code (or http.status_code)."),
        _c("url_path", _s, "url.path (or the path of http.target, http.url), without query."),
        _c("server_address", _s, "server.address (or http.host, net.host.name)."),
        _c("client_address", _s, "client.address (or http.client_ip)."),
        *_ATTRIBUTES,
        _c(
            "events",
            pa.list_(
                pa.struct([("time_unix_nano", _i64), ("name", _s), ("attributes", ATTRIBUTES)])
            ),
            "Events in the span, exceptions among them.",
        ),
        _c(
            "links",
            pa.list_(
                pa.struct(
                    [
                        ("trace_id", _s),
                        ("span_id", _s),
                        ("trace_state", _s),
                        ("attributes", ATTRIBUTES),
                    ]
                )
            ),
            "Links to other spans.",
        ),
        _c("dropped_attributes_count", pa.uint32(), "Attributes the sender dropped.", "attributes"),
        _c("dropped_events_count", pa.uint32(), "Events the sender dropped.", "events"),
        _c("dropped_links_count", pa.uint32(), "Links the sender dropped.", "links"),
        _TENANT,
    ),
)

LOGS = TableSpec(
    name="logs",
    description="One row per OTLP log record.",
    tier="raw",
    sort=("service_name", "time"),
    bloom=("trace_id",),
    columns=(
        _c("time", TIMESTAMP, "When it happened; the observed time where the sender gave none."),
        _c("observed_time", TIMESTAMP, "When it was first observed."),
        _c("severity_number", pa.int8(), "1-24; NULL where unspecified."),
        _c("severity_text", _s, "Severity as the source wrote it."),
        _c("body", _s, "Text as is; anything else as JSON."),
        _c("event_name", _s, "Name of the event, where the record is one."),
        _c("trace_id", _s, "32 lower-case hex digits."),
        _c("span_id", _s, "16 lower-case hex digits."),
        _c("flags", pa.uint32(), "W3C trace flags."),
        *_SERVICE,
        *_SCOPE,
        *_ATTRIBUTES,
        _c("dropped_attributes_count", pa.uint32(), "Attributes the sender dropped.", "attributes"),
        _TENANT,
    ),
)

METRICS = TableSpec(
    name="metrics",
    description="One row per metric data point.",
    tier="raw",
    sort=("name", "series", "time"),
    columns=(
        _c("time", TIMESTAMP, "When the point was taken."),
        _c("start_time", TIMESTAMP, "Start of the interval the point covers."),
        _c("name", _s, "Metric name."),
        _c("type", _s, "gauge, sum, histogram, exponential_histogram or summary."),
        _c("unit", _s, "UCUM unit as sent."),
        _c("description", _s, "Description as sent."),
        _c("temporality", _s, "DELTA or CUMULATIVE; NULL where the type has none."),
        _c("monotonic", pa.bool_(), "Whether a sum only grows."),
        _c("value", _f64, "Value of a gauge or sum."),
        _c("count", _u64, "Number of observations.", "observations"),
        _c("sum", _f64, "Sum of the observations."),
        _c("min", _f64, "Smallest observation."),
        _c("max", _f64, "Largest observation."),
        _c("bounds", pa.list_(_f64), "Upper bounds of the buckets of a histogram."),
        _c("bucket_counts", pa.list_(_u64), "Observations per bucket, one more than bounds."),
        _c("scale", _i32, "Scale of an exponential histogram."),
        _c("zero_count", _u64, "Observations in the zero bucket."),
        _c("zero_threshold", _f64, "Width of the zero bucket."),
        _c("positive_offset", _i32, "Index of the first positive bucket."),
        _c("positive_counts", pa.list_(_u64), "Observations per positive bucket."),
        _c("negative_offset", _i32, "Index of the first negative bucket."),
        _c("negative_counts", pa.list_(_u64), "Observations per negative bucket."),
        _c(
            "quantiles",
            pa.list_(pa.struct([("quantile", _f64), ("value", _f64)])),
            "Quantiles of a summary.",
        ),
        _c(
            "exemplars",
            pa.list_(
                pa.struct(
                    [
                        ("time_unix_nano", _i64),
                        ("value", _f64),
                        ("trace_id", _s),
                        ("span_id", _s),
                        ("attributes", ATTRIBUTES),
                    ]
                )
            ),
            "Example observations with their traces.",
        ),
        _c("flags", pa.uint32(), "1 = no recorded value."),
        _c("series", _u64, "Stable hash of name, resource, scope and attributes."),
        *_SERVICE,
        *_SCOPE,
        *_ATTRIBUTES,
        _TENANT,
    ),
)

REJECTS = TableSpec(
    name="rejects",
    description="Records that could not be read, with the reason; nothing is dropped silently.",
    tier="raw",
    sort=("source", "time"),
    columns=(
        _c("time", TIMESTAMP, "When the record was received or read."),
        _TENANT,
        _c("source", _s, "Format it was offered as: nginx, otlp_span, ..."),
        _c("origin", _s, "File name or sender's address."),
        _c("position", _i64, "Line number in the file, or index in the body; from 1."),
        _c("reason", _s, "Short machine-readable reason."),
        _c("detail", _s, "What was wrong, as a sentence."),
        _c("record", _s, "The record, cut to 4 KiB, secrets removed."),
    ),
)

_DIM = {c.name: c for c in REQUESTS.columns}
_MINUTE = _c("time", TIMESTAMP, "Start of the interval, UTC.")
_MEASURES = (
    _c("requests", _i64, "Number of requests.", "requests"),
    _c("errors", _i64, "Requests that failed on the server side.", "requests"),
    _c("duration_ms_sum", _f64, "Sum of duration_ms.", "ms"),
    _c("upstream_ms_sum", _f64, "Sum of upstream_ms.", "ms"),
    _c("gateway_ms_sum", _f64, "Sum of gateway_ms.", "ms"),
    _c("request_bytes", _i64, "Sum of request_bytes.", "By"),
    _c("response_bytes", _i64, "Sum of response_bytes.", "By"),
    _c("duration_requests", _i64, "Requests behind duration_ms_sum: known times.", "requests"),
)
_USAGE_DIMENSIONS = (
    "environment", "gateway", "api", "api_version", "route", "method", "product", "plan",
    "consumer", "status_code", "outcome", "country", "client_kind",
)  # fmt: skip
_LATENCY_DIMENSIONS = (
    "environment", "gateway", "api", "api_version", "route", "method", "outcome",
)  # fmt: skip
_API_DIMENSIONS = (
    "environment", "gateway", "api", "api_version", "route", "method", "status_code", "outcome",
    "client_kind",
)  # fmt: skip
_CONSUMER_DIMENSIONS = (
    "environment", "gateway", "api", "product", "plan", "consumer", "status_code", "outcome",
)  # fmt: skip
_CONSUMER_LATENCY_DIMENSIONS = ("environment", "gateway", "api", "consumer")


def _usage(tier: Tier) -> TableSpec:
    return TableSpec(
        name=f"usage_{tier}",
        description=f"Requests, errors, times and bytes per {tier}: partial sums, add them up.",
        tier=tier,
        sort=("api", "route", "time"),
        sums=tuple(c.name for c in _MEASURES),
        columns=(_MINUTE, _TENANT, *(_DIM[d] for d in _USAGE_DIMENSIONS), *_MEASURES),
    )


def _usage_api(tier: Tier) -> TableSpec:
    return TableSpec(
        name=f"usage_api_{tier}",
        description=(
            f"usage_{tier} without product, plan, consumer and country: a small fraction of its "
            "rows for what is asked most. Partial sums, add them up."
        ),
        tier=tier,
        sort=("time", "api", "route"),
        sums=tuple(c.name for c in _MEASURES),
        columns=(_MINUTE, _TENANT, *(_DIM[d] for d in _API_DIMENSIONS), *_MEASURES),
    )


def _usage_consumer(step: str, tier: Tier) -> TableSpec:
    return TableSpec(
        name=f"usage_consumer_{step}",
        description=(
            f"Usage per {_STEPS[step]} by consumer: without API version, route, method, country "
            "and kind of client. Partial sums, add them up."
        ),
        tier=tier,
        sort=("time", "api", "consumer"),
        sums=tuple(c.name for c in _MEASURES),
        columns=(_MINUTE, _TENANT, *(_DIM[d] for d in _CONSUMER_DIMENSIONS), *_MEASURES),
    )


_STEPS = {"minute": "minute", "quarter": "quarter of an hour", "hour": "hour", "day": "day"}

_BUCKET = (
    _c("bucket", _i16, "floor(ln(ms) / ln(1.02)); -32768 = zero."),
    _c("requests", _i64, "Number of requests.", "requests"),
)


def _latency_consumer(tier: Tier) -> TableSpec:
    return TableSpec(
        name=f"latency_consumer_{tier}",
        description=(
            f"Histogram of whole times per {tier} and consumer: requests per logarithmic bucket, "
            "partial sums, add them up. Buckets as in latency_minute."
        ),
        tier=tier,
        sort=("api", "consumer", "time"),
        sums=("requests",),
        columns=(_MINUTE, _TENANT, *(_DIM[d] for d in _CONSUMER_LATENCY_DIMENSIONS), *_BUCKET),
    )


def _latency(step: str, tier: Tier) -> TableSpec:
    return TableSpec(
        name=f"latency_{step}",
        description=(
            f"Latency histogram per {_STEPS[step]}: requests per logarithmic bucket, partial sums, "
            "add them up. A bucket b holds times in [1.02^b, 1.02^(b+1)) ms."
        ),
        tier=tier,
        sort=("part", "api", "route", "time"),
        sums=("requests",),
        columns=(
            _MINUTE,
            _TENANT,
            *(_DIM[d] for d in _LATENCY_DIMENSIONS),
            _c("part", _s, "Which time: total, upstream or gateway."),
            *_BUCKET,
        ),
    )


ALERT_EVENTS = TableSpec(
    name="alert_events",
    description="Every change of state of every alert.",
    tier="day",
    sort=("rule", "time"),
    columns=(
        _c("time", TIMESTAMP, "When the state changed, by the data's clock."),
        _TENANT,
        _c("rule", _s, "Name of the rule."),
        _c("fingerprint", _s, "Hash of rule and labels: one alert over its life."),
        _c("state", _s, "pending, firing, resolved, inactive or no_data."),
        _c("severity", _s, "As the rule says."),
        _c("labels", ATTRIBUTES, "Labels of the alert."),
        _c("value", _f64, "Value that was compared."),
        _c("threshold", _f64, "What it was compared with."),
        _c("summary", _s, "One sentence."),
    ),
)

TRACES = TableSpec(
    name="traces",
    description=(
        "Traces summed up: partial rows per trace, one per batch of its spans. Add up spans and "
        "errors, take the earliest start, the latest end and the earliest root."
    ),
    tier="raw",
    sort=("time",),
    bloom=("trace_id",),
    columns=(
        _c("time", TIMESTAMP, "Start of the earliest span of the batch, UTC."),
        _TENANT,
        _c("trace_id", _s, "32 lower-case hex digits."),
        _c("start_time_unix_nano", _i64, "Earliest start.", "ns"),
        _c("end_time_unix_nano", _i64, "Latest end.", "ns"),
        _c("rooted", pa.bool_(), "Whether the root columns are of a span without a parent."),
        _c("root_start_time_unix_nano", _i64, "Start of that span.", "ns"),
        _c("root_span_id", _s, "The span without a parent; the earliest when none came."),
        _c("root_service", _s, "Its service.name."),
        _c("root_name", _s, "Its name."),
        _c("environment", _s, "Its environment."),
        _c("spans", _i64, "Spans in the batch.", "spans"),
        _c("errors", _i64, "Of those, spans with status ERROR.", "spans"),
        _c("services", pa.list_(_s), "Distinct service names, sorted."),
    ),
)

SERVICE_EDGES = TableSpec(
    name="service_edges",
    description=(
        "Calls between services per hour and latency bucket: partial sums, add them up. Late "
        "spans add rows to their own hour."
    ),
    tier="hour",
    sort=("source", "target", "time"),
    sums=("calls", "errors"),
    columns=(
        _c("time", TIMESTAMP, "Start of the hour of the called span, UTC."),
        _TENANT,
        _c("source", _s, "service.name of the caller."),
        _c("target", _s, "service.name of the called."),
        _c("bucket", _i16, "Latency bucket of the called span, as in latency_minute."),
        _c("calls", _i64, "Number of calls.", "calls"),
        _c("errors", _i64, "Of those, failed: status ERROR, or 5xx.", "calls"),
    ),
)

ATTRIBUTE_KEYS = TableSpec(
    name="attribute_keys",
    description="Which attributes spans and logs carry, per hour: partial sums, add them up.",
    tier="hour",
    sort=("source", "key", "time"),
    sums=("records",),
    columns=(
        _c("time", TIMESTAMP, "Start of the hour, UTC."),
        _TENANT,
        _c("source", _s, "spans."),
        _c("place", _s, "attributes or resource_attributes."),
        _c("service_name", _s, "Resource attribute service.name."),
        _c("key", _s, "Name of the attribute."),
        _c("records", _i64, "Records that carry it.", "records"),
    ),
)

BILLING_LINES = TableSpec(
    name="billing_lines",
    description="Invoice lines of closed months, as they were when the month was closed.",
    tier="day",
    sort=("consumer", "time"),
    columns=(
        _c("time", TIMESTAMP, "Start of the month in the zone it was closed in, UTC."),
        _TENANT,
        _c("month_end", TIMESTAMP, "End of the month, UTC."),
        _c("closed_at", TIMESTAMP, "When it was closed."),
        _c("consumer", _s, "Consumer application."),
        _c("plan", _s, "Its plan then."),
        _c("product", _s, "Product of the plan; NULL = every product."),
        _c("currency", _s, "ISO 4217."),
        _c("line", _i32, "Position on the invoice, from 1."),
        _c("kind", _s, "flat, free, calls, included, overage, tier or tier_flat."),
        _c("quantity", _i64, "Requests; 1 for a flat price."),
        _c("unit_price", _s, "Decimal, as text."),
        _c("amount", _s, "Decimal with two places, as text; quantity x unit_price, rounded."),
        _c("requests", _i64, "Counted requests of the whole month (on every line).", "requests"),
    ),
)

TABLES: Mapping[str, TableSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            REQUESTS, SPANS, LOGS, METRICS, REJECTS,
            _usage("minute"), _usage("hour"), _usage("day"),
            _latency("minute", "minute"), _latency("quarter", "minute"),
            _latency("hour", "hour"), _latency("day", "day"),
            _usage_api("minute"), _usage_api("hour"), _usage_api("day"),
            _usage_consumer("quarter", "minute"), _usage_consumer("hour", "hour"),
            _usage_consumer("day", "day"),
            _latency_consumer("hour"), _latency_consumer("day"),
            TRACES, SERVICE_EDGES, ATTRIBUTE_KEYS, BILLING_LINES,
            ALERT_EVENTS,
        )
    }
)  # fmt: skip
"""Every table by name."""
