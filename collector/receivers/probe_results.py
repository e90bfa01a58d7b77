"""Results of uptime probes as metrics.

    {"name": "orders", "url": "https://…/health", "up": 1, "duration_ms": 12.3, "status": 200,
     "certificate_expiry_s": 86400.0, "reason": "", "labels": {}}

`gatelens.probe.up` is 1 where the endpoint answered as expected in time; `duration_ms` is absent
where nothing answered; `certificate_expiry_s` (seconds left, negative when past) only over TLS. Why
an endpoint is down is an attribute of the exemplar of `up`, so that its series stays one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from collector.errors import MalformedBody
from collector.otlp.metrics import Metrics
from collector.payload import Payload
from collector.receivers.metric_wire import POINT_LABELS, Exemplar, metric, number_point
from collector.receivers.otlp_wire import envelope, pairs, rendered
from collector.receivers.translated import TranslatedFormat, Translation

_MEASURES = (
    ("up", "gatelens.probe.up", "1", "1 = the endpoint answered as expected."),
    ("duration_ms", "gatelens.probe.duration_ms", "ms", "Time until the whole answer was there."),
    ("status", "gatelens.probe.status_code", "1", "Status code of the answer."),
    (
        "certificate_expiry_s",
        "gatelens.probe.certificate_expiry_s",
        "s",
        "Time left until the certificate expires.",
    ),
)


def translate_probes(payload: Payload) -> Translation:
    """One result per line. Raises MalformedBody."""
    out = []
    for line in payload.body.splitlines():
        try:
            result = orjson.loads(line)
        except orjson.JSONDecodeError as err:
            raise MalformedBody("a probe's result is no JSON") from err
        if not isinstance(result, dict) or not result.get("name"):
            raise MalformedBody("a probe's result has no name")
        resource = (("service.name", rendered(result["name"])),)
        metrics = list(_metrics(result, payload.received_unix_nano))
        out.append(envelope(resource, metrics, scope="gatelens.probe"))
    return Translation(otlp=b"".join(out))


def _metrics(result: Mapping[str, Any], now_ns: int) -> Iterator[bytes]:
    # Only what stays the same from one probe to the next: each set of labels is a series.
    said = {"url.full": result.get("url"), **(result.get("labels") or {})}
    labels = {key: rendered(value) for key, value in said.items() if value is not None}
    reason = result.get("reason")
    for key, name, unit, text in _MEASURES:
        value = result.get(key)
        if not isinstance(value, int | float):
            continue
        exemplars = []
        if key == "up" and reason:
            exemplars = [Exemplar(now_ns, float(value), (("error.type", rendered(reason)),))]
        attributes = pairs(POINT_LABELS, labels)
        point = number_point(attributes, time_ns=now_ns, value=float(value), exemplars=exemplars)
        yield metric(name, [point], counter=False, unit=unit, description=text)


PROBE_SNIPPET = """\
# watch.yaml, named by `watch_file` in [collector] of gatelens.toml
probes:
  - name: orders                     # the service
    url: https://orders.example.com/actuator/health
    interval_s: 30
    timeout_s: 5
    expect: '"status":"UP"'          # optional: text that must be in the answer
"""

PROBE = TranslatedFormat(
    name="probe",
    signal=Metrics,
    translate=translate_probes,
    dedupe=False,
    description=(
        "Uptime probes of health endpoints that Gatelens makes itself: `gatelens.probe.up`, "
        "`gatelens.probe.duration_ms`, `gatelens.probe.certificate_expiry_s` as metrics."
    ),
    snippet=PROBE_SNIPPET,
)
