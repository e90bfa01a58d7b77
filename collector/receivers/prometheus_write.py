"""Prometheus remote write, 1.0 and 2.0: protobuf in a snappy block.

1.0 has labels as texts, 2.0 as references into a table of symbols, with type, unit and help beside
each series. Their field numbers do not overlap, so one message reads both. Samples are epoch ms.
A stale marker becomes a point without a value; see prometheus_naming.py for the rest.

2.0 wants the numbers of what was written in headers, and no 2xx if any sample was refused; 1.0
wants 204. Source: prometheus/docs specs/prw/remote_write_spec{,_2_0}.md, prompb/*.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from collector.errors import MalformedBody, UnsupportedContentType, UnsupportedEncoding
from collector.otlp.metrics import Metrics
from collector.payload import Content, Payload
from collector.receivers.api import NativeApi, Prepared, Reply, Request
from collector.receivers.descriptors import build_messages
from collector.receivers.metric_wire import (
    POINT_LABELS,
    Exemplar,
    histogram_metric,
    metric,
    number_point,
)
from collector.receivers.otlp_wire import envelope, pairs
from collector.receivers.prometheus_histograms import BadHistogram, histogram_point
from collector.receivers.prometheus_naming import (
    STALE_BITS,
    Labels,
    Resource,
    grows,
    split_labels,
)
from collector.receivers.translated import Reject, TranslatedFormat, Translation

_HISTOGRAM = {
    "count_int": (1, "uint64"), "count_float": (2, "double"), "sum": (3, "double"),
    "schema": (4, "sint32"), "zero_threshold": (5, "double"), "zero_count_int": (6, "uint64"),
    "zero_count_float": (7, "double"), "negative_spans": (8, "BucketSpan*"),
    "negative_deltas": (9, "sint64*"), "negative_counts": (10, "double*"),
    "positive_spans": (11, "BucketSpan*"), "positive_deltas": (12, "sint64*"),
    "positive_counts": (13, "double*"), "reset_hint": (14, "int32"), "timestamp": (15, "int64"),
    "custom_values": (16, "double*"), "start_timestamp": (17, "int64"),
}  # fmt: skip

_WRITE = build_messages(
    "gatelens.prometheus",
    {
        "Write": {
            "series": (1, "Series*"),
            "metadata": (3, "Family*"),
            "symbols": (4, "string*"),
            "symbol_series": (5, "SymbolSeries*"),
        },
        "Series": {
            "labels": (1, "Label*"),
            "samples": (2, "Sample*"),
            "exemplars": (3, "LabelExemplar*"),
            "histograms": (4, "Histogram*"),
        },
        "Family": {"type": (1, "int32"), "name": (2, "string")},
        "Label": {"name": (1, "string"), "value": (2, "string")},
        "Sample": {"value": (1, "double"), "timestamp": (2, "int64"), "start": (3, "int64")},
        "LabelExemplar": {
            "labels": (1, "Label*"),
            "value": (2, "double"),
            "timestamp": (3, "int64"),
        },
        "SymbolSeries": {
            "refs": (1, "uint32*"),
            "samples": (2, "Sample*"),
            "histograms": (3, "Histogram*"),
            "exemplars": (4, "SymbolExemplar*"),
            "metadata": (5, "Metadata"),
            "created": (6, "int64"),
        },
        "SymbolExemplar": {
            "refs": (1, "uint32*"),
            "value": (2, "double"),
            "timestamp": (3, "int64"),
        },
        "Metadata": {"type": (1, "int32"), "help": (3, "uint32"), "unit": (4, "uint32")},
        "BucketSpan": {"offset": (1, "sint32"), "length": (2, "uint32")},
        "Histogram": _HISTOGRAM,
    },
)["Write"]

_COUNTER, _GAUGE, _UNSPECIFIED = 1, 2, 0
_PARTS_GROW = (3, 5)
"""Histogram and summary: their `_count`, `_sum` and `_bucket` series grow, quantiles do not."""

_STALE = struct.pack("<Q", STALE_BITS)


@dataclass(frozen=True, slots=True)
class _Series:
    """One series of either version."""

    labels: Sequence[tuple[str, str]]
    samples: Sequence[Any]
    histograms: Sequence[Any]
    exemplars: tuple[Exemplar, ...]
    kind: int = _UNSPECIFIED
    unit: str = ""
    help: str = ""
    created_ms: int = 0


@dataclass(slots=True)
class _Out:
    """Metrics by resource, and what was refused."""

    metrics: dict[Resource, list[bytes]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    position: int = 0


def translate_write(payload: Payload) -> Translation:
    """Raises MalformedBody."""
    out = _Out()
    for series in _series(_parse(payload.body)):
        _add(out, series)
    found = Translation(rejects=out.rejects)
    found.otlp = b"".join(envelope(where, some) for where, some in out.metrics.items())
    return found


def _parse(body: bytes) -> Any:
    try:
        return _WRITE.FromString(body)
    except DecodeError as err:
        raise MalformedBody("not a remote-write request") from err


def _series(write: Any) -> Iterator[_Series]:
    for series in write.series:
        exemplars = tuple(
            Exemplar(
                e.timestamp * 1_000_000, e.value, tuple((la.name, la.value) for la in e.labels)
            )
            for e in series.exemplars
        )
        labels = [(label.name, label.value) for label in series.labels]
        yield _Series(labels, series.samples, series.histograms, exemplars)
    if not write.symbol_series:
        return
    symbols = list(write.symbols)
    if not symbols or symbols[0]:
        raise MalformedBody("the first symbol is not the empty one")
    for series in write.symbol_series:
        metadata = series.metadata
        try:
            exemplars = tuple(
                Exemplar(e.timestamp * 1_000_000, e.value, tuple(_labels(symbols, e.refs)))
                for e in series.exemplars
            )
            yield _Series(
                _labels(symbols, series.refs),
                series.samples,
                series.histograms,
                exemplars,
                metadata.type,
                symbols[metadata.unit],
                symbols[metadata.help],
                series.created,
            )
        except IndexError as err:
            raise MalformedBody("a reference points beyond the symbols") from err


def _labels(symbols: Sequence[str], refs: Any) -> list[tuple[str, str]]:
    if len(refs) % 2:
        raise MalformedBody("an odd number of label references")
    texts = [symbols[ref] for ref in refs]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _add(out: _Out, series: _Series) -> None:
    name, resource, labels = split_labels(series.labels)
    count = len(series.samples) + len(series.histograms)
    if not name:
        for position in range(out.position + 1, out.position + count + 1):
            detail = "A series needs the label __name__."
            out.rejects.append(Reject(position, "no_name", detail, repr(labels[:20]).encode()))
        out.position += count
        return
    metrics = out.metrics.setdefault(resource, [])
    if series.samples:
        attributes = pairs(POINT_LABELS, labels)
        points = _points(series, attributes)
        counter = _is_counter(series.kind, name)
        metrics.append(
            metric(name, points, counter=counter, unit=series.unit, description=series.help)
        )
        out.position += len(series.samples)
    for histogram in series.histograms:
        out.position += 1
        _add_histogram(out, metrics, histogram, name, labels, series)


def _points(series: _Series, attributes: bytes) -> Iterator[bytes]:
    exemplars = series.exemplars
    for sample in series.samples:
        value: float | None = sample.value
        if value != value and struct.pack("<d", sample.value) == _STALE:
            value = None
        yield number_point(
            attributes,
            time_ns=max(sample.timestamp, 0) * 1_000_000 or 1,
            value=value,
            start_ns=max(sample.start or series.created_ms, 0) * 1_000_000,
            exemplars=exemplars,
        )
        exemplars = ()


def _is_counter(kind: int, name: str) -> bool:
    if kind == _UNSPECIFIED or kind in _PARTS_GROW:
        return grows(name)
    return kind == _COUNTER


def _add_histogram(
    out: _Out, metrics: list[bytes], histogram: Any, name: str, labels: Labels, series: _Series
) -> None:
    try:
        start = histogram.start_timestamp or series.created_ms
        point, exponential = histogram_point(histogram, labels, start, series.exemplars)
    except BadHistogram as err:
        out.rejects.append(Reject(out.position, "bad_histogram", str(err), name.encode()))
        return
    metrics.append(
        histogram_metric(
            name, point, exponential=exponential, unit=series.unit, description=series.help
        )
    )


PROMETHEUS_SNIPPET = """\
# prometheus.yml (Prometheus, Agent, VictoriaMetrics' vmagent, Grafana Alloy, …)
remote_write:
  - url: http://127.0.0.1:4318/api/v1/write
    # protobuf_message: io.prometheus.write.v2.Request   # 2.0: types and units come along
    # authorization: {credentials: gl_…}
"""

PROMETHEUS_WRITE = TranslatedFormat(
    name="prometheus_write",
    signal=Metrics,
    translate=translate_write,
    description=(
        "Prometheus remote write 1.0 and 2.0 at `/api/v1/write`. Series become metrics: counters "
        "and gauges, native histograms, exemplars, stale markers."
    ),
    snippet=PROMETHEUS_SNIPPET,
)

_V2 = "io.prometheus.write.v2.Request"


@dataclass(frozen=True, slots=True)
class _Written:
    samples: int = 0
    histograms: int = 0
    exemplars: int = 0


class PrometheusWriteApi(NativeApi):
    """`/api/v1/write`, and `/api/v1/push` of Mimir and Cortex."""

    format = PROMETHEUS_WRITE
    needs_plain = True

    def takes(self, method: str, path: str) -> bool:
        return path in ("/api/v1/write", "/api/v1/push", "/api/prom/write")

    def content(self, request: Request) -> Content:
        """2.0: an unsupported message is 415, so that the sender can fall back."""
        proto = _protocol(request)
        if request.media_type not in ("application/x-protobuf", "") or proto not in (
            "", "prometheus.WriteRequest", _V2,
        ):  # fmt: skip
            raise UnsupportedContentType(request.header("content-type"), "application/x-protobuf")
        return "protobuf"

    def encoding(self, request: Request) -> str:
        named = request.header("content-encoding").strip().lower()
        if named not in ("snappy", ""):
            raise UnsupportedEncoding(named)
        return "snappy"

    def prepare(self, request: Request, wire: bytes, plain: bytes, encoding: str) -> Prepared:
        if _protocol(request) != _V2:
            return Prepared(wire, encoding, _Written())
        series = _parse(plain).symbol_series
        return Prepared(
            wire,
            encoding,
            _Written(
                sum(len(one.samples) for one in series),
                sum(len(one.histograms) for one in series),
                sum(len(one.exemplars) for one in series),
            ),
        )

    def accepted(self, request: Request, rejected: int, message: str, note: object) -> Reply:
        assert isinstance(note, _Written)
        headers: tuple[tuple[str, str], ...] = ()
        if _protocol(request) == _V2:
            # Which kind the refused ones are is not told apart; samples are nearly all there is.
            samples = max(note.samples - rejected, 0)
            histograms = max(note.histograms - max(rejected - note.samples, 0), 0)
            headers = (
                ("X-Prometheus-Remote-Write-Samples-Written", str(samples)),
                ("X-Prometheus-Remote-Write-Histograms-Written", str(histograms)),
                ("X-Prometheus-Remote-Write-Exemplars-Written", str(note.exemplars)),
            )
        if rejected:
            text = message or f"{rejected} samples were refused."
            return Reply(400, text.encode(), "text/plain; charset=utf-8", headers)
        return Reply(204, headers=headers)


def _protocol(request: Request) -> str:
    """The `proto` parameter of the content type; '' = 1.0."""
    for part in request.header("content-type").split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name.lower() == "proto":
            return value.strip('"')
    return ""
