"""The decode loop of line formats: lines in, `requests` and `rejects` out.

A format says which `LineShape`s a text line may have and how a JSON object reads; this file finds
the shape of each line, keeps the order and turns whatever cannot be read into a reject with its
line number. A line is never dropped silently and never fails the body it came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from collector.gateways.bodies import JoinedBody, count_lines, join_bodies
from collector.gateways.fields import Fields, JsonFields
from collector.gateways.limits import LINE_BYTES_MAX
from collector.gateways.line_scanner import LineFormat, ScannedLines, scan_lines, split_lines
from collector.gateways.rows import constant, rejects_batch, requests_batch
from collector.gateways.scan_values import NO_TIME
from collector.payload import Decoded, Payload
from storage.schemas import TIMESTAMP

Indexes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Read:
    """What a format read from the rows of one shape.

    `start_us`: start of each request, µs since the epoch, NO_TIME = unreadable. `status`: NaN =
    unreadable. Both make the row a reject. `columns`: columns of `requests`, None = NULL.
    """

    start_us: npt.NDArray[np.int64]
    status: npt.NDArray[np.float64]
    columns: dict[str, pa.Array | None]


Reader = Callable[[Fields], Read]


@dataclass(frozen=True, slots=True)
class LineShape:
    """A way a text line may look, and how its fields read."""

    format: LineFormat
    read: Reader


@dataclass(frozen=True, slots=True)
class LinesFormat:
    """A `Format` whose records are lines of text, JSON objects, or both mixed.

    `shapes` are tried in order, so the more demanding ones come first. `json` reads objects, None =
    the format has no JSON form. `unwrap` takes a decoded JSON value apart where one line holds
    several records (an array, an envelope).
    """

    name: str
    gateway: str
    shapes: tuple[LineShape, ...] = ()
    json: Reader | None = None
    unwrap: Callable[[Any], Iterable[Any]] | None = None
    source: str = ""
    description: str = ""
    snippet: str = ""
    dedupe: bool = field(default=False)

    def validate(self, payload: Payload) -> int:
        """Number of lines that hold something. Never refuses: bad lines are rejected one by one."""
        return count_lines(payload.body)

    def decode(self, payloads: Sequence[Payload]) -> Decoded:
        """Rows of `requests` and `rejects`."""
        parts: list[Decoded] = [_decode_body(self, joined) for joined in join_bodies(payloads)]
        return merge_decoded(parts)


def merge_decoded(parts: Sequence[Decoded]) -> Decoded:
    """One Decoded of several, tables concatenated."""
    tables: dict[str, pa.RecordBatch] = {}
    for name in {name: None for part in parts for name in part.tables}:
        batches = [part.tables[name] for part in parts if name in part.tables]
        tables[name] = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
    return Decoded(tables, sum(p.accepted for p in parts), sum(p.rejected for p in parts))


@dataclass(slots=True)
class _Rejects:
    """Rejects of one body as they are found: line, reason, detail."""

    lines: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def add(self, lines: Indexes, reason: str, detail: str) -> None:
        self.lines.extend(lines.tolist())
        self.reasons.extend([reason] * len(lines))
        self.details.extend([detail] * len(lines))


def _decode_body(format_: LinesFormat, joined: JoinedBody) -> Decoded:
    buffer, starts, ends = split_lines(joined.text)
    rejects = _Rejects()
    batches: list[tuple[Indexes, pa.RecordBatch]] = []
    left = np.flatnonzero(ends > starts)
    too_long = ends[left] - starts[left] > LINE_BYTES_MAX
    if too_long.any():
        detail = f"The line is longer than {LINE_BYTES_MAX} bytes."
        rejects.add(left[too_long], "line_too_long", detail)
        left = left[~too_long]
    if format_.json is not None and left.size:
        is_json = (buffer[starts[left]] == 123) | (buffer[starts[left]] == 91)
        if is_json.any():
            batches += _decode_json(
                format_, joined, left[is_json], starts, ends, rejects, format_.json
            )
            left = left[~is_json]
    scanned: ScannedLines | None = None
    for shape in format_.shapes:
        if not left.size:
            break
        scanned = scan_lines(buffer, starts[left], ends[left], shape.format)
        matched = scanned.failed_at < 0
        if not matched.any():
            continue
        whole = bool(matched.all())
        rows = left if whole else left[matched]
        if not whole:
            scanned = ScannedLines(
                buffer, shape.format, scanned.starts[:, matched].copy(),
                scanned.ends[:, matched].copy(), scanned.failed_at[matched],
            )  # fmt: skip
        batches += _assemble(format_, joined, rows, shape.read(scanned), rejects)
        left = left[:0] if whole else left[~matched]
    if left.size:
        rejects.add(left, "not_this_format", f"The line does not look like {format_.name}.")
    return _finish(format_, joined, starts, ends, batches, rejects)


def _assemble(
    format_: LinesFormat, joined: JoinedBody, lines: Indexes, read: Read, rejects: _Rejects
) -> list[tuple[Indexes, pa.RecordBatch]]:
    bad_time = read.start_us == NO_TIME
    bad_status = ~bad_time & ~((read.status >= 0) & (read.status <= 999))
    bad = bad_time | bad_status
    rows = len(lines)
    columns = dict(read.columns)
    columns["time"] = pa.array(np.where(bad, 0, read.start_us), pa.int64()).cast(TIMESTAMP)
    columns["tenant"] = constant(joined.tenant, rows)
    columns["status_code"] = pa.array(np.where(bad, 0, read.status).astype(np.int16))
    columns["gateway"] = constant(format_.gateway, rows)
    columns["source"] = constant(format_.source or format_.name, rows)
    if columns.get("environment") is None:
        columns["environment"] = constant(joined.environment, rows)
    batch = requests_batch(rows, columns)
    if bad.any():
        rejects.add(lines[bad_time], "bad_time", "The time cannot be read.")
        rejects.add(lines[bad_status], "bad_status", "The status code cannot be read.")
        batch = batch.filter(pa.array(~bad))
        lines = lines[~bad]
    return [(lines, batch)] if len(lines) else []


def _decode_json(
    format_: LinesFormat,
    joined: JoinedBody,
    lines: Indexes,
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    rejects: _Rejects,
    read: Reader,
) -> list[tuple[Indexes, pa.RecordBatch]]:
    records: list[Mapping[str, Any]] = []
    places: list[int] = []
    broken: list[int] = []
    strange: list[int] = []
    for line in lines.tolist():
        try:
            value = orjson.loads(joined.text[starts[line] : ends[line]])
        except orjson.JSONDecodeError:
            broken.append(line)
            continue
        found = value if isinstance(value, list) else [value]
        if format_.unwrap is not None:
            found = [record for item in found for record in format_.unwrap(item)]
        for record in found:
            if isinstance(record, dict):
                records.append(record)
                places.append(line)
            else:
                strange.append(line)
    rejects.add(np.array(broken, dtype=np.int64), "bad_json", "The line is not valid JSON.")
    rejects.add(np.array(strange, dtype=np.int64), "not_an_object", "Expected a JSON object.")
    if not records:
        return []
    rows = np.array(places, dtype=np.int64)
    return _assemble(format_, joined, rows, read(JsonFields(records)), rejects)


def _finish(
    format_: LinesFormat,
    joined: JoinedBody,
    starts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    batches: list[tuple[Indexes, pa.RecordBatch]],
    rejects: _Rejects,
) -> Decoded:
    tables: dict[str, pa.RecordBatch] = {}
    if batches:
        batch = pa.concat_batches([b for _, b in batches]) if len(batches) > 1 else batches[0][1]
        if len(batches) > 1:
            order = np.argsort(np.concatenate([at for at, _ in batches]), kind="stable")
            batch = pc.take(batch, pa.array(order))
        tables["requests"] = batch
    if rejects.lines:
        places = [joined.locate(line) for line in rejects.lines]
        tables["rejects"] = rejects_batch(
            times_us=[payload.received_unix_nano // 1000 for payload, _ in places],
            tenants=[joined.tenant] * len(places),
            source=format_.name,
            origins=[payload.origin for payload, _ in places],
            positions=[position for _, position in places],
            reasons=rejects.reasons,
            details=rejects.details,
            records=[joined.text[starts[line] : ends[line]] for line in rejects.lines],
        )
    accepted = tables["requests"].num_rows if "requests" in tables else 0
    return Decoded(tables, accepted, len(rejects.lines))
