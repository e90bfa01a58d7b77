"""Log records gathered by where they come from."""

from __future__ import annotations

from collector.receivers.documents import Document
from collector.receivers.otlp_wire import envelope


class Envelopes:
    """Collects records; those of one resource share an envelope."""

    def __init__(self, scope: str = "") -> None:
        self._scope = scope
        self._records: dict[tuple[tuple[str, str], ...], list[bytes]] = {}

    def add(self, document: Document) -> None:
        self._records.setdefault(document.resource, []).append(document.record)

    def encode(self) -> bytes:
        """An export request; b'' if there is no record."""
        return b"".join(
            envelope(resource, records, scope=self._scope)
            for resource, records in self._records.items()
        )
