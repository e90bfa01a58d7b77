"""Loki's label sets, `{app="shop", env="prod"}`, as pairs, and what of them means something here.

Source: loki pkg/logql/syntax (labels are Go-quoted strings), docs: `discover_service_name`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from collector.errors import MalformedBody

_LABEL = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_.:-]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)', re.DOTALL)

_SERVICE = (
    "service_name", "service.name", "service", "app", "application", "name",
    "app_kubernetes_io_name", "container", "container_name", "k8s_container_name", "component",
    "workload", "job", "k8s_job_name",
)  # fmt: skip
"""Loki's own order (limits_config.discover_service_name)."""

_ENVIRONMENT = ("deployment_environment", "deployment_environment_name", "environment", "env")

LEVELS = ("level", "severity", "detected_level", "severity_text", "lvl", "loglevel")
"""Names a record's severity goes by."""


def parse_labels(text: str) -> dict[str, str]:
    """Labels of a stream. Raises MalformedBody."""
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise MalformedBody(f"labels are not {{…}}: {text[:80]!r}")
    inner = inner[1:-1]
    labels: dict[str, str] = {}
    at = 0
    while at < len(inner) and inner[at:].strip():
        match = _LABEL.match(inner, at)
        if match is None:
            raise MalformedBody(f"labels cannot be read at {inner[at : at + 40]!r}")
        labels[match[1]] = _unquoted(match[2])
        at = match.end()
    return labels


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        value = orjson.loads(f'"{text}"')
    except orjson.JSONDecodeError:
        return text
    return str(value)


def resource_of(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """The labels as resource attributes, with the names OpenTelemetry has for service and
    environment in front."""
    found: list[tuple[str, str]] = []
    for key, names in (("service.name", _SERVICE), ("deployment.environment.name", _ENVIRONMENT)):
        value = next((labels[name] for name in names if labels.get(name)), None)
        if value is not None and key not in labels:
            found.append((key, value))
    found += labels.items()
    return found
