"""Why an alert fired: which route, consumer, version or gateway makes up most of the breach.

For counts and ratios it is the share of the bad requests; for times, the slowest groups that carry
a fair part of the traffic. Looked up once, when an alert opens, and kept in its history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from alerting.point import Labels, Point
from alerting.rule import BurnRate, Change, Rule, Threshold, say_value
from alerting.source import Source
from alerting.store import AlertStore, HistoryEntry
from analytics.query import MEASURES, Filters

BREAKDOWNS = ("api", "route", "consumer", "api_version", "gateway", "status_code")
"""Dimensions that are tried, except those the rule groups by already."""
CONTRIBUTORS_PER_DIMENSION = 3
SHARE_MIN = 0.2
"""A group with less of the bad requests explains nothing."""
TRAFFIC_SHARE_MIN = 0.02
"""A slow group with less of the requests does not move a quantile."""

_COUNTED: Mapping[str, str] = {
    "error_rate": "errors",
    "client_error_rate": "client_errors",
    "rate_limited_rate": "rate_limited",
    "unauthorized_rate": "unauthorized",
}
"""A ratio and the count of what is bad in it."""


@dataclass(frozen=True, slots=True)
class Contributor:
    """One group's part in a breach."""

    dimension: str
    name: str
    value: float
    """In the unit of `measure`."""
    measure: str
    share: float
    """Of the bad requests for a count, of all requests for a time; 0..1."""

    def __str__(self) -> str:
        if MEASURES[self.measure].unit == "ms":
            return f"{self.dimension} {self.name} takes {say_value(self.value, 'ms')}"
        return f"{self.share:.0%} from {self.dimension} {self.name}"


@dataclass(frozen=True, slots=True)
class AlertExplanation:
    """An alert's latest opening and what was found then. `opening` None = it never fired."""

    opening: HistoryEntry | None
    steps: tuple[HistoryEntry, ...]
    """Its changes of state, newest first."""


def explain_alert(state: sa.Engine, fingerprint: str, *, steps: int = 20) -> AlertExplanation:
    """What the history knows of one alert; `fingerprint` may be cut to its first characters when
    that is unambiguous."""
    store = AlertStore(state)
    history = store.history(steps, fingerprint=store.full_fingerprint(fingerprint) or fingerprint)
    opening = next((entry for entry in history if entry.to_state == "firing"), None)
    return AlertExplanation(opening, tuple(history))


class Explainer:
    """Finds contributors by asking the source. Costs one question per dimension."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __call__(self, rule: Rule, series: Labels, at: float) -> Sequence[Contributor]:
        """Those that matter, greatest first; () when the rule's kind has none. May raise."""
        match rule.check:
            case (
                Threshold(measure=measure, window_s=window)
                | Change(measure=measure, window_s=window)
            ):
                pass
            case BurnRate(measure=measure, windows=windows, threshold_ms=slow):
                window = windows[0].short_s
                measure = measure if slow is None else "p95_ms"
            case _:
                return ()
        counted = _COUNTED.get(measure, measure)
        filters = narrowed(rule.filters, series)
        found: list[Contributor] = []
        for dimension in BREAKDOWNS:
            if dimension in rule.group_by:
                continue
            points = self._source.measure(counted, at - window, at, filters, (dimension,))
            found.extend(_largest(dimension, counted, points))
        return sorted(found, key=lambda c: -c.share)


def narrowed(filters: Filters, series: Labels) -> Filters:
    """The rule's filters, narrowed to one of its series."""
    values: dict[str, Any] = {name: (value,) for name, value in series}
    return replace(filters, **values)


def say_contributors(found: Sequence[Contributor]) -> str:
    """'93% from route /orders/{id}, 60% from consumer acme'; '' for none."""
    best: dict[str, Contributor] = {}
    for contributor in found:
        best.setdefault(contributor.dimension, contributor)
    return ", ".join(str(c) for c in list(best.values())[:4])


def _largest(dimension: str, measure: str, points: Sequence[Point]) -> list[Contributor]:
    known = [(p, p.value) for p in points if p.value]
    if MEASURES[measure].unit == "ms":
        total = sum(p.requests for p, _ in known)
        heavy = [(p, v) for p, v in known if p.requests >= TRAFFIC_SHARE_MIN * total]
        if len(heavy) < 2:
            return []  # everything is in one group: that explains nothing
        heavy.sort(key=lambda pair: -pair[1])
        shares = [(p, v, p.requests / total) for p, v in heavy]
    else:
        amount = sum(v for _, v in known)
        known.sort(key=lambda pair: -pair[1])
        shares = [(p, v, v / amount) for p, v in known if v / amount >= SHARE_MIN]
    return [
        Contributor(dimension, point.labels[0][1], value, measure, share)
        for point, value, share in shares[:CONTRIBUTORS_PER_DIMENSION]
    ]
