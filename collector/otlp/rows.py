"""Joined bodies of one tenant and environment -> one record batch of the signal's table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from collector.otlp.arrow import micros, number_array
from collector.otlp.attributes import render_attributes
from collector.otlp.body import Body, Ints, scan_body
from collector.otlp.limits import OtlpLimits
from collector.otlp.records import Records, Signal
from collector.otlp.rejects import refused_rows
from collector.otlp.shared import share
from collector.payload import Payload
from storage.coded import schema_of
from storage.schemas import TABLES, TIMESTAMP

_NO_LIMIT = 2**62
"""Items are limited per body, before the acknowledgement; here several are joined."""


@dataclass(slots=True)
class Part:
    """Bodies to scan as one. All of one tenant and environment."""

    payloads: list[Payload] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, payload: Payload, data: bytes) -> None:
        """`data`: the payload's body as protobuf."""
        self.payloads.append(payload)
        self.bodies.append(data)
        self.size += len(data)

    def singles(self) -> Iterator[Part]:
        """The same bodies, each on its own."""
        for payload, data in zip(self.payloads, self.bodies, strict=True):
            yield Part([payload], [data], len(data))


def decode_part(
    signal: Signal, part: Part, limits: OtlpLimits
) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
    """Rows of the signal's table, and of `rejects` where any were refused. Raises MalformedBody."""
    data = part.bodies[0] if len(part.bodies) == 1 else b"".join(part.bodies)
    body = scan_body(data, signal.plan, items_max=_NO_LIMIT, everything=True)
    scopes = signal.scopes(body)
    payload_of = _payload_of(part, body, scopes)
    received = np.array([p.received_unix_nano for p in part.payloads], dtype=np.int64)[payload_of]
    records = signal.decide(body, received, limits)
    batch = _batch(signal, part.payloads[0], body, scopes, records)
    accepted = records.accepted
    if accepted is None:
        return batch, None
    refused = None
    if len(records.refused):
        positions = _positions(payload_of, records)
        shown = batch.select(list(signal.shown))
        refused = refused_rows(signal.source, part.payloads, payload_of, positions, records, shown)
    return batch.filter(pa.array(accepted)), refused


def _payload_of(part: Part, body: Body, scopes: Ints) -> Ints:
    """Which payload every record came in: by where its resource lies."""
    if len(part.payloads) == 1:
        return np.zeros(len(scopes), dtype=np.int64)
    ends = np.cumsum([len(data) for data in part.bodies])
    resources = body.owner_rows("scope")[scopes]
    return np.searchsorted(ends, body.column("resource", "position")[resources], side="right")


def _positions(payload_of: Ints, records: Records) -> Ints:
    """Number of every record in its payload, from 1; dead rows do not count."""
    every = np.ones(len(payload_of), dtype=np.bool_)
    numbers = np.cumsum(every if records.live is None else records.live)
    before = np.concatenate(([0], numbers))[np.searchsorted(payload_of, payload_of)]
    result: Ints = numbers - before
    return result


def _batch(
    signal: Signal, payload: Payload, body: Body, scopes: Ints, records: Records
) -> pa.RecordBatch:
    attributes = render_attributes(body, bodies=signal.table == "logs")
    shared = share(attributes)
    columns = signal.columns(attributes, shared)
    columns |= shared.of_rows(scopes, payload.environment)
    always = np.ones(1, dtype=np.bool_)
    columns["time"] = number_array(micros(records.time), TIMESTAMP, always)
    columns["tenant"] = pa.repeat(pa.scalar(payload.tenant, pa.string()), len(scopes))
    schema = TABLES[signal.table].arrow_schema
    arrays = [columns[name] for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(schema, arrays))
