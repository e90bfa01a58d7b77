"""When rows came, told from the files they came in: the writer's clock is in every file's entry, so
lateness needs no column of its own.

A request counts as late when its file was committed more than `late_after_s` after its own time.
Merging keeps the newest write of the merged files, so only files as appended (level 0) and imports
tell the truth; of a merged file nothing is known, and it is left out and said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics.filters import Filters
from analytics.policy import Params
from analytics.sql_build import where_filters
from analytics.timerange import TimeRange
from storage.log import FileEntry, time_to_us, us_to_time
from storage.session import ReadSession

LATE_AFTER_S = 300.0
"""Seconds between a request and its commit that make it late; batching alone takes about 2."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How late the requests of a range were, as far as their files still tell."""

    rows_known: int
    """Requests in files as they were appended."""
    rows_late: int | None
    """Of those, late; None = every file of the range is merged already."""
    lateness_s_max: float | None
    """Longest time between a request and its commit; None as above."""


def measure_arrivals(
    session: ReadSession,
    time_range: TimeRange,
    filters: Filters,
    files: Sequence[FileEntry],
    *,
    late_after_s: float = LATE_AFTER_S,
) -> Arrivals:
    """Lateness of the requests in the given files of the range. Files without a late row are told
    from statistics; only the others are read."""
    fresh = [entry for entry in files if entry.level == 0]
    if not fresh:
        return Arrivals(0, None, None)
    narrowed = bool(filters.active()) or session.scope is not None
    first, last = time_to_us(time_range.start), time_to_us(time_range.end)
    late_rows, oldest = 0, 0.0
    for entry in fresh:
        limit_us = entry.modified_ms * 1000 - int(late_after_s * 1e6)
        oldest = max(oldest, entry.modified_ms / 1000 - entry.time_min / 1e6)
        if entry.time_min >= limit_us:
            continue
        inside = first <= entry.time_min and entry.time_max < min(last, limit_us)
        if inside and not narrowed:
            late_rows += entry.rows
        else:
            late_rows += _rows_before(session, time_range, filters, [entry], limit_us)
    known = sum(entry.rows for entry in fresh)
    if narrowed:
        known = _rows_before(session, time_range, filters, fresh, last)
    return Arrivals(known, late_rows, max(0.0, oldest))


def _rows_before(
    session: ReadSession,
    time_range: TimeRange,
    filters: Filters,
    files: Sequence[FileEntry],
    limit_us: int,
) -> int:
    params = Params()
    conditions = [
        f"time >= {params.add(time_range.start)}",
        f"time < {params.add(min(time_range.end, us_to_time(limit_us)))}",
        *where_filters(filters, params),
    ]
    table = session.query(
        f"SELECT count(*) AS n FROM requests WHERE {' AND '.join(conditions)}",  # noqa: S608 - bound
        params.values,
        files={"requests": files},
    )
    return int(table["n"][0].as_py())
