"""`gatelens rules backtest`: which pages a rule would have sent over the past days.

The rule's own check and state machine run over the stored data, one look after the other. A rule
about a measure looks at the end of every window, and all windows are asked for at once: a week
takes a second. Any other asks at every look; how often it looks is bounded, so that a month takes a
minute, not an hour. The result says how often it looked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from alerting.checks import Reading, look
from alerting.point import Labels
from alerting.rule import Change, Rule, Threshold
from alerting.source import AnalyticsSource, CachedSource, Source
from alerting.state_machine import Instance, Observation, State, Timing, advance

LOOKS_MAX = 2_000
"""Looks per rule and backtest. More time is covered by looking less often."""

WINDOWS_MAX = 50_000
"""The same where all windows are asked for at once: a month of minutes."""

CURVES_MAX = 8
"""Series whose values are kept for a chart: those that would have paged, then the busiest."""

CURVES_SEEN_MAX = 500
"""Series whose values are followed to choose from; the first ones seen."""

Curve = tuple[tuple[float, float | None], ...]
"""(time of the look, value) of one series; None = unmeasured."""

NIGHT_HOURS = (22, 6)
"""Local hours from and to which a page counts as one in the night."""


@dataclass(frozen=True, slots=True)
class Page:
    """One alert that would have been sent. Times are epoch seconds."""

    labels: Labels
    fired_at: float
    resolved_at: float | None
    """None = it would still fire at the end of the range."""
    peak: float | None
    """Value furthest beyond the threshold."""
    at_night: bool

    def seconds(self, until: float) -> float:
        return (self.resolved_at if self.resolved_at is not None else until) - self.fired_at


@dataclass(frozen=True, slots=True)
class Backtest:
    """What one rule would have done in [start, end)."""

    rule: str
    start: float
    end: float
    looked_every_s: float
    looks: int
    pages: tuple[Page, ...]
    curves: Mapping[Labels, Curve] = field(default_factory=dict)
    """At most CURVES_MAX."""

    @property
    def nights(self) -> int:
        """Pages that would have woken somebody."""
        return sum(page.at_night for page in self.pages)

    @property
    def firing_s(self) -> float:
        """Seconds of alert, summed over series."""
        return sum(page.seconds(self.end) for page in self.pages)


def backtest(
    rules: Sequence[Rule],
    source: Source,
    *,
    start: float,
    end: float,
    step_s: float = 60.0,
    looks_max: int = LOOKS_MAX,
    zone: str = "UTC",
    progress: Callable[[float], None] | None = None,
) -> list[Backtest]:
    """One result per rule. progress: told the share done, 0..1; what it raises ends the backtest.

    step_s is the shortest time between two looks; it grows with the range (looks_max). `for` and
    `keep_firing_for` shorter than a step behave as if they were one step. Raises what the source
    raises.
    """
    step = max(step_s, (end - start) / looks_max)
    results = []
    for number, rule in enumerate(rules):

        def say(share: float, number: int = number) -> None:
            if progress is not None:
                progress((number + share) / len(rules))

        found = _whole_windows(rule, source, start, end)
        first, every, answers = found if found is not None else (start, step, None)
        results.append(_run(rule, source, answers, first, end, every, ZoneInfo(zone), say))
    return results


def _whole_windows(
    rule: Rule, source: Source, start: float, end: float
) -> tuple[float, float, CachedSource] | None:
    """All windows of a rule about a measure, asked for at once: where the first begins, how long
    one is, and their answers. None where that is not possible."""
    check = rule.check
    if not isinstance(source, AnalyticsSource) or not isinstance(check, Threshold | Change):
        return None
    window = check.window_s
    back = check.offset_s if isinstance(check, Change) else 0.0
    first = math.floor(start / window) * window
    if window % 60 or back % window or (end - first) / window > WINDOWS_MAX:
        return None
    answers = CachedSource(source)
    for begin in {first, first - back}:
        stop = begin + (end - first) // window * window
        if stop > begin:
            points = source.windows(check.measure, begin, stop, window, rule.filters, rule.group_by)
            answers.know(check.measure, points, rule.filters, rule.group_by, window)
    return first, window, answers


def _run(
    rule: Rule,
    source: Source,
    answers: CachedSource | None,
    start: float,
    end: float,
    step: float,
    zone: ZoneInfo,
    say: Callable[[float], None],
) -> Backtest:
    timing = Timing(
        rule.timing.for_s,
        rule.timing.keep_firing_for_s,
        rule.timing.no_data,
        max(rule.timing.gap_s, 2 * step),
        rule.timing.no_data_keep_s,
    )
    instances: dict[Labels, Instance] = {}
    peaks: dict[Labels, float | None] = {}
    pages: list[Page] = []
    curves = _Curves()
    looks = int((end - start) // step)

    def close(labels: Labels, instance: Instance) -> None:
        assert instance.fired_at is not None  # it fired
        pages.append(
            Page(
                labels,
                instance.fired_at,
                instance.resolved_at,
                peaks.pop(labels, None),
                is_night(instance.fired_at, zone),
            )
        )

    for i in range(1, looks + 1):
        at = start + i * step
        for reading in look(rule, answers or CachedSource(source), at, list(instances)):
            curves.add(reading, at)
            before = instances.get(reading.labels, Instance())
            seen = Observation(at, reading.breached, reading.value, reading.threshold)
            instance, change = advance(before, seen, timing)
            if instance.state is State.FIRING:
                peaks[reading.labels] = _peak(
                    peaks.get(reading.labels), reading.value, reading.threshold
                )
            if change is not None and change.closes:
                close(reading.labels, instance)
            if instance.state in (State.INACTIVE, State.RESOLVED) and timing.no_data != "alert":
                instances.pop(reading.labels, None)
            else:
                instances[reading.labels] = instance
        say(i / looks)
    for labels, instance in instances.items():
        if instance.state is State.FIRING:
            close(labels, instance)
    pages.sort(key=lambda page: page.fired_at)
    chosen = curves.chosen({page.labels for page in pages})
    return Backtest(rule.name, start, end, step, looks, tuple(pages), chosen)


class _Curves:
    """Values of every series while a backtest runs, of which the telling ones are kept."""

    def __init__(self) -> None:
        self._values: dict[Labels, list[tuple[float, float | None]]] = {}
        self._requests: dict[Labels, int] = {}

    def add(self, reading: Reading, at: float) -> None:
        labels = reading.labels
        if labels not in self._values and len(self._values) >= CURVES_SEEN_MAX:
            return
        self._values.setdefault(labels, []).append((at, reading.value))
        self._requests[labels] = self._requests.get(labels, 0) + reading.requests

    def chosen(self, paging: set[Labels]) -> dict[Labels, Curve]:
        ranked = sorted(
            self._values, key=lambda one: (one not in paging, -self._requests[one], one)
        )
        return {labels: tuple(self._values[labels]) for labels in ranked[:CURVES_MAX]}


def is_night(at: float, zone: ZoneInfo) -> bool:
    """Whether people sleep at this time in that zone."""
    hour = datetime.fromtimestamp(at, zone).hour
    return hour >= NIGHT_HOURS[0] or hour < NIGHT_HOURS[1]


def _peak(peak: float | None, value: float | None, threshold: float | None) -> float | None:
    if value is None or peak is None:
        return value if peak is None else peak
    centre = threshold if threshold is not None else 0.0
    return value if abs(value - centre) > abs(peak - centre) else peak
