"""One call is one request: which of several records of the same call becomes the row.

    metrics                        never
    a service's own server span    unless its API is `behind_gateway`, or a gateway of the catalog
                                   is `in_front_of` the service, or neither is said and the
                                   service was learned to be behind one (`fronts.py`)
    a gateway's server span        unless the catalog counts that gateway by its access log
    an access-log record           unless it names a recorded span (below), or the catalog counts
                                   that gateway by its spans; Kong's, which name no span, are
                                   joined with its spans by the request id (`twins.py`)

A record that carries the id of the gateway's own span is the twin of that span: the span counts.
Over OTLP the record also says whether the span is recorded (the sampled bit of its flags): if not,
or if it does not say, the record counts. Text and JSON logs have no such bit; there an id means a
span.

Every rule looks at one row and the catalog, at nothing else: order, delay, restarts and replays
change nothing, and no collector needs to know what another one saw. What does not count stays where
it is: spans in `spans`, log records in `logs`; records that came in a gateway's own format become
rows of `logs`. See docs/counting-once.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.catalog import Catalog, Gateway
from storage.coded import is_valid

Mask = npt.NDArray[np.bool_]

ISTIO_DIRECTION = "istio.direction"
"""Attribute: which of a mesh's two proxies wrote the record, inbound or outbound."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is counted of a gateway; the catalog's entry without what recognises it."""

    spans: bool = True
    access_log: bool = True
    twins: bool = False
    """Whether access-log records count whose span is recorded."""
    direction: str = "any"


_CHOICES = {
    "auto": (True, True, False),
    "spans": (True, False, False),
    "access_log": (False, True, True),
    "none": (False, False, False),
}


class CountRules:
    """The rules of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._by_service: dict[str, Choice] = {}
        self._by_kind: dict[str, Choice] = {}
        for gateway in reversed(catalog.gateways):
            choice = _choice(gateway)
            self._by_service |= dict.fromkeys(gateway.services, choice)
            self._by_kind |= dict.fromkeys(gateway.kinds, choice)
        fronted = {name for gateway in catalog.gateways for name in gateway.in_front_of}
        self._all_behind = "*" in fronted
        self._behind = pa.array(
            sorted(
                (fronted - {"*"})
                | {s for api in catalog.apis if api.behind_gateway for s in api.services}
            ),
            pa.string(),
        )
        self._facing = pa.array(
            sorted(
                {s for api in catalog.apis if api.behind_gateway is False for s in api.services}
            ),
            pa.string(),
        )

    def choice(self, service: str | None, kind: str | None) -> Choice:
        """Of a gateway; its service.name, where there is one, is asked before its kind."""
        found = self._by_service.get(service) if service is not None else None
        if found is None and kind is not None:
            found = self._by_kind.get(kind)
        return found or Choice()

    def spans_that_count(self, services: pa.Array, kinds: pa.Array) -> Mask:
        """Of server spans that are calls. `kinds`: kind of gateway, NULL = a service's own span."""
        gateway = _valid(kinds)
        behind = pc.is_in(services, value_set=self._behind).to_numpy(zero_copy_only=False)
        counts = gateway | ~(behind | self._all_behind)
        if self._by_service or self._by_kind:
            chosen = self._mask(services, kinds, lambda choice: choice.spans)
            counts &= ~gateway | chosen
        return np.asarray(counts)

    def left_open(self, services: pa.Array) -> Mask:
        """Of services' spans: whether the catalog does not say if a gateway is in front."""
        said = pc.is_in(services, value_set=pa.concat_arrays([self._behind, self._facing]))
        return ~np.asarray(said.to_numpy(zero_copy_only=False)) & (not self._all_behind)

    def either_counts(self, services: pa.Array, kinds: pa.Array) -> Mask:
        """Where the catalog takes a gateway's spans and its access log alike, so that it may be
        learned which of the two counts."""
        return self._mask(services, kinds, lambda choice: choice.spans and choice.access_log)

    def access_records_that_count(
        self, requests: pa.RecordBatch, services: pa.Array, recorded: Mask
    ) -> Mask:
        """Of rows made from access-log records. `recorded`: the span the row names is recorded."""
        kinds = requests.column("gateway")
        counts = ~recorded
        if not (self._by_service or self._by_kind):
            return counts
        counts |= self._mask(services, kinds, lambda choice: choice.twins)
        counts &= self._mask(services, kinds, lambda choice: choice.access_log)
        for side, other in (("inbound", "outbound"), ("outbound", "inbound")):
            one_sided = self._mask(services, kinds, partial(_counts_only, side))
            if one_sided.any():
                direction = pc.map_lookup(requests.column("attributes"), ISTIO_DIRECTION, "first")
                away = pc.fill_null(pc.equal(direction, other), False)
                counts &= ~(one_sided & away.to_numpy(zero_copy_only=False))
        return counts

    def _mask(self, services: pa.Array, kinds: pa.Array, says: Callable[[Choice], bool]) -> Mask:
        """`says` of each row's choice, asked once per different pair."""
        service, kind = (
            values.dictionary_encode(null_encoding="encode") for values in (services, kinds)
        )
        names, sorts = service.dictionary.to_pylist(), kind.dictionary.to_pylist()
        table = np.array(
            [[says(self.choice(s, k)) for k in sorts] for s in names], dtype=np.bool_
        ).reshape(len(names), len(sorts))
        return np.asarray(
            table[
                service.indices.to_numpy(zero_copy_only=False),
                kind.indices.to_numpy(zero_copy_only=False),
            ]
        )


def _counts_only(side: str, choice: Choice) -> bool:
    return choice.direction == side


def _choice(gateway: Gateway) -> Choice:
    spans, access_log, twins = _CHOICES[gateway.count]
    return Choice(spans, access_log, twins, gateway.direction)


def _valid(values: pa.Array) -> Mask:
    return is_valid(values)
