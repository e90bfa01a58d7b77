"""The answer of the cheap pass over a body, before it is acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "too_many_attributes": "the record has more attributes than the limit allows",
        "invalid_trace_id": "trace_id is neither 16 bytes nor empty",
        "invalid_span_id": "span_id is neither 8 bytes nor empty",
        "invalid_parent_span_id": "parent_span_id is neither 8 bytes nor empty",
        "time_out_of_range": "its time is before 2000 or more than ten years after reception",
    }
)
"""Why a single record is refused, in the order in which it is checked: the first that holds is
told. Reason -> sentence."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a body holds. `decode` makes `records - rejected` rows of it, and `rejected` rows of
    the rejects table."""

    records: int
    """Spans, log records or data points in the body."""
    rejected: int
    """How many of them will be refused: `partial_success.rejected_*`."""
    message: str
    """English, for `partial_success.error_message`; '' when nothing is refused."""
    decoded_bytes: int
    """About how much memory `decode` will take for it at most: budget by this, not by the body."""
