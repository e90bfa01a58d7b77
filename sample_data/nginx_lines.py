"""Calls at the legacy gateway as NGINX access log lines, predefined format `combined`.

`$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
"$http_user_agent"`; the time is when the line was written, that is, the end of the request.
"""

from __future__ import annotations

import datetime as dt

from sample_data.call import Call

CLIENT_CLOSED = 499
"""What NGINX logs when the client left before the answer."""


def combined_line(call: Call) -> str:
    """One line, without line end."""
    written = dt.datetime.fromtimestamp(call.end_ns // 1_000_000_000, tz=dt.UTC)
    user = call.consumer.user if call.consumer else "-"
    status = call.status or CLIENT_CLOSED
    return (
        f"{call.address.text} - {user} [{written:%d/%b/%Y:%H:%M:%S} +0000] "
        f'"{call.operation.method} {call.path} HTTP/1.1" {status} {call.response_bytes} '
        f'"-" "{call.user_agent}"'
    )
