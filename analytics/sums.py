"""Adding up: range -> grain and segments -> files -> SQL per piece, what is settled from memory.

The one place where a question meets tables. Everything above asks for sums by group, and never for
a table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice, pairwise

import polars as pl
import pyarrow as pa

from analytics.errors import QueryRefused
from analytics.filters import Filters, check_dimensions
from analytics.frames import empty_frame, to_frame
from analytics.grains import ONLY_RAW, Grain, Kind, grain_for
from analytics.limits import POINTS_PER_SERIES_MAX, SETTLED_MINUTES_ROWS_MAX, SETTLED_ROWS_MAX
from analytics.pieces import Piece, PieceFinder
from analytics.plan import Kept, Segment, ceil_time, floor_time, kept_start, plan_segments
from analytics.policy import NO_POLICY, Policy
from analytics.series import sum_rows
from analytics.settled import Hour, SettledSums, by_hour, piece_of
from analytics.sql_build import EXPECTING, ORIGIN_US, piece_sql
from analytics.timerange import TimeRange
from storage.log import time_to_us, us_to_time
from storage.session import ReadSession

DAY = timedelta(days=1)
HOURS_AT_ONCE = 24
"""Hours of a long series that are read together."""

DAYS_REMEMBERED_MAX = 1_000

KEPT_MARGIN = timedelta(hours=2)
"""Clocks of the jobs and of who asks may differ by this much without a gap."""

_ANY = ("requests",)
_TIME = pa.timestamp("us", tz="UTC")

Rows = pl.DataFrame | pl.LazyFrame
"""Partial sums. What is still to be cut is cut in the same step as all are added up: each step of
polars costs a millisecond and more of waiting for its threads, however few the rows."""

Reduce = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Question:
    """What is added up, whatever the range. Hashable: settled answers are kept by it."""

    kind: Kind
    by: tuple[str, ...] = ()
    filters: Filters = Filters()
    interval_s: int | None = None
    sums: tuple[str, ...] = _ANY
    """Of usage; latency always counts requests per bucket."""
    part: str = "total"

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.keys, *(self.sums if self.kind == "usage" else _ANY))

    @property
    def keys(self) -> tuple[str, ...]:
        time = () if self.interval_s is None else ("time",)
        return (*time, *self.by, *(("bucket",) if self.kind == "latency" else ()))


class Sums:
    """Sums of one tenant's requests. Thread-safe."""

    def __init__(
        self,
        session: ReadSession,
        clock: Callable[[], datetime],
        policy: Policy,
        settled: SettledSums,
    ) -> None:
        self._session = session
        self._clock = clock
        self._policy = policy
        self._settled = settled
        self._raw_days: dict[Hashable, bool] = {}
        """Per day and its files: whether all raw rows are there."""

    def add_up(
        self, question: Question, time_range: TimeRange, *, counted_by: Grain | None = None
    ) -> pl.DataFrame:
        """question.columns, one row per group, unsorted; no row where there was no request.

        `counted_by`: only what the rollups of that grain have counted themselves so far.
        """
        check_dimensions(question.by)
        _check_interval(question.interval_s, time_range)
        grain = counted_by or self._grain(question)
        segments = plan_segments(
            time_range,
            now=self._clock(),
            interval_s=question.interval_s,
            tiers=grain.tiers,
            kept=self._kept(),
        )
        return self._added(question, self._pieces(grain, segments, pending=counted_by is None))

    def hour_by_hour(
        self, question: Question, time_range: TimeRange, name: Hashable, reduce: Reduce
    ) -> list[pl.DataFrame]:
        """What `reduce` makes of each hour's series; the hours that the range's ends cut, together.
        Kept by `name`, which must tell all that `reduce` depends on: for series that are too long
        to be kept themselves."""
        assert question.interval_s is not None
        _check_interval(question.interval_s, time_range)
        grain = self._grain(question)
        segments = plan_segments(
            time_range,
            now=self._clock(),
            interval_s=question.interval_s,
            tiers=grain.tiers,
            kept=self._kept(),
        )
        hours: dict[int, list[Piece]] = defaultdict(list)
        ends: list[Piece] = []
        for piece in self._pieces(grain, segments):
            whole, cut, rest = by_hour(piece, ())
            for one in whole:
                hours[one.bounds_us[0] // _HOUR_US].append(piece_of(piece, [one]))
            ends.append(replace(rest, files=(*rest.files, *piece_of(piece, cut).files)))
        session = self._session
        asked = (name, session.tenant, session.scope, self._policy, question)
        keys = {hour: (*asked, _files_of(pieces)) for hour, pieces in hours.items()}
        kept = {hour: self._settled.get(key) for hour, key in keys.items()}
        made = [frame for frame in kept.values() if frame is not None]
        missing = sorted(hour for hour, frame in kept.items() if frame is None)
        for batch in _batches(missing, HOURS_AT_ONCE):
            read = self._read_all(question, [p for hour in batch for p in hours[hour]])
            start = pl.col("time").cast(pl.Int64) // _HOUR_US
            parts = read.with_columns(start.alias("_hour")).partition_by("_hour", as_dict=True)
            for hour in batch:
                frame = reduce(parts.get((hour,), read.clear()).select(question.columns))
                self._settled.put(keys[hour], frame)
                made.append(frame)
        return [*made, reduce(self._read_all(question, ends))]

    def _read_all(self, question: Question, pieces: Sequence[Piece]) -> pl.DataFrame:
        """Sums of some pieces, those of one table read together."""
        tables: dict[str, list[Piece]] = defaultdict(list)
        for piece in pieces:
            if piece.files:
                tables[piece.table].append(piece)
        frames = [
            self._read(
                question,
                Piece(
                    table,
                    tuple(f for piece in some for f in piece.files),
                    tuple(dict.fromkeys(span for piece in some for span in piece.spans)),
                ),
                (),
            )
            for table, some in tables.items()
        ]
        return _together(question, [f for f in frames if f.height])

    def minutes_kept_from(self) -> datetime:
        """Start of the first hour whose minutes are surely there."""
        kept = self._kept().minute
        longest = timedelta(seconds=POINTS_PER_SERIES_MAX * 60) - DAY
        return ceil_time(self._clock() - min(kept or longest, longest), 3600)

    def rings(self, question: Question, cuts: Sequence[datetime]) -> pl.DataFrame:
        """`add_up` of the spans between neighbouring cuts, in one go: ring (1 = the oldest), then
        as there."""
        check_dimensions(question.by)
        now, kept, grain = self._clock(), self._kept(), self._grain(question)
        cuts = [kept_start(cut, now, kept) for cut in cuts]
        segments = [
            segment
            for start, end in pairwise(cuts)
            if start < end
            for segment in plan_segments(
                TimeRange(start, end), now=now, tiers=grain.tiers, kept=kept
            )
        ]
        return self._added(question, self._pieces(grain, segments), cuts)

    def raw_rows(self, question: Question, time_range: TimeRange) -> int:
        """Raw rows that answering would read at most; 0 where a rollup has what is asked."""
        if self._grain(question) is not ONLY_RAW:
            return 0
        segment = Segment("raw", time_range.start, time_range.end)
        return sum(piece.rows for piece in self._pieces(ONLY_RAW, [segment]))

    def _grain(self, question: Question) -> Grain:
        filters, scope = question.filters, self._session.scope
        named = {*question.by, *(name for name, _ in filters.active())}
        if filters.endpoints != "all":
            named |= self._policy.dimensions
        if question.kind == "usage" and EXPECTING & set(question.sums):
            named |= self._policy.failure_dimensions
        if scope is not None:
            named |= {"api"} if scope.apis else set()
            named |= {"consumer"} if scope.consumers else set()
        return grain_for(question.kind, named, question.part)

    def _pieces(
        self, grain: Grain, segments: Sequence[Segment], *, pending: bool = True
    ) -> list[Piece]:
        session = self._session
        finder = PieceFinder(
            session.lake, session.tenant, grain, pending=pending, known=self._settled.changes
        )
        return finder.find(segments)

    def _kept(self) -> Kept:
        settings = self._session.lake.settings

        def length(days: int) -> timedelta | None:
            return None if days <= 0 else timedelta(days=days) - KEPT_MARGIN

        looked_at: dict[datetime, bool] = {}

        def raw(moment: datetime) -> bool:
            day = floor_time(moment, 86_400)
            if day not in looked_at:
                looked_at[day] = self._raw_kept(day)
            return looked_at[day]

        return Kept(
            minute=length(settings.retention_minute_days),
            hour=length(settings.retention_hour_days),
            raw=raw,
        )

    def _raw_kept(self, day: datetime) -> bool:
        """Whether the day has no fewer raw rows than the day tier counted. Retention goes by the
        last write, too, so that age alone does not tell; what files say of themselves does."""
        end = day + DAY
        files = [f for f in self._session.files("requests", day, end) if f.day == day.date()]
        rows = sum(f.rows for f in files)
        if not rows:
            return False
        key = (day, tuple(f.path for f in files))
        if key not in self._raw_days:
            whole = Sums(self._session.narrowed(None), self._clock, NO_POLICY, self._settled)
            counted = whole.add_up(Question("usage"), TimeRange(day, end))["requests"].sum()
            if len(self._raw_days) > DAYS_REMEMBERED_MAX:
                self._raw_days.clear()
            self._raw_days[key] = 0 < counted <= rows
        return self._raw_days[key]

    def _added(
        self, question: Question, pieces: Sequence[Piece], cuts: Sequence[datetime] = ()
    ) -> pl.DataFrame:
        self._check_tenant(question.filters)
        frames = [frame for piece in pieces for frame in self._frames(question, piece, cuts)]
        return _together(question, frames, ringed=bool(cuts))

    def _frames(self, question: Question, piece: Piece, cuts: Sequence[datetime]) -> list[Rows]:
        if self._session.tenant is None:
            return [self._read(question, piece, cuts)]
        whole, cut_hours, rest = by_hour(piece, cuts)
        rings: dict[int, list[Hour]] = defaultdict(list)
        for hour in whole:
            rings[sum(cut <= us_to_time(hour.bounds_us[0]) for cut in cuts)].append(hour)
        frames: list[Rows] = []
        for ring, hours in rings.items():
            frame = self._whole(question, piece, hours)
            frames.append(_ringed(frame, ring) if cuts else frame)
        unkept = []
        for hour in cut_hours:
            frame_by_minute = self._by_minute(question, piece, hour)
            if frame_by_minute is None:
                unkept.append(hour)
            elif frame_by_minute.height:
                frames.append(_cut(frame_by_minute, question, piece, cuts))
        direct = replace(rest, files=(*rest.files, *piece_of(piece, unkept).files))
        if direct.files:
            frames.append(self._read(question, direct, cuts))
        return frames

    def _whole(self, question: Question, piece: Piece, hours: Sequence[Hour]) -> pl.DataFrame:
        """Sums of all the hours together; those never asked for are read in one go."""
        together = self._key(question, piece, tuple(hour.key for hour in hours))
        if (kept := self._settled.get(together)) is not None:
            return kept
        found: list[pl.DataFrame] = []
        missing: list[Hour] = []
        for hour in hours:
            frame = self._settled.get(self._key(question, piece, hour.key))
            if frame is None:
                missing.append(hour)
            else:
                found.append(frame)
        if missing and not _kept_by_hour(question):
            summed = self._read(question, piece_of(piece, hours), ())
            self._settled.put(together, summed)
            return summed
        if missing:
            start = us_to_time(min(hour.bounds_us[0] for hour in missing))
            end = us_to_time(max(hour.bounds_us[1] for hour in missing) + 1)
            asked = replace(piece_of(piece, missing), spans=((start, end),))
            read = self._read(question, asked, (), hourly=True)
            if read.height > SETTLED_ROWS_MAX:
                return _together(question, [*found, read.select(question.columns)])
            parts = read.partition_by("stored_hour", as_dict=True, include_key=False)
            for hour in missing:
                frame = parts.get((hour.bounds_us[0] // _HOUR_US,))
                if frame is None:
                    frame = empty_frame(*question.columns)
                self._settled.put(self._key(question, piece, hour.key), frame)
                found.append(frame)
        if question.interval_s is not None and 3600 % question.interval_s == 0:
            summed = pl.concat(found)  # no two hours have a group in common
        else:
            summed = _together(question, found)
        self._settled.put(together, summed)
        return summed

    def _by_minute(self, question: Question, piece: Piece, hour: Hour) -> pl.DataFrame | None:
        """Sums of a sealed hour minute by minute; None where that is not to be kept."""
        if not (hour.sealed and _kept_by_hour(question) and _by_minutes(piece, hour)):
            return None
        by_minute = replace(question, interval_s=60)
        # a key of its own: a series by minute asks the same, and must not find the mark
        key = self._key(by_minute, piece, ("cut", hour.key))
        frame = self._settled.get(key)
        if frame is None:
            first, last = hour.bounds_us
            spans = ((us_to_time(first), us_to_time(last + 1)),)
            frame = self._read(by_minute, replace(piece_of(piece, [hour]), spans=spans), ())
            if frame.height > SETTLED_MINUTES_ROWS_MAX:
                self._settled.put(key, _TOO_LARGE)
            else:
                self._settled.put(key, frame)
        return None if frame is _TOO_LARGE else frame

    def _key(self, question: Question, piece: Piece, files: Hashable) -> Hashable:
        session = self._session
        return (session.tenant, session.scope, self._policy, question, piece.table, files)

    def _read(
        self,
        question: Question,
        piece: Piece,
        cuts: Sequence[datetime],
        *,
        hourly: bool = False,
    ) -> pl.DataFrame:
        sql, params = piece_sql(
            question.kind,
            piece,
            question.filters,
            by=question.by,
            interval_s=question.interval_s,
            part=question.part,
            sums=question.sums if question.kind == "usage" else _ANY,
            policy=self._policy,
            cuts=cuts,
            hourly=hourly,
        )
        table = self._session.query(sql, params, files={piece.table: piece.files})
        if question.interval_s is not None:
            at = table.column_names.index("time")
            table = table.set_column(at, "time", table.column(at).cast(_TIME))
        return to_frame(table)

    def _check_tenant(self, filters: Filters) -> None:
        check_tenant(self._session, filters)


_HOUR_US = 3_600_000_000


def _kept_by_hour(question: Question) -> bool:
    """Whether the sums of single hours are worth keeping: not where adding them up costs as much as
    reading, since nearly every request of an hour has a group of its own."""
    return question.kind == "usage" or "consumer" not in question.by


def _batches(hours: Iterable[int], size: int) -> Iterator[list[int]]:
    left = iter(hours)
    while batch := list(islice(left, size)):
        yield batch


def _files_of(pieces: Iterable[Piece]) -> Hashable:
    return tuple((p.table, tuple(sorted(f.path for f in p.files))) for p in pieces)


def _together(question: Question, frames: Sequence[Rows], *, ringed: bool = False) -> pl.DataFrame:
    """One row per group."""
    ring = ("ring",) if ringed else ()
    some = [f.lazy() for f in frames if isinstance(f, pl.LazyFrame) or f.height]
    if not some:
        return empty_frame(*ring, *question.columns)
    rows = pl.concat(some) if len(some) > 1 else some[0]
    return sum_rows(rows, (*ring, *question.columns), (*ring, *question.keys)).collect()


def _ringed(frame: pl.DataFrame, ring: int) -> pl.DataFrame:
    return frame.select(pl.lit(ring, pl.Int32).alias("ring"), pl.all())


_TOO_LARGE = pl.DataFrame()
"""Kept in place of an hour that has too many rows to be kept by minute."""


def _by_minutes(piece: Piece, hour: Hour) -> bool:
    """Whether the piece's spans cut the hour between minutes only."""
    first, last = hour.bounds_us
    bounds = (time_to_us(bound) for span in piece.spans for bound in span)
    inside = (bound for bound in bounds if first < bound <= last)
    return all(bound % 60_000_000 == 0 for bound in inside)


def _cut(
    frame: pl.DataFrame, question: Question, piece: Piece, cuts: Sequence[datetime]
) -> pl.LazyFrame:
    """Rows by minute that lie within the piece's spans, as the question groups them."""
    time = pl.col("time").cast(pl.Int64)  # literal times cost polars a hundred times as much
    spans = [(time_to_us(start), time_to_us(end)) for start, end in piece.spans]
    inside = pl.any_horizontal([(time >= start) & (time < end) for start, end in spans])
    made = []
    if cuts:
        ring = pl.sum_horizontal([(time >= time_to_us(cut)).cast(pl.Int32) for cut in cuts])
        made.append(ring.cast(pl.Int32).alias("ring"))
    if question.interval_s is not None:
        step = question.interval_s * 1_000_000
        begun = (time - ORIGIN_US) // step * step + ORIGIN_US
        made.append(begun.cast(frame.schema["time"]).alias("time"))
    asked = (*(("ring",) if cuts else ()), *question.columns)
    return frame.lazy().filter(inside).with_columns(made).select(asked)


def check_tenant(session: ReadSession, filters: Filters) -> None:
    """Raises QueryRefused for filters that name another tenant than the session is opened for."""
    if session.tenant is not None and filters.tenant not in ("", session.tenant):
        raise QueryRefused("the filters name another tenant than the session is opened for")


def _check_interval(interval_s: int | None, time_range: TimeRange) -> None:
    if interval_s is None:
        return
    if interval_s < 1 or int(interval_s) != interval_s:
        raise QueryRefused("an interval is a whole number of seconds, at least 1")
    if time_range.seconds / interval_s > POINTS_PER_SERIES_MAX:
        raise QueryRefused(
            f"the interval cuts the range into more than {POINTS_PER_SERIES_MAX} points; "
            "use a longer interval"
        )
