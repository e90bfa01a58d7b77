"""Amazon Data Firehose delivering to an HTTP endpoint: AWS API Gateway access logs.

    {"requestId": "…", "timestamp": 1578090901599, "records": [{"data": "<base64>"}]}

The records are access-log lines, or gzip of a CloudWatch Logs envelope. Firehose wants the request
id and a time in a 200 and sends again otherwise, with the same id but a new time: the time is not
stored, so that a resend is recognised.

Source: AWS "Understand HTTP endpoint delivery request and response specifications".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from collector.errors import MalformedBody, WrongMethod, answer_for
from collector.gateways.aws_apigw import AWS_APIGW
from collector.gateways.lines import merge_decoded
from collector.payload import Decoded, Payload
from collector.receivers.api import NativeApi, Prepared, Reply, Request, json_reply, message_of
from collector.receivers.otlp_wire import to_json


@dataclass(frozen=True, slots=True)
class FirehoseFormat:
    """A Firehose request as `aws_apigw` reads it."""

    name: str = "aws_firehose"
    dedupe: bool = True
    description: str = (
        "Amazon Data Firehose to an HTTP endpoint, at `/firehose`: AWS API Gateway access logs, "
        "straight or from CloudWatch Logs. Becomes requests."
    )
    snippet: str = ""

    def validate(self, payload: Payload) -> int:
        """Access-log records, those that cannot be read included; control messages are none."""
        read_request(payload.body)
        decoded = self.decode([payload])
        return decoded.accepted + decoded.rejected

    def decode(self, payloads: Sequence[Payload]) -> Decoded:
        """Each body on its own: its records are in one line of JSON."""
        return merge_decoded(
            [AWS_APIGW.decode([replace(payload, content="json")]) for payload in payloads]
        )


def read_request(body: bytes) -> dict[str, Any]:
    """Raises MalformedBody."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise MalformedBody(f"not valid JSON ({err.msg})", err.pos) from err
    if not isinstance(request, dict) or not isinstance(request.get("records"), list):
        raise MalformedBody("no list of `records`")
    return request


FIREHOSE_SNIPPET = """\
# Firehose stream: destination HTTP endpoint (it wants https on port 443: put a certificate in
# front, or in tls_certificate)
HTTP endpoint URL: https://gatelens.example.com/firehose
Access key:        gl_…          # a token, where tokens are set up
Content encoding:  GZIP
# API Gateway stage > Logs > access log destination: the stream amazon-apigateway-…
"""

AWS_FIREHOSE = FirehoseFormat(snippet=FIREHOSE_SNIPPET)


class FirehoseApi(NativeApi):
    """`/firehose`; the access key is a token."""

    format = AWS_FIREHOSE
    needs_plain = True

    def takes(self, method: str, path: str) -> bool:
        return path in ("/firehose", "/firehose/")

    def check(self, request: Request) -> None:
        if request.method != "POST":
            raise WrongMethod

    def authorization(self, request: Request) -> str:
        key = request.header("x-amz-firehose-access-key")
        return f"Bearer {key}" if key else request.header("authorization")

    def prepare(self, request: Request, wire: bytes, plain: bytes, encoding: str) -> Prepared:
        found = read_request(plain)
        kept = {"requestId": found.get("requestId"), "records": found["records"]}
        return Prepared(to_json(kept), "identity", found)

    def accepted(self, request: Request, rejected: int, message: str, note: object) -> Reply:
        assert isinstance(note, dict)
        return json_reply(200, _echo(request, note))

    def refused(self, request: Request, error: Exception) -> Reply:
        status = answer_for(error).http
        return json_reply(status, {**_echo(request, {}), "errorMessage": message_of(error)})


def _echo(request: Request, found: dict[str, Any]) -> dict[str, Any]:
    """The request's id, which Firehose compares, and when this was answered, ms."""
    return {
        "requestId": found.get("requestId") or request.header("x-amz-firehose-request-id"),
        "timestamp": time.time_ns() // 1_000_000,
    }
