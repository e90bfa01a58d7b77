"""What a rule watches, in one line, as somebody would say it."""

from __future__ import annotations

from datetime import timedelta

from alerting.rule import (
    Absence,
    BurnRate,
    Change,
    Condition,
    Match,
    Pipeline,
    Quota,
    Rule,
    Sql,
    Threshold,
    say_span,
    say_value,
)
from analytics.query import MEASURES


def say_rule(rule: Rule) -> str:
    """'error rate > 5.0 % over 1 min, per api, for 15 s; api=orders'."""
    said = _check(rule)
    if rule.group_by and not isinstance(rule.check, Pipeline | Quota):
        said += ", per " + " and ".join(name.replace("_", " ") for name in rule.group_by)
    if rule.timing.for_s:
        said += f", for {_span(rule.timing.for_s)}"
    filters = [f"{name}={'|'.join(values)}" for name, values in rule.filters.active()]
    return said + ("; " + ", ".join(filters) if filters else "")


def _check(rule: Rule) -> str:
    match rule.check:
        case Threshold(measure=measure, window_s=window, condition=condition):
            limit = _condition(condition, MEASURES[measure].unit)
            return f"{_measure(measure)} {limit} over {_span(window)}"
        case Change(measure=measure, window_s=window, offset_s=back, condition=condition):
            limit = f"{condition.operator} {condition.threshold * 100:+.0f} %"
            return f"{_measure(measure)} {limit} over {_span(window)} against {_span(back)} before"
        case Absence(window_s=window, seen_within_s=seen):
            return f"nothing for {_span(window)} after traffic within {_span(seen)}"
        case BurnRate(objective=objective, period_s=period, threshold_ms=slow, windows=windows):
            share = f"{objective * 100:.6g} %"
            bad = f"slower than {say_value(slow, 'ms')}" if slow else "failed"
            pairs = " or ".join(f"x{w.factor:g} over {_span(w.long_s)}" for w in windows)
            return f"budget of {share} not {bad} in {_span(period)} burns {pairs}"
        case Quota(period=period_name, condition=None, runs_out_before_end_s=early):
            spare = f" {_span(early)} or more" if early else ""
            return f"the {period_name}'s quota runs out{spare} before its end, per consumer"
        case Quota(period=period_name, condition=Condition() as condition):
            limit = _condition(condition, "1")
            return f"{limit} of the {period_name}'s quota used, per consumer"
        case Sql(window_s=window, condition=condition):
            return f"a query's value {_condition(condition, '')} over {_span(window)}"
        case Match(kind=kind, window_s=window, condition=condition, unit=unit):
            what = {"log_match": "log records", "trace_match": "spans"}.get(kind, "probe")
            limit = _condition(condition, unit if unit == "s" else "")
            return f"{what} {limit} over {_span(window)}"
        case Pipeline(signal=signal, window_s=window, condition=condition):
            limit = _condition(condition, rule.unit)
            return f"{signal.replace('_', ' ')} {limit} over {_span(window)}"
        case _:
            return "whether rules can be evaluated"


def _measure(name: str) -> str:
    return name.removesuffix("_ms").replace("_", " ")


def _condition(condition: Condition, unit: str) -> str:
    return f"{condition.operator} {say_value(condition.threshold, unit)}"


def _span(seconds: float) -> str:
    return say_span(timedelta(seconds=seconds))
