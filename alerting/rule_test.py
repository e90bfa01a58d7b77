"""`gatelens rules test`: rules run on written-down series, in virtual time, by the real engine.

    rules_file: rules.yaml         # next to this file
    interval: 5s                   # one value of a series, and one look, per interval
    tests:
      - name: an error burst pages once
        series:
          - measure: error_rate
            labels: {api: orders}
            values: "0x3 0.2x5 0x5"      # the measure as a look at that time finds it
            requests: "100x20"           # requests in the window; default 100 throughout
        alerts:
          - {at: 35s, rule: api-error-ratio, state: firing, labels: {api: orders}}
          - {at: 10s, rule: api-error-ratio, state: none}
        notifications:
          - {at: 30s, status: firing}
          - {at: 55s, status: resolved}

`values` of the measure `requests` are counts per interval and are summed over a rule's window; of
every other measure the value at the end of the window is taken. `notifications`, where given, must
be all there are, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from alerting.channel import ChannelConfig
from alerting.channels import deliver_to
from alerting.engine import AlertEngine
from alerting.errors import AlertingError
from alerting.notice import Notice, decode_notice
from alerting.pipeline import Signal
from alerting.point import Labels, Point
from alerting.rule import Rule
from alerting.rules import load_rules
from alerting.series_notation import parse_series
from alerting.settings import AlertingSettings
from alerting.source import Period, SqlQuestion
from alerting.store import ActiveAlert, AlertStore
from alerting.yaml_section import Problems, Section, read_text, read_yaml
from analytics.query import MEASURES, Filters
from analytics.quota import QuotaUsage
from storage.state import outbox
from storage.state_metadata import metadata

VIRTUAL_START = 1_800_000_000.0
"""Epoch second of time 0 in a test; a round number in the future of nobody's data."""


@dataclass(frozen=True, slots=True)
class Series:
    measure: str
    labels: Mapping[str, str]
    values: tuple[float | None, ...]
    requests: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """state 'none' = no pending, firing or no_data alert of the rule has these labels."""

    at_s: float
    rule: str
    state: str
    labels: Mapping[str, str]
    line: int


@dataclass(frozen=True, slots=True)
class ExpectedNotice:
    at_s: float
    status: str
    labels: Mapping[str, str]
    line: int


@dataclass(frozen=True, slots=True)
class RuleTest:
    name: str
    interval_s: float
    series: tuple[Series, ...]
    alerts: tuple[ExpectedAlert, ...]
    notices: tuple[ExpectedNotice, ...] | None
    """None = not looked at."""


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """One test's outcome; no failure = it passed."""

    name: str
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


def run_rule_tests(path: Path) -> list[RuleTestResult]:
    """Run every test of a file. Raises ConfigInvalid when it, or the rules it names, is wrong."""
    problems = Problems(str(path))
    rules, tests = _read(path, problems)
    problems.raise_if_any()
    return [run_rule_test(rules, test) for test in tests]


def run_rule_test(rules: Sequence[Rule], test: RuleTest) -> RuleTestResult:
    """Run one test in virtual time on an in-memory state store."""
    now = VIRTUAL_START
    state = sa.create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(state)
    engine = AlertEngine(
        _WrittenSource(test),
        state,
        rules,
        deliver_to(ChannelConfig("test", "webhook")),
        AlertingSettings(settle_s=0.0),
        clock=lambda: now,
    )
    store = AlertStore(state, clock=lambda: now)
    length = max((len(s.values) for s in test.series), default=0)
    times = {i * test.interval_s for i in range(length)} | {e.at_s for e in test.alerts}
    failures: list[str] = []
    for at_s in sorted(times):
        now = VIRTUAL_START + at_s
        done = engine.evaluate_once(now)
        failures.extend(f"at {at_s:g} s: {why}" for why in done.failed.values())
        active = store.active()
        failures.extend(
            why for e in test.alerts if e.at_s == at_s and (why := _mismatch(e, active))
        )
    if test.notices is not None:
        failures.extend(_compare_notices(test.notices, _sent(state)))
    state.dispose()
    return RuleTestResult(test.name, tuple(failures))


_TRY_BACKTEST = "Try it with backtest."


class _WrittenSource:
    """Series of a test as the engine's source."""

    def __init__(self, test: RuleTest) -> None:
        self._test = test

    def data_until(self, now: float) -> float | None:
        return now

    def measure(
        self, name: str, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        return [
            point
            for series in self._test.series
            if series.measure == name and _passes(series, filters)
            if (point := self._point(series, start, end, by)) is not None
        ]

    def slow_share(
        self, threshold_ms: float, start: float, end: float, filters: Filters, by: tuple[str, ...]
    ) -> Sequence[Point]:
        raise AlertingError("Latency objectives cannot be tested on series.", _TRY_BACKTEST)

    def ask_sql(self, question: SqlQuestion) -> Sequence[Point]:
        raise AlertingError("Queries cannot be tested on series.", _TRY_BACKTEST)

    def pipeline(self, signal: Signal, start: float, end: float) -> Sequence[Point]:
        return []

    def quotas(self, period: Period, at: float, filters: Filters) -> Sequence[QuotaUsage]:
        return []  # a file under test may hold such rules beside the tested ones

    def _point(self, series: Series, start: float, end: float, by: tuple[str, ...]) -> Point | None:
        labels: Labels = tuple((name, series.labels.get(name, "(none)")) for name in by)
        last = self._index(end)
        if series.measure == "requests":
            first = max(self._index(start) + 1, 0)
            counts = [v for v in series.values[first : last + 1] if v is not None]
            return Point(labels, sum(counts), int(sum(counts))) if sum(counts) else None
        value = series.values[last] if 0 <= last < len(series.values) else None
        if value is None:
            return None
        requests = series.requests[min(last, len(series.requests) - 1)]
        return Point(labels, value, int(requests or 0))

    def _index(self, at: float) -> int:
        return int((at - VIRTUAL_START) // self._test.interval_s)


def _passes(series: Series, filters: Filters) -> bool:
    return all(series.labels.get(name) in values for name, values in filters.active())


def _mismatch(expected: ExpectedAlert, active: Sequence[ActiveAlert]) -> str:
    found = [
        alert
        for alert in active
        if alert.rule == expected.rule and expected.labels.items() <= alert.labels.items()
    ]
    states = sorted(alert.state.value for alert in found)
    if expected.state == "none" and not found:
        return ""
    if expected.state in states:
        return ""
    said = ", ".join(states) or "none"
    labels = " ".join(f"{k}={v}" for k, v in expected.labels.items())
    return (
        f"line {expected.line}: at {expected.at_s:g} s {expected.rule} {labels} should be "
        f"{expected.state}, but is: {said}"
    )


def _sent(state: sa.Engine) -> list[tuple[float, Notice]]:
    with state.connect() as connection:
        rows = connection.execute(sa.select(outbox).order_by(outbox.c.id)).mappings().all()
    return [(row["created_at"] - VIRTUAL_START, decode_notice(row["payload"])) for row in rows]


def _compare_notices(
    expected: Sequence[ExpectedNotice], sent: Sequence[tuple[float, Notice]]
) -> list[str]:
    failures = []
    for want, (at_s, notice) in zip(expected, sent, strict=False):
        told = any(want.labels.items() <= a.labels.items() for a in notice.alerts)
        if (want.at_s, want.status) != (at_s, notice.status) or not told:
            failures.append(
                f"line {want.line}: expected a {want.status} notification at {want.at_s:g} s, "
                f"but at {at_s:g} s this was sent: {notice.title}"
            )
    failures.extend(
        f"line {want.line}: no {want.status} notification at {want.at_s:g} s"
        for want in expected[len(sent) :]
    )
    failures.extend(
        f"at {at_s:g} s a notification was not expected: {notice.title}"
        for at_s, notice in sent[len(expected) :]
    )
    return failures


def _read(path: Path, problems: Problems) -> tuple[tuple[Rule, ...], list[RuleTest]]:
    top = read_yaml(read_text(path, problems), problems)
    if top is None:
        return (), []
    file = top.text("rules_file", required=True)
    builtin = top.flag("builtin_rules", False)
    interval_s = top.duration_s("interval", 5.0, positive=True)
    tests = [_test(section, interval_s) for section in top.sections("tests", required=True)]
    top.finish()
    rules = load_rules(path.parent / file, builtin=builtin) if file else ()
    names = {rule.name for rule in rules}
    for test in tests:
        for alert in test.alerts:
            if alert.rule not in names:
                problems.add(alert.line, f"No rule is called {alert.rule!r}.")
    return rules, tests


def _test(section: Section, interval_s: float) -> RuleTest:
    name = section.text("name", required=True)
    section.title = f"test {name!r}"
    series = tuple(_series(item) for item in section.sections("series", required=True))
    alerts = tuple(_alert(item) for item in section.sections("alerts"))
    notices = (
        tuple(_notice(item) for item in section.sections("notifications"))
        if "notifications" in section
        else None
    )
    section.finish()
    return RuleTest(name, interval_s, series, alerts, notices)


def _series(section: Section) -> Series:
    measure = section.text("measure", required=True, choices=tuple(MEASURES))
    series = Series(
        measure,
        section.text_map("labels"),
        _values(section, "values", required=True),
        _values(section, "requests") or (100.0,),
    )
    section.finish()
    return series


def _values(section: Section, name: str, *, required: bool = False) -> tuple[float | None, ...]:
    try:
        return tuple(parse_series(section.text(name, required=required)))
    except ValueError as err:
        section.wrong(name, f"{err}.")
        return ()


def _alert(section: Section) -> ExpectedAlert:
    states = ("none", "pending", "firing", "no_data")
    expected = ExpectedAlert(
        section.duration_s("at"),
        section.text("rule", required=True),
        section.text("state", "firing", choices=states),
        section.text_map("labels"),
        section.line,
    )
    section.finish()
    return expected


def _notice(section: Section) -> ExpectedNotice:
    expected = ExpectedNotice(
        section.duration_s("at"),
        section.text("status", "firing", choices=("firing", "resolved")),
        section.text_map("labels"),
        section.line,
    )
    section.finish()
    return expected
