"""Cut lines of text into fields: one pass over the bytes, no Python object per line.

A `LineFormat` is what a log format says between its fields: `$remote_addr - $remote_user [` is the
field remote_addr ended by ` - `, then remote_user ended by ` [`. Every textual access log (NGINX,
Apache, HAProxy, Envoy, ALB, Reactor Netty) is such a list. `scan_lines` answers byte offsets; the
functions below turn offsets into Arrow columns (numbers and times: `scan_values.py`).

Sans-I/O. Compiled by numba when imported and kept in its cache; the GIL is released while scanning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.gateways import scan_values
from collector.otlp.machine import BYTES, READ_INTS32, kernel

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Lengths = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LIST = 1
"""Kind of a field that NGINX may fill with several values, `a, b : c`: a blank after a comma or
around a colon does not end it."""


@dataclass(frozen=True, slots=True)
class LineField:
    """One field and the literal that ends it; an empty `end` takes the rest of the line."""

    name: str
    end: bytes
    kind: int = 0


@dataclass(frozen=True, slots=True)
class LineFormat:
    """Fields in order. `start` is the literal before the first of them."""

    fields: tuple[LineField, ...]
    start: bytes = b""
    index: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {f.name: i for i, f in enumerate(self.fields)})


@dataclass(frozen=True, slots=True)
class ScannedLines:
    """Offsets of the fields of every line, `[field, line]`, into `buffer`."""

    buffer: Bytes
    format: LineFormat
    starts: Offsets
    ends: Offsets
    failed_at: npt.NDArray[np.int16]
    """-1 where the line matched, else the index of the first field that did not end."""

    @property
    def rows(self) -> int:
        return self.failed_at.size

    def has(self, name: str) -> bool:
        return name in self.format.index

    def span(self, name: str) -> tuple[Offsets, Offsets]:
        i = self.format.index[name]
        return self.starts[i], self.ends[i]

    def text(self, name: str) -> pa.Array:
        """The field as strings; NULL where it is empty or `-`."""
        return gather(self.buffer, *self.span(name))

    def numbers(self, name: str) -> Floats:
        """The field as a number, lists summed; NaN where there is none."""
        return scan_values.parse_sums(self.buffer, *self.span(name))

    def clf_times(self, name: str) -> Lengths:
        """`29/May/2017:19:02:48 +0200` as µs since the epoch; NO_TIME where it is none."""
        return scan_values.parse_clf_times(self.buffer, *self.span(name))

    def iso_times(self, name: str) -> Lengths:
        """`2017-05-29T19:02:48.123Z` as µs since the epoch; NO_TIME where it is none."""
        return scan_values.parse_iso_times(self.buffer, *self.span(name))

    def request_lines(self, name: str) -> RequestLines:
        return split_request_lines(self.buffer, *self.span(name))


def split_lines(body: bytes) -> tuple[Bytes, Offsets, Offsets]:
    """Buffer, start and end of every line (a `\\r` before the line's end belongs to the end).

    The text after the last newline is a line unless it is empty; bodies are below 2 GiB.
    """
    buffer = np.frombuffer(body, dtype=np.uint8)
    newlines = np.flatnonzero(buffer == 10).astype(np.int32)
    if len(body) and (newlines.size == 0 or newlines[-1] != len(body) - 1):
        newlines = np.append(newlines, np.int32(len(body)))
    ends = newlines
    starts = np.empty_like(ends)
    if ends.size:
        starts[0] = 0
        starts[1:] = ends[:-1] + 1
        trailing_cr = (ends > starts) & (buffer[np.maximum(ends - 1, 0)] == 13)
        ends = ends - trailing_cr.astype(np.int32)
    return buffer, starts, ends


def scan_lines(buffer: Bytes, starts: Offsets, ends: Offsets, format_: LineFormat) -> ScannedLines:
    """Find the fields of every line."""
    literals = [format_.start, *(f.end for f in format_.fields)]
    literal_bytes = np.frombuffer(b"".join(literals) or b"\0", dtype=np.uint8)
    literal_offsets = np.cumsum([0, *(len(item) for item in literals)]).astype(np.int32)
    kinds = np.array([f.kind for f in format_.fields], dtype=np.uint8)
    out_starts, out_ends, failed_at = _scan(
        buffer, starts, ends, literal_bytes, literal_offsets, kinds
    )
    return ScannedLines(buffer, format_, out_starts, out_ends, failed_at)


def gather(buffer: Bytes, starts: Offsets, ends: Offsets) -> pa.Array:
    """Strings at the offsets; NULL where the text is empty or `-`. The buffer must be UTF-8."""
    offsets, data, valid = _gather(buffer, starts, ends)
    nulls = int(valid.size - np.count_nonzero(valid))
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None
    return pa.StringArray.from_buffers(
        len(starts), pa.py_buffer(offsets), pa.py_buffer(data), bitmap, nulls
    )


@dataclass(frozen=True, slots=True)
class RequestLines:
    """`GET /path?query HTTP/1.1` in parts; the query is left behind."""

    method: pa.Array
    path: pa.Array
    protocol: pa.Array


def split_request_lines(buffer: Bytes, starts: Offsets, ends: Offsets) -> RequestLines:
    """Parts of request lines. A broken one (empty, TLS bytes, no blank) gives NULL in all three."""
    m_end, p_start, p_end, v_start, v_end = _split_requests(buffer, starts, ends)
    return RequestLines(
        gather(buffer, starts, m_end),
        gather(buffer, p_start, p_end),
        gather(buffer, v_start, v_end),
    )


@kernel((BYTES, READ_INTS32, READ_INTS32, BYTES, READ_INTS32, BYTES))
def _scan(
    buffer: Any, starts: Any, ends: Any, literal_bytes: Any, literal_offsets: Any, kinds: Any
) -> Any:
    fields, lines = kinds.size, starts.size
    out_starts = np.zeros((fields, lines), dtype=np.int32)
    out_ends = np.zeros((fields, lines), dtype=np.int32)
    failed_at = np.full(lines, -1, dtype=np.int16)
    for line in range(lines):
        position, stop = starts[line], ends[line]
        first = literal_offsets[1] - literal_offsets[0]
        if position + first > stop:
            failed_at[line] = 0
            continue
        for i in range(first):
            if buffer[position + i] != literal_bytes[i]:
                failed_at[line] = 0
                break
        if failed_at[line] >= 0:
            continue
        position += first
        for f in range(fields):
            lo = literal_offsets[f + 1]
            size = literal_offsets[f + 2] - lo
            out_starts[f, line] = position
            if size == 0:
                out_ends[f, line] = stop
                position = stop
                continue
            head = literal_bytes[lo]
            found = False
            p = position
            while p + size <= stop:
                byte = buffer[p]
                if byte == 92 and p + 1 < stop and buffer[p + 1] != 120 and head == 34:
                    p += 2  # a backslash protects the quote behind it; `\\x22` holds none
                    continue
                if byte == head:
                    same = True
                    for i in range(1, size):
                        if buffer[p + i] != literal_bytes[lo + i]:
                            same = False
                            break
                    if same and kinds[f] == 1 and byte == 32 and p > position:
                        before = buffer[p - 1]
                        if (
                            before == 44
                            or (before == 58 and p - 2 >= position and buffer[p - 2] == 32)
                            or (p + 2 < stop and buffer[p + 1] == 58 and buffer[p + 2] == 32)
                        ):
                            same = False
                    if same:
                        found = True
                        break
                p += 1
            if not found:
                failed_at[line] = f
                break
            out_ends[f, line] = p
            position = p + size
    return out_starts, out_ends, failed_at


@kernel((BYTES, READ_INTS32, READ_INTS32))
def _gather(buffer: Any, starts: Any, ends: Any) -> Any:
    rows = starts.size
    offsets = np.empty(rows + 1, dtype=np.int32)
    valid = np.ones(rows, dtype=np.bool_)
    total = 0
    for row in range(rows):
        offsets[row] = total
        size = ends[row] - starts[row]
        if size <= 0 or (size == 1 and buffer[starts[row]] == 45):
            valid[row] = False
        else:
            total += size
    offsets[rows] = total
    data = np.empty(total, dtype=np.uint8)
    for row in range(rows):
        if valid[row]:
            at = offsets[row]
            first = starts[row]
            for i in range(ends[row] - first):
                data[at + i] = buffer[first + i]
    return offsets, data, valid


@kernel((BYTES, READ_INTS32, READ_INTS32))
def _split_requests(buffer: Any, starts: Any, ends: Any) -> Any:
    rows = starts.size
    m_end = starts.copy()
    p_start, p_end = starts.copy(), starts.copy()
    v_start, v_end = starts.copy(), starts.copy()
    for row in range(rows):
        s, e = starts[row], ends[row]
        p = s
        while (
            p < e and p - s < 20 and (65 <= buffer[p] <= 90 or buffer[p] == 45 or buffer[p] == 95)
        ):
            p += 1
        if p == s or p >= e or buffer[p] != 32:
            continue
        # The protocol is the last word if it starts with HTTP/; targets may hold blanks.
        q = e - 1
        while q > p and buffer[q] != 32:
            q -= 1
        target_end = e
        if (
            q > p
            and e - q > 6
            and buffer[q + 1] == 72
            and buffer[q + 2] == 84
            and buffer[q + 3] == 84
            and buffer[q + 4] == 80
            and buffer[q + 5] == 47
        ):
            target_end = q
            v_start[row], v_end[row] = q + 1, e
        m_end[row] = p
        p_start[row] = p + 1
        p += 1
        while p < target_end and buffer[p] != 63 and buffer[p] != 35:
            p += 1
        p_end[row] = p
    return m_end, p_start, p_end, v_start, v_end
