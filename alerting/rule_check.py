"""`gatelens rules check`: what is wrong with a rules file, and what is likely not meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alerting.errors import ConfigInvalid, Problem
from alerting.rule import Change, Rule, Threshold
from alerting.rules import load_rules
from analytics.query import MEASURES

RATIO_REQUESTS_MIN = 10
"""Below this a single failed request moves a ratio by ten points."""


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """`problems` stop the file from being loaded; `warnings` do not."""

    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def check_rules(path: Path) -> RuleCheck:
    """Read a file or folder of rules. Never raises for what is in them."""
    try:
        rules = load_rules(path, builtin=False)
    except ConfigInvalid as err:
        return RuleCheck((), err.problems, ())
    return RuleCheck(rules, (), tuple(w for rule in rules for w in _warnings(rule)))


def _warnings(rule: Rule) -> list[Problem]:
    found = []

    def warn(message: str, hint: str) -> None:
        found.append(Problem(rule.file, rule.line, f"rule {rule.name!r} {message}.", hint))

    if "summary" not in rule.annotations:
        warn("has no summary annotation", "People read it first: say what happens, to whom.")
    if isinstance(rule.check, Threshold | Change):
        ratio = MEASURES[rule.check.measure].unit == "1"
        if ratio and rule.check.min_requests < RATIO_REQUESTS_MIN:
            warn("judges a ratio of very few requests", "Set min_requests, for example to 20.")
    if rule.severity == "critical" and not rule.timing.for_s and isinstance(rule.check, Threshold):
        warn("wakes people on a single look", "Set 'for', for example to 1m.")
    if rule.severity == "critical" and not rule.runbook_url:
        warn("has no runbook_url", "Say where whoever is woken finds out what to do.")
    return found
