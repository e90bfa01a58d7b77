"""The decode loop of line formats: lines in, `requests` and `rejects` out.

A format says which `LineShape`s a text line may have and how a JSON object reads; this file finds
the shape of each line, keeps the order and turns whatever cannot be read into a reject with its
line number. A line is never dropped silently and never fails the body it came in.
"""

from __future__ import annotations

import json
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
from collector.gateways.limits import LINE_BYTES_MAX, REJECT_RECORD_BYTES_MAX
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
    several records (an array, an envelope). `parse_text` makes an object of a text line that has
    names in it (logfmt); slower than shapes and tried after them.
    """

    name: str
    gateway: str
    shapes: tuple[LineShape, ...] = ()
    json: Reader | None = None
    unwrap: Callable[[Any], Iterable[Any]] | None = None
    parse_text: Callable[[str], dict[str, Any] | None] | None = None
    source: str = ""
    description: str = ""
    snippet: str = ""
    dedupe: bool = False
    """True where a record carries an id or an exact time, so that an equal body can only be the
    same one sent again. Plain lines do not: two equal lines in one second are two requests."""

    def validate(self, payload: Payload) -> int:
        """Number of records: of a JSON array its items, else lines that hold something.

        Never refuses: what cannot be read is rejected record by record.
        """
        if self.json is not None and payload.body.lstrip()[:1] == b"[":
            try:
                value = orjson.loads(payload.body)
            except orjson.JSONDecodeError:
                return count_lines(payload.body)
            return len(value) if isinstance(value, list) else 1
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
    """Rejects of one body as they are found: line, record, reason, detail."""

    lines: list[int] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def add(self, lines: Iterable[int], record: Record, reason: str, detail: str) -> None:
        """Reject lines; `record` gives the bytes of the n-th of them."""
        for n, line in enumerate(lines):
            self.lines.append(line)
            self.records.append(record(n)[: 2 * REJECT_RECORD_BYTES_MAX])
            self.reasons.append(reason)
            self.details.append(detail)


Record = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class _Body:
    """One joined body and where its lines are."""

    format: LinesFormat
    joined: JoinedBody
    buffer: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    rejects: _Rejects
    batches: list[tuple[Indexes, pa.RecordBatch]]

    def line(self, index: int) -> bytes:
        return self.joined.text[self.starts[index] : self.ends[index]]

    def reject(self, lines: Indexes, reason: str, detail: str) -> None:
        numbers = lines.tolist()
        self.rejects.add(numbers, lambda n: self.line(numbers[n]), reason, detail)


def read_records(
    format_: LinesFormat, records: Sequence[bytes]
) -> list[tuple[Indexes, pa.RecordBatch]]:
    """Rows of records that came in another envelope, one line each: (index of the record of each
    row, rows). What cannot be read has no row: an envelope holds other things too. `tenant` is ''.
    """
    joined = JoinedBody("", None, "text", b"\n".join(records), (), (0,))
    return _read_body(format_, joined).batches


def _decode_body(format_: LinesFormat, joined: JoinedBody) -> Decoded:
    return _finish(_read_body(format_, joined))


def _read_body(format_: LinesFormat, joined: JoinedBody) -> _Body:
    buffer, starts, ends = split_lines(joined.text)
    body = _Body(format_, joined, buffer, starts, ends, _Rejects(), [])
    left = np.flatnonzero(ends > starts)
    too_long = ends[left] - starts[left] > LINE_BYTES_MAX
    if format_.json is not None and left.size:
        is_json = _looks_like_json(buffer, starts[left], ends[left])
        if is_json.any():
            _decode_json(body, left[is_json], format_.json)
            left, too_long = left[~is_json], too_long[~is_json]
    if too_long.any():
        detail = f"The line is longer than {LINE_BYTES_MAX} bytes."
        body.reject(left[too_long], "line_too_long", detail)
        left = left[~too_long]
    for shape in format_.shapes:
        if not left.size:
            break
        left = _decode_shape(body, left, shape)
    if left.size and format_.parse_text is not None:
        left = _decode_named(body, left)
    if left.size:
        body.reject(left, "not_this_format", f"The line does not look like {format_.name}.")
    return body


def _looks_like_json(
    buffer: npt.NDArray[np.uint8], starts: npt.NDArray[np.int32], ends: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Lines that open an object, or an array of such; `[2016-04-15…` is a text line's time."""
    first = buffer[starts]
    second = buffer[np.minimum(starts + 1, ends - 1)]
    return np.asarray((first == 123) | ((first == 91) & np.isin(second, (123, 91, 93, 32))))


def _decode_shape(body: _Body, left: Indexes, shape: LineShape) -> Indexes:
    """Read the lines that have the shape; answers the others."""
    scanned = scan_lines(body.buffer, body.starts[left], body.ends[left], shape.format)
    matched = scanned.failed_at < 0
    if not matched.any():
        return left
    if matched.all():
        rows, left = left, left[:0]
    else:
        rows, left = left[matched], left[~matched]
        scanned = ScannedLines(
            scanned.buffer, scanned.format, scanned.starts[:, matched].copy(),
            scanned.ends[:, matched].copy(), scanned.failed_at[matched],
        )  # fmt: skip
    numbers = rows.tolist()
    _assemble(body, rows, shape.read(scanned), lambda n: body.line(numbers[n]))
    return left


def _assemble(body: _Body, lines: Indexes, read: Read, record: Record) -> None:
    """Rows of what was read, rejects of rows without time or status."""
    format_, joined = body.format, body.joined
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
    said, told = columns.get("environment"), constant(joined.environment, rows)
    columns["environment"] = told if said is None else pc.coalesce(told, said)
    batch = requests_batch(rows, columns)
    if bad.any():
        for marks, reason, detail in (
            (bad_time, "bad_time", "The time cannot be read."),
            (bad_status, "bad_status", "The status code cannot be read."),
        ):
            which = np.flatnonzero(marks).tolist()
            body.rejects.add(lines[marks].tolist(), _picked(record, which), reason, detail)
        batch = batch.filter(pa.array(~bad))
        lines = lines[~bad]
    if len(lines):
        body.batches.append((lines, batch))


def _picked(record: Record, which: Sequence[int]) -> Record:
    return lambda n: record(which[n])


def _decode_json(body: _Body, lines: Indexes, read: Reader) -> None:
    format_ = body.format
    records: list[Mapping[str, Any]] = []
    places: list[int] = []
    broken: list[int] = []
    strange: list[tuple[int, Any]] = []
    for line in lines.tolist():
        try:
            found = _json_values(body.line(line))
        except (ValueError, RecursionError):
            broken.append(line)
            continue
        if format_.unwrap is not None:
            found = [record for item in found for record in format_.unwrap(item)]
        for record in found:
            if isinstance(record, dict):
                records.append(record)
                places.append(line)
            else:
                strange.append((line, record))
    body.reject(np.array(broken, dtype=np.int64), "bad_json", "The line is not valid JSON.")
    body.rejects.add(
        [line for line, _ in strange], lambda n: orjson.dumps(strange[n][1]),
        "not_an_object", "Expected a JSON object.",
    )  # fmt: skip
    if records:
        rows = np.array(places, dtype=np.int64)
        _assemble(body, rows, read(JsonFields(records)), lambda n: orjson.dumps(records[n]))


def _json_values(text: bytes) -> list[Any]:
    """Records of a line: an object, an array, or several written one after the other (Splunk HEC
    batches have nothing between them). Raises ValueError."""
    try:
        value = orjson.loads(text)
        return value if isinstance(value, list) else [value]
    except orjson.JSONDecodeError:
        if b"}{" not in text and b"} {" not in text:
            raise
    decoder, found, at = json.JSONDecoder(), [], 0
    rest = text.decode()
    while at < len(rest):
        value, at = decoder.raw_decode(rest, at)
        found.append(value)
        at += len(rest[at:]) - len(rest[at:].lstrip())
    return found


def _decode_named(body: _Body, lines: Indexes) -> Indexes:
    """Read lines by `parse_text`; answers those it could not read."""
    parse, read = body.format.parse_text, body.format.json
    assert parse is not None and read is not None
    parsed = [parse(body.line(line).decode()) for line in lines.tolist()]
    good = np.array([record is not None for record in parsed])
    if good.any():
        rows = lines[good]
        numbers = rows.tolist()
        fields = JsonFields([record for record in parsed if record is not None])
        _assemble(body, rows, read(fields), lambda n: body.line(numbers[n]))
    return np.asarray(lines[~good])


def _finish(body: _Body) -> Decoded:
    joined, rejects = body.joined, body.rejects
    tables: dict[str, pa.RecordBatch] = {}
    if len(body.batches) == 1:
        tables["requests"] = body.batches[0][1]
    elif body.batches:
        places = np.concatenate([at for at, _ in body.batches])
        batch = pa.concat_batches([batch for _, batch in body.batches])
        tables["requests"] = pc.take(batch, pa.array(np.argsort(places, kind="stable")))
    if rejects.lines:
        order = sorted(range(len(rejects.lines)), key=rejects.lines.__getitem__)
        found = [joined.locate(rejects.lines[i]) for i in order]
        tables["rejects"] = rejects_batch(
            times_us=[payload.received_unix_nano // 1000 for payload, _ in found],
            tenants=[joined.tenant] * len(found),
            source=body.format.name,
            origins=[payload.origin for payload, _ in found],
            positions=[position for _, position in found],
            reasons=[rejects.reasons[i] for i in order],
            details=[rejects.details[i] for i in order],
            records=[rejects.records[i] for i in order],
        )
    accepted = tables["requests"].num_rows if "requests" in tables else 0
    return Decoded(tables, accepted, len(rejects.lines))
