"""Formats whose records become OTLP records, access-log records of a gateway, or both.

A format says how one body reads (`translate`); this file does the rest of the `Format` contract:
the OTLP part goes through the decoder of its signal, the gateway part through the gateway's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa

from collector.gateways.lines import merge_decoded
from collector.gateways.registry import GATEWAY_FORMATS
from collector.gateways.rows import rejects_batch
from collector.otlp.admission import Admission
from collector.otlp.formats import OtlpFormat
from collector.otlp.logs import Logs
from collector.otlp.metrics import Metrics
from collector.otlp.records import Signal
from collector.otlp.traces import Traces
from collector.payload import Decoded, Payload
from collector.receivers.limits import GATEWAY_RECORD_BYTES


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be read."""

    position: int
    """In its body, from 1."""
    reason: str
    detail: str
    record: bytes


@dataclass(slots=True)
class GatewayRecords:
    """Records of one gateway: one line each, without newlines, and where each stood."""

    lines: list[bytes] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)

    def add(self, position: int, line: bytes) -> None:
        self.lines.append(b" ".join(line.splitlines()))
        self.positions.append(position)


@dataclass(slots=True)
class Translation:
    """What one body says."""

    otlp: bytes = b""
    """An OTLP export request of the format's signal; b'' = no such records."""
    gateways: dict[str, GatewayRecords] = field(default_factory=dict)
    """Gateway format -> its records."""
    rejects: list[Reject] = field(default_factory=list)

    def gateway(self, name: str) -> GatewayRecords:
        return self.gateways.setdefault(name, GatewayRecords())


Translate = Callable[[Payload], Translation]
"""Pure. Raises MalformedBody for a body that has to be refused as a whole."""


def named_signal(signal: type[Signal], name: str) -> Signal:
    """A signal whose rejects say they came by `name`."""
    made = signal()
    made.source = name
    return made


@dataclass(frozen=True)
class TranslatedFormat:
    """A `Format`. Pure; threads may share it."""

    name: str
    signal: type[Signal]
    translate: Translate
    description: str = ""
    snippet: str = ""
    dedupe: bool = True

    @cached_property
    def _otlp(self) -> OtlpFormat:
        return OtlpFormat(named_signal(self.signal, self.name))

    def validate(self, payload: Payload) -> int:
        """Records in the body, refused ones included. Raises MalformedBody."""
        return self.admit(payload).records

    def admit(self, payload: Payload) -> Admission:
        """As `OtlpFormat.admit`; single records that cannot be read count as refused."""
        found = self.translate(payload)
        lines = sum(len(records.lines) for records in found.gateways.values())
        inner = Admission(0, 0, "", 0)
        if found.otlp:
            inner = self._otlp.admit(_as_otlp(payload, found.otlp))
        rejected = inner.rejected + len(found.rejects)
        message = found.rejects[0].detail if found.rejects else inner.message
        memory = inner.decoded_bytes + len(payload.body) + lines * GATEWAY_RECORD_BYTES
        return Admission(inner.records + lines + len(found.rejects), rejected, message, memory)

    def decode(self, payloads: Sequence[Payload]) -> Decoded:
        """Rows of the signal's table, of `requests` and of `rejects`."""
        found = [(payload, self.translate(payload)) for payload in payloads]
        otlp = [_as_otlp(payload, one.otlp) for payload, one in found if one.otlp]
        parts = [self._otlp.decode(otlp)] if otlp else []
        for name in sorted({name for _, one in found for name in one.gateways}):
            some = [(p, one.gateways[name]) for p, one in found if name in one.gateways]
            parts.append(_decode_gateway(name, some))
        refused = [(payload, reject) for payload, one in found for reject in one.rejects]
        if refused:
            parts.append(_refused(self.name, refused))
        return merge_decoded(parts)


def _as_otlp(payload: Payload, body: bytes) -> Payload:
    return replace(payload, body=body, content="protobuf")


def _decode_gateway(name: str, some: Sequence[tuple[Payload, GatewayRecords]]) -> Decoded:
    """All bodies' records together; one by one where there are rejects, for their positions."""
    format_ = GATEWAY_FORMATS[name]
    bodies = [
        replace(payload, body=b"\n".join(records.lines), content="text")
        for payload, records in some
    ]
    decoded = format_.decode(bodies)
    if not decoded.rejected:
        return decoded
    parts = []
    for body, (_, records) in zip(bodies, some, strict=True):
        part = format_.decode([body])
        parts.append(replace(part, tables={**part.tables, **_placed(part, records)}))
    return merge_decoded(parts)


def _placed(part: Decoded, records: GatewayRecords) -> dict[str, pa.RecordBatch]:
    """The rejects with the positions the records had in the body they came in."""
    rejects = part.tables.get("rejects")
    if rejects is None:
        return {}
    at = rejects.schema.get_field_index("position")
    places = [records.positions[line - 1] for line in rejects.column(at).to_pylist()]
    return {"rejects": rejects.set_column(at, rejects.schema.field(at), pa.array(places))}


def _refused(name: str, refused: Sequence[tuple[Payload, Reject]]) -> Decoded:
    batch = rejects_batch(
        times_us=[payload.received_unix_nano // 1000 for payload, _ in refused],
        tenants=[payload.tenant for payload, _ in refused],
        source=name,
        origins=[payload.origin for payload, _ in refused],
        positions=[reject.position for _, reject in refused],
        reasons=[reject.reason for _, reject in refused],
        details=[reject.detail for _, reject in refused],
        records=[reject.record for _, reject in refused],
    )
    return Decoded({"rejects": batch}, 0, len(refused))


__all__ = [
    "GatewayRecords", "Logs", "Metrics", "Reject", "Traces", "TranslatedFormat", "Translation",
]  # fmt: skip
