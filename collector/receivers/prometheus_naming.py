"""Prometheus labels in OpenTelemetry's terms.

`job` is the service (a slash parts namespace and name), `instance` its instance; both are the
resource, the other labels are the point's. Names stay as they are. What the sender does not say,
the name does: `_total`, `_count`, `_sum` and `_bucket` only grow.

Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
"""

from __future__ import annotations

from collections.abc import Iterable

NAME = "__name__"
STALE_BITS = 0x7FF0000000000002
"""The NaN by which Prometheus says that a series has ended."""

_GROWING = ("_total", "_count", "_sum", "_bucket")

Resource = tuple[tuple[str, str], ...]
Labels = tuple[tuple[str, str], ...]


def grows(name: str) -> bool:
    """Whether a series of unknown type is a counter, by its name."""
    return name.endswith(_GROWING)


def split_labels(labels: Iterable[tuple[str, str]]) -> tuple[str, Resource, Labels]:
    """(metric name, resource attributes, point attributes); a name that is missing is ''."""
    name, job, instance = "", "", ""
    rest: list[tuple[str, str]] = []
    for key, value in labels:
        if key == NAME:
            name = value
        elif key == "job":
            job = value
        elif key == "instance":
            instance = value
        elif value:
            rest.append((key, value))
    resource: list[tuple[str, str]] = []
    if job:
        namespace, slash, service = job.rpartition("/")
        resource.append(("service.name", service if slash else job))
        if namespace:
            resource.append(("service.namespace", namespace))
    if instance:
        resource.append(("service.instance.id", instance))
    return name, tuple(resource), tuple(rest)
