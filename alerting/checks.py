"""Judging: a rule and the numbers at one moment in, one reading per series out. No state, no clock.

`look` is the entry; one function per kind of rule. A reading says breached, fine, or unmeasured
(None), which are three different things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from alerting.point import Labels, Point
from alerting.rule import (
    Absence,
    BurnRate,
    BurnWindow,
    Change,
    Condition,
    Health,
    Match,
    Pipeline,
    Quota,
    Rule,
    Sql,
    Threshold,
    say_span,
    say_value,
)
from alerting.source import Source, SqlQuestion
from analytics.query import MEASURES
from analytics.quota import QuotaUsage


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at one series found."""

    labels: Labels
    breached: bool | None
    """None = unmeasured."""
    value: float | None
    threshold: float | None
    requests: int = 0
    evidence: str = ""
    """A sentence about how the value came about; '' = nothing beyond the value."""


def look(rule: Rule, source: Source, at: float, known: Iterable[Labels] = ()) -> list[Reading]:
    """One reading per series at time `at` (epoch seconds, end of the windows).

    known: series that have an alert already; those without data now are read as unmeasured, or as
    zero where the measure is a count. Raises what the source raises.
    """
    match rule.check:
        case Threshold() as check:
            readings = _threshold(rule, check, source, at)
        case Change() as check:
            readings = _change(rule, check, source, at)
        case Absence() as check:
            readings = _absence(rule, check, source, at)
        case BurnRate() as check:
            readings = _burn_rate(rule, check, source, at)
        case Quota() as check:
            readings = _quota(rule, check, source, at)
        case Health():
            return []
        case Sql() | Match() as check:
            readings = _sql(rule, check, source, at)
        case Pipeline() as check:
            points = source.pipeline(check.signal, at - check.window_s, at)
            readings = [_against(point, check.condition) for point in points]
    seen = {reading.labels for reading in readings}
    readings.extend(_gone(rule, labels) for labels in known if labels not in seen)
    return readings


def _threshold(rule: Rule, check: Threshold, source: Source, at: float) -> list[Reading]:
    points = source.measure(check.measure, at - check.window_s, at, rule.filters, rule.group_by)
    if not points and not rule.group_by:
        return [_gone(rule, ())]
    return [_judge(point, check) for point in points]


def _judge(point: Point, check: Threshold) -> Reading:
    breached: bool | None
    if point.requests < check.min_requests:
        breached = False
    elif point.value is None:
        breached = None
    else:
        breached = check.condition.breached_by(point.value)
    return Reading(
        point.labels, breached, point.value, check.condition.threshold, point.requests,
        f"{point.requests:,} requests in the window.",
    )  # fmt: skip


def _change(rule: Rule, check: Change, source: Source, at: float) -> list[Reading]:
    by, window = rule.group_by, check.window_s
    start, then = at - window, at - check.offset_s
    now_by = _by_labels(source.measure(check.measure, start, at, rule.filters, by))
    before = source.measure(check.measure, then - window, then, rule.filters, by)
    zero = MEASURES[check.measure].zero_when_idle
    unit = MEASURES[check.measure].unit
    readings = []
    for old in before:
        new = now_by.get(old.labels)
        value = new.value if new else (0.0 if zero else None)
        threshold = check.condition.threshold
        if old.requests < check.min_requests or not old.value:
            readings.append(Reading(old.labels, False, None, threshold, old.requests))
        elif value is None:
            readings.append(Reading(old.labels, None, None, threshold, 0))
        else:
            change = value / old.value - 1.0
            said = f"{say_value(value, unit)} now, {say_value(old.value, unit)} then."
            breached = check.condition.breached_by(change)
            requests = new.requests if new else 0
            readings.append(Reading(old.labels, breached, change, threshold, requests, said))
    return readings


def _absence(rule: Rule, check: Absence, source: Source, at: float) -> list[Reading]:
    lately = source.measure("requests", at - check.window_s, at, rule.filters, rule.group_by)
    before = source.measure("requests", at - check.seen_within_s, at, rule.filters, rule.group_by)
    counts = {point.labels: point.requests for point in lately}
    return [
        Reading(
            point.labels,
            counts.get(point.labels, 0) == 0,
            float(counts.get(point.labels, 0)),
            0.0,
            point.requests,
            f"{point.requests:,} requests before that.",
        )
        for point in before
        if point.requests >= check.min_requests
    ]


def _burn_rate(rule: Rule, check: BurnRate, source: Source, at: float) -> list[Reading]:
    budget = 1.0 - check.objective

    def burns(length_s: float) -> Mapping[Labels, Point]:
        start, filters, by = at - length_s, rule.filters, rule.group_by
        if check.threshold_ms is not None:
            return _by_labels(source.slow_share(check.threshold_ms, start, at, filters, by))
        return _by_labels(source.measure(check.measure, start, at, filters, by))

    lengths = {s for window in check.windows for s in (window.long_s, window.short_s)}
    ratios = {length: burns(length) for length in lengths}
    used = burns(check.period_s)
    widest = ratios[max(lengths)]
    readings = []
    for labels, point in widest.items():
        if point.requests < check.min_requests:
            readings.append(Reading(labels, False, None, None, point.requests))
            continue
        hit: BurnWindow | None = None
        fastest: float | None = None
        for window in check.windows:
            long = _burn(ratios[window.long_s].get(labels), budget)
            short = _burn(ratios[window.short_s].get(labels), budget)
            if long is None or short is None:
                continue
            fastest = max(fastest or 0.0, min(long, short))
            if hit is None and long > window.factor and short > window.factor:
                hit = window
        factor = hit.factor if hit else min(w.factor for w in check.windows)
        said = say_burn(check, used.get(labels), fastest)
        breached = None if fastest is None else hit is not None
        readings.append(Reading(labels, breached, fastest, factor, point.requests, said))
    return readings


def _burn(point: Point | None, budget: float) -> float | None:
    return None if point is None or point.value is None else point.value / budget


def say_burn(check: BurnRate, used: Point | None, burn: float | None) -> str:
    """What a burn means: 'At this rate the month's budget is gone in 2 h 10 min; 18 % left.'."""
    if used is None or used.value is None or not burn:
        return ""
    left = 1.0 - used.value / (1.0 - check.objective)
    days = check.period_s / 86_400
    budget = "month's" if 28 <= days <= 31 else f"{days:g}-day"
    slow = "" if check.threshold_ms is None else f" for requests over {check.threshold_ms:g} ms"
    if left <= 0:
        return f"The {budget} budget{slow} is gone."
    rest, percent = timedelta(seconds=check.period_s * left / burn), f"{left * 100:.0f}"
    return f"At this rate the {budget} budget{slow} is gone in {say_span(rest)}; {percent} % left."


def _quota(rule: Rule, check: Quota, source: Source, at: float) -> list[Reading]:
    return [_judge_quota(check, q, at) for q in source.quotas(check.period, at, rule.filters)]


def _judge_quota(check: Quota, usage: QuotaUsage, at: float) -> Reading:
    labels = (("consumer", usage.consumer),)
    said = _say_quota(usage)
    if check.condition is not None:
        share = usage.percent / 100
        breached = check.condition.breached_by(share)
        return Reading(labels, breached, share, check.condition.threshold, usage.used, said)
    ahead = usage.forecast
    if usage.used >= usage.limit:
        return Reading(labels, True, 0.0, None, usage.used, said)
    if ahead is None or ahead.latest is None or ahead.exhausted_at is None:
        return Reading(labels, False, None, None, usage.used, said)
    to_spare = (usage.window.end - ahead.latest).total_seconds()
    breached = to_spare >= (check.runs_out_before_end_s or 0.0)
    left_s = max(0.0, ahead.exhausted_at.timestamp() - at)
    return Reading(labels, breached, left_s, None, usage.used, said)


def _sql(rule: Rule, check: Sql | Match, source: Source, at: float) -> list[Reading]:
    question = SqlQuestion(
        check.query,
        at - check.window_s,
        at,
        rule.group_by,
        rule.filters.tenant,
        check.params if isinstance(check, Match) else {},
        trusted=isinstance(check, Match),
    )
    return [_against(point, check.condition) for point in source.ask_sql(question)]


def _against(point: Point, condition: Condition) -> Reading:
    breached = None if point.value is None else condition.breached_by(point.value)
    return Reading(point.labels, breached, point.value, condition.threshold, point.requests)


def _say_quota(usage: QuotaUsage) -> str:
    said = f"{usage.used:,} of {usage.limit:,} requests."
    if usage.used >= usage.limit:
        return f"{said} It is used up."
    ahead = usage.forecast
    if ahead is None or ahead.exhausted_at is None:
        return f"{said} It is expected to last until {usage.window.end:%Y-%m-%d %H:%M} UTC."
    said = f"{said} It is expected to run out on {ahead.exhausted_at:%Y-%m-%d %H:%M} UTC"
    if ahead.earliest is None:
        return f"{said}."
    latest = f"{ahead.latest:%m-%d %H:%M}" if ahead.latest else "later than the period"
    return f"{said} (80 %: {ahead.earliest:%m-%d %H:%M} to {latest})."


def _gone(rule: Rule, labels: Labels) -> Reading:
    """The reading of a series without data: zero for a count, unmeasured for anything else."""
    match rule.check:
        case Threshold(measure=measure, condition=condition, min_requests=minimum):
            if MEASURES[measure].zero_when_idle:
                breached = minimum == 0 and condition.breached_by(0.0)
                return Reading(labels, breached, 0.0, condition.threshold)
            return Reading(labels, None, None, condition.threshold)
        case Absence():
            # Silent for longer than anybody remembers: nobody misses it any more.
            return Reading(labels, False, None, None, 0, "Not seen for so long that it is let go.")
        case _:
            return Reading(labels, None, None, None)


def _by_labels(points: Sequence[Point]) -> dict[Labels, Point]:
    return {point.labels: point for point in points}


Look = Callable[[Rule, Source, float, Iterable[Labels]], list[Reading]]
