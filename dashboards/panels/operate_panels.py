"""Tables of the Operate screen: what was refused, the write-ahead log here, the lake by table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from dash import html

from dashboards import format as fmt
from dashboards.components import Component, Head, badge, count_cell, number, table, when
from storage.lake import Lake
from storage.maintenance import retention_days
from storage.schemas import TABLES
from storage.stuck_commit import StuckCommit, read_stuck


@dataclass(frozen=True, slots=True)
class WalSize:
    """The segments of one collector's write-ahead log that are not in the lake yet, or just are."""

    name: str
    segments: int
    bytes: int
    written_at: datetime | None
    stuck: StuckCommit | None = None
    """What it acknowledged and fails to store; None = all is well."""


def wal_sizes(folder: Path) -> list[WalSize]:
    """One per log below the folder; [] where no collector runs on this machine."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in folder.rglob("*.wal") if folder.is_dir() else ():
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue  # a segment that was just given up
        log = str(path.parent.relative_to(folder))
        found.setdefault(log, []).append((stat.st_size, stat.st_mtime))
    return [
        WalSize(
            "wal" if name == "." else name,
            len(files),
            sum(size for size, _ in files),
            datetime.fromtimestamp(max(at for _, at in files), UTC),
            read_stuck(folder / name),
        )
        for name, files in sorted(found.items())
    ]


def wal_table(sizes: list[WalSize], now: datetime) -> Component:
    lines = [
        [
            html.Span(fmt.plain(s.name, 40), className="gl-mono"),
            number(fmt.whole(s.segments), s.segments),
            number(fmt.bytes_size(s.bytes), s.bytes),
            when(s.written_at, now),
            _commits(s.stuck, now),
        ]
        for s in sizes
    ]
    heads = (
        Head("Log"),
        Head("Segments", True),
        Head("Size", True),
        Head("Last write"),
        Head("Into the lake"),
    )
    return table(
        heads, lines, empty="No write-ahead log on this machine: collectors run elsewhere."
    )


def _commits(stuck: StuckCommit | None, now: datetime) -> Component:
    if stuck is None:
        return badge("ok", "good")
    since = datetime.fromtimestamp(stuck.since, UTC)
    waiting = f" {fmt.whole(stuck.requests)} requests wait; fails since "
    return html.Span([badge("failing", "bad"), waiting, when(since, now)], title=stuck.error)


@dataclass(frozen=True, slots=True)
class TableSize:
    name: str
    version: int | None
    files: int
    rows: int
    bytes: int
    oldest: datetime | None
    """Time of its oldest row."""
    kept_days: int
    """0 = for ever."""


def table_sizes(lake: Lake, tenant: str = "default") -> list[TableSize]:
    """Every table that was ever written to; reads the table's log, no data."""
    sizes = []
    for name in TABLES:
        found = lake.existing(name)
        if found is not None:
            files = found.snapshot().select(None, None, None)
            oldest = min((f.time_min for f in files), default=None)
            sizes.append(
                TableSize(
                    name,
                    found.version(),
                    len(files),
                    sum(max(0, f.rows) for f in files),
                    sum(f.size for f in files),
                    None if oldest is None else datetime.fromtimestamp(oldest / 1e6, UTC),
                    retention_days(lake.settings, name, tenant),
                )
            )
    return sizes


def _kept(days: int) -> str:
    return f"{days}{fmt.THIN}d" if days else "for ever"


def lake_table(sizes: list[TableSize], now: datetime) -> Component:
    lines = [
        [
            html.Span(size.name, className="gl-mono"),
            number(fmt.count(size.rows), size.rows),
            number(fmt.whole(size.files), size.files),
            number(fmt.bytes_size(size.bytes), size.bytes),
            when(size.oldest, now),
            number(_kept(size.kept_days), size.kept_days),
            number(fmt.whole(size.version), size.version, tone="muted"),
        ]
        for size in sizes
    ]
    heads = (
        Head("Table"),
        Head("Rows", True),
        Head("Files", True),
        Head("Size", True),
        Head("Oldest"),
        Head("Kept", True),
        Head("Version", True),
    )
    return table(heads, lines, empty="The lake is empty.")


def rejects_table(rows: pl.DataFrame, now: datetime) -> Component:
    """What was refused. rows: source, reason, detail, rejected, last."""
    lines = [
        [
            html.Span(fmt.plain(row["source"], 30), className="gl-mono"),
            html.Span(fmt.plain(row["reason"], 40), title=fmt.plain(row["detail"], 300)),
            count_cell(row["rejected"], "warn"),
            when(row["last"], now),
        ]
        for row in rows.iter_rows(named=True)
    ]
    heads = (Head("Source"), Head("Reason"), Head("Records", True), Head("Last"))
    return table(heads, lines, empty="Nothing was refused in this time range.")
