"""Rows of the `rejects` table for records and bodies that could not be taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa

from collector.otlp.admission import REASONS
from collector.otlp.body import Ints
from collector.otlp.limits import REJECT_DETAILS_MAX
from collector.otlp.records import Records
from collector.payload import MalformedBody, Payload
from storage.schemas import REJECTS

_RECORD_CHARS_MAX = 4096
"""As the table promises."""


def refused_rows(
    source: str, payloads: Sequence[Payload], payload_of: Ints, positions: Ints,
    records: Records, shown: pa.RecordBatch,
) -> pa.RecordBatch:  # fmt: skip
    """One row per refused record. `payload_of`, `positions` (in the body, from 1) and `shown` have
    an entry per record; only `shown` columns reach the table, as JSON."""
    refused = records.refused
    origin = pa.array(payload_of[refused])
    code = pa.array(records.codes[refused].astype(np.int64) - 1)
    columns = {
        "time": pa.array([p.received_unix_nano // 1000 for p in payloads], pa.int64()).take(origin),
        "tenant": pa.array([p.tenant for p in payloads]).take(origin),
        "source": pa.repeat(source, len(refused)),
        "origin": pa.array([p.origin or None for p in payloads], pa.string()).take(origin),
        "position": pa.array(positions[refused]),
        "reason": pa.array(list(REASONS)).take(code),
        "detail": pa.array([f"The record was refused: {text}." for text in REASONS.values()]).take(
            code
        ),
        "record": _records(refused, records, shown),
    }
    return _batch(columns)


def _records(refused: Ints, records: Records, shown: pa.RecordBatch) -> pa.Array:
    some = refused[:REJECT_DETAILS_MAX]
    rows = shown.take(pa.array(some)).to_pylist()
    texts: list[str | None] = []
    for row, time in zip(rows, records.time[some].view(np.uint64).tolist(), strict=True):
        said = {name: value for name, value in row.items() if value is not None}
        text = orjson.dumps({"time_unix_nano": time, **said}).decode()
        texts.append(text[:_RECORD_CHARS_MAX])
    texts += [None] * (len(refused) - len(texts))
    return pa.array(texts, pa.string())


def malformed_rows(source: str, payload: Payload, error: MalformedBody) -> pa.RecordBatch:
    """One row for a whole body. Its bytes are not kept: they may hold secrets."""
    return _batch(
        {
            "time": pa.array([payload.received_unix_nano // 1000]),
            "tenant": pa.array([payload.tenant]),
            "source": pa.array([source]),
            "origin": pa.array([payload.origin or None], pa.string()),
            "position": pa.array([error.offset], pa.int64()),
            "reason": pa.array(["malformed_body"]),
            "detail": pa.array([f"The whole body was refused: {error}."]),
            "record": pa.array([None], pa.string()),
        }
    )


def _batch(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    schema = REJECTS.arrow_schema
    arrays = [columns[field.name].cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
