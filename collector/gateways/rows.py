"""Rows of `requests` and `rejects` from columns: no format repeats how they are laid out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.limits import (
    DURATION_MS_MAX,
    NAME_CHARS_MAX,
    REJECT_RECORD_BYTES_MAX,
    TEXT_CHARS_MAX,
)
from storage.coded import plain, plain_type, schema_of
from storage.schemas import REQUESTS, TABLES, TIMESTAMP

REQUESTS_SCHEMA = REQUESTS.arrow_schema
REJECTS_SCHEMA = TABLES["rejects"].arrow_schema

_FREE_TEXT = frozenset({"path", "user_agent", "upstream"})
_STRINGS = frozenset(f.name for f in REQUESTS_SCHEMA if f.type == pa.string())


def requests_batch(rows: int, columns: Mapping[str, pa.Array | None]) -> pa.RecordBatch:
    """A batch of `requests`, text coded where it came so. Columns not given, or None, are NULL;
    `time`, `tenant` are required.

    Text is cut to its limit; durations that are negative or absurd become NULL; `gateway_ms` is
    filled in as total minus upstream, never below zero, where the gateway did not say it.
    """
    unknown = set(columns) - set(REQUESTS_SCHEMA.names)
    assert not unknown, f"not columns of requests: {sorted(unknown)}"
    filled = {name: values for name, values in columns.items() if values is not None}
    for name in ("duration_ms", "upstream_ms", "gateway_ms"):
        if name in filled:
            filled[name] = _plausible(filled[name])
    if "duration_ms" in filled and "upstream_ms" in filled:
        own = pc.max_element_wise(
            pc.subtract(filled["duration_ms"], filled["upstream_ms"]), 0.0, skip_nulls=False
        )
        said = filled.get("gateway_ms")
        filled["gateway_ms"] = own if said is None else pc.coalesce(said, own)
    arrays = []
    for column in REQUESTS_SCHEMA:
        values = filled.get(column.name)
        if values is None:
            arrays.append(pa.nulls(rows, column.type))
            continue
        if column.name in _STRINGS and column.type == plain_type(values.type):
            limit = TEXT_CHARS_MAX if column.name in _FREE_TEXT else NAME_CHARS_MAX
            values = _cut(values, limit)
        fits = plain_type(values.type) == column.type
        arrays.append(values if fits else pc.cast(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(REQUESTS_SCHEMA, arrays))


def rejects_batch(
    *,
    times_us: Sequence[int],
    tenants: Sequence[str],
    source: str,
    origins: Sequence[str],
    positions: Sequence[int],
    reasons: Sequence[str],
    details: Sequence[str],
    records: Sequence[bytes],
) -> pa.RecordBatch:
    """A batch of `rejects`; records are cut and freed of secrets here."""
    rows = len(positions)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(times_us, pa.int64()).cast(TIMESTAMP),
            pa.array(tenants, pa.string()),
            pa.array([source] * rows, pa.string()),
            pa.array([origin or None for origin in origins], pa.string()),
            pa.array(positions, pa.int64()),
            pa.array(reasons, pa.string()),
            pa.array(details, pa.string()),
            pa.array([redact(record) for record in records], pa.string()),
        ],
        schema=REJECTS_SCHEMA,
    )


_QUERY = re.compile(r"\?[^\s\"'\\]*")
_USERINFO = re.compile(r"://[^/\s@]+@")
_SECRET_NAME = (
    r"(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?api[-_]?key(?:id)?|[\w-]{0,40}subscription-key"
    r"|(?:access|id|refresh|auth)?[-_]?token|password|passwd|secret|client_id|credential"
)
_BODY_NAME = (
    r"raw_re(?:quest|sponse)|[\w-]{0,40}(?:request|response|proxy)_?(?:body|headers?)|querystring"
)
_TELLING = f"{_SECRET_NAME}|{_BODY_NAME}"
_JSON_SECRETS = (
    re.compile(rf'(?i)("(?:{_TELLING})"\s*:\s*")(?:[^"\\]|\\.)*'),
    re.compile(rf'(?i)(\\"(?:{_TELLING})\\"\s*:\s*\\")(?:[^"\\]|\\[^"])*'),
)
"""Values of telling names in JSON (and JSON in JSON): secrets, and what may hold anything."""
_SECRET = re.compile(
    rf"(?i)\b({_SECRET_NAME})(\"?\s*[:=]\s*\"?)((?:basic|bearer)\s+)?[^\s\",;&}}]+"
)


def redact(record: bytes) -> str:
    """The record as readable text: bad bytes escaped, query strings and secrets removed, cut."""
    text = record[: 2 * REJECT_RECORD_BYTES_MAX].decode("utf-8", "backslashreplace")
    text = text.replace("\0", "\\x00")
    for pattern in _JSON_SECRETS:
        text = pattern.sub(r"\1[removed]", text)
    text = _SECRET.sub(r"\1\2[removed]", text)
    text = _QUERY.sub("?[removed]", text)
    text = _USERINFO.sub("://[removed]@", text)
    return text.encode()[:REJECT_RECORD_BYTES_MAX].decode("utf-8", "ignore")


def floats(values: npt.NDArray[np.float64]) -> pa.Array:
    """Floats with NaN as NULL."""
    return pa.array(values, pa.float64(), from_pandas=True)


def whole(values: npt.NDArray[np.float64], type_: pa.DataType) -> pa.Array:
    """Floats as integers; NaN, fractions' rests and what does not fit become NULL."""
    limits: Any = np.iinfo(type_.to_pandas_dtype())
    fits = np.isfinite(values) & (values >= 0) & (values <= min(limits.max, 2**53))
    return pa.array(np.where(fits, values, 0).astype(type_.to_pandas_dtype()), mask=~fits)


def text_column(values: Sequence[str | None]) -> pa.Array:
    """Strings with '' and '-' as NULL."""
    return pa.array([v if v and v != "-" else None for v in values], pa.string())


def constant(value: str | None, rows: int) -> pa.Array:
    """The same text in every row."""
    if value is None:
        return pa.nulls(rows, pa.string())
    return pa.repeat(pa.scalar(value, pa.string()), rows)


def _plausible(values: pa.Array) -> pa.Array:
    values = values if values.type == pa.float64() else pc.cast(values, pa.float64())
    good = pc.and_(pc.greater_equal(values, 0.0), pc.less_equal(values, DURATION_MS_MAX))
    return pc.if_else(good, values, pa.scalar(None, pa.float64()))


def _cut(values: pa.Array, limit: int) -> pa.Array:
    texts = values.dictionary if isinstance(values, pa.DictionaryArray) else values
    longest = pc.max(pc.binary_length(texts)).as_py()
    if longest is None or longest <= limit:
        return values
    values = plain(values)
    return pc.utf8_slice_codeunits(values, 0, limit)
