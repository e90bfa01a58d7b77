"""Thousands of bodies through the scanner and through Google's decoder at a time.

What is compared of every body is whether it is read, how many of its records are kept and refused
and why, and every column of every row. The scanner's side runs joined, as the collector does it:
one decode for all bodies. A difference is then looked for body by body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError

from collector.otlp.limits import OtlpLimits
from collector.otlp.plan import TABLES
from collector.otlp.scan import OK, SCRATCH, scan
from storage.coded import plain_batch
from storage.schemas import TABLES as LAKE_TABLES
from tests.collector.otlp import reference
from tests.collector.otlp.compare import FORMATS, assert_same, payload
from tests.collector.otlp.messages import NOW

_ITEMS_MAX = OtlpLimits().items_max
_ADMITTED_EACH = 8
"""Every how many bodies the answer before the acknowledgement is compared too: it costs as much as
all the rest of a body."""


class Difference(AssertionError):
    """A body that the two decoders do not agree on."""

    def __init__(self, format_name: str, body: bytes, text: str) -> None:
        self.format_name, self.body = format_name, body
        super().__init__(f"{format_name} {body.hex()}: {text}")


@dataclass(slots=True)
class Compared:
    """Of one call."""

    read: int = 0
    refused: int = 0
    records: int = 0
    rejected: int = 0
    statuses: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """What the scanner said of each body."""
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), np.int64))
    """Rows of each table in each body, as far as it was read."""


@numba.njit(nogil=True)
def _scan_each(buf, ends, entries, widths, starts, room, out, counts, answers, items_max):  # type: ignore[no-untyped-def]
    """Validate each body of `buf`; bodies end at `ends`."""
    begin = 0
    for i in range(len(ends)):
        status, _ = scan(
            buf[begin : ends[i]], entries, widths, out, starts, room, counts[i], items_max
        )
        answers[i] = status
        begin = ends[i]


def scan_each(
    format_name: str, bodies: Sequence[bytes]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(status, rows per table) of each body by the scanner alone."""
    plan = FORMATS[format_name].signal.plan
    buf = np.frombuffer(b"".join(bodies), dtype=np.uint8)
    ends = np.cumsum([len(body) for body in bodies], dtype=np.int64)
    nothing = np.zeros(len(TABLES), dtype=np.int64)
    answers = np.zeros(len(bodies), dtype=np.int64)
    counts = np.zeros((len(bodies), len(TABLES)), dtype=np.int64)
    out = np.zeros(SCRATCH, dtype=np.int64)
    _scan_each(
        buf, ends, plan.entries, plan.widths, nothing, nothing, out, counts, answers, _ITEMS_MAX
    )
    return answers, counts


def compare_many(format_name: str, bodies: Sequence[bytes]) -> Compared:
    """Raises Difference for a body that the two decoders do not agree on."""
    statuses, counts = scan_each(format_name, bodies)
    found = Compared(statuses=statuses, counts=counts)
    alike: list[bytes] = []
    expected: list[list[tuple[reference.Row, str]]] = []
    for body, status in zip(bodies, statuses.tolist(), strict=True):
        try:
            rows: list[tuple[reference.Row, str]] | None = reference.decode(
                format_name, body, NOW, None
            )
        except DecodeError:
            rows = None
        if (rows is None) is (status == OK):
            what = "refuses" if rows is None else "reads"
            raise Difference(format_name, body, f"Google's {what} it, the scanner: {status}")
        if rows is None:
            found.refused += 1
        else:
            alike.append(body)
            expected.append(rows)
    found.read = len(alike)
    try:
        _compare_rows(format_name, alike, expected, found)
    except AssertionError as error:
        raise _culprit(format_name, alike, error) from error
    return found


def _compare_rows(
    format_name: str,
    bodies: Sequence[bytes],
    expected: Sequence[list[tuple[reference.Row, str]]],
    found: Compared,
) -> None:
    otlp = FORMATS[format_name]
    kept = [{**row, "tenant": "default"} for rows in expected for row, why in rows if not why]
    refused = [
        (str(number), position, why)
        for number, rows in enumerate(expected)
        for position, (_, why) in enumerate(rows, 1)
        if why
    ]
    offered = [payload(format_name, body, origin=str(n)) for n, body in enumerate(bodies)]
    decoded = otlp.decode(offered)
    assert (decoded.accepted, decoded.rejected) == (len(kept), len(refused))
    rejects = decoded.tables.get("rejects")
    told = rejects.select(["origin", "position", "reason"]).to_pylist() if rejects else []
    assert [tuple(row.values()) for row in told] == refused
    for number in range(0, len(bodies), _ADMITTED_EACH):
        admission = otlp.admit(offered[number])
        whys = [why for _, why in expected[number]]
        assert (admission.records, admission.rejected) == (len(whys), sum(map(bool, whys)))
    schema = LAKE_TABLES[otlp.signal.table].arrow_schema
    if kept:
        rows = plain_batch(decoded.tables[otlp.signal.table])
        wanted = pa.RecordBatch.from_pylist(kept, schema=schema)
        for name in rows.schema.names:
            if name == "series":
                assert rows.column(name).null_count == 0
            else:
                assert equal(rows.column(name), wanted.column(name)), name
    found.records, found.rejected = len(kept) + len(refused), len(refused)


def equal(one: Any, other: Any) -> bool:
    """Like `Array.equals`, to the bit: NaN equals NaN, 0.0 is not -0.0."""
    kind = one.type
    if kind != other.type or len(one) != len(other) or one.null_count != other.null_count:
        return False
    if pa.types.is_float64(kind):
        bits = [_plain_nan(array).view(pa.int64()) for array in (one, other)]
        return bool(bits[0].equals(bits[1]))
    if pa.types.is_list(kind):
        lengths = [pc.list_value_length(array) for array in (one, other)]
        return bool(lengths[0].equals(lengths[1])) and equal(one.flatten(), other.flatten())
    if pa.types.is_struct(kind):
        return bool(one.is_null().equals(other.is_null())) and all(
            equal(a, b) for a, b in zip(one.flatten(), other.flatten(), strict=True)
        )
    return bool(one.equals(other))


def _plain_nan(array: Any) -> Any:
    return pc.if_else(pc.is_nan(array), pa.scalar(float("nan")), array)


def _culprit(format_name: str, bodies: Sequence[bytes], error: AssertionError) -> Difference:
    for body in bodies:
        try:
            assert_same(format_name, body)
        except Exception as single:
            return Difference(format_name, body, f"{type(single).__name__}: {single}"[:2000])
    return Difference(format_name, b"".join(bodies), f"only when joined: {error!r}")


__all__ = ["Compared", "Difference", "compare_many", "equal", "scan_each"]
