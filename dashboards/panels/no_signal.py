"""What stands under the state row of a screen whose rows never came: how to get them in."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards import identity
from dashboards.components import Component, empty_box
from dashboards.data import Data


@dataclass(frozen=True, slots=True)
class Signal:
    """How one table of OpenTelemetry data is filled. `code`: title -> what to type."""

    title: str
    text: str
    code: tuple[tuple[str, str], ...]


ENDPOINT = "export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318"
DEMO = ("Sample traffic of a fictional company", "gatelens demo")

SIGNALS = {
    "spans": Signal(
        "No spans yet",
        "Traces and services are made of OpenTelemetry spans. Point an SDK, an agent or a "
        "collector at the address of your Gatelens; this screen fills within seconds.",
        (("Any OpenTelemetry SDK", ENDPOINT), DEMO),
    ),
    "logs": Signal(
        "No log records yet",
        "Log records come over OTLP, from an SDK, an agent or a collector that reads files. What "
        "gateways write into access logs is on the screen Requests instead.",
        (("Any OpenTelemetry SDK", f"{ENDPOINT}\nexport OTEL_LOGS_EXPORTER=otlp"), DEMO),
    ),
    "metrics": Signal(
        "No metrics yet",
        "Metrics come over OTLP, from an SDK, an agent or a collector that scrapes. Traffic, "
        "errors and latency of APIs need none: they are counted from requests.",
        (("Any OpenTelemetry SDK", f"{ENDPOINT}\nexport OTEL_METRICS_EXPORTER=otlp"), DEMO),
    ),
}
"""By table of the lake."""

NOT_SEEN = "You see what services of your APIs send; none of it lies in this time range."


async def no_signal(data: Data, table: str) -> Component:
    """For a range without rows of a table: how to get some in where none ever came, and to people
    of some services that others are not shown. None = rows come, only not in this range."""
    if identity.current().scope is not None:
        return empty_box("Nothing of your services", NOT_SEEN)
    came = await data.cache.get(
        ("came", table), lambda: bool(data.session.files(table)), ttl_s=10.0
    )
    if came:
        return None
    signal = SIGNALS[table]
    return empty_box(signal.title, signal.text, signal.code)
