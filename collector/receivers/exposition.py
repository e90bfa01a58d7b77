"""What a Prometheus target shows at /metrics, as metrics: text format 0.0.4 and OpenMetrics 1.0.

The format's body is made by the scraper: one line of JSON about the scrape, then the page.

    {"job": "api", "instance": "10.0.0.1:9090", "labels": {…}, "up": 1, "duration_s": 0.01,
     "openmetrics": false}
    # TYPE http_requests_total counter
    …

Series without a time of their own have the scrape's. Families say type, unit and help; counters,
and the parts of histograms and summaries that only grow, are cumulative sums. `up` and
`scrape_duration_seconds` are added, as Prometheus does. A page that cannot be read is a row of
`rejects` and its `up` is 0.

Source: prometheus/docs exposition_formats.md; OpenMetrics 1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from collector.errors import MalformedBody
from collector.otlp.metrics import Metrics
from collector.payload import Payload
from collector.receivers.metric_wire import POINT_LABELS, Exemplar, metric, number_point
from collector.receivers.otlp_wire import envelope, pairs, rendered
from collector.receivers.prometheus_naming import NAME, Resource, split_labels
from collector.receivers.times import epoch_ns
from collector.receivers.translated import Reject, TranslatedFormat, Translation

_GROWING_PARTS = ("_total", "_count", "_sum", "_bucket")


def scrape_body(head: Mapping[str, Any], page: bytes) -> bytes:
    """The body the scraper hands in."""
    return orjson.dumps(head) + b"\n" + page


def translate_scrape(payload: Payload) -> Translation:
    """Raises MalformedBody where the scraper's own line is missing."""
    first, _, page = payload.body.partition(b"\n")
    try:
        head = orjson.loads(first)
    except orjson.JSONDecodeError as err:
        raise MalformedBody("the first line does not describe a scrape") from err
    if not isinstance(head, dict):
        raise MalformedBody("the first line does not describe a scrape")
    found = Translation()
    up, metrics = head.get("up") == 1, []
    resource = _resource(head)
    if up:
        try:
            metrics = list(_metrics(head, page.decode(), payload.received_unix_nano))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as err:
            # The parser of the official client raises whatever it stumbles over.
            detail = f"The page cannot be read: {err}."[:500]
            found.rejects.append(Reject(1, "bad_exposition", detail, page[:4096]))
            up, metrics = False, []
    metrics += _about(head, up, payload.received_unix_nano)
    found.otlp = envelope(resource, metrics, scope="gatelens.scrape")
    return found


def _resource(head: Mapping[str, Any]) -> Resource:
    said = [("job", rendered(head.get("job") or "")), ("instance", rendered(head["instance"]))]
    return split_labels(said)[1]


def _target_labels(head: Mapping[str, Any]) -> dict[str, str]:
    labels = head.get("labels")
    return {k: rendered(v) for k, v in labels.items()} if isinstance(labels, dict) else {}


def _metrics(head: Mapping[str, Any], page: str, now_ns: int) -> Iterator[bytes]:
    parse = open_families if head.get("openmetrics") else text_families
    target = _target_labels(head)
    families: Iterable[Metric] = parse(page)
    for family in families:
        by_name: dict[str, list[bytes]] = {}
        for sample in family.samples:
            by_name.setdefault(sample.name, []).append(_point(sample, target, now_ns))
        for name, points in by_name.items():
            yield metric(
                name,
                points,
                counter=_grows(family.type, name),
                unit=family.unit,
                description=family.documentation,
            )


def _grows(kind: str, name: str) -> bool:
    if kind == "counter":
        return not name.endswith("_created")
    return kind in ("histogram", "summary") and name.endswith(_GROWING_PARTS)


def _point(sample: Any, target: Mapping[str, str], now_ns: int) -> bytes:
    """Labels of the target win; the page's own of that name are kept as `exported_…`."""
    labels = dict(target)
    for key, value in sample.labels.items():
        if value and key != NAME:
            labels[f"exported_{key}" if key in target or key in ("job", "instance") else key] = (
                value
            )
    time_ns = _time_ns(sample.timestamp, now_ns)
    exemplars: tuple[Exemplar, ...] = ()
    if sample.exemplar is not None:
        taken = sample.exemplar
        at = _time_ns(taken.timestamp, now_ns)
        exemplars = (Exemplar(at, float(taken.value), tuple(taken.labels.items())),)
    return number_point(
        pairs(POINT_LABELS, labels),
        time_ns=time_ns,
        value=float(sample.value),
        exemplars=exemplars,
    )


def _time_ns(said: Any, now_ns: int) -> int:
    """Of the parsers' seconds: a number, or whole seconds and nanoseconds apart."""
    if said is None:
        return now_ns
    if hasattr(said, "nsec"):
        return int(said.sec) * 1_000_000_000 + int(said.nsec)
    return epoch_ns(float(said)) or now_ns


def _about(head: Mapping[str, Any], up: bool, now_ns: int) -> Iterator[bytes]:
    labels = pairs(POINT_LABELS, _target_labels(head))
    yield metric("up", [number_point(labels, time_ns=now_ns, value=float(up))], counter=False)
    duration = head.get("duration_s")
    if isinstance(duration, int | float):
        point = number_point(labels, time_ns=now_ns, value=float(duration))
        yield metric("scrape_duration_seconds", [point], counter=False, unit="s")


SCRAPE_SNIPPET = """\
# watch.yaml, named by `watch_file` in [collector] of gatelens.toml
scrapes:
  - job: kong
    targets: ["127.0.0.1:8001"]      # http://…/metrics; or a whole URL
    interval_s: 15
    labels: {datacenter: eu1}
"""

SCRAPE = TranslatedFormat(
    name="prometheus_scrape",
    signal=Metrics,
    translate=translate_scrape,
    dedupe=False,
    description=(
        "Pages at `/metrics` of targets that Gatelens scrapes itself (Prometheus text and "
        "OpenMetrics). Become metrics, with `up` per target."
    ),
    snippet=SCRAPE_SNIPPET,
)
