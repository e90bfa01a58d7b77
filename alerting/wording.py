"""What an alert is called and what it says: labels and annotations of one reading. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta

from alerting.checks import Reading
from alerting.explain import Contributor
from alerting.instances import Alert
from alerting.point import Labels
from alerting.rule import (
    Absence,
    BurnRate,
    Match,
    Pipeline,
    Rule,
    Sql,
    Threshold,
    say_span,
    say_value,
)
from alerting.rule import Change as ChangeCheck
from alerting.state_machine import State
from alerting.templates import render


def labels_of(rule: Rule, series: Labels) -> dict[str, str]:
    """All labels of an alert: the rule's name as `alertname`, as Alertmanager expects it."""
    return {
        **rule.labels,
        **({"owner": rule.owner} if rule.owner else {}),
        **dict(series),
        "alertname": rule.name,
        "severity": rule.severity,
    }


def word_alert(rule: Rule, alert: Alert, reading: Reading) -> dict[str, str]:
    """Rendered annotations; there is always a `summary`."""
    values = template_values(rule, alert.labels, reading)
    worded = {name: render(template, values) for name, template in rule.annotations.items()}
    series = " ".join(value for _, value in reading.labels)
    worded.setdefault("summary", f"{rule.name} {series}: {values['value']}".replace(" :", ":"))
    if reading.breached is None and alert.state is State.FIRING:
        worded["summary"] = f"No data for {rule.name} {series}".rstrip()
    if rule.runbook_url:
        worded.setdefault("runbook_url", rule.runbook_url)
    return worded


def evidence_of(
    rule: Rule, reading: Reading, at: float, contributors: Sequence[Contributor]
) -> dict[str, object]:
    """What the history keeps of a change, as JSON: enough to ask the same question again."""
    return {
        "window_s": shown_window_s(rule),
        "until": at,
        "requests": reading.requests,
        "text": reading.evidence,
        "filters": {name: list(values) for name, values in rule.filters.active()},
        "series": dict(reading.labels),
        "contributors": [asdict(c) for c in contributors],
    }


def template_values(rule: Rule, labels: Mapping[str, str], reading: Reading) -> dict[str, str]:
    """What `{name}` may stand for in this rule's annotations."""
    return {
        **labels,
        "rule": labels.get("rule", rule.name),
        "severity": rule.severity,
        "owner": rule.owner,
        "value": say_change(reading.value)
        if _is_change(rule)
        else say_value(reading.value, rule.unit),
        "threshold": say_value(reading.threshold, rule.unit),
        "window": say_span(timedelta(seconds=shown_window_s(rule))),
        "evidence": reading.evidence,
    }


def say_change(value: float | None) -> str:
    """'+120 %', '-85 %'."""
    return "no data" if value is None else f"{value * 100:+.0f} %"


def _is_change(rule: Rule) -> bool:
    return isinstance(rule.check, ChangeCheck)


def shown_window_s(rule: Rule) -> float:
    """Length of the window a value of this rule speaks about."""
    match rule.check:
        case (
            Threshold(window_s=window)
            | ChangeCheck(window_s=window)
            | Absence(window_s=window)
            | Sql(window_s=window)
            | Match(window_s=window)
            | Pipeline(window_s=window)
        ):
            return window
        case BurnRate(windows=windows):
            return windows[0].long_s
        case _:
            return rule.window_s
