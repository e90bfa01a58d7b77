"""Data points of all metric types: slots of the scanner -> columns of the `metrics` table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.otlp.arrow import (
    Pairs,
    Source,
    id_array,
    join_pairs,
    list_array,
    list_offsets,
    micros,
    number_array,
    text_array,
)
from collector.otlp.attributes import Attributes
from collector.otlp.body import Body, Ints
from collector.otlp.lists import number_lists
from collector.otlp.plan import METRICS as PLAN
from collector.otlp.quick import QuickCheck
from collector.otlp.records import Signal
from collector.otlp.series import combine, pair_hashes, text_hashes
from collector.otlp.shared import Shared, expanded
from collector.otlp.text import LENGTH_MASK
from storage.schemas import METRICS, TIMESTAMP

GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 5, 7, 9, 10, 11
"""Field numbers of Metric's oneof `data`."""

_TYPES = {
    GAUGE: "gauge",
    SUM: "sum",
    HISTOGRAM: "histogram",
    EXPONENTIAL: "exponential_histogram",
    SUMMARY: "summary",
}
_TYPE_NAMES = pa.array([_TYPES.get(number) for number in range(max(_TYPES) + 1)])
_TEMPORALITIES = pa.array([None, "DELTA", "CUMULATIVE"], pa.string())
"""By number of AggregationTemporality; unspecified and unknown numbers are NULL."""

_AS_INT = 6
"""Field number of as_int, in data points and in exemplars; the other member is as_double."""

_SCHEMA = METRICS.arrow_schema
_QUANTILES, _EXEMPLARS = _SCHEMA.field("quantiles").type, _SCHEMA.field("exemplars").type

_LISTS = {
    "bounds": "explicit_bounds",
    "bucket_counts": "bucket_counts",
    "positive_counts": "positive.bucket_counts",
    "negative_counts": "negative.bucket_counts",
}
"""Column -> repeated field of a data point."""

Bools = npt.NDArray[np.bool_]


class Metrics(Signal):
    """One row per data point. A point with time 0 has that of reception. Points under a kind of
    data that a later one replaced (oneof, last one wins) are no records."""

    name = "otlp_metrics"
    table = "metrics"
    source = "otlp_metric"
    plan = PLAN
    quick = QuickCheck(PLAN, times=("time_unix_nano",), of_metrics=True)
    shown = ("service_name", "name", "type", "unit")

    def times(self, body: Body, received: Ints) -> Ints:
        time = body.column("record", "time_unix_nano")
        return np.where(time != 0, time, received)

    def scopes(self, body: Body) -> Ints:
        return body.owner_rows("metric")[body.owner_rows("record")]

    def live(self, body: Body) -> Bools | None:
        first = body.column("metric", "data")[body.owner_rows("record")]
        live: Bools = np.arange(len(first)) >= first
        return None if live.all() else live

    def repeated_bytes(self, body: Body) -> Ints:
        own = body.column("metric", "metadata.bytes")
        for name in ("name", "description", "unit"):
            own = own + (body.column("metric", name) & LENGTH_MASK)
        return super().repeated_bytes(body) + own[body.owner_rows("record")]

    def columns(self, attributes: Attributes, shared: Shared) -> dict[str, pa.Array]:
        body, source = attributes.body, shared.source
        metrics = body.owner_rows("record")
        start = body.column("record", "start_time_unix_nano")
        flags = body.column("record", "flags").astype(np.uint32)
        own = attributes.of("record")
        metadata = expanded(shared.extras["metric"], metrics)
        return {
            "start_time": number_array(micros(start), TIMESTAMP, start != 0),
            "flags": number_array(flags, pa.uint32(), np.ones(1, dtype=np.bool_)),
            "attributes": join_pairs(own.count, own, metadata).maps(source),
            "exemplars": _exemplars(attributes, source),
            "quantiles": _quantiles(body),
            "series": number_array(
                _series(body, own, shared, metrics, self.scopes(body)),
                pa.uint64(),
                np.ones(1, dtype=np.bool_),
            ),
            **_of_metric(body, source, metrics),
            **_numbers(body, metrics),
            **_lists(body),
        }


def _of_metric(body: Body, source: Source, metrics: Ints) -> dict[str, pa.Array]:
    """Columns that all points of a metric share."""
    kinds = body.column("metric", "data.case")
    modes = body.column("metric", "data.aggregation_temporality")
    monotonic = body.column("metric", "data.is_monotonic").astype(np.bool_)
    columns = {
        "type": _TYPE_NAMES.take(pa.array(kinds)),
        "temporality": _TEMPORALITIES.take(pa.array(np.where((modes > 0) & (modes < 3), modes, 0))),
        "monotonic": pa.array(monotonic, mask=kinds != SUM),
    }
    for name in ("name", "unit", "description"):
        columns[name] = text_array(source, body.column("metric", name))
    index = pa.array(metrics)
    return {name: column.take(index) for name, column in columns.items()}


def _numbers(body: Body, metrics: Ints) -> dict[str, pa.Array]:
    """Scalar columns; NULL for types that do not have them."""
    kinds = body.column("metric", "data.case")[metrics]
    summary, exponential = kinds == SUMMARY, kinds == EXPONENTIAL
    distribution = (kinds == HISTOGRAM) | exponential
    columns = {
        "value": number_array(*_values(body, "record")),
        "count": _slot(body, "count", pa.uint64(), distribution | summary),
        "sum": _slot(body, "sum", pa.float64(), summary | body.has("record", "sum")),
        "scale": _slot(body, "scale", pa.int32(), exponential),
        "zero_count": _slot(body, "zero_count", pa.uint64(), exponential),
        "zero_threshold": _slot(body, "zero_threshold", pa.float64(), exponential),
    }
    for name in ("min", "max"):
        columns[name] = _slot(body, name, pa.float64(), body.has("record", name))
    for sign in ("positive", "negative"):
        there = body.has("record", sign)
        columns[f"{sign}_offset"] = _slot(body, f"{sign}.offset", pa.int32(), there)
    return columns


def _slot(body: Body, path: str, type_: pa.DataType, valid: Bools) -> pa.Array:
    values = body.column("record", path)
    if type_ == pa.int32():
        return number_array(values.astype(np.int32), type_, valid)
    return number_array(values, type_, valid)


def _values(body: Body, table: str) -> tuple[npt.NDArray[np.float64], pa.DataType, Bools]:
    """as_double or as_int as a double; not valid where there is neither."""
    kinds = body.column(table, "value.case")
    raw = body.column(table, "value")
    values = np.where(kinds == _AS_INT, raw.astype(np.float64), raw.view(np.float64))
    return values, pa.float64(), kinds > 0


def _lists(body: Body) -> dict[str, pa.Array]:
    """Columns of repeated numbers."""
    columns = {}
    lists = number_lists(body, "record", list(_LISTS.values()))
    for column, (offsets, values) in zip(_LISTS, lists, strict=True):
        type_ = _SCHEMA.field(column).type
        numbers = number_array(values, type_.value_type, np.ones(1, dtype=np.bool_))
        columns[column] = list_array(type_, offsets, numbers)
    return columns


def _quantiles(body: Body) -> pa.Array:
    if not body.count("quantile"):
        return pa.nulls(body.count("record"), _QUANTILES)
    everywhere = np.ones(1, dtype=np.bool_)
    quantiles = pa.StructArray.from_arrays(
        [
            number_array(body.column("quantile", name), pa.float64(), everywhere)
            for name in ("quantile", "value")
        ],
        fields=list(_QUANTILES.value_type),
    )
    offsets = list_offsets(body.owner_rows("quantile"), body.count("record"))
    return list_array(_QUANTILES, offsets, quantiles)


def _exemplars(attributes: Attributes, source: Source) -> pa.Array:
    body = attributes.body
    if not body.count("exemplar"):
        return pa.nulls(body.count("record"), _EXEMPLARS)
    time = body.column("exemplar", "time_unix_nano")
    exemplars = pa.StructArray.from_arrays(
        [
            number_array(time, pa.int64(), time > 0),
            number_array(*_values(body, "exemplar")),
            id_array(body.data, body.column("exemplar", "trace_id"), 16),
            id_array(body.data, body.column("exemplar", "span_id"), 8),
            attributes.of("exemplar").maps(source, coded=False),
        ],
        fields=list(_EXEMPLARS.value_type),
    )
    offsets = list_offsets(body.owner_rows("exemplar"), body.count("record"))
    return list_array(_EXEMPLARS, offsets, exemplars)


def _series(
    body: Body, own: Pairs, shared: Shared, metrics: Ints, scopes: Ints
) -> npt.NDArray[np.uint64]:
    source = shared.source
    scope = combine(
        pair_hashes(source, shared.attributes),
        text_hashes(
            source, body.column("scope", "scope.name"), body.column("scope", "scope.version")
        ),
    )
    name = body.column("metric", "name")
    metric = text_hashes(source, name, np.zeros(len(name), dtype=np.int64))
    return combine(combine(metric[metrics], scope[scopes]), pair_hashes(source, own))
