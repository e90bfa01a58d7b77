"""SELECTs of ours over raw rows whose answer adds up hour by hour, settled hours from memory.

The statement groups by `stored_hour` beside its own keys:

    SELECT epoch_us(time) // 3600000000 AS stored_hour, source, count(*) AS requests
    FROM requests WHERE time >= $start AND time < $end GROUP BY ALL

What comes back are partial rows without that column; whoever asks adds them up.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import polars as pl

from analytics.frames import to_frame
from analytics.pieces import Piece
from analytics.settled import Hour, SettledSums, by_hour, piece_of
from analytics.timerange import TimeRange
from storage.log import us_to_time
from storage.session import ReadSession

HOUR_US = 3_600_000_000


def settled_rows(
    session: ReadSession,
    settled: SettledSums,
    table: str,
    sql: str,
    params: Mapping[str, object],
    time_range: TimeRange,
) -> pl.DataFrame:
    """Partial rows of the range: its whole hours kept, its ends read. `sql` names `table` alone and
    binds $start and $end; `params` are its other values, hashable."""
    files = tuple(session.files(table, time_range.start, time_range.end))
    piece = Piece(table, files, ((time_range.start, time_range.end),))
    whole, cut, rest = by_hour(piece, ())
    asked = (session.tenant, session.scope, sql, tuple(params.items()))

    def read(part: Piece, span: TimeRange) -> pl.DataFrame:
        values = {**params, "start": span.start, "end": span.end}
        return to_frame(session.query(sql, values, files={table: part.files}))

    def key(hour: Hour) -> Hashable:
        return (*asked, hour.key)

    found = {hour.key: settled.get(key(hour)) for hour in whole}
    missing = [hour for hour in whole if found[hour.key] is None]
    frames = [frame for frame in found.values() if frame is not None]
    if missing:
        span = TimeRange(
            us_to_time(min(hour.bounds_us[0] for hour in missing)),
            us_to_time(max(hour.bounds_us[1] for hour in missing) + 1),
        )
        rows = read(piece_of(piece, missing), span)
        parts = rows.partition_by("stored_hour", as_dict=True, include_key=False)
        nothing = rows.drop("stored_hour").clear()
        for hour in missing:
            frame = parts.get((hour.bounds_us[0] // HOUR_US,), nothing)
            settled.put(key(hour), frame)
            frames.append(frame)
    ends = Piece(table, (*rest.files, *piece_of(piece, cut).files), piece.spans)
    if ends.files or not frames:
        frames.append(read(ends, time_range).drop("stored_hour"))
    return pl.concat(frames)
