"""Which services stand behind a gateway whose spans come here: learned from the spans themselves.

A service's server span whose parent is one of a gateway's spans tells of a call the gateway has
told of. Which services that happens to is learned from the first such pair and then holds for the
service: of its server spans, those with a parent are inner hops, those without one (somebody went
past the gateway) are calls.

    before the pair is complete    the service's span counts, and its parent's id is remembered; the
                                   gateway's span that turns up with it later does not count
    afterwards                     the gateway's spans count, the service's with a parent do not
    the gateway falls silent       PROOF_S without a pair, though LEFT_MIN spans of the service were
                                   left to the gateway meanwhile: the service's spans count again

So a call is counted once whichever of its spans comes first. What a service is behind of is kept in
`fronts.json` in the data folder: a restart learns nothing anew. The memory of single spans is not
kept; it matters only for pairs that a restart tears apart before the first one was complete.

What the catalog says of a service (`in_front_of`, `behind_gateway`) is asked first; nothing is
learned of it then. Nothing is learned across tenants.
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

from collector.naming.gateway_names import kind_of_service
from collector.naming.limits import FRONTS_MAX, RECENT_SPANS_MAX, TENANTS_MAX
from collector.naming.recent import Recent
from storage.learned import FRONTS_FILE, read_learned, write_learned

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

log = structlog.get_logger(__name__)

PROOF_S = 600.0
LEFT_MIN = 20
SAMPLE = 256
"""Spans of learned services that a batch is checked with, to see that the gateway still tells."""


@dataclass(slots=True)
class Front:
    """A gateway in front of a service."""

    gateway: str
    proven_s: float
    """Clock of the last pair."""
    left: int = 0
    """Spans of the service left to the gateway since."""


@dataclass(slots=True)
class _Tenant:
    gateways: set[str] = field(default_factory=set)
    """service.name of whoever was seen to be a gateway."""
    fronts: dict[str, Front] = field(default_factory=dict)
    gateway_spans: Recent = field(default_factory=Recent)
    """id and service of the gateways' spans."""
    hops: Recent = field(default_factory=Recent)
    """parent and service of services' server spans, and whether they counted."""
    told: set[str] = field(default_factory=set)
    """Ids of gateway spans whose call a service's span has been counted for."""


class Fronts:
    """What was learned, of all tenants. Safe to share between threads."""

    def __init__(
        self, folder: Path | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`folder`: where FRONTS_FILE is kept; None = nowhere. `clock`: seconds, for PROOF_S."""
        self._file = folder / FRONTS_FILE if folder is not None else None
        self._clock = clock
        self._lock = threading.Lock()
        self._tenants: dict[str, _Tenant] = {}
        self.spans_left = 0
        """Server spans of services not counted because a gateway tells of their calls."""
        if self._file is not None:
            for tenant, fronts in read_learned(self._file).items():
                known = self._tenants.setdefault(tenant, _Tenant())
                for service, gateway in fronts.items():
                    known.fronts[service] = Front(gateway, clock())
                    known.gateways.add(gateway)

    def notice(self, spans: pa.RecordBatch) -> None:
        """Spans among which there is no server span: a gateway's own inner spans, perhaps."""
        none = np.empty(0, dtype=np.bool_)
        self.told_once(spans, none.astype(np.int64), pa.nulls(0, pa.string()), none, none)

    def told_once(
        self, spans: pa.RecordBatch, server: Ints, kinds: pa.Array, counts: Mask, open_: Mask
    ) -> Mask:
        """`counts` without the calls that are, or were, counted for another span.

        `server`: rows of `spans` that are server spans; `kinds`, `counts` and `open_` are of those
        (kind of gateway, NULL = a service; whether the span is a call that counts; whether the
        catalog leaves it open which span counts).
        """
        gateway = kinds.is_valid().to_numpy(zero_copy_only=False)
        parents = spans.column("parent_span_id")
        inner = ~gateway & counts & open_
        inner &= parents.is_valid().to_numpy(zero_copy_only=False)[server]
        named = {name for name in _names(spans) if kind_of_service(name)}
        if not (named or gateway.any() or inner.any() or self._tenants):
            return counts
        counts = counts.copy()
        tenants = spans.column("tenant")
        learned = False
        with self._lock:
            for name in pc.unique(tenants).to_pylist():
                here = np.asarray(pc.equal(tenants, name).to_numpy(zero_copy_only=False))
                some = here[server]
                if len(self._tenants) >= TENANTS_MAX and name not in self._tenants:
                    continue
                of = self._tenants.setdefault(name, _Tenant())
                gates = server[gateway & some]
                learned |= self._judge(
                    of, name, spans, named, here, server, gates, inner & some, counts
                )
            if learned:
                self._write()
        return counts

    def _judge(
        self,
        of: _Tenant,
        tenant: str,
        spans: pa.RecordBatch,
        named: set[str],
        here: Mask,
        server: Ints,
        gates: Ints,
        inner: Mask,
        counts: Mask,
    ) -> bool:
        """Takes what does not count out of `counts`. Whether a front was learned or forgotten."""
        told = self._gateway_spans(of, spans, named, here, gates)
        rows = np.flatnonzero(inner)
        at = pa.array(server[rows])
        hops = pa.RecordBatch.from_arrays(
            [spans.column("parent_span_id").take(at), spans.column("service_name").take(at),
             pa.array(np.arange(len(rows)))],
            names=["parent", "service", "row"],
        )  # fmt: skip
        learned = self._prove(of, tenant, told, hops)
        left = pc.is_in(hops.column("service"), value_set=pa.array(of.fronts, pa.string()))
        mask = np.array(left.to_numpy(zero_copy_only=False))
        counts[rows[mask]] = False
        self._remember(of, hops, mask)
        if told is not None:
            of.gateway_spans.add(told.select(["id", "service"]))
            if of.told:
                ids = spans.column("span_id").take(pa.array(server))
                twice = pc.is_in(ids, value_set=pa.array(sorted(of.told), pa.string()))
                again = np.zeros(spans.num_rows, dtype=np.bool_)
                again[gates] = True
                counts[again[server] & twice.to_numpy(zero_copy_only=False)] = False
        return self._forget(of, tenant) or learned

    def _gateway_spans(
        self, of: _Tenant, spans: pa.RecordBatch, named: set[str], here: Mask, gates: Ints
    ) -> pa.RecordBatch | None:
        """id, parent, service and whether a server span, of the gateways' spans in the batch; those
        whose call was counted for a service's span are noted in `told`."""
        names = spans.column("service_name")
        if len(of.gateways) < FRONTS_MAX:
            of.gateways.update(pc.unique(names.take(pa.array(gates)).drop_null()).to_pylist())
            of.gateways.update(named)
        if not of.gateways:
            return None
        known = pc.is_in(names, value_set=pa.array(sorted(of.gateways), pa.string()))
        own = here & known.to_numpy(zero_copy_only=False)
        own &= pc.not_equal(spans.column("kind"), "SERVER").to_numpy(zero_copy_only=False)
        own[gates] = True
        at = np.flatnonzero(own)
        if not len(at):
            return None
        server = np.isin(at, gates)
        picked = pa.array(at)
        found = pa.RecordBatch.from_arrays(
            [spans.column("span_id").take(picked), spans.column("parent_span_id").take(picked),
             names.take(picked), pa.array(server)],
            names=["id", "parent", "service", "server"],
        )  # fmt: skip
        return found.filter(found.column("id").is_valid())

    def _prove(
        self, of: _Tenant, tenant: str, told: pa.RecordBatch | None, hops: pa.RecordBatch
    ) -> bool:
        """Pairs of this batch and of earlier ones. Whether a front is new."""
        pairs: list[tuple[str, str]] = []
        if hops.num_rows:
            known = pc.is_in(hops.column("service"), value_set=pa.array(of.fronts, pa.string()))
            asked = pa.concat_arrays([
                hops.column("parent").filter(pc.invert(known)),
                hops.column("parent").filter(known)[-SAMPLE:],
            ])  # fmt: skip
            for part in (told, of.gateway_spans.having("id", asked)):
                if part is not None and part.num_rows:
                    pairs += _pairs(hops, part)
        if told is not None:
            before = of.hops.having("parent", told.column("id"))
            if before is not None:
                pairs += _pairs(before, told)
                self._note_told(of, told, before)
        new = False
        for service, gateway in pairs:
            front = of.fronts.get(service)
            if front is not None:
                front.proven_s, front.left = self._clock(), 0
            elif len(of.fronts) < FRONTS_MAX:
                of.fronts[service] = Front(gateway, self._clock())
                log.info(
                    "service_is_behind_gateway", tenant=tenant, service=service, gateway=gateway
                )
                new = True
        return new

    def _note_told(self, of: _Tenant, told: pa.RecordBatch, before: pa.Table) -> None:
        """Follow the parents of counted spans up to the gateway's server spans."""
        ids = pc.unique(before.filter(before.column("counted")).column("parent"))
        while len(ids):
            if len(of.told) >= RECENT_SPANS_MAX:
                of.told.clear()
            hit = told.filter(pc.is_in(told.column("id"), value_set=ids))
            of.told.update(ids.to_pylist())
            up = hit.filter(pc.invert(hit.column("server"))).column("parent").drop_null()
            ids = pc.unique(up)
            ids = ids.filter(pc.invert(pc.is_in(ids, value_set=pa.array(of.told, pa.string()))))

    def _remember(self, of: _Tenant, hops: pa.RecordBatch, left: Mask) -> None:
        if not hops.num_rows:
            return
        for service, count in _counts(hops.column("service").filter(pa.array(left))):
            of.fronts[service].left += count
            self.spans_left += count
        sample = np.flatnonzero(left)[-SAMPLE:]
        keep = ~left
        keep[sample] = True
        rows = pa.RecordBatch.from_arrays(
            [hops.column("parent"), hops.column("service"), pa.array(~left)],
            names=["parent", "service", "counted"],
        )
        of.hops.add(rows.filter(pa.array(keep)))

    def _forget(self, of: _Tenant, tenant: str) -> bool:
        now = self._clock()
        silent = [
            service
            for service, front in of.fronts.items()
            if front.left >= LEFT_MIN and now - front.proven_s >= PROOF_S
        ]
        for service in silent:
            front = of.fronts.pop(service)
            log.warning(
                "gateway_fell_silent_service_counts_again",
                tenant=tenant,
                service=service,
                gateway=front.gateway,
                spans_left_to_it=front.left,
            )
        return bool(silent)

    def _write(self) -> None:
        if self._file is None:
            return
        write_learned(
            self._file,
            {
                tenant: {service: front.gateway for service, front in of.fronts.items()}
                for tenant, of in self._tenants.items()
                if of.fronts
            },
        )


def _pairs(
    hops: pa.RecordBatch | pa.Table, gateway: pa.RecordBatch | pa.Table
) -> list[tuple[str, str]]:
    """Different (service, gateway) of hops whose parent is among the gateway's spans."""
    place = pc.index_in(hops.column("parent"), value_set=_one(gateway.column("id")))
    services = hops.column("service").filter(place.is_valid())
    gateways = pc.fill_null(gateway.column("service").take(place.drop_null()), "a gateway")
    pairs = pa.table({"service": services, "gateway": gateways}).group_by(["service", "gateway"])
    rows = pairs.aggregate([]).to_pylist()
    return [(r["service"], r["gateway"]) for r in rows if r["service"]]


def _names(spans: pa.RecordBatch) -> list[str]:
    return [name for name in pc.unique(spans.column("service_name")).to_pylist() if name]


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _counts(values: pa.Array) -> list[tuple[str, int]]:
    return [(v["values"], v["counts"]) for v in pc.value_counts(values).to_pylist()]
