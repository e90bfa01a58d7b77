"""Calls that a gateway tells of twice, in its access log and in its spans, joined by an id.

    Kong     its log has no span id, but Kong makes an id for every request and writes it into both
             (`request.id`, `kong.request.id`)
    Envoy    its OTLP log records name the span, and do not say whether it is recorded

So the two of a call are recognised, whichever comes first:

    before a place is known    the one that comes first counts, the other does not
    afterwards                 the log counts, the spans of that place do not: the log is complete,
                               spans are usually sampled. The log record of a span that counted
                               before does not count
    the log falls silent       PROOF_S without a pair, though LEFT_MIN spans were left to the log:
                               the spans count again

A place is a gateway's service.name with a route or upstream: the log may be on for some only. What
is known is kept in `twins.json` in the data folder. The memory of single ids is not kept: a restart
between the two tellings of a call matters only before its place is known.

A catalog that says what counts of the gateway is asked first. Deciding twice about the same rows,
as a batch that failed halfway does, decides the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from collector.naming.fronts import LEFT_MIN, PROOF_S, SAMPLE
from collector.naming.limits import FRONTS_MAX, TENANTS_MAX
from collector.naming.recent import Recent
from storage.coded import plain
from storage.learned import TWINS_FILE, read_learned, write_learned

Mask = npt.NDArray[np.bool_]

log = structlog.get_logger(__name__)

WITH_REQUEST_ID = "kong"
"""The one kind of gateway whose own request id is in both tellings; of others it may be the
client's, and the same for several calls."""


@dataclass(slots=True)
class Twin:
    """Spans of a service and route that the log tells of as well."""

    proven_s: float
    """Clock of the last pair."""
    left: int = 0
    """Spans left to the log since."""


@dataclass(slots=True)
class _Tenant:
    twins: dict[str, Twin] = field(default_factory=dict)
    counted_spans: Recent = field(default_factory=Recent)
    """id and place of spans that became rows."""
    left_spans: Recent = field(default_factory=Recent)
    """The same of some that were left to the log, to see that it still tells."""
    records: Recent = field(default_factory=Recent)
    """id of log records that became rows."""


class Twins:
    """What was learned, of all tenants. Safe to share between threads."""

    def __init__(
        self, folder: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`folder`: where TWINS_FILE is kept; None = nowhere. `clock`: seconds, for PROOF_S."""
        self._file = folder / TWINS_FILE if folder is not None else None
        self._clock = clock
        self._lock = threading.Lock()
        self._tenants: dict[str, _Tenant] = {}
        self.spans_left = 0
        """Spans not counted because their gateway's access log tells of their calls."""
        if self._file is not None:
            for tenant, places in read_learned(self._file).items():
                known = {place: Twin(clock()) for place in places}
                self._tenants[tenant] = _Tenant(known)

    def spans_that_count(
        self, tenants: pa.Array, places: pa.Array, ids: pa.Array, counts: Mask
    ) -> Mask:
        """`counts` without the spans whose call the log tells of. `ids`: what a log record would
        name; NULL = the row is no span of a gateway's, or the catalog decides. `places`: see
        `place_of`."""
        return self._decide(tenants, ids, counts, lambda of, rows: self._spans(of, rows, places))

    def records_that_count(self, tenants: pa.Array, ids: pa.Array, counts: Mask) -> Mask:
        """`counts` without the log records whose call a span has been counted for."""
        return self._decide(tenants, ids, counts, self._records)

    def _decide(
        self,
        tenants: pa.Array,
        ids: pa.Array,
        counts: Mask,
        decide: Callable[[_Tenant, _Rows], Mask],
    ) -> Mask:
        asked = counts & np.asarray(ids.is_valid().to_numpy(zero_copy_only=False))
        if not asked.any():
            return counts
        counts = counts.copy()
        with self._lock:
            for name in pc.unique(tenants.filter(pa.array(asked))).to_pylist():
                if name not in self._tenants and len(self._tenants) >= TENANTS_MAX:
                    continue
                here = np.asarray(pc.equal(tenants, name).to_numpy(zero_copy_only=False))
                at = np.flatnonzero(asked & here)
                of = self._tenants.setdefault(name, _Tenant())
                before = set(of.twins)
                counts[at] = decide(of, _Rows(name, at, ids.take(pa.array(at))))
                if before != set(of.twins):
                    self._write()
        return counts

    def _spans(self, of: _Tenant, rows: _Rows, places: pa.Array) -> Mask:
        place = places.take(pa.array(rows.at))
        again = _known(of.counted_spans, rows.ids)
        told = _known(of.records, rows.ids) & ~again
        self._prove(of, rows.tenant, place.filter(pa.array(told)))
        learned = pc.is_in(place, value_set=pa.array(of.twins, pa.string()))
        left = told | (np.asarray(learned.to_numpy(zero_copy_only=False)) & ~again)
        spans = pa.RecordBatch.from_arrays([rows.ids, place], names=["id", "place"])
        of.counted_spans.add(spans.filter(pa.array(~left & ~again)))
        of.left_spans.add(spans.take(pa.array(np.flatnonzero(left)[-SAMPLE:])))
        self._leave(of, rows.tenant, place.filter(pa.array(left & ~told)))
        self.spans_left += int(left.sum())
        return ~left

    def _records(self, of: _Tenant, rows: _Rows) -> Mask:
        counted = of.counted_spans.having("id", rows.ids)
        left = of.left_spans.having("id", rows.ids)
        told = np.zeros(len(rows.at), dtype=np.bool_)
        if counted is not None:
            self._prove(of, rows.tenant, counted.column("place"))
            told = _among(rows.ids, counted.column("id"))
        if left is not None:
            self._prove(of, rows.tenant, left.column("place"))
        of.records.add(pa.RecordBatch.from_arrays([rows.ids.filter(pa.array(~told))], names=["id"]))
        return ~told

    def _prove(self, of: _Tenant, tenant: str, places: pa.Array | pa.ChunkedArray) -> None:
        for place in pc.unique(places).to_pylist():
            twin = of.twins.get(place)
            if twin is not None:
                twin.proven_s, twin.left = self._clock(), 0
            elif len(of.twins) < FRONTS_MAX:
                of.twins[place] = Twin(self._clock())
                log.info("log_and_spans_tell_the_same", tenant=tenant, spans=place)

    def _leave(self, of: _Tenant, tenant: str, places: pa.Array) -> None:
        """Count spans left to the log, and stop leaving them where it has fallen silent."""
        now = self._clock()
        for found in pc.value_counts(places).to_pylist():
            place = found["values"]
            twin = of.twins[place]
            twin.left += found["counts"]
            if twin.left >= LEFT_MIN and now - twin.proven_s >= PROOF_S:
                del of.twins[place]
                log.warning(
                    "access_log_fell_silent_spans_count_again",
                    tenant=tenant,
                    spans=place,
                    spans_left_to_it=twin.left,
                )

    def _write(self) -> None:
        if self._file is None:
            return
        learned = {
            tenant: {place: place.partition(":")[0] for place in of.twins}
            for tenant, of in self._tenants.items()
            if of.twins
        }
        write_learned(self._file, learned)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one tenant that have an id."""

    tenant: str
    at: npt.NDArray[np.int64]
    ids: pa.Array


def place_of(kinds: pa.Array, services: pa.Array, parts: pa.Array) -> pa.Array:
    """`kong: edge /orders`: what is learned about together. `parts`: routes, or upstreams."""
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(plain(kinds), plain(services), ": ", null_handling="replace"),
        plain(parts), " ", null_handling="replace", null_replacement="-",
    )  # fmt: skip


def _known(recent: Recent, ids: pa.Array) -> Mask:
    found = recent.having("id", ids)
    return np.zeros(len(ids), dtype=np.bool_) if found is None else _among(ids, found.column("id"))


def _among(ids: pa.Array, others: pa.ChunkedArray) -> Mask:
    found = pc.is_in(ids, value_set=others.combine_chunks())
    return np.asarray(found.to_numpy(zero_copy_only=False))
