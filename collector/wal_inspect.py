"""What is in a write-ahead log, for `gatelens doctor`. Read-only, safe beside a collector."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from collector.wal_record import SEGMENT_HEAD_BYTES, Bad, Good
from collector.wal_recovery import QUARANTINE, read_wal_id
from collector.wal_segment import DIGESTS_SUFFIX, read_digests, scan_segment, segment_paths


@dataclass(slots=True)
class SegmentReport:
    """One segment file."""

    path: Path
    file_bytes: int
    requests: int = 0
    first: int | None = None
    """Sequence of its first intact record; None = it has none."""
    last: int | None = None
    oldest: datetime | None = None
    newest: datetime | None = None
    damage: list[Bad] = field(default_factory=list)
    head_damaged: bool = False


@dataclass(slots=True)
class WalReport:
    """A whole log folder."""

    folder: Path
    wal_id: str | None
    """None = there is no log here (or its id file is gone)."""
    segments: list[SegmentReport] = field(default_factory=list)
    requests: int = 0
    records: Counter[str] = field(default_factory=Counter)
    """Format -> records inside the requests."""
    tenants: Counter[str] = field(default_factory=Counter)
    """Tenant -> requests."""
    wire_bytes: int = 0
    body_bytes: int = 0
    missing: int = 0
    """Requests that were there once, by the gaps in their numbers."""
    digests: int = 0
    quarantined: list[Path] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """An unfinished tail is no damage: a crash leaves it, and it was never acknowledged."""
        damaged = any(b for s in self.segments for b in s.damage if not b.torn)
        heads = any(s.head_damaged for s in self.segments)
        return not (damaged or heads or self.missing or self.quarantined)

    def lines(self) -> list[str]:
        """The report as text, one fact a line."""
        found = [
            f"write-ahead log {self.wal_id or '(none)'} in {self.folder}",
            f"  {len(self.segments)} segments, {self.requests} requests, "
            f"{self.wire_bytes} bytes on the wire, {self.body_bytes} decompressed",
        ]
        found += [f"  {name}: {count} records" for name, count in sorted(self.records.items())]
        found += [
            f"  tenant {name}: {count} requests" for name, count in sorted(self.tenants.items())
        ]
        for segment in self.segments:
            found.append(
                f"  {segment.path.name}: {segment.requests} requests, sequences "
                f"{segment.first}..{segment.last}, received {segment.oldest} .. {segment.newest}"
            )
            if segment.head_damaged:
                found.append("    its head is damaged; its records can be read")
            for bad in segment.damage:
                what = "unfinished tail" if bad.torn else "DAMAGED"
                found.append(f"    {what}: bytes {bad.start}..{bad.end} ({bad.reason})")
        if self.missing:
            found.append(f"  MISSING: {self.missing} requests, by the gaps in their numbers")
        found += [f"  set aside: {path}" for path in self.quarantined]
        return found


def inspect_wal(folder: Path) -> WalReport:
    """Read everything in a log folder; changes nothing. Raises OSError where it cannot be read.

    Beside a running collector the last record may be half written and shows as an unfinished tail.
    """
    report = WalReport(folder, read_wal_id(folder))
    seen: int | None = None
    for path in segment_paths(folder):
        seen = _inspect_segment(report, path, seen)
    for path in folder.glob(f"*{DIGESTS_SUFFIX}"):
        report.digests += len(read_digests(path))
    if (folder / QUARANTINE).is_dir():
        report.quarantined = sorted((folder / QUARANTINE).iterdir())
    return report


def _inspect_segment(report: WalReport, path: Path, seen: int | None) -> int | None:
    segment = SegmentReport(path, path.stat().st_size)
    report.segments.append(segment)
    head, items = scan_segment(path, report.wal_id)
    if head is None:
        segment.head_damaged = segment.file_bytes >= SEGMENT_HEAD_BYTES
        return seen
    segment.head_damaged = head.damaged
    if seen is not None and head.previous > seen:
        report.missing += head.previous - seen
    expected = head.first
    last = head.previous
    for item in items:
        if isinstance(item, Bad):
            segment.damage.append(item)
            continue
        _count(report, segment, item)
        last = item.record.sequence
        report.missing += max(0, last - expected)
        expected = last + 1
    return max(seen or 0, last)


def _count(report: WalReport, segment: SegmentReport, item: Good) -> None:
    record = item.record
    received = datetime.fromtimestamp(record.received_unix_nano / 1e9, UTC)
    segment.requests += 1
    segment.first = record.sequence if segment.first is None else segment.first
    segment.last = record.sequence
    segment.oldest = received if segment.oldest is None else min(segment.oldest, received)
    segment.newest = received if segment.newest is None else max(segment.newest, received)
    report.requests += 1
    report.records[record.format] += record.records
    report.tenants[record.tenant] += 1
    report.wire_bytes += len(record.wire_body)
    report.body_bytes += record.body_bytes
