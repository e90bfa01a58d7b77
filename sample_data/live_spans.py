"""The spans, log record and metric attributes of one call, through the SDK's API.

Names are those of the semantic conventions; what they do not have (API, product, plan, consumer,
limits) is `apigw.*`.
"""

from __future__ import annotations

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from sample_data.apis import DATABASE_PORTS
from sample_data.call import Call
from sample_data.log_rows import EXCEPTIONS, SEVERITIES, body_of, severity_of

Attributes = dict[str, AttributeValue]


def gateway_span(tracer: Tracer, call: Call) -> Span:
    """The root: the gateway's server span. Not ended yet."""
    op = call.operation
    span = tracer.start_span(
        f"{op.method} {op.template}" if op.template else op.method,
        context=Context(),
        kind=SpanKind.SERVER,
        attributes=gateway_attributes(call),
        start_time=call.spans[0][0],
    )
    if call.status >= 500:
        span.set_status(Status(StatusCode.ERROR))
    return span


def gateway_attributes(call: Call) -> Attributes:
    """Attributes of the gateway's server span: semantic conventions and `apigw.*`."""
    op, consumer = call.operation, call.consumer
    attributes: Attributes = {
        "http.request.method": op.method,
        "http.response.status_code": call.status,
        "url.path": call.path,
        "url.scheme": "https",
        "server.address": op.host,
        "client.address": call.address.text,
        "geo.country.iso_code": call.address.country,
        "user_agent.original": call.user_agent,
        "network.protocol.version": "2",
        "http.request.size": call.request_bytes,
        "http.response.size": call.response_bytes,
        "apigw.gateway.duration": call.gateway_ms / 1e3,
        "apigw.request.id": call.request_id,
    }
    if op.template is not None:
        attributes["http.route"] = op.template
    if op.api is not None:
        attributes["apigw.api.name"] = op.api.name
        attributes["apigw.product"] = op.api.product
        if call.upstream_ms is not None:
            attributes["apigw.upstream.name"] = f"{op.api.service}.internal:8080"
    if op.version is not None:
        attributes["apigw.api.version"] = op.version
    if consumer is not None:
        attributes["apigw.consumer.name"] = consumer.name
        attributes["apigw.consumer.group"] = consumer.group
        attributes["apigw.plan"] = consumer.plan.name
        attributes["apigw.credential.id"] = consumer.credential
    if call.upstream_ms is not None:
        attributes["apigw.upstream.duration"] = call.upstream_ms / 1e3
    if call.upstream_status is not None:
        attributes["apigw.upstream.status_code"] = call.upstream_status
    if call.quota_remaining is not None and call.quota_limit is not None:
        attributes["apigw.ratelimit.limit"] = call.quota_limit
        attributes["apigw.ratelimit.remaining"] = call.quota_remaining
    if consumer is not None:
        refused = call.outcome in ("rate_limited", "quota_exceeded")
        attributes["apigw.ratelimit.result"] = call.outcome if refused else "ok"
    if call.status >= 500:
        attributes["error.type"] = str(call.status)
    return attributes


def client_span(tracer: Tracer, call: Call, parent: Context) -> Span:
    """The gateway asking the service. Not ended yet."""
    op = call.operation
    host = f"{op.api.service}.internal" if op.api else op.host
    attributes: Attributes = {
        "http.request.method": op.method,
        "server.address": host,
        "server.port": 8080,
        "url.full": f"http://{host}:8080{call.path}",
        "network.protocol.version": "1.1",
    }
    if call.upstream_status is not None:
        attributes["http.response.status_code"] = call.upstream_status
    if call.status == 504:
        attributes["error.type"] = "timeout"
    span = tracer.start_span(
        op.method,
        context=parent,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        start_time=call.spans[1][0],
    )
    if call.status >= 500:
        span.set_status(Status(StatusCode.ERROR))
    return span


def service_attributes(call: Call) -> Attributes:
    """Attributes of the service's server span. The call reached a service."""
    op = call.operation
    assert op.api is not None, "only calls of an API reach a service"
    attributes: Attributes = {
        "http.request.method": op.method,
        "http.route": op.template or call.path,
        "http.response.status_code": call.upstream_status or 0,
        "url.path": call.path,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": f"{op.api.service}.internal",
        "client.address": "10.20.0.7",
    }
    if call.consumer is not None:
        attributes["waypost.consumer"] = call.consumer.name
    return attributes


def service_span(tracer: Tracer, call: Call, parent: Context) -> Span:
    """The service's server span, with the exception where it failed. Not ended yet."""
    op = call.operation
    span = tracer.start_span(
        f"{op.method} {op.template}",
        context=parent,
        kind=SpanKind.SERVER,
        attributes=service_attributes(call),
        start_time=call.spans[2][0],
    )
    if call.status >= 500:
        kind, message = EXCEPTIONS.get(call.status, EXCEPTIONS[500])
        span.add_event(
            "exception",
            {"exception.type": kind, "exception.message": message},
            timestamp=call.spans[2][1],
        )
        span.set_status(Status(StatusCode.ERROR, message))
    return span


def database_span(tracer: Tracer, call: Call, parent: Context) -> None:
    """The service asking its database; health checks do not."""
    op = call.operation
    if op.api is None or op.kind != "call":
        return
    verbs = {"GET": "SELECT", "POST": "INSERT", "PUT": "UPDATE", "PATCH": "UPDATE"}
    verb = verbs.get(op.method, "DELETE")
    span = tracer.start_span(
        f"{verb} {op.api.name}",
        context=parent,
        kind=SpanKind.CLIENT,
        attributes={
            "db.system.name": op.api.database,
            "db.namespace": op.api.name,
            "db.operation.name": verb,
            "db.query.summary": f"{verb} {op.api.name}",
            "server.address": f"{op.api.name}-db.internal",
            "server.port": DATABASE_PORTS[op.api.database],
        },
        start_time=call.spans[3][0],
    )
    span.end(call.spans[3][1])


def log_record(call: Call, context: Context) -> LogRecord:
    """What the service wrote about the call; `context` holds its span."""
    op = call.operation
    number, text = SEVERITIES[severity_of(call.status)]
    attributes: Attributes = {
        "http.request.method": op.method,
        "http.route": op.template or call.path,
    }
    if call.consumer is not None:
        attributes["waypost.consumer"] = call.consumer.name
    if call.status in EXCEPTIONS:
        kind, message = EXCEPTIONS[call.status]
        attributes["exception.type"] = kind
        attributes["exception.message"] = message
        attributes["exception.stacktrace"] = (
            f"{kind}: {message}\n  at waypost.{op.api.name if op.api else 'edge'}.handle(app:41)"
        )
    return LogRecord(
        timestamp=call.spans[2][1],
        observed_timestamp=call.spans[2][1],
        context=context,
        severity_number=SeverityNumber(number),
        severity_text=text,
        body=body_of(op, call.status),
        attributes=attributes,
    )


def metric_attributes(call: Call, status: int) -> Attributes:
    """Attributes of the duration histogram. `status` 0 = no answer."""
    op = call.operation
    attributes: Attributes = {
        "http.request.method": op.method,
        "url.scheme": "https",
    }
    if status:
        attributes["http.response.status_code"] = status
    if op.template is not None:
        attributes["http.route"] = op.template
    return attributes
