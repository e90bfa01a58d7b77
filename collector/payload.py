"""What travels between the doors, the write-ahead log and the decoders.

A Payload is one accepted request body; a Format turns payloads into rows. Formats are pure:
no clock, socket or file, so that replaying a write-ahead log gives the same rows as the first
time. `received_unix_nano` is the only notion of "now" a decoder may use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pyarrow as pa

from collector.errors import MalformedBody

Content = Literal["protobuf", "json", "text"]
"""How the body is written. "text" is for line protocols."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One request body as it was admitted."""

    body: bytes
    """Decompressed bytes."""
    format: str
    """Key of `collector.formats.FORMATS`: otlp_traces, otlp_logs, otlp_metrics, nginx, ..."""
    content: Content
    tenant: str
    environment: str | None
    """From the token; None when the token names none (the data itself may still say)."""
    received_unix_nano: int
    """When the collector took the request, UTC nanoseconds."""
    origin: str
    """Address of the peer, for the rejects table; may be empty."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows of one or more payloads."""

    tables: dict[str, pa.RecordBatch]
    """Lake table name -> rows, `rejects` and `requests` included. Empty tables are left out. Text
    may be coded (`storage/coded.py`)."""
    accepted: int
    """Records that became rows of their signal's table."""
    rejected: int
    """Records that were refused one by one; each has a row in `rejects`."""


class Format(Protocol):
    """A kind of body the collector takes."""

    @property
    def name(self) -> str:
        """The name in FORMATS and in the write-ahead log."""

    @property
    def dedupe(self) -> bool:
        """True if two equal bodies within the window are one (OTLP); False for line protocols,
        where two equal lines are two requests."""

    def validate(self, payload: Payload) -> int:
        """Number of records in the body (0 is fine). Raises MalformedBody: refuse it as a whole.

        Runs before the acknowledgement, so it must find whatever would make `decode` fail.
        """

    def decode(self, payloads: Sequence[Payload]) -> Decoded:
        """Rows of payloads which all passed `validate`; order does not matter.

        Payloads may mix tenants, environments and contents. Never raises for validated input.
        """


__all__ = ["Content", "Decoded", "Format", "MalformedBody", "Payload"]
