"""The three OTLP formats behind the Format protocol of `collector/payload.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from collector.otlp import reference
from collector.otlp.admission import REASONS, Admission
from collector.payload import Decoded, MalformedBody, Payload
from storage.schemas import TABLES


@dataclass(frozen=True, slots=True)
class OtlpFormat:
    """One signal of OTLP."""

    name: str
    table: str
    source: str
    dedupe: bool = True

    def _rows(self, payload: Payload) -> list[tuple[reference.Row, str]]:
        body = payload.body
        try:
            if payload.content == "json":
                message = reference.REQUESTS[self.name]()
                json_format.Parse(body, message, ignore_unknown_fields=True)
                body = message.SerializeToString()
            return reference.decode(
                self.name, body, payload.received_unix_nano, payload.environment
            )
        except (DecodeError, json_format.ParseError, ValueError) as err:
            raise MalformedBody("malformed_body", None) from err

    def admit(self, payload: Payload) -> Admission:
        rows = self._rows(payload)
        refused = [reason for _, reason in rows if reason]
        message = f"{len(refused)} refused: {REASONS[refused[0]]}" if refused else ""
        return Admission(len(rows), len(refused), message)

    def validate(self, payload: Payload) -> int:
        return len(self._rows(payload))

    def decode(self, payloads: Sequence[Payload]) -> Decoded:
        rows: list[reference.Row] = []
        rejects: list[reference.Row] = []
        for payload in payloads:
            for position, (row, reason) in enumerate(self._rows(payload), 1):
                if not reason:
                    rows.append({**row, "tenant": payload.tenant})
                    continue
                rejects.append(
                    {
                        "time": payload.received_unix_nano // 1000,
                        "tenant": payload.tenant,
                        "source": self.source,
                        "origin": payload.origin or None,
                        "position": position,
                        "reason": reason,
                        "detail": REASONS[reason],
                    }
                )
        tables = {}
        for name, found in ((self.table, rows), ("rejects", rejects)):
            if found:
                schema = TABLES[name].arrow_schema
                tables[name] = pa.RecordBatch.from_pylist(found, schema=schema)
        return Decoded(tables, len(rows), len(rejects))


OTLP_TRACES = OtlpFormat("otlp_traces", "spans", "otlp_span")
OTLP_LOGS = OtlpFormat("otlp_logs", "logs", "otlp_log")
OTLP_METRICS = OtlpFormat("otlp_metrics", "metrics", "otlp_metric")
