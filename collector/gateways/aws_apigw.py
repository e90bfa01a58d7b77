"""AWS API Gateway access logs: JSON or CLF lines, by CloudWatch export or Kinesis Data Firehose.

The operator writes the format from `$context` variables; the console's JSON preset and the
variables' own names are read. `requestTimeEpoch` (ms) and `requestTime` (CLF) are the request's
time; latencies are ms; `-` is absent. `identity.apiKey` is the key itself: kept as a keyed hash.
A Firehose record is base64, and gzip inside when it came from CloudWatch Logs.

Source: AWS developer guides for API Gateway (mapping template reference) and Data Firehose (HTTP
endpoint delivery).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.fields import Fields, first_text
from collector.gateways.lines import LinesFormat, Read
from collector.gateways.mapped import FieldMap, read_mapped
from collector.gateways.xray import xray_trace_ids
from collector.naming.naming import GATEWAY_API_ID
from collector.naming.unique import map_unique
from collector.privacy import hash_credential

INFLATED_BYTES_MAX = 64 * 1024 * 1024
"""A Firehose record that unpacks to more is refused (Firehose sends at most 64 MiB a request)."""

_MAP = FieldMap(
    time={"requestTimeEpoch": "ms", "requestTime": "clf"},
    instant="start",
    status=("status",),
    durations={
        "duration_ms": (1.0, ("responseLatency",)),
        "upstream_ms": (1.0, ("integrationLatency", "integration.latency")),
    },
    texts={
        "environment": ("stage",),
        "method": ("httpMethod",),
        "host": ("domainName",),
        "protocol": ("protocol",),
        "api": ("apiName", "apiId"),
        "consumer": (
            "authorizer.principalId", "principalId", "identity.user", "user", "identity.caller",
            "caller",
        ),
        "client_address": ("identity.sourceIp", "sourceIp", "ip"),
        "user_agent": ("identity.userAgent", "userAgent"),
        "request_id": ("requestId", "extendedRequestId"),
        "response_flags": ("error.responseType", "errorResponseType", "responseType"),
    },
    counts={
        "response_bytes": ("responseLength",),
        "upstream_status": ("integration.status", "integrationStatus"),
    },
    target=("path",),
    attributes={
        GATEWAY_API_ID: ("apiId",),
        "aws.stage": ("stage",),
        "aws.extended_request_id": ("extendedRequestId",),
    },
)  # fmt: skip


def read_aws_apigw(fields: Fields) -> Read:
    """JSON records, keys as in the console's preset or as the variables are called."""
    read = read_mapped(fields, _MAP)
    columns = read.columns
    route = first_text(fields, "resourcePath", "routeKey")
    columns["route"] = None if route is None else _route(route)
    keys = first_text(fields, "identity.apiKeyId", "apiKeyId", "identity.apiKey", "apiKey")
    columns["credential"] = None if keys is None else map_unique(keys, hash_credential)
    trace = first_text(fields, "xrayTraceId")
    columns["trace_id"] = None if trace is None else xray_trace_ids(trace)
    return read


def _route(routes: pa.Array) -> pa.Array:
    """`GET /pets/{id}` and `/pets/{id}`; `$default` is no route."""
    bare = pc.replace_substring_regex(routes, r"^[A-Z]+ ", "")
    is_path = pc.starts_with(bare, "/")
    return pc.if_else(is_path, bare, pa.scalar(None, pa.string()))


_CLF = re.compile(
    r"^(?P<ip>\S+) (?P<caller>\S+) (?P<user>\S+) \[(?P<requestTime>[^\]]+)\] "
    r'"(?P<httpMethod>\S+) (?P<resourcePath>\S+) (?P<protocol>[^"]+)" (?P<status>\S+) '
    r"(?P<responseLength>\S+) (?P<requestId>\S+)(?: (?P<extendedRequestId>\S+))?\s*$"
)


def parse_clf(line: str) -> dict[str, Any] | None:
    """The console's CLF preset as an object with the variables' names."""
    match = _CLF.match(line)
    return None if match is None else match.groupdict()


def _records(value: Any) -> Iterable[Any]:
    """Access records of a Firehose request, a CloudWatch envelope, or the object itself."""
    if not isinstance(value, dict):
        return (value,)
    if isinstance(value.get("records"), list):
        return [r for item in value["records"] for r in _firehose(item)]
    if isinstance(value.get("logEvents"), list):
        if value.get("messageType") == "CONTROL_MESSAGE":
            return ()
        return [r for event in value["logEvents"] for r in _message(event)]
    return (value,)


def _firehose(item: Any) -> Iterable[Any]:
    try:
        data = base64.b64decode(item["data"], validate=True)
        if data[:2] == b"\x1f\x8b":
            inflate = zlib.decompressobj(31)
            data = inflate.decompress(data, INFLATED_BYTES_MAX)
            if inflate.unconsumed_tail:
                return ("a Firehose record is too large once unpacked",)
    except (binascii.Error, KeyError, TypeError, ValueError, zlib.error):
        return ("a Firehose record that is not base64 or gzip",)
    text = data.decode("utf-8", "backslashreplace")
    return [record for line in text.splitlines() if line for record in _line(line)]


def _message(event: Any) -> Iterable[Any]:
    message = event.get("message") if isinstance(event, dict) else None
    return _line(message) if isinstance(message, str) else (event,)


def _line(line: str) -> Iterable[Any]:
    if not line.lstrip().startswith("{"):
        return (parse_clf(line) or line,)
    try:
        return _records(orjson.loads(line))
    except orjson.JSONDecodeError:
        return (line,)


SNIPPET = """\
# Stage > Logs > custom access logging, format (one line):
{"requestId":"$context.requestId","requestTimeEpoch":"$context.requestTimeEpoch",
 "httpMethod":"$context.httpMethod","path":"$context.path","resourcePath":"$context.resourcePath",
 "status":"$context.status","protocol":"$context.protocol","apiId":"$context.apiId",
 "stage":"$context.stage","domainName":"$context.domainName","ip":"$context.identity.sourceIp",
 "userAgent":"$context.identity.userAgent","apiKeyId":"$context.identity.apiKeyId",
 "principalId":"$context.authorizer.principalId","responseLength":"$context.responseLength",
 "responseLatency":"$context.responseLatency","integrationLatency":"$context.integrationLatency",
 "integrationStatus":"$context.integrationStatus","xrayTraceId":"$context.xrayTraceId",
 "responseType":"$context.error.responseType"}
# Export the log group, then: gatelens import aws_apigw export/*.gz
"""

AWS_APIGW = LinesFormat(
    name="aws_apigw",
    gateway="aws_apigw",
    json=read_aws_apigw,
    unwrap=_records,
    parse_text=parse_clf,
    description="AWS API Gateway access log: JSON, CLF, Firehose requests, CloudWatch exports.",
    snippet=SNIPPET,
    dedupe=True,
)
