"""Payloads to rows: decode, derive requests, name them, check. A bad body spoils no batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import structlog

from collector import fault_points
from collector.backlog import Entry
from collector.gateways.otlp_access_logs import requests_from_logs
from collector.gateways.otlp_requests import requests_from_spans
from collector.gateways.uncounted import split_access_records
from collector.limits import REJECT_RECORD_CHARS_MAX
from collector.naming import Naming
from collector.payload import Decoded, Format
from collector.privacy_rules import PrivacyRules
from storage.coded import concat_tables
from storage.physical import conform
from storage.schemas import TABLES

log = structlog.get_logger(__name__)

UNDECODABLE, UNWRITABLE = "undecodable", "unwritable"
"""Reasons, in the rejects table, of a body that passed validation and could not become rows: its
decoding failed, or a table did not take its rows and took others."""


DECODE_BYTES = 16 * 1024 * 1024
"""Body bytes decoded in one call. All of a commit at once took 5 % less time and passed 600 MB."""


@dataclass(slots=True)
class Batch:
    """Rows of the sequences `first`..`last`, ready to be written."""

    first: int
    last: int
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    """Table -> rows in the table's own columns, text coded where it came so."""
    records: int = 0
    stored: Counter[str] = field(default_factory=Counter)
    """Format -> records that became rows of their signal's table."""
    rejected: Counter[str] = field(default_factory=Counter)
    poisoned: Counter[str] = field(default_factory=Counter)

    def rows(self, table: str) -> pa.Table:
        return concat_tables(self.tables[table])


KeepPoison = Callable[[Entry], object]
"""Puts the body of an entry aside, durably; raises where it cannot."""


def decode_batch(
    entries: Sequence[Entry],
    formats: Mapping[str, Format],
    naming: Naming,
    keep_poison: KeepPoison,
    privacy: PrivacyRules | None = None,
) -> Batch:
    """Rows of entries in order of sequence; there is at least one. `privacy`: None = the defaults.

    A body whose decoding fails, or whose rows the lake would refuse, becomes a row of `rejects`
    and goes to `keep_poison`; the others are not affected. Raises MemoryError, that is no fault of
    the data, and what `keep_poison` raises.
    """
    batch = Batch(entries[0].sequence, entries[-1].sequence)
    rules = privacy or PrivacyRules()
    by_format: dict[str, list[Entry]] = {}
    for entry in entries:
        by_format.setdefault(entry.payload.format, []).append(entry)
        batch.records += entry.records
    for name, some in by_format.items():
        for part in _parts(some):
            _decode_some(batch, formats.get(name), part, naming, rules, keep_poison)
    return batch


def _parts(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Entries in runs of about DECODE_BYTES: enough to spread a call's fixed cost, few enough for
    the intermediate arrays to stay small."""
    start = size = 0
    for at, entry in enumerate(entries):
        size += len(entry.payload.body)
        if size >= DECODE_BYTES:
            yield entries[start : at + 1]
            start, size = at + 1, 0
    if start < len(entries):
        yield entries[start:]


def _decode_some(
    batch: Batch,
    format: Format | None,
    entries: Sequence[Entry],
    naming: Naming,
    privacy: PrivacyRules,
    keep_poison: KeepPoison,
) -> None:
    """Decode entries of one format together; by halves where that fails, to find the culprit."""
    try:
        if format is None:
            raise LookupError("this collector does not know the format any more")
        decoded, tables = _decode(format, entries, naming, privacy)
    except (MemoryError, pa.ArrowMemoryError):
        raise
    except Exception as err:
        if len(entries) > 1:
            middle = len(entries) // 2
            _decode_some(batch, format, entries[:middle], naming, privacy, keep_poison)
            _decode_some(batch, format, entries[middle:], naming, privacy, keep_poison)
            return
        set_aside(batch, entries[0], err, keep_poison, UNDECODABLE)
        return
    for table, rows in tables.items():
        batch.tables.setdefault(table, []).append(rows)
    batch.stored[format.name] += decoded.accepted
    batch.rejected[format.name] += decoded.rejected


def _decode(
    format: Format, entries: Sequence[Entry], naming: Naming, privacy: PrivacyRules
) -> tuple[Decoded, dict[str, pa.Table]]:
    fault_points.hit("batch.decode")
    decoded = format.decode([entry.payload for entry in entries])
    batches = dict(decoded.tables)
    if "requests" in batches:
        counted, uncounted = split_access_records(batches["requests"], naming)
        batches["requests"] = naming.apply(counted, format=format.name)
        if uncounted is not None:
            batches["logs"] = uncounted
    elif "spans" in batches or "logs" in batches:
        make = requests_from_spans if "spans" in batches else requests_from_logs
        requests = make(batches["spans" if "spans" in batches else "logs"], naming)
        if requests is not None:
            batches["requests"] = requests
    kept = {name: privacy.apply(name, rows) for name, rows in batches.items() if rows.num_rows}
    return decoded, {name: conform(TABLES[name], rows) for name, rows in kept.items()}


def set_aside(
    batch: Batch, entry: Entry, err: Exception, keep_poison: KeepPoison, reason: str
) -> None:
    """Make the entry a row of `rejects` instead. Raises what `keep_poison` does."""
    payload = entry.payload
    log.error(
        "body_set_aside",
        reason=reason,
        format=payload.format,
        sequence=entry.sequence,
        records=entry.records,
        origin=payload.origin,
        error=repr(err)[:500],
        exc_info=err,
    )
    keep_poison(entry)
    start = payload.body[: REJECT_RECORD_CHARS_MAX // 2]
    row = {
        "time": payload.received_unix_nano // 1000,
        "tenant": payload.tenant,
        "source": payload.format,
        "origin": payload.origin or None,
        "position": 1,
        "reason": reason,
        "detail": f"{type(err).__name__}: {err}"[:500],
        "record": start.decode() if payload.content == "text" and start.isascii() else start.hex(),
    }
    schema = TABLES["rejects"].arrow_schema
    batch.tables.setdefault("rejects", []).append(pa.Table.from_pylist([row], schema=schema))
    batch.poisoned[payload.format] += entry.records
