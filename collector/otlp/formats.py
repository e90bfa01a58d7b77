"""The three OTLP formats behind the Format protocol of `collector/payload.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from collector.otlp.admission import REASONS, Admission
from collector.otlp.body import scan_body
from collector.otlp.json_body import protobuf_from_json
from collector.otlp.limits import JOIN_BYTES_MAX, OtlpLimits
from collector.otlp.logs import Logs
from collector.otlp.metrics import Metrics
from collector.otlp.records import Signal
from collector.otlp.rejects import malformed_rows
from collector.otlp.rows import Part, decode_part
from collector.otlp.snippets import DESCRIPTIONS, SNIPPETS
from collector.otlp.traces import Traces
from collector.payload import Decoded, MalformedBody, Payload
from storage.coded import concat_coded

_RECORD_BYTES, _ITEM_BYTES, _BODY_FACTOR, _REPEATED_FACTOR = 400, 110, 8, 2
"""Memory of a decode per record, per message or list entry, per byte of the body and per byte that
becomes part of several rows: rounded up from what was measured
(tests/collector/otlp/test_admission.py)."""


@dataclass(frozen=True, slots=True)
class OtlpFormat:
    """One signal of OTLP. Pure and free of state; threads may share it."""

    signal: Signal
    limits: OtlpLimits = field(default_factory=OtlpLimits)
    dedupe: bool = True

    @property
    def name(self) -> str:
        return self.signal.name

    @property
    def description(self) -> str:
        """For people."""
        return DESCRIPTIONS[self.name]

    @property
    def snippet(self) -> str:
        """What senders write in their configuration."""
        return SNIPPETS[self.name]

    def validate(self, payload: Payload) -> int:
        """Records in the body, those that will be refused one by one included."""
        return self.admit(payload).records

    def admit(self, payload: Payload) -> Admission:
        """What `decode` will make of the body, without making it. Raises MalformedBody.

        Decides about single records just as `decode` does, so that the answer to the sender can
        say how many were refused before anything is decoded.
        """
        limits = self.limits
        data = _protobuf(self.signal, payload)
        body = scan_body(
            data,
            self.signal.plan,
            items_max=limits.items_max,
            everything=False,
            records_max=limits.records_max,
        )
        repeated = self.signal.quick.repeated_bytes(body, payload.received_unix_nano, limits)
        records = None
        if repeated is None:
            repeated = int(self.signal.repeated_bytes(body).sum())
            received = np.full(body.count("record"), payload.received_unix_nano, dtype=np.int64)
            records = self.signal.decide(body, received, limits)
        if repeated > limits.shared_bytes_max:
            raise MalformedBody("resource, scope or metric too large for so many records")
        count = body.count("record") if records is None else records.count
        memory = (
            _RECORD_BYTES * count
            + _ITEM_BYTES * int(body.counts.sum())
            + _BODY_FACTOR * len(data)
            + _REPEATED_FACTOR * repeated
        )
        if records is None or not len(records.refused):
            return Admission(count, 0, "", memory)
        codes = records.codes[records.refused]
        told = REASONS[list(REASONS)[int(codes[0]) - 1]]
        message = f"{len(codes)} of {records.count} records were refused; the first because {told}."
        return Admission(records.count, len(codes), message, memory)

    def decode(self, payloads: Sequence[Payload]) -> Decoded:
        """Rows of payloads that passed `validate`. Those of one tenant and environment are joined
        and scanned once: protobuf messages put one after the other are one merged message.

        A body that turns out malformed all the same (a damaged log, another version's rules) does
        not take the others with it: it becomes one row of `rejects`.
        """
        rows: list[pa.RecordBatch] = []
        rejects: list[pa.RecordBatch] = []
        for part in self._parts(payloads, rejects):
            try:
                decoded = [decode_part(self.signal, part, self.limits)]
            except MalformedBody:
                decoded = self._one_by_one(part, rejects)
            for batch, refused in decoded:
                rows.append(batch)
                if refused is not None:
                    rejects.append(refused)
        tables = {}
        for name, batches in ((self.signal.table, rows), ("rejects", rejects)):
            filled = [batch for batch in batches if batch.num_rows]
            if filled:
                tables[name] = concat_coded(filled)
        accepted, rejected = (
            tables[name].num_rows if name in tables else 0
            for name in (self.signal.table, "rejects")
        )
        return Decoded(tables, accepted, rejected)

    def _parts(self, payloads: Sequence[Payload], rejects: list[pa.RecordBatch]) -> Iterator[Part]:
        """Payloads by tenant and environment, at most JOIN_BYTES_MAX of bytes together."""
        open_parts: dict[tuple[str, str | None], Part] = {}
        for payload in payloads:
            try:
                data = _protobuf(self.signal, payload)
            except MalformedBody as error:
                rejects.append(malformed_rows(self.signal.source, payload, error))
                continue
            key = (payload.tenant, payload.environment)
            part = open_parts.get(key)
            if part is not None and part.size + len(data) > JOIN_BYTES_MAX:
                yield open_parts.pop(key)
                part = None
            if part is None:
                part = open_parts[key] = Part()
            part.add(payload, data)
        yield from open_parts.values()

    def _one_by_one(
        self, part: Part, rejects: list[pa.RecordBatch]
    ) -> list[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
        decoded = []
        for single in part.singles():
            try:
                decoded.append(decode_part(self.signal, single, self.limits))
            except MalformedBody as error:
                rejects.append(malformed_rows(self.signal.source, single.payloads[0], error))
        return decoded


def _protobuf(signal: Signal, payload: Payload) -> bytes:
    if payload.content == "json":
        return protobuf_from_json(signal.name, payload.body)
    return payload.body


OTLP_TRACES = OtlpFormat(Traces())
OTLP_LOGS = OtlpFormat(Logs())
OTLP_METRICS = OtlpFormat(Metrics())
