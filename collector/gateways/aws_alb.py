"""AWS Application Load Balancer access logs (gzip files from S3).

`time` is the END, `request_creation_time` the start. The three processing times are seconds, -1 =
the request was not dispatched. Sizes count headers. Unknown fields at the end are ignored, and so
are the later fields of old logs.

Source: AWS "Access logs for your Application Load Balancer".
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import attributes_column
from collector.gateways.fields import Fields, first_text
from collector.gateways.lines import LinesFormat, LineShape, Read
from collector.gateways.mapped import FieldMap, read_mapped, without_port
from collector.gateways.nginx import compile_log_format
from collector.gateways.rows import floats
from collector.gateways.scan_values import NO_TIME
from collector.gateways.urls import url_host
from collector.gateways.xray import xray_trace_ids
from collector.naming.naming import GATEWAY_API_ID

_MAP = FieldMap(
    time={"time": "iso"},
    instant="end",
    status=("elb_status",),
    durations={},
    texts={
        "host": ("domain_name",),
        "user_agent": ("user_agent",),
        "client_address": ("client",),
        "upstream": ("target",),
        "gateway_instance": ("elb",),
    },
    counts={
        "request_bytes": ("received_bytes",),
        "response_bytes": ("sent_bytes",),
        "upstream_status": ("target_status",),
    },
    request_line="request",
)

_OLD = (
    "$type $time $elb $client $target $request_s $target_s $response_s $elb_status $target_status "
    '$received_bytes $sent_bytes "$request" "$user_agent" $ssl_cipher $ssl_protocol '
    '$target_group_arn "$trace"'
)
_NEW = _OLD + ' "$domain_name" "$chosen_cert_arn" $priority $created "$actions"'


def read_aws_alb(fields: Fields) -> Read:
    """Fields named as above."""
    read = read_mapped(fields, _MAP)
    columns = read.columns
    parts = [fields.numbers(name) for name in ("request_s", "target_s", "response_s")]
    dispatched = np.logical_and.reduce([part >= 0 for part in parts])
    total = np.where(dispatched, parts[0] + parts[1] + parts[2], np.nan) * 1000.0
    columns["duration_ms"] = floats(total)
    columns["upstream_ms"] = floats(np.where(parts[1] >= 0, parts[1], np.nan) * 1000.0)
    start = read.start_us
    shift = np.rint(np.nan_to_num(total) * 1e3).astype(np.int64)
    start = np.where(start == NO_TIME, NO_TIME, start - shift)
    if fields.has("created"):
        created = fields.iso_times("created")
        start = np.where(created == NO_TIME, start, created)
    columns["client_address"] = without_port(columns["client_address"])
    asked = pc.struct_field(
        pc.extract_regex(fields.text("request"), r"^\S+ (?P<url>[^ ?#]+)"), "url"
    )
    hosts = url_host(asked)
    said = columns["host"]
    columns["host"] = hosts if said is None else pc.coalesce(pc.utf8_lower(said), hosts)
    columns["trace_id"] = xray_trace_ids(fields.text("trace"))
    group = first_text(fields, "target_group_arn")
    columns["attributes"] = attributes_column(
        fields.rows,
        {
            GATEWAY_API_ID: _group_name(group),
            "aws.alb.target_group_arn": group,
            "aws.alb.type": first_text(fields, "type"),
        },
    )
    return Read(start, read.status, columns)


def _group_name(arns: pa.Array | None) -> pa.Array | None:
    """`…:targetgroup/my-targets/73e2…` -> `my-targets`."""
    if arns is None:
        return None
    found = pc.extract_regex(arns, r":targetgroup/(?P<name>[^/]+)/")
    return pc.struct_field(found, "name")


SNIPPET = """\
# Turn on access logs of the load balancer, bring the objects near, then:
#   gatelens import aws_alb 'AWSLogs/**/*.log.gz'
aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN --attributes \\
  Key=access_logs.s3.enabled,Value=true Key=access_logs.s3.bucket,Value=BUCKET
"""

AWS_ALB = LinesFormat(
    name="aws_alb",
    gateway="aws_alb",
    shapes=(
        LineShape(compile_log_format(_NEW), read_aws_alb),
        LineShape(compile_log_format(_OLD), read_aws_alb),
    ),
    description="AWS Application Load Balancer access log files.",
    snippet=SNIPPET,
)
