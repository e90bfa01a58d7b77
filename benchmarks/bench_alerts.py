"""How soon somebody is told, and how many rules fit into a round.

    make bench-alerts

Delay: a real installation (`gatelens up` at its defaults), a real webhook receiver, steady traffic
over OTLP/HTTP for several APIs. One API after the other begins to fail, at a moment of its own in
the round; counted is the time from its first failed request that takes the share over the limit to
the receiver having the notice. The rule has no `for`, which would only add its own length.

Load: 1,000 rules over 10,000 series, one round, as tests/alerting/test_load.py does.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.alerting.world import Sink, running_sink
from tests.e2e.installation import Installation

RULE = """\
rules:
  - name: failing
    measure: error_rate
    group_by: [api]
    window: 1m
    min_requests: 20
    condition: "> 5%"
    severity: critical
"""
REQUESTS_PER_S = 10
"""Of each API."""
WARM_UP_S = 70.0
"""Longer than the rule's window, so that an API has a minute of good requests behind it."""
GIVE_UP_AFTER_S = 60.0


def delays(apis: int) -> list[float]:
    """Seconds from the breach in the data to the notice at the receiver, one per API."""
    with tempfile.TemporaryDirectory() as folder, running_sink() as sink:
        rules, channels = Path(folder, "rules.yaml"), Path(folder, "channels.yaml")
        rules.write_text(RULE)
        channels.write_text(
            f"channels:\n  - {{name: hook, type: webhook, url: '{sink.url}', "
            "allow_networks: [127.0.0.0/8]}\n"
        )
        place = Installation(
            Path(folder, "data"),
            environment={
                "GATELENS_ALERTING_RULES_PATH": str(rules),
                "GATELENS_ALERTING_CHANNELS_PATH": str(channels),
                "GATELENS_ALERTING_BUILTIN_RULES": "false",
            },
        )
        place.start("up")
        try:
            place.wait_ready(place.collector)
            return _measure(place.collector, sink, apis)
        finally:
            place.stop()


def _measure(collector: str, sink: Sink, apis: int) -> list[float]:
    names = [f"api-{i}" for i in range(apis)]
    tracers = {}
    for name in names:
        provider = TracerProvider(resource=Resource({"service.name": name}))
        exporter = OTLPSpanExporter(f"{collector}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
        tracers[name] = provider.get_tracer("bench")
    rng = random.Random(1)
    begins = time.time() + WARM_UP_S
    fails_from = {name: begins + 12.0 * i + rng.uniform(0, 5) for i, name in enumerate(names)}
    sent: dict[str, list[tuple[float, bool]]] = {name: [] for name in names}
    told: dict[str, float] = {}
    deadline = max(fails_from.values()) + GIVE_UP_AFTER_S
    while len(told) < apis and time.time() < deadline:
        now = time.time()
        for name in names:
            failed = now >= fails_from[name]
            _call(tracers[name].start_span("GET /x", kind=SpanKind.SERVER), failed)
            sent[name].append((now, failed))
        for notice in sink.notices:
            for alert in notice["alerts"]:
                if alert["status"] == "firing":
                    told.setdefault(alert["labels"]["api"], now)
        time.sleep(max(0.0, 1 / REQUESTS_PER_S - (time.time() - now)))
    return [told[name] - _breach(sent[name]) for name in names if name in told]


def _call(span: object, failed: bool) -> None:
    assert isinstance(span, Span)
    span.set_attribute("http.request.method", "GET")
    span.set_attribute("http.route", "/x")
    span.set_attribute("http.response.status_code", 503 if failed else 200)
    if failed:
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def _breach(sent: list[tuple[float, bool]]) -> float:
    """When the share of failed requests of the last minute went over the rule's 5 %."""
    for index, (at, _) in enumerate(sent):
        window = [failed for then, failed in sent[: index + 1] if then > at - 60]
        if len(window) >= 20 and sum(window) / len(window) > 0.05:
            return at
    raise AssertionError("the requests sent never went over the limit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apis", type=int, default=10, help="breaches to measure")
    wanted = parser.parse_args().apis
    found = sorted(delays(wanted))
    print(f"breach in the data -> notice received, {len(found)} of {wanted} breaches told:")
    if found:
        print(
            f"  median {statistics.median(found):.1f} s, "
            f"least {found[0]:.1f} s, most {found[-1]:.1f} s"
        )
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "slow", "tests/alerting/test_load.py"],
        check=True,
    )


if __name__ == "__main__":
    main()
