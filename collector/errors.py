"""Everything the collector refuses or fails at.

    CollectorError
    ├── CollectorStartError        cannot start: port, folder, lock (operator's turn)
    ├── MalformedBody              the sender's bytes are not what the format says (never retry)
    └── ...                        see the table further down

Two questions shape the tree: whose fault is it, and may the sender try again.
"""

from __future__ import annotations


class CollectorError(Exception):
    """Root of the tree. `str(error)` is one sentence fit for a sender's log."""


class CollectorStartError(CollectorError):
    """The collector cannot start; the sentence says what the operator should do."""


class MalformedBody(CollectorError):
    """The body is not a valid message of its format; sending it again cannot help.

    `reason`: what is wrong, in a few words. `offset`: byte of the decompressed body where it
    was seen, None when no single place is to blame.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        self.reason = reason
        self.offset = offset
        super().__init__(reason if offset is None else f"{reason} at byte {offset}")
