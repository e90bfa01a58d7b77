"""HAProxy `option httplog`, from a file or as syslog wrote it (any prefix up to `haproxy[pid]: `).

`%tr` is the first byte of the request = start, in the server's local time WITHOUT zone: it is read
as UTC unless the option `timezone` names one. Times are ms, -1 = never got there, `+` = logged
before the end (logasap). total = Ta; upstream = Tc + Tr + data time; gateway = TR + Tw. Status -1 =
no answer was given. A line cut by `log … len` keeps what is left of its request.

Source: haproxy doc/configuration.txt 8.2.3, 8.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import attributes_column
from collector.gateways.fields import Fields
from collector.gateways.line_scanner import LineField, LineFormat
from collector.gateways.lines import LinesFormat, LineShape, Read
from collector.gateways.mapped import FieldMap, null_where, read_mapped, without_port
from collector.gateways.rows import floats
from collector.gateways.scan_values import NO_TIME
from collector.naming.naming import GATEWAY_API_ID

_MAP = FieldMap(
    time={"time": "clf"},
    instant="start",
    status=("status",),
    durations={"duration_ms": (1.0, ("Ta",))},
    texts={
        "client_address": ("client",),
        "response_flags": ("termination",),
    },
    counts={"response_bytes": ("bytes",)},
    request_line="request",
)


def _line(prefix: bytes | None, captures: int, *, cut: bool = False) -> LineFormat:
    """httplog with or without a prefix and with 0, 1 or 2 `{captured|headers}`. `cut`: within
    the request, its last field, by the limit of `log … len`."""
    names = [("client", b" ["), ("time", b"] "), ("frontend", b" "), ("backend", b"/")]
    names += [
        ("server", b" "),
        ("TR", b"/"),
        ("Tw", b"/"),
        ("Tc", b"/"),
        ("Tr", b"/"),
        ("Ta", b" "),
    ]
    names += [("status", b" "), ("bytes", b" "), ("req_cookie", b" "), ("res_cookie", b" ")]
    names += [("termination", b" "), ("connections", b" ")]
    names += {
        0: [("queues", b' "')],
        1: [("queues", b" {"), ("captured", b'} "')],
        2: [("queues", b" {"), ("captured", b"} {"), ("captured_response", b'} "')],
    }[captures]
    names += [("request", b"")] if cut else [("request", b'"'), ("", b"")]
    if prefix is not None:
        names = [("prefix", prefix), *names]
    return LineFormat(tuple(LineField(name, end) for name, end in names))


def _read(fields: Fields) -> Read:
    read = read_mapped(fields, _MAP)
    columns = read.columns
    timers = {name: fields.numbers(name) for name in ("TR", "Tw", "Ta")}
    own = np.maximum(timers["TR"], 0) + np.maximum(timers["Tw"], 0)
    total = np.where(timers["Ta"] >= 0, timers["Ta"], np.nan)
    asked = fields.numbers("Tc") >= 0
    columns["upstream_ms"] = floats(np.where(asked, np.maximum(total - own, 0), np.nan))
    columns["gateway_ms"] = floats(np.where(asked, own, total))
    columns["client_address"] = _client(columns["client_address"])
    server = null_where(fields.text("server"), "<NOSRV>")
    columns["upstream"] = pc.binary_join_element_wise(fields.text("backend"), server, "/")
    frontend = pc.replace_substring_regex(fields.text("frontend"), "~$", "")
    nowhere = pc.equal(fields.text("backend"), frontend)
    backend = pc.if_else(nowhere, pa.scalar(None, pa.string()), fields.text("backend"))
    columns["attributes"] = attributes_column(
        fields.rows, {GATEWAY_API_ID: backend, "haproxy.frontend": frontend}
    )
    columns["response_flags"] = null_where(columns["response_flags"], "----", "--")
    status = np.where(read.status == -1, 0, read.status)
    return replace(read, status=status)


def _client(addresses: pa.Array | None) -> pa.Array | None:
    """`10.0.1.2:33317`, `::1:33317`: HAProxy puts the port behind IPv6 without brackets."""
    if addresses is None:
        return None
    six = pc.replace_substring_regex(addresses, r"^(.*:.*):\d+$", r"\1")
    return without_port(six)


def _read_in(zone: ZoneInfo) -> Callable[[Fields], Read]:
    def read(fields: Fields) -> Read:
        found = _read(fields)
        return replace(found, start_us=_to_utc(found.start_us, zone))

    return read


def _to_utc(local_us: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """Wall-clock times of a zone as UTC, hour by hour. Of an hour that happens twice the first."""
    hour_us = 3_600_000_000
    hours = np.where(local_us == NO_TIME, 0, local_us // hour_us)
    distinct, inverse = np.unique(hours, return_inverse=True)
    shift = []
    for hour in distinct.tolist():
        wall = datetime.fromtimestamp(hour * 3600, UTC).replace(tzinfo=zone)
        offset = wall.utcoffset()
        shift.append(0 if offset is None else int(offset.total_seconds() * 1e6))
    moved = local_us - np.array(shift, dtype=np.int64)[inverse]
    return np.where(local_us == NO_TIME, NO_TIME, moved)


SNIPPET = """\
# haproxy.cfg
defaults
  mode http
  log stdout format raw local0 info
  option httplog
# haproxy -f haproxy.cfg >> /var/log/haproxy.log (or the file your syslog daemon writes), then:
#   gatelens import haproxy /var/log/haproxy.log --follow
"""


def haproxy_format(timezone: str | None = None) -> LinesFormat:
    """The format, for logs in UTC or in the named zone. Raises ValueError for an unknown one."""
    read: Callable[[Fields], Read] = _read
    if timezone is not None:
        try:
            read = _read_in(ZoneInfo(timezone))
        except (ZoneInfoNotFoundError, ValueError) as err:
            raise ValueError(f"there is no time zone {timezone!r}; try Europe/Berlin") from err
    prefixes = (b"]: ", None)
    return LinesFormat(
        name="haproxy",
        gateway="haproxy",
        shapes=tuple(
            LineShape(_line(prefix, captures, cut=cut), read)
            for cut, prefix, captures in product((False, True), prefixes, (2, 1, 0))
        ),
        description="HAProxy httplog, bare or with a syslog prefix.",
        snippet=SNIPPET,
    )


HAPROXY = haproxy_format()
