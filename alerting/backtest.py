"""`gatelens rules backtest`: which pages a rule would have sent over the past days.

The rule's own check and state machine run over the stored data, one look after the other. How often
it looks is bounded, so that a month takes a minute, not an hour; the result says how often it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alerting.checks import look
from alerting.point import Labels
from alerting.rule import Rule
from alerting.source import CachedSource, Source
from alerting.state_machine import Instance, Observation, State, Timing, advance

LOOKS_MAX = 2_000
"""Looks per rule and backtest. More time is covered by looking less often."""

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
    zone: str = "UTC",
    progress: Callable[[float], None] | None = None,
) -> list[Backtest]:
    """One result per rule. progress: told the share done, 0..1. Raises what the source raises.

    step_s is the shortest time between two looks; it grows with the range (LOOKS_MAX). `for` and
    `keep_firing_for` shorter than a step behave as if they were one step.
    """
    step = max(step_s, (end - start) / LOOKS_MAX)
    results = []
    for number, rule in enumerate(rules):

        def say(share: float, number: int = number) -> None:
            if progress is not None:
                progress((number + share) / len(rules))

        results.append(_run(rule, source, start, end, step, ZoneInfo(zone), say))
    return results


def _run(
    rule: Rule,
    source: Source,
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
        for reading in look(rule, CachedSource(source), at, list(instances)):
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
    return Backtest(rule.name, start, end, step, looks, tuple(pages))


def is_night(at: float, zone: ZoneInfo) -> bool:
    """Whether people sleep at this time in that zone."""
    hour = datetime.fromtimestamp(at, zone).hour
    return hour >= NIGHT_HOURS[0] or hour < NIGHT_HOURS[1]


def _peak(peak: float | None, value: float | None, threshold: float | None) -> float | None:
    if value is None or peak is None:
        return value if peak is None else peak
    centre = threshold if threshold is not None else 0.0
    return value if abs(value - centre) > abs(peak - centre) else peak
