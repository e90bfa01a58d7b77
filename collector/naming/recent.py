"""The last rows seen of something, to find those that belong together."""

from __future__ import annotations

from collections import deque

import pyarrow as pa
import pyarrow.compute as pc

from collector.naming.limits import RECENT_SPANS_MAX


class Recent:
    """Columns of the last RECENT_SPANS_MAX rows or a little more."""

    def __init__(self) -> None:
        self._parts: deque[pa.RecordBatch] = deque()
        self._rows = 0

    def add(self, rows: pa.RecordBatch) -> None:
        if rows.num_rows == 0:
            return
        self._parts.append(rows)
        self._rows += rows.num_rows
        while self._rows - self._parts[0].num_rows >= RECENT_SPANS_MAX:
            self._rows -= self._parts.popleft().num_rows

    def having(self, column: str, ids: pa.Array) -> pa.Table | None:
        """Rows whose `column` is one of `ids`; None if there is none."""
        if not self._parts or len(ids) == 0:
            return None
        found = pa.Table.from_batches(self._parts)
        found = found.filter(pc.is_in(found.column(column), value_set=ids))
        return found if found.num_rows else None
