"""What all records of a resource and a scope have in common, made once per scope.

`resource_attributes` has the attributes of the resource and, so that nothing of the data model is
lost, what else was said about resource and scope, under these keys (after those of the resource):

    otel.resource.schema_url, otel.resource.dropped_attributes_count,
    otel.resource.entity_refs (JSON), otel.scope.schema_url, otel.scope.dropped_attributes_count,
    otel.scope.<attribute of the scope>

In the same way the attributes of an event, a link or a data point may end with

    otel.event.dropped_attributes_count, otel.link.dropped_attributes_count, otel.link.flags,
    otel.metric.metadata.<metadata of the metric>
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa

from collector.otlp.arrow import Pairs, Source, coded_array, join_pairs
from collector.otlp.attributes import Attributes, HotKeys
from collector.otlp.body import ROW_MASK, Body, Bytes, Ints
from collector.otlp.plan import OWNER_SHIFT, TABLE_ID
from collector.otlp.text import LENGTH_MASK
from collector.otlp.values import number_texts
from storage.coded import plain

_SERVICE = {
    "service_name": ("service.name",),
    "service_namespace": ("service.namespace",),
    "service_version": ("service.version",),
    "service_instance_id": ("service.instance.id",),
    "environment": ("deployment.environment.name", "deployment.environment"),
}
"""Column -> resource attributes, the current name first."""

_DROPPED, _KEY = "{}dropped_attributes_count", "otel.{}.dropped_attributes_count"
_NO_COUNTS = np.empty(0, dtype=np.int64)

_HOT = HotKeys([name for names in _SERVICE.values() for name in names])


class Extra:
    """Text added behind the rendered values, and references to it."""

    def __init__(self, attributes: Attributes) -> None:
        self._chunks: list[bytes] = []
        self._aux = attributes.aux
        self._next = len(attributes.body.data) + len(attributes.aux)

    def add(self, text: bytes) -> int:
        reference = (self._next << 32) | len(text)
        self._chunks.append(text)
        self._next += len(text)
        return reference

    def aux(self) -> Bytes:
        if not self._chunks:
            return self._aux
        return np.concatenate((self._aux, np.frombuffer(b"".join(self._chunks), dtype=np.uint8)))


@dataclass(frozen=True, slots=True)
class Shared:
    """Per row of the `scope` table."""

    source: Source
    """Use this one from here on: it has more text than that of the attributes."""
    columns: dict[str, pa.Array]
    attributes: Pairs
    extras: dict[str, Pairs]
    """What else rows of `metric`, `event` and `link` say, to put behind their own attributes."""

    def of_rows(self, scopes: Ints, environment: str | None) -> dict[str, pa.Array]:
        """The columns for records that belong to `scopes`. `environment`: where none is said."""
        index = pa.array(scopes)
        taken = {name: column.take(index) for name, column in self.columns.items()}
        if environment and taken["environment"].null_count:
            taken["environment"] = plain(taken["environment"]).fill_null(environment)
        taken["resource_attributes"] = self.attributes.repeated_maps(self.source, scopes)
        return taken


def share(attributes: Attributes) -> Shared:
    """Columns and attributes of every scope of a body."""
    body = attributes.body
    resources = body.owner_rows("scope")
    own = attributes.of("resource")
    found = _HOT.find(body.data, own)
    extra = Extra(attributes)
    of_resource = join_pairs(
        own.count,
        own,
        _urls(body, "resource", "otel.resource.schema_url", extra),
        _counts(body, "resource", _DROPPED.format("resource."), _KEY.format("resource"), extra),
        _entities(body, extra),
    )
    of_scope = join_pairs(
        len(resources),
        expanded(of_resource, resources),
        _urls(body, "scope", "otel.scope.schema_url", extra),
        _counts(body, "scope", _DROPPED.format("scope."), _KEY.format("scope"), extra),
        prefixed(attributes, "scope", "otel.scope.", extra),
    )
    extras = {
        "metric": prefixed(attributes, "metric", "otel.metric.metadata.", extra),
        "event": _counts(body, "event", _DROPPED.format(""), _KEY.format("event"), extra),
        "link": join_pairs(
            body.count("link"),
            _counts(body, "link", _DROPPED.format(""), _KEY.format("link"), extra),
            _counts(body, "link", "flags", "otel.link.flags", extra),
        ),
    }
    source = Source(body.data, extra.aux())
    index = pa.array(resources)
    columns = {
        column: coded_array(source, found.first(*names), most=own.count).take(index)
        for column, names in _SERVICE.items()
    }
    for name in ("name", "version"):
        references = body.column("scope", f"scope.{name}")
        references = np.where(references & LENGTH_MASK > 0, references, -1)
        columns[f"scope_{name}"] = coded_array(source, references, most=len(references))
    return Shared(source, columns, of_scope, extras)


def expanded(pairs: Pairs, rows: Ints) -> Pairs:
    """Entries of `rows` of the pairs' table, for as many new rows."""
    sizes = np.bincount(pairs.rows, minlength=pairs.count)
    starts = np.cumsum(sizes) - sizes
    taken = sizes[rows]
    new_starts = np.cumsum(taken) - taken
    index = np.repeat(starts[rows] - new_starts, taken) + np.arange(int(taken.sum()))
    new_rows = np.repeat(np.arange(len(rows)), taken)
    return Pairs(new_rows, pairs.keys[index], pairs.values[index], len(rows))


def _urls(body: Body, table: str, key: str, extra: Extra) -> Pairs:
    urls = body.column(table, "schema_url")
    rows = np.flatnonzero(urls & LENGTH_MASK)
    keys = np.full(len(rows), extra.add(key.encode()) if len(rows) else 0, dtype=np.int64)
    return Pairs(rows, keys, urls[rows], len(urls))


def _counts(body: Body, table: str, path: str, key: str, extra: Extra) -> Pairs:
    """An integer field of `table` as an attribute called `key`, where it is not zero."""
    counts = body.column(table, path) if body.count(table) else _NO_COUNTS
    rows = np.flatnonzero(counts)
    if not len(rows):
        return Pairs(rows, rows, rows, len(counts))
    keys = np.full(len(rows), extra.add(key.encode()), dtype=np.int64)
    blob, spans = number_texts(counts[rows])
    return Pairs(rows, keys, spans + (extra.add(blob) >> 32 << 32), len(counts))


def prefixed(attributes: Attributes, table: str, prefix: str, extra: Extra) -> Pairs:
    """Attributes of `table` with `prefix` before their keys."""
    pairs = attributes.of(table)
    data = attributes.body.data
    keys = [
        extra.add(prefix.encode() + data[key >> 32 : (key >> 32) + (key & LENGTH_MASK)].tobytes())
        for key in pairs.keys.tolist()
    ]
    return Pairs(pairs.rows, np.array(keys, dtype=np.int64), pairs.values, pairs.count)


def _entities(body: Body, extra: Extra) -> Pairs:
    """Entity references (in development in OTLP) as one JSON array per resource."""
    found: dict[int, list[dict[str, str | list[str]]]] = {}
    if body.count("entity"):
        names = {bit: name for name, bit in body.plan.bits["entity"].items()}
        entity_table = TABLE_ID["entity"]
        lists: dict[tuple[int, int], list[str]] = {}
        for owner, name, value in _rows(body, "element", "owner", "list", "value"):
            if owner >> OWNER_SHIFT == entity_table:
                lists.setdefault((owner & ROW_MASK, name), []).append(_text(body, value))
        for row, (owner, url, type_) in enumerate(
            _rows(body, "entity", "owner", "schema_url", "type")
        ):
            entity: dict[str, str | list[str]] = {
                "schema_url": _text(body, url),
                "type": _text(body, type_),
            }
            entity |= {name: lists.get((row, bit), []) for bit, name in names.items()}
            found.setdefault(owner & ROW_MASK, []).append(entity)
    key = extra.add(b"otel.resource.entity_refs") if found else 0
    values = [extra.add(orjson.dumps(entities)) for entities in found.values()]
    return Pairs(
        np.array(list(found), dtype=np.int64),
        np.full(len(found), key, dtype=np.int64),
        np.array(values, dtype=np.int64),
        body.count("resource"),
    )


def _rows(body: Body, table: str, *paths: str) -> Iterator[tuple[int, ...]]:
    return zip(*(body.column(table, path).tolist() for path in paths), strict=True)


def _text(body: Body, reference: int) -> str:
    at = reference >> 32
    return body.data[at : at + (reference & LENGTH_MASK)].tobytes().decode()
