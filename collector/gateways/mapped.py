"""Read a format from a table: which field fills which column, in which unit.

Most gateways' records need nothing else; what a table cannot say is done to the columns afterwards,
in the format's own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.attributes import attributes_column
from collector.gateways.fields import Fields, first_numbers, first_text
from collector.gateways.lines import Read
from collector.gateways.rows import floats, whole
from collector.gateways.scan_values import NO_TIME
from collector.gateways.urls import origin_form, url_host, without_query

Names = tuple[str, ...]
Instant = Literal["start", "end"]
TimeUnit = Literal["iso", "clf", "s", "ms", "us"]

_PER_SECOND = {"s": 1e6, "ms": 1e3, "us": 1.0}


@dataclass(frozen=True, slots=True)
class FieldMap:
    """Names are alternatives, the best first."""

    time: Mapping[str, TimeUnit]
    """Fields with the time and how each is written."""
    instant: Instant
    """What the time is the time of."""
    status: Names
    durations: Mapping[str, tuple[float, Names]]
    """duration_ms, upstream_ms, gateway_ms: factor to ms, and fields. Negative = absent."""
    texts: Mapping[str, Names]
    """Text columns as they are."""
    counts: Mapping[str, Names] = field(default_factory=dict)
    """Whole-number columns."""
    request_line: str = ""
    """Field with `METHOD target PROTOCOL`."""
    target: Names = ()
    """Fields with the path, a target or a URL; queries are dropped."""
    url: Names = ()
    """Fields with an absolute URL, for the host."""
    attributes: Mapping[str, Names] = field(default_factory=dict)
    """Attributes to keep."""


def read_mapped(fields: Fields, by: FieldMap) -> Read:
    """The columns the map names; missing fields are NULL columns."""
    times = _times(fields, by)
    rows = len(times)
    columns: dict[str, pa.Array | None] = {}
    if by.request_line and fields.has(by.request_line):
        parts = fields.request_lines(by.request_line)
        columns["method"], columns["path"], columns["protocol"] = (
            parts.method, origin_form(parts.path), parts.protocol,
        )  # fmt: skip
    target = first_text(fields, *by.target)
    if target is not None:
        columns["path"] = origin_form(without_query(target))
    for name, names in by.texts.items():
        values = first_text(fields, *names)
        before = columns.get(name)
        if values is not None:
            columns[name] = values if before is None else pc.coalesce(values, before)
        elif before is None:
            columns[name] = None
    url = first_text(fields, *by.url)
    if url is not None:
        host = columns.get("host")
        columns["host"] = url_host(url) if host is None else pc.coalesce(host, url_host(url))
    columns["host"] = bare_host(columns.get("host"))
    for name, (factor, names) in by.durations.items():
        numbers = first_numbers(fields, *names)
        columns[name] = None if numbers is None else floats(_positive(numbers) * factor)
    for name, names in by.counts.items():
        numbers = first_numbers(fields, *names)
        type_ = pa.int16() if name == "upstream_status" else pa.int64()
        columns[name] = None if numbers is None else whole(numbers, type_)
    status = first_numbers(fields, *by.status)
    kept = {key: first_text(fields, *names) for key, names in by.attributes.items()}
    columns["attributes"] = attributes_column(rows, kept)
    if by.instant == "end":
        times = _minus(times, columns.get("duration_ms"))
    return Read(times, np.full(rows, np.nan) if status is None else status, columns)


def _times(fields: Fields, by: FieldMap) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] | None = None
    for name, unit in by.time.items():
        if not fields.has(name) or (found is not None and not (found == NO_TIME).any()):
            continue
        if unit == "iso":
            times = fields.iso_times(name)
        elif unit == "clf":
            times = fields.clf_times(name)
        else:
            times = epoch_us(fields.numbers(name), _PER_SECOND[unit])
        found = times if found is None else np.where(found == NO_TIME, times, found)
    if found is None:
        status = first_numbers(fields, *by.status)
        rows = fields.rows if status is None else len(status)
        return np.full(rows, NO_TIME)
    return found


def epoch_us(numbers: npt.NDArray[np.float64], factor: float) -> npt.NDArray[np.int64]:
    """Numbers since the epoch as µs; NO_TIME where they are none or beyond the year 2200."""
    micros = numbers * factor
    good = np.isfinite(micros) & (micros > 0) & (micros < 7.26e15)
    return np.where(good, np.rint(np.where(good, micros, 0)).astype(np.int64), NO_TIME)


def _positive(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(numbers >= 0, numbers, np.nan)


def _minus(times: npt.NDArray[np.int64], duration_ms: pa.Array | None) -> npt.NDArray[np.int64]:
    if duration_ms is None:
        return times
    milliseconds = duration_ms.to_numpy(zero_copy_only=False)
    known = np.isfinite(milliseconds) & (milliseconds < 1e10)
    micros = np.rint(np.where(known, milliseconds, 0.0) * 1e3).astype(np.int64)
    return np.where(times == NO_TIME, NO_TIME, times - micros)


def bare_host(hosts: pa.Array | None) -> pa.Array | None:
    """Hosts in lower case without port; `_` is NGINX's word for no server name."""
    lower = None if hosts is None else pc.utf8_lower(hosts)
    return null_where(without_port(lower), "_")


def without_port(addresses: pa.Array | None) -> pa.Array | None:
    """`10.0.0.1:80`, `[::1]:80` without port; bare IPv6 addresses stay as they are."""
    if addresses is None:
        return None
    bracketed = pc.replace_substring_regex(addresses, r"^\[([^\]]*)\](:\d+)?$", r"\1")
    return pc.replace_substring_regex(bracketed, r"^([^:]*):\d*$", r"\1")


def null_where(values: pa.Array | None, *words: str) -> pa.Array | None:
    """The values with these words as NULL."""
    if values is None:
        return None
    named = pc.is_in(values, value_set=pa.array(words, pa.string()))
    return pc.if_else(named, pa.scalar(None, pa.string()), values)


def prefixed(prefix: str, versions: pa.Array | None) -> pa.Array | None:
    """`1.1` as `HTTP/1.1`."""
    if versions is None:
        return None
    return pc.binary_join_element_wise(prefix, versions, "")
